#!/usr/bin/env python3
"""A real gate under mixed load for an hour: memory, file descriptors, threads and latency over time, as CSV and as a plot.

usage: run.py [--menshen PROGRAM] [--minutes 60] [--rate 150] [--people 50000] [--every 5] [--out soak]

Everything listens on 127.0.0.1, in a folder of its own that is removed at the end. The load is what a day brings: views, lists, exports of
10 MB, changes, requests that are refused, new connections, and clients that leave in the middle, say half of a head, or stop reading. Ends with 1 if
an answer was not the one that was due, if the log does not verify, or if descriptors or threads are more at the end than in the middle. Memory is
told, not judged: what counts people grows until all have been seen, so with few `--people` it should not. Needs openssl, and nothing of Python but its standard library.
"""

import argparse
import base64
import csv
import http.client
import http.server
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST, BACKEND, PORT, METRICS = "bench.example", 18401, 18402, 18403
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
PROCESSES, THREADS = 2, 12
COLUMNS = ["seconds", "requests_s", "p50_ms", "p99_ms", "slowest_ms", "rss_mib", "anonymous_mib", "descriptors", "threads",
           "cpu_percent", "log_mib", "wrong"]

CONFIGURATION = """node: soak
state: state
log: log
key: master.key
policies: policies
listeners: [ {{ address: "127.0.0.1:{port}", zone: business, certificate: cert.pem, key: key.pem }} ]
upstreams: {{ core: {{ address: "127.0.0.1:{backend}", plain: loopback, connections: 64 }} }}
issuers: [ {{ name: corp, issuer: "https://login.example", audience: menshen, keys: jwks.json, kind: staff, roles: [roles] }} ]
connections: {{ new-per-minute: 100000, attempts-per-minute: 10000 }}
metrics: {{ address: "127.0.0.1:{metrics}" }}
traces: {{ url: "http://127.0.0.1:{backend}", plain: loopback, one-in: 10 }}
"""
POLICY = """grades: { 1: {}, 2: {}, sealed: {} }
purposes: [service]
entities:
  customer:
    subject: id
    fields: { id: 1, name: 1, note: 1, phone: { grade: 2, kind: phone }, email: { grade: 2, kind: email }, iban: sealed }
routes:
  one.view: { match: "GET bench.example/one/{id}", to: core, action: view, returns: { customer: $ } }
  one.update: { match: "PATCH bench.example/one/{id}", to: core, action: update, accepts: { customer: $ }, returns: { customer: $ } }
  list.search: { match: "GET bench.example/list", to: core, action: search, query: { name: customer.name }, returns: { customer: "$[]" } }
  all.export: { match: "GET bench.example/all", to: core, action: export, returns: { customer: "$[]" } }
roles: { teller: {} }
rules:
  - { name: tellers work, allow: [view, search, export, update], to: teller, of: customer, clear: [id, name, note], masked: [phone, email], write: [name, note] }
limits:
  - { to: teller, subjects: [900000/h], records: [900000000/h], bytes: [1000GiB/day], files: [100000/day], concurrent: 512 }
detections: { own-median: off, sequential-ids: off, zero-hits: off, new-place: off, dormant: off, page-depth: off, partner-volume: off }
"""


# -- what is served -----------------------------------------------------------------------------------------------


def customer(number: int) -> dict:
    return {"id": number, "name": f"Customer {number}", "note": "n" * 300, "phone": f"138{number % 10**8:08}",
            "email": f"c{number}@bank.example", "iban": f"DE{number:020}"}


class Backend(http.server.BaseHTTPRequestHandler):
    """Customers by number, lists of 200 and of 20,000, and whatever a collector of spans is sent."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    many: dict[int, bytes] = {}

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path.startswith("/one/"):
            return self.answer(json.dumps(customer(int(self.path.split("/")[2]))).encode())
        self.answer(self.many[20_000 if self.path.startswith("/all") else 200])

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(json.dumps(customer(int(self.path.split("/")[2]))).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(b"{}")

    def log_message(self, *_args) -> None:
        pass


def serve(people: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Backend.many = {size: json.dumps([customer(n % people) for n in range(size)]).encode() for size in (200, 20_000)}

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 256

        def handle_error(self, *_args) -> None:
            pass

    Server(("127.0.0.1", BACKEND), Backend).serve_forever()


def prepare(root: Path, program: str) -> str:
    """All files of a gate, and a token for it."""
    openssl = lambda *args, **more: subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=root, **more)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj", f"/CN={HOST}",
            "-addext", f"subjectAltName=DNS:{HOST}")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "jwt.pem")
    point = openssl("ec", "-in", "jwt.pem", "-pubout", "-outform", "DER").stdout[-64:]
    url = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": url(point[:32]), "y": url(point[32:])}
    (root / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    claims = {"iss": "https://login.example", "aud": "menshen", "sub": "wang", "iat": int(time.time()) - 5, "roles": ["teller"],
              "exp": int(time.time()) + 86_000}
    head = url(json.dumps({"alg": "ES256", "kid": "1", "typ": "JWT"}).encode())
    signed = f"{head}.{url(json.dumps(claims).encode())}"
    der = openssl("dgst", "-sha256", "-sign", "jwt.pem", input=signed.encode()).stdout
    r, s = der[4:4 + der[3]], der[6 + der[3]:]
    (root / "policies").mkdir()
    (root / "policies/policy.yaml").write_text(POLICY)
    (root / "menshen.yaml").write_text(CONFIGURATION.format(port=PORT, backend=BACKEND, metrics=METRICS))
    subprocess.run([program, "key", "generate", "master.key"], cwd=root, check=True, capture_output=True)
    return f"{signed}.{url(r[-32:].rjust(32, bytes(1)) + s[-32:].rjust(32, bytes(1)))}"


# -- the load -------------------------------------------------------------------------------------------------------


class Client:
    """One of many who ask; each has a connection that it keeps, until it makes another."""

    def __init__(self, token: str, people: int, dice: random.Random) -> None:
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.good = {"Host": HOST, "Authorization": f"Bearer {token}", "Menshen-Purpose": "service"}
        self.forged = {**self.good, "Authorization": f"Bearer {token[:-8]}AAAAAAAA"}
        self.people, self.dice, self.connection = people, dice, None

    def stream(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", PORT), 30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(plain, server_hostname=HOST)

    def ask(self, method: str, path: str, headers: dict, body: bytes | None = None) -> tuple[int, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(HOST)
            self.connection.sock = self.stream()
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except Exception:
            self.close()
            raise
        if answer.will_close or answer.status >= 400:
            self.close()
        return answer.status, content

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    # Each of these gives whether the answer was the one that is due.

    def view(self) -> bool:
        number = self.dice.randrange(self.people)
        status, body = self.ask("GET", f"/one/{number}", self.good)
        return status == 200 and b"iban" not in body and b"****" in body

    def list(self) -> bool:
        status, body = self.ask("GET", "/list?name=Customer", self.good)
        return status == 200 and b"iban" not in body

    def export(self) -> bool:
        status, body = self.ask("GET", "/all", self.good)
        return status == 200 and body.endswith(b"]") and b"iban" not in body

    def change(self) -> bool:
        body = json.dumps({"name": "Somebody", "note": "changed"}).encode()
        headers = {**self.good, "Content-Type": "application/json"}
        return self.ask("PATCH", f"/one/{self.dice.randrange(self.people)}", headers, body)[0] == 200

    def refused(self) -> bool:
        method, path, headers, body, due = self.dice.choice([
            ("GET", "/nowhere", self.good, None, 404),
            ("GET", "/one/1", {"Host": HOST}, None, 401),
            ("GET", "/one/1", self.forged, None, 401),
            ("GET", "/list?phone=138", self.good, None, 400),
            ("PATCH", "/one/1", {**self.good, "Content-Type": "application/json"}, b'{"iban":"x"}', 400),
            ("PATCH", "/one/1", {**self.good, "Content-Type": "application/json"}, b'{"name":', 400),
        ])
        status, _ = self.ask(method, path, headers, body)
        # The gate may close on a body that it will not read.
        return status == due or (due == 400 and status in (403, 404, 415))

    def anew(self) -> bool:
        self.close()
        return self.view()

    def rude(self) -> bool:
        head = f"GET /all HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {self.good['Authorization']}\r\nMenshen-Purpose: service\r\n".encode()
        with self.stream() as stream:
            kind = self.dice.randrange(4)
            if kind == 0:
                stream.sendall(head[: self.dice.randrange(len(head))])
            elif kind == 1:
                stream.sendall(head + b"\r\n")
                stream.recv(4096)
            elif kind == 2:
                stream.sendall(head + b"\r\n")
                stream.recv(4096)
                time.sleep(3)
            else:
                stream.sendall(os.urandom(200))
        return True


MIX = [("view", 700), ("list", 100), ("change", 80), ("anew", 50), ("refused", 45), ("rude", 23), ("export", 2)]


def load(token: str, people: int, rate: float, seed: int, told: multiprocessing.Queue, stop: multiprocessing.Event) -> None:
    """Threads that ask, each at its part of the rate; tells each second how long the answers took."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock, taken = threading.Lock(), []

    def one(number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        client = Client(token, people, dice)
        kinds, weights = zip(*MIX)
        due = time.monotonic()
        while not stop.is_set():
            due = max(due + dice.expovariate(rate / THREADS), time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            kind, began = dice.choices(kinds, weights)[0], time.monotonic()
            try:
                wrong = "" if getattr(client, kind)() else "another answer"
            except Exception as error:  # noqa: BLE001: whatever it is, it was not the answer
                wrong = f"{type(error).__name__}: {error}"
                client.close()
            with lock:
                taken.append((kind, time.monotonic() - began, wrong))
        client.close()

    threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        with lock:
            told.put(taken[:])
            taken.clear()


# -- what is measured ------------------------------------------------------------------------------------------------


class Watched:
    """A process as the system sees it."""

    def __init__(self, pid: int, root: Path) -> None:
        self.proc, self.root, self.ticks, self.at = Path(f"/proc/{pid}"), root, 0, time.monotonic()
        self.look()

    def look(self) -> dict:
        status = dict(line.split(":", 1) for line in (self.proc / "status").read_text().splitlines())
        mib = lambda key: int(status[key].split()[0]) / 1024
        fields = (self.proc / "stat").read_text().rsplit(")", 1)[1].split()
        ticks, now = int(fields[11]) + int(fields[12]), time.monotonic()
        percent = 100 * (ticks - self.ticks) / TICKS / max(now - self.at, 0.001)
        self.ticks, self.at = ticks, now
        log = sum(f.stat().st_blocks * 512 for f in (self.root / "log").rglob("*") if f.is_file())
        return {"rss_mib": round(mib("VmRSS"), 1), "anonymous_mib": round(mib("RssAnon"), 1), "cpu_percent": round(percent, 1),
                "descriptors": len(os.listdir(self.proc / "fd")), "threads": int(status["Threads"]), "log_mib": round(log / 2**20, 1)}


def percentile(values: list[float], part: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * part))] * 1000, 2) if values else 0.0


def observe(gate: subprocess.Popen, root: Path, told: multiprocessing.Queue, args: argparse.Namespace) -> tuple[list[dict], dict]:
    watched, rows, kinds = Watched(gate.pid, root), [], {}
    began = time.monotonic()
    while (now := time.monotonic()) < began + args.minutes * 60:
        time.sleep(min(args.every, began + args.minutes * 60 - now))
        if gate.poll() is not None:
            sys.exit(f"the gate ended with {gate.returncode}: {(root / 'gate.out').read_text()[-2000:]}")
        taken = []
        while not told.empty():
            taken.extend(told.get())
        for kind, took, wrong in taken:
            seen = kinds.setdefault(kind, {"took": [], "wrong": {}})
            seen["took"].append(took)
            if wrong:
                seen["wrong"][wrong] = seen["wrong"].get(wrong, 0) + 1
        views = [took for kind, took, _ in taken if kind == "view"]
        rows.append({"seconds": round(time.monotonic() - began), "requests_s": round(len(taken) / args.every, 1),
                     "p50_ms": percentile(views, 0.5), "p99_ms": percentile(views, 0.99), "slowest_ms": percentile(views, 1.0),
                     "wrong": sum(bool(wrong) for _, _, wrong in taken), **watched.look()})
        if len(rows) % 12 == 0:
            print(json.dumps(rows[-1]), file=sys.stderr)
    return rows, kinds


# -- what is told ------------------------------------------------------------------------------------------------------

PANELS = [("requests per second", ["requests_s"]), ("views, ms: middle and 99 of 100", ["p50_ms", "p99_ms"]),
          ("memory, MiB: resident and anonymous", ["rss_mib", "anonymous_mib"]), ("file descriptors", ["descriptors"]),
          ("threads", ["threads"]), ("processor, percent of one", ["cpu_percent"])]
COLOURS = ["#1f5fa8", "#c2571a"]


def plot(rows: list[dict]) -> str:
    """The rows as an SVG: a panel for each thing, from nothing up, time to the right."""
    width, height, left, gap = 760, 110, 70, 46
    last = max(row["seconds"] for row in rows) or 1
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + left + 20} {(height + gap) * len(PANELS) + 20}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>']
    for place, (title, names) in enumerate(PANELS):
        top = 30 + place * (height + gap)
        most = max(max(row[name] for row in rows) for name in names) or 1
        parts.append(f'<text x="{left}" y="{top - 8}" fill="#222">{title}</text>'
                     f'<path d="M{left} {top}V{top + height}H{left + width}" stroke="#888" fill="none"/>'
                     f'<text x="{left - 6}" y="{top + 10}" text-anchor="end" fill="#555">{most:g}</text>'
                     f'<text x="{left - 6}" y="{top + height}" text-anchor="end" fill="#555">0</text>'
                     f'<text x="{left + width}" y="{top + height + 14}" text-anchor="end" fill="#555">{last / 60:.0f} min</text>')
        for name, colour in zip(names, COLOURS):
            points = " ".join(f"{left + width * row['seconds'] / last:.1f},{top + height * (1 - row[name] / most):.1f}" for row in rows)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    return "".join(parts) + "</svg>\n"


def tell(rows: list[dict], kinds: dict) -> bool:
    """Prints what came of it; whether all is well."""
    print("| | answers | wrong | middle | 99 of 100 | slowest |\n|---|---|---|---|---|---|")
    for kind, seen in sorted(kinds.items()):
        took = seen["took"]
        times = " | ".join(f"{percentile(took, part):,.1f} ms" for part in (0.5, 0.99, 1.0))
        print(f"| {kind} | {len(took):,} | {sum(seen['wrong'].values())} | {times} |")
    settled = rows[len(rows) // 10:] or rows
    quarter = max(1, len(settled) // 4)
    middle = lambda part, name: statistics.median(row[name] for row in part)
    print("\n| | second tenth to first quarter | last quarter | most |\n|---|---|---|---|")
    for name in ["rss_mib", "anonymous_mib", "descriptors", "threads", "p50_ms", "p99_ms"]:
        print(f"| {name} | {middle(settled[:quarter], name):g} | {middle(settled[-quarter:], name):g} | {max(r[name] for r in rows):g} |")
    good = True
    for kind, seen in kinds.items():
        for wrong, times in seen["wrong"].items():
            good = False
            print(f"\n{kind}: {times} × {wrong}")
    half = rows[len(rows) // 4:len(rows) // 2] or rows
    for name, room in [("descriptors", 16), ("threads", 4)]:
        if middle(settled[-quarter:], name) > middle(half, name) + room:
            good = False
            print(f"\n{name} grow")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--menshen", default=str(HERE.parent.parent / "target/release/menshen"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=150, help="requests per second")
    parser.add_argument("--people", type=int, default=50_000, help="customers there are")
    parser.add_argument("--every", type=float, default=5, help="seconds between two looks")
    parser.add_argument("--out", default="soak", help="the files, without .csv and .svg")
    args = parser.parse_args()
    args.menshen = str(Path(args.menshen).resolve())
    if not shutil.which(args.menshen):
        sys.exit(f"no program {args.menshen}")
    with tempfile.TemporaryDirectory(prefix="menshen-soak-") as folder:
        sys.exit(0 if soak(Path(folder), args) else 1)


def soak(root: Path, args: argparse.Namespace) -> bool:
    token = prepare(root, args.menshen)
    backend = multiprocessing.Process(target=serve, args=(args.people,), daemon=True)
    backend.start()
    with open(root / "gate.out", "wb") as out:
        command = [args.menshen, "run", "--config", "menshen.yaml", "--events", "warn"]
        gate = subprocess.Popen(command, cwd=root, stdout=out, stderr=out)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", PORT), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit(f"the gate does not listen: {(root / 'gate.out').read_text()[-2000:]}")
        told, stop = multiprocessing.Queue(), multiprocessing.Event()
        asking = [multiprocessing.Process(target=load, args=(token, args.people, args.rate / PROCESSES, n, told, stop), daemon=True) for n in range(PROCESSES)]
        for process in asking:
            process.start()
        rows, kinds = observe(gate, root, told, args)
        stop.set()
        for process in asking:
            while process.is_alive():
                while not told.empty():
                    told.get()
                process.join(0.2)
        gate.terminate()
        stopped = gate.wait(60)
        verified = subprocess.run([args.menshen, "log", "verify", "log"], cwd=root, capture_output=True, text=True)
    finally:
        gate.kill()
        backend.kill()
    with open(f"{args.out}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    Path(f"{args.out}.svg").write_text(plot(rows))
    good = tell(rows, kinds)
    said = (root / "gate.out").read_text().strip()
    print(f"\nthe gate ended with {stopped}; `log verify`: {verified.returncode} {verified.stdout.strip().splitlines()[-1:]}")
    if said:
        print(f"it said:\n{said[-3000:]}")
    return good and stopped == 0 and verified.returncode == 0


if __name__ == "__main__":
    main()
