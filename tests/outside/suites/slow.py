"""Clients that send or read slowly: others are served meanwhile, and the gate lets go of each in its time."""

import os
import time
from pathlib import Path

from gate import Gate
from outcome import Outcome, debian, of_cases, told

# Times of the gate so short that a run takes a minute.
LISTENER, BODIES = ", head-timeout: 5s, stall-timeout: 8s", "bodies: { request-time: 5s }\n"
SECONDS = 22
WAYS = {"heads (slowloris)": ["-H", "-i", "2"], "bodies": ["-B", "-i", "2", "-s", "8192"], "reads": ["-X", "-w", "1", "-y", "2", "-n", "5", "-z", "1", "-k", "3"], "ranges": ["-R", "-a", "1", "-b", "3000"]}


def slowhttptest(menshen: str, folder: Path) -> Outcome:
    cases: dict[str, str | None] = {}
    for at, (name, way) in enumerate(WAYS.items()):
        with Gate(menshen, folder / f"gate{at}", LISTENER, BODIES) as gate:
            before = descriptors(gate)
            said = told(["slowhttptest", "-c", "200", "-r", "100", "-l", str(SECONDS), "-p", "3", *way, "-u", f"https://{gate.address}/one/1"], 120)
            cases[f"{name}: others are served"] = None if "available:   YES" in said and "available:   NO" not in said else said[-300:]
            # The tool holds its own ends until its time is over; the gate has let go of its own long before.
            left = descriptors(gate) - before
            cases[f"{name}: let go"] = None if left < 20 else f"{left} descriptors are still open"
            time.sleep(1)
    return of_cases(debian("slowhttptest"), cases)


def descriptors(gate: Gate) -> int:
    return len(os.listdir(f"/proc/{gate.process.pid}/fd"))
