#!/usr/bin/env python3
"""What a gate adds to an answer, what it holds in memory, and how both grow; as tables and, with --plot, as an SVG.

usage: growth.py [--menshen PROGRAM] [--parts latency,memory,growth] [--seconds 5] [--plot FILE] [--json FILE]

The gate does everything as in run.py beside it: token, decision, fields, budgets, durable log. It has one core, clients and backend the
other. Needs nginx, h2load and openssl.
"""

import argparse
import itertools
import json
import os
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import run
from run import FIRST, HOST, Peer

RATE, CLIENTS = 1600, 16
IDLE = 5000
# A policy has 5,000 rules at most, and two of its own.
CONNECTIONS, RULES, ROUTES = [10, 100, 1000, 10_000], [10, 100, 1000, 4998], [1, 10, 100, 1000]


# -- what is added to an answer -------------------------------------------------------------------------------------


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def command(port: int, folder: str, token: str, *more: str) -> list[str]:
    """A load of one request for 1 KB at a time on each connection, over HTTP/1.1."""
    heads = [f"Authorization: Bearer {token}", "Menshen-Purpose: service"]
    lines = [part for head in heads for part in ("-H", head)]
    where = [f"--connect-to=127.0.0.1:{port}", f"https://{HOST}:{port}/{folder}/1k"]
    return ["taskset", "-c", "1", "h2load", "--h1", "-t", "1", "-m", "1", *more, *lines, *where]


def check(said: str) -> None:
    """A load that was refused anything tells nothing."""
    if ", 0 3xx, 0 4xx, 0 5xx" not in said or "status codes: 0 2xx" in said:
        sys.exit(said)


def latency(root: Path, token: str, args: argparse.Namespace) -> list[list]:
    """Milliseconds of an answer of 1 KB at a fixed rate, asked of the backend over TLS and through the gate. h2load starts all its
    clients at once, so that as many ask at the same moment, 100 times a second; spread, each asks at a moment of its own."""
    gate = run.start("menshen-full", FIRST, root, args.menshen)
    run.check(gate, token)
    rows = []
    # Not beside the policies: a gate looks who writes there.
    log = root / "times" / "latency.tsv"
    log.parent.mkdir(exist_ok=True)
    try:
        whom = [("direct", run.DIRECT, "all"), ("through the gate", gate.port, gate.folder)]
        for (how, more), (name, port, folder) in itertools.product([("at once", []), ("spread", ["-r", "1", "--rate-period=1ms"])], whom * 2):
            log.unlink(missing_ok=True)
            # A number, not a time: told to stop while it waits for its next turn, h2load never ends.
            each = ["-c", str(CLIENTS), f"--rps={RATE // CLIENTS}", "-n", str(RATE * args.seconds), f"--log-file={log}", *more]
            load = command(port, folder, token, *each)
            check(subprocess.run(load, capture_output=True, text=True, cwd=root, timeout=60 + args.seconds).stdout)
            took = [int(line.split("\t")[2]) / 1000 for line in log.read_text().splitlines()]
            took = took[len(took) // 5:]
            rows.append([f"{name}, {how}", len(took) / (args.seconds * 0.8), *(percentile(took, part) for part in (0.5, 0.9, 0.99))])
    finally:
        gate.stop()
    return rows


# -- what is held -----------------------------------------------------------------------------------------------------


def resident(peer: Peer, key: str = "VmRSS") -> float:
    """KiB of the process and those below it."""
    total, todo = 0, [peer.process.pid]
    while todo:
        place = Path("/proc") / str(todo.pop())
        total += next(int(line.split()[1]) for line in (place / "status").read_text().splitlines() if line.startswith(key))
        todo += [int(child) for child in (place / "task" / place.name / "children").read_text().split()]
    return total


def idle(peer: Peer, count: int) -> float:
    """KiB for each of so many connections that shook hands and ask for nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    open_one = lambda: context.wrap_socket(socket.create_connection(("127.0.0.1", peer.port)), server_hostname=HOST)
    warm = [open_one() for _ in range(200)]
    time.sleep(1)
    before = resident(peer)
    held = [open_one() for _ in range(count)]
    time.sleep(1)
    each = (resident(peer) - before) / count
    for stream in warm + held:
        stream.close()
    return each


def large(peer: Peer, token: str) -> tuple[float, float, float]:
    """Milliseconds to the first byte of a filtered body of 10 MB and to its end, and how far memory rose, in MiB."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", peer.port)) as plain, context.wrap_socket(plain, server_hostname=HOST) as stream:
        before = resident(peer)
        Path(f"/proc/{peer.process.pid}/clear_refs").write_text("5")
        start, first, beyond = time.monotonic(), None, b""
        stream.sendall(f"GET /{peer.folder}/10m HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
                       "Menshen-Purpose: service\r\nConnection: close\r\n\r\n".encode())
        while part := stream.recv(1 << 16):
            if first is None:
                beyond += part
                body = beyond.partition(b"\r\n\r\n")[2]
                first = (time.monotonic() - start) * 1000 if body else None
        return first or 0.0, (time.monotonic() - start) * 1000, (resident(peer, "VmHWM") - before) / 1024


def memory(root: Path, token: str, args: argparse.Namespace) -> list[list]:
    rows = []
    for at, name in enumerate(["nginx", "menshen-full"]):
        peer = run.start(name, FIRST + at, root, args.menshen)
        try:
            run.check(peer, token)
            each = idle(peer, IDLE)
            time.sleep(2)
            runs = [large(peer, token) for _ in range(5)]
            rows.append([name, each, *(statistics.median(column) for column in zip(*runs))])
        finally:
            peer.stop()
    return rows


# -- how it grows -----------------------------------------------------------------------------------------------------


def cost(root: Path, token: str, args: argparse.Namespace, connections: int = CLIENTS, cores: str = "0") -> list[float]:
    """Requests a second and µs of processor time for each, of a gate that is started anew, once all are connected."""
    gate = run.start("menshen-full", FIRST, root, args.menshen, cores)
    try:
        run.check(gate, token)
        warm = max(2, connections // 500)
        load = command(gate.port, gate.folder, token, "-D", str(args.seconds), "-c", str(connections), f"--warm-up-time={warm}")
        load = subprocess.Popen(load, stdout=subprocess.PIPE, text=True, cwd=root)
        # Processor time is read in the same stretch that requests are counted in.
        time.sleep(warm + 0.5)
        first, before = answered(gate), gate.seconds()
        time.sleep(args.seconds - 1)
        last, after = answered(gate), gate.seconds()
        check(load.communicate(timeout=60 + args.seconds)[0])
        return [(last - first) / (args.seconds - 1), (after - before) * 1e6 / max(last - first, 1)]
    finally:
        gate.stop()


def answered(gate: Peer) -> int:
    """Requests that the gate answered, by its own count."""
    with socket.create_connection(("127.0.0.1", gate.port + run.METRICS)) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b""
        while part := stream.recv(1 << 16):
            text += part
    counts = [line for line in text.decode().splitlines() if line.startswith("menshen_requests_total{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in counts)


def growth(root: Path, token: str, args: argparse.Namespace) -> dict[str, list[list]]:
    told = {"connections": [[n, *cost(root, token, args, n)] for n in CONNECTIONS]}
    told["cores"] = [[n, *cost(root, token, args, cores=cores)] for n, cores in [(1, "0"), (2, "0,1")]]
    told["rules"] = []
    for count in RULES:
        roles = "".join(f", r{n}: {{}}" for n in range(min(count, 100)))
        run.write_policy(root, more_roles=roles)
        # A file has a cap of its own.
        for first in range(0, count, 2500):
            rules = [f"  - {{ name: rule {n}, allow: view, to: r{n % 100}, of: customer, clear: [name] }}\n" for n in range(first, min(count, first + 2500))]
            (root / f"policies/rules-{first}.yaml").write_text("rules:\n" + "".join(rules))
        told["rules"].append([count, *cost(root, token, args)])
    for file in (root / "policies").glob("rules-*.yaml"):
        file.unlink()
    told["routes"] = []
    for count in ROUTES:
        routes = "".join(f'  more{n}.view: {{ match: "GET bench.example/more{n}/{{size}}", to: core, action: view, returns: {{ customer: "$[]" }} }}\n'
                         for n in range(count))
        run.write_policy(root, more_routes=routes)
        told["routes"].append([count, *cost(root, token, args)])
    run.write_policy(root)
    return told


# -- what is told -----------------------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list]) -> None:
    print("\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:,.2f}" if cell < 10 else f"{cell:,.0f}"
                                for cell in row) + " |")


def plot(told: dict[str, list[list]]) -> str:
    """A panel for each thing that grows: µs for each request over its number, in decades."""
    width, height, left, gap = 220, 120, 60, 40
    shown = [name for name in told if len(told[name]) > 2]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {(width + gap) * len(shown) + left} {height + 80}" font-family="sans-serif" '
             'font-size="12"><rect width="100%" height="100%" fill="#fff"/>']
    most = max(row[2] for name in shown for row in told[name])
    for place, name in enumerate(shown):
        x, y = left + place * (width + gap), 30
        rows = told[name]
        at = lambda n: x + width * n / (len(rows) - 1)
        up = lambda cost: y + height * (1 - cost / most)
        parts.append(f'<text x="{x}" y="{y - 10}" fill="#222">µs a request, by {name}</text>'
                     f'<path d="M{x} {y}V{y + height}H{x + width}" stroke="#888" fill="none"/>'
                     f'<text x="{x - 6}" y="{y + 10}" text-anchor="end" fill="#555">{most:,.0f}</text>')
        for n, row in enumerate(rows):
            parts.append(f'<text x="{at(n):.0f}" y="{y + height + 16}" text-anchor="middle" fill="#555">{row[0]:,}</text>'
                         f'<circle cx="{at(n):.0f}" cy="{up(row[2]):.0f}" r="3" fill="#0b5cad"/>')
        points = " ".join(f"{at(n):.0f},{up(row[2]):.0f}" for n, row in enumerate(rows))
        parts.append(f'<polyline points="{points}" fill="none" stroke="#0b5cad"/>')
    return "".join(parts) + "</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--menshen", default=str(run.HERE.parent.parent / "target/release/menshen"))
    parser.add_argument("--parts", default="latency,memory,growth")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--plot")
    parser.add_argument("--json")
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told = {}
    with tempfile.TemporaryDirectory(prefix="menshen-bench-") as folder:
        root = Path(folder)
        token = run.prepare(root)
        backend = run.serve(root)
        try:
            for part in args.parts.split(","):
                told[part] = {"latency": latency, "memory": memory, "growth": growth}[part](root, token, args)
                tell(part, told[part])
        finally:
            run.end(backend)
    if args.plot and "growth" in told:
        Path(args.plot).write_text(plot(told["growth"]))
    if args.json:
        Path(args.json).write_text(json.dumps(told))


def tell(part: str, told) -> None:
    if part == "latency":
        table([f"1 KB at {RATE} requests a second, ms", "requests/s", "p50", "p90", "p99"], told)
    elif part == "memory":
        table(["memory", "KiB an idle connection", "10 MB: first byte, ms", "its end, ms", "MiB above idle"], told)
    else:
        for name, rows in told.items():
            table([name, "requests/s", "µs of processor time a request"], rows)


if __name__ == "__main__":
    main()
