#!/usr/bin/env python3
"""What a gate does most of its time, for a program that profiles itself: small answers over HTTP/1.1 and HTTP/2, some larger ones, handshakes.

usage: train.py PROGRAM

The gate does not confine itself: it writes its profile where it was told when it was built, which is none of its folders.
"""

import sys
import tempfile
from pathlib import Path

import run

# Large answers are few: each counts as much as thousands of small ones, which are what is to be fast.
LOADS = {"1k h1": 15, "1k h2": 12, "100k h1": 3, "10m h1": 4, "handshake": 4}


def main() -> None:
    run.MENSHEN += "confine: false\n"
    with tempfile.TemporaryDirectory(prefix="menshen-train-") as folder:
        root = Path(folder)
        token = run.prepare(root)
        backend = run.serve(root)
        try:
            for place, name in enumerate(["menshen-full", "menshen-opaque"]):
                gate = run.start(name, run.FIRST + place, root, sys.argv[1])
                run.check(gate, token)
                for scenario, seconds in LOADS.items():
                    done, _ = run.load(gate, token, scenario, seconds, root)
                    print(f"{name}, {scenario}: {done} requests", flush=True)
                gate.stop()
        finally:
            run.end(backend)


if __name__ == "__main__":
    main()
