"""HTTP/2: its rules frame by frame, heads that HTTP/1.1 would read as two requests, and a client with every option."""

import re
from pathlib import Path

from gate import HOST, Gate
from outcome import HERE, Outcome, debian, of_cases, program, told, version_of
from relay import Relay

HTTPWG = "0.2.5"
# Ways in which the client of nghttp2 asks; each must get the same answer.
WAYS = [
    [], ["--no-dep"], ["--continuation"], ["--padding=200"], ["--header-table-size=0"], ["--encoder-header-table-size=65536"],
    ["--window-bits=14"], ["--connection-window-bits=16"], ["--peer-max-concurrent-streams=1"], ["--max-concurrent-streams=1"],
    ["--no-push"], ["--no-rfc7540-pri"], ["--weight=1"], ["--multiply=50"], ["--stat", "--multiply=20"],
]


def httpwg(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        where = ["--address", f"127.0.0.1:{Relay(gate).port}", "--frame-timeout", "1000", "--connect-timeout", "1000", "--verbose"]
        said = told([str(HERE / "tools/bin/httpwg"), *where], 300, env={"SEQUENTIAL": "1", "RUST_LOG": "off", "NO_COLOR": "1"})
    cases: dict[str, str | None] = {}
    for part in said.split("Running test: ")[1:]:
        name = re.sub(r"RFC 9113 :: (\d).*? :: ", r"§\1 ", part.splitlines()[0])
        why = re.search(r"^ +0: (.+)|^Message: +(.+)", part, re.MULTILINE)
        cases[name] = None if "Test passed" in part else (why[1] or why[2] if why else "no answer")
    return of_cases(HTTPWG, cases)


def h2rs(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        said = told([program("h2rs", "python"), str(HERE / "drivers/h2rs_each.py"), HOST, str(gate.port)], 200)
        reached = [one.splitlines()[0] for one in gate.backend.asked]
    cases = {name: None if verdict == "no" else verdict for name, verdict in re.findall(r"^(\S+): (.+)$", said, re.MULTILINE)}
    cases["nothing reaches the backend"] = None if not reached else "; ".join(reached)
    return of_cases(version_of("h2rs"), cases)


def nghttp(menshen: str, folder: Path) -> Outcome:
    cases: dict[str, str | None] = {}
    with Gate(menshen, folder / "gate") as gate:
        heads = [part for name, value in gate.headers() for part in ("-H", f"{name.lower()}: {value}")]
        for way in WAYS:
            said = told(["nghttp", "--verbose", *way, *heads, f"https://{gate.address}/one/1"], 60)
            wanted = int(next((part.split("=")[1] for part in way if "multiply" in part), 1))
            answers, bodies = said.count(":status: 200"), said.count('"name": "Wang Fang"')
            is_good = answers == bodies == wanted and "4111111111111111" not in said
            cases[" ".join(way) or "as it is"] = None if is_good else f"{answers} answers, {bodies} bodies of {wanted}"
    return of_cases(debian("nghttp2-client"), cases)
