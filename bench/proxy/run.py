#!/usr/bin/env python3
"""menshen beside nginx and HAProxy as TLS proxies: processor time for each request, medians of interleaved rounds.

usage: run.py [--menshen PROGRAM] [--peers a,b] [--scenarios x,y] [--rounds 3] [--seconds 4] [--json FILE]

Everything listens on 127.0.0.1. One core is the proxy's, the other the load's and the backend's; what is compared is the
processor time of the proxy's process, which a neighbour stretches less than the clock does. Needs nginx (with its Lua module for
the peer `nginx-lua`), haproxy, wrk, h2load and openssl; a peer whose program is missing is left out and named.
"""

import argparse
import base64
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
BACKEND, DIRECT, FIRST = 18200, 18201, 18300
# So far from its port a gate tells its metrics.
METRICS = 1000
HOST = "bench.example"
WITHHELD = ["national_id", "iban", "card_pan", "credit_limit"]
MASKED = ["email", "phone"]
CLEAR = "id name city street segment branch note language since score opened status balance_band channel".split()


# -- what is served -----------------------------------------------------------------------------------------------


def customer(number: int, dice: random.Random) -> dict:
    digits = lambda count: "".join(dice.choice("0123456789") for _ in range(count))
    word = lambda: "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(4, 9)))
    return {
        "id": number, "name": f"{word().title()} {word().title()}", "city": word().title(),
        "street": f"{word().title()} {dice.randint(1, 200)}", "segment": dice.choice(["retail", "private"]),
        "branch": f"sh{dice.randint(1, 40):02}", "note": " ".join(word() for _ in range(6)), "language": "zh",
        "since": f"20{dice.randint(10, 25)}-0{dice.randint(1, 9)}-1{dice.randint(0, 9)}", "score": dice.randint(300, 850),
        "opened": dice.choice([True, False]), "status": "active", "balance_band": "C", "channel": "app",
        "email": f"{word()}@{word()}.example", "phone": "138" + digits(8), "national_id": digits(17) + "X",
        "iban": "DE" + digits(20), "card_pan": "4" + digits(15), "credit_limit": dice.randint(1, 90) * 1000,
    }


def bodies(root: Path) -> None:
    dice = random.Random(7)
    for name, size in [("1k", 1_000), ("100k", 100_000), ("10m", 10_000_000)]:
        text, number = "[", 0
        while len(text) < size:
            text += ("," if number else "") + json.dumps(customer(number, dice), separators=(",", ":"))
            number += 1
        for folder in ["all", "raw"]:
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_text(text + "]")


def keys(root: Path) -> str:
    """A certificate, the key of an issuer of tokens, and a token of it."""
    ssl_ = lambda *args, **more: subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=root, **more)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ssl_("req", "-x509", *curve, "-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1")
    (root / "both.pem").write_bytes((root / "cert.pem").read_bytes() + (root / "key.pem").read_bytes())
    ssl_("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "jwt.pem")
    point = ssl_("ec", "-in", "jwt.pem", "-pubout", "-outform", "DER").stdout[-64:]
    url = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": url(point[:32]), "y": url(point[32:])}
    (root / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    claims = {"iss": "https://login.example", "aud": "menshen", "sub": "wang", "iat": int(time.time()) - 5, "roles": ["teller"],
              "exp": int(time.time()) + 86_000}
    head = url(json.dumps({"alg": "ES256", "kid": "1", "typ": "JWT"}).encode())
    signed = f"{head}.{url(json.dumps(claims).encode())}"
    der = ssl_("dgst", "-sha256", "-sign", "jwt.pem", input=signed.encode()).stdout
    length = der[3]
    r, s = der[4:4 + length], der[6 + length:]
    return f"{signed}.{url(r[-32:].rjust(32, bytes(1)) + s[-32:].rjust(32, bytes(1)))}"


# -- who is compared ------------------------------------------------------------------------------------------------

NGINX = """daemon off; pid {dir}/{name}.pid; worker_processes 1; error_log {dir}/{name}.log error; {load}
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on; sendfile on; default_type application/json;
  client_body_temp_path {dir}/{name}.b; proxy_temp_path {dir}/{name}.p; fastcgi_temp_path {dir}/{name}.f; uwsgi_temp_path {dir}/{name}.u;
  scgi_temp_path {dir}/{name}.s; {http} }}
"""
PROXIED = """upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} ssl http2 backlog=4096; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_max_temp_file_size 0; {filter} }} }}"""
LUA = """header_filter_by_lua_block { ngx.header.content_length = nil }
      body_filter_by_lua_block {
        local json, parts = require "cjson", ngx.ctx.parts or {}
        ngx.ctx.parts = parts
        parts[#parts + 1] = ngx.arg[1]
        if not ngx.arg[2] then ngx.arg[1] = nil return end
        local all = json.decode(table.concat(parts))
        for _, one in ipairs(all) do
          one.national_id, one.iban, one.card_pan, one.credit_limit = nil, nil, nil, nil
          one.email, one.phone = "***", "***"
        end
        ngx.arg[1] = json.encode(all)
      }"""
HAPROXY = """global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout client 300s
  timeout server 300s
  timeout connect 5s
  option http-keep-alive
frontend in
  bind 127.0.0.1:{port} ssl crt {dir}/both.pem alpn h2,http/1.1
  {token}
  default_backend out
backend out
  http-reuse always
  server one 127.0.0.1:{backend}
"""
HAPROXY_TOKEN = """http-request set-var(txn.bearer) http_auth_bearer
  http-request deny unless {{ var(txn.bearer),jwt_verify("ES256","{dir}/jwt-pub.pem") 1 }}"""
MENSHEN = """node: bench
state: {name}-state
log: {name}-log
key: {name}.key
policies: policies
listeners: [ {{ address: "127.0.0.1:{port}", zone: business, certificate: cert.pem, key: key.pem, requests-per-second: 1000000 }} ]
upstreams: {{ core: {{ address: "127.0.0.1:{backend}", plain: loopback, connections: 256 }} }}
issuers: [ {{ name: corp, issuer: "https://login.example", audience: menshen, keys: jwks.json, kind: staff, roles: [roles] }} ]
connections: {{ total: 20000, per-address: 20000, new-per-minute: 1000000, handshakes-per-address: 10000, handshake-share: 100 }}
in-flight: 10000
in-flight-per-person: 10000
metrics: {{ address: "127.0.0.1:{metrics}" }}
"""
POLICY = """grades: {{ 1: {{}}, 2: {{}}, sealed: {{}} }}
purposes: [service]
entities:
  customer:
    subject: id
    fields:
{fields}
routes:
  all.view: {{ match: "GET bench.example/all/{{size}}", to: core, action: view, returns: {{ customer: "$[]" }} }}
  raw.view: {{ match: "GET bench.example/raw/{{size}}", to: core, action: view, opaque: {{ types: [application/octet-stream], grade: 1, size: 2GiB }} }}
{more_routes}roles: {{ teller: {{}}{more_roles} }}
rules:
  - {{ name: tellers look, allow: view, to: teller, of: customer, clear: [{clear}], masked: [{masked}] }}
  - {{ name: tellers read files, allow: view, to: teller, route: raw.view }}
limits:
  - {{ to: teller, subjects: [900000/h, 1000000/day], records: [900000000/h], bytes: [1000GiB/day], concurrent: 10000 }}
"""


class Peer:
    """A proxy that runs: its process, its port, and the folder of what is asked of it."""

    def __init__(self, name: str, port: int, command: list[str], folder: str, root: Path, cores: str = "0") -> None:
        self.name, self.port, self.folder = name, port, folder
        self.log = open(root / f"{name}.out", "wb")
        command = ["taskset", "-c", cores, *command]
        self.process = subprocess.Popen(command, cwd=root, stdout=self.log, stderr=self.log, start_new_session=True)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"{name} does not listen: see {root / (name + '.out')}: {(root / (name + '.out')).read_text()[-800:]}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=60)

    def seconds(self) -> float:
        """Processor time of the process and those below it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                parents.setdefault(int(fields[1]), []).append((int(entry.name), int(fields[11]) + int(fields[12])))
        own = (Path("/proc") / str(self.process.pid) / "stat").read_text().rsplit(")", 1)[1].split()
        total, todo = int(own[11]) + int(own[12]), [self.process.pid]
        while todo:
            for child, ticks in parents.get(todo.pop(), []):
                total += ticks
                todo.append(child)
        return total / TICKS


def start(name: str, port: int, root: Path, program: str, cores: str = "0") -> Peer:
    places = {"dir": root, "name": name, "port": port, "backend": BACKEND, "metrics": port + METRICS}
    write = lambda text: (root / f"{name}.conf").write_text(text)
    if name.startswith("nginx"):
        module = "/usr/lib/nginx/modules/"
        load = "".join(f"load_module {module}{m}; " for m in ["ndk_http_module.so", "ngx_http_lua_module.so"]) if "lua" in name else ""
        http = PROXIED.format(filter=LUA if "lua" in name else "", **places)
        if "lua" in name:
            http = http.replace("proxy_http_version", 'proxy_set_header Accept-Encoding ""; proxy_http_version')
        write(NGINX.format(load=load, http=http, **places))
        return Peer(name, port, ["nginx", "-p", str(root), "-c", str(root / f"{name}.conf")], "raw" if "lua" not in name else "all", root)
    if name.startswith("haproxy"):
        token = HAPROXY_TOKEN.format(**places) if "jwt" in name else ""
        write(HAPROXY.format(token=token, **places))
        return Peer(name, port, ["haproxy", "-db", "-f", str(root / f"{name}.conf")], "raw", root)
    write(MENSHEN.format(**places))
    if not (root / f"{name}.key").exists():
        subprocess.run([program, "key", "generate", f"{name}.key"], cwd=root, check=True, capture_output=True)
    folder = "raw" if name == "menshen-opaque" else "all"
    return Peer(name, port, [program, "run", "--config", f"{name}.conf", "--events", "warn"], folder, root, cores)


# -- what is measured -----------------------------------------------------------------------------------------------

SCENARIOS = {"1k h1": ("1k", "h1"), "1k h2": ("1k", "h2"), "100k h1": ("100k", "h1"), "10m h1": ("10m", "h1"), "handshake": ("1k", "hs")}


def ask(peer: Peer, token: str, size: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", peer.port)) as plain, context.wrap_socket(plain, server_hostname=HOST) as stream:
        stream.sendall(f"GET /{peer.folder}/{size} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
                       "Menshen-Purpose: service\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := stream.recv(1 << 16):
            answer += part
    return answer


def check(peer: Peer, token: str) -> None:
    """Whoever answers wrongly is not measured."""
    head, _, body = ask(peer, token, "1k").partition(b"\r\n\r\n")
    good = head.startswith(b"HTTP/1.1 200") and b"branch" in body
    filtered = not any(name.encode() in body for name in WITHHELD)
    if not good or filtered != (peer.folder == "all"):
        sys.exit(f"{peer.name} answers wrongly:\n{(head + body)[:1500].decode(errors='replace')}")
    if "jwt" in peer.name or "menshen" in peer.name:
        forged = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
        if ask(peer, forged, "1k").startswith(b"HTTP/1.1 200"):
            sys.exit(f"{peer.name} lets a forged token in")


def load(peer: Peer, token: str, scenario: str, seconds: int, root: Path) -> tuple[int, float]:
    """Requests that were answered, and the processor time of the proxy for each, in µs."""
    size, kind = SCENARIOS[scenario]
    url = f"https://{HOST}:{peer.port}/{peer.folder}/{size}"
    heads = {"Authorization": f"Bearer {token}", "Menshen-Purpose": "service"}
    lines = [part for name, value in heads.items() for part in ("-H", f"{name}: {value}")]
    before, pin = peer.seconds(), ["taskset", "-c", "1"]
    if kind == "hs":
        done, end = 0, time.monotonic() + seconds
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        os.sched_setaffinity(0, {1})
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", peer.port)) as plain, context.wrap_socket(plain, server_hostname=HOST):
                done += 1
    elif kind == "h2":
        command = ["h2load", "-t", "1", "-c", "8", "-m", "8", "-D", str(seconds), f"--connect-to=127.0.0.1:{peer.port}", *lines, url]
        said = subprocess.run(pin + command, capture_output=True, text=True, cwd=root).stdout
        found = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        if not found or any(int(found[n]) for n in (2, 3, 4)):
            sys.exit(f"{peer.name}: {said}")
        done = int(found[1])
    else:
        connections = "4" if size == "10m" else "16"
        url = f"https://127.0.0.1:{peer.port}/{peer.folder}/{size}"
        command = ["wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--timeout", "20s", "-H", f"Host: {HOST}", *lines, url]
        said = subprocess.run(pin + command, capture_output=True, text=True, cwd=root).stdout
        found = re.search(r"(\d+) requests in", said)
        if not found or "Non-2xx" in said:
            sys.exit(f"{peer.name}: {said}")
        done = int(found[1])
    time.sleep(0.3)
    return done, (peer.seconds() - before) * 1e6 / max(done, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--menshen", default=str(HERE.parent.parent / "target/release/menshen"))
    parser.add_argument("--peers", default="nginx,nginx-lua,haproxy,haproxy-jwt,menshen-opaque,menshen-full")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json")
    args = parser.parse_args()
    needed = {"nginx": "nginx", "haproxy": "haproxy", "menshen": args.menshen}
    peers = []
    for name in args.peers.split(","):
        program = needed[name.split("-")[0]]
        if shutil.which(program):
            peers.append(name)
        else:
            print(f"{name} is left out: no {program}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="menshen-bench-") as folder:
        measure(Path(folder), peers, args)


def prepare(root: Path) -> str:
    """What is served, keys and a policy; gives a token."""
    os.chmod(root, 0o755)
    bodies(root / "www")
    token = keys(root)
    subprocess.run(["openssl", "ec", "-in", "jwt.pem", "-pubout", "-out", "jwt-pub.pem"], cwd=root, check=True, capture_output=True)
    (root / "policies").mkdir()
    write_policy(root)
    return token


def write_policy(root: Path, more_roles: str = "", more_routes: str = "") -> None:
    grade = lambda name: "sealed" if name in WITHHELD else f"{{ grade: 2, kind: {name} }}" if name in MASKED else 1
    fields = "\n".join(f"      {name}: {grade(name)}" for name in CLEAR + MASKED + WITHHELD)
    policy = POLICY.format(fields=fields, clear=", ".join(CLEAR), masked=", ".join(MASKED), more_roles=more_roles, more_routes=more_routes)
    (root / "policies/policy.yaml").write_text(policy)


def serve(root: Path) -> subprocess.Popen:
    """The backend, also over TLS for whoever asks it directly."""
    folders = f"root {root}/www; location / {{ }} location /raw/ {{ default_type application/octet-stream; }}"
    secure = f"ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;"
    served = (f"server {{ listen 127.0.0.1:{BACKEND} backlog=4096; {folders} }}"
              f"server {{ listen 127.0.0.1:{DIRECT} ssl backlog=4096; {secure} {folders} }}")
    (root / "backend.conf").write_text(NGINX.format(dir=root, name="backend", load="", http=served))
    command = ["taskset", "-c", "1", "nginx", "-p", str(root), "-c", str(root / "backend.conf")]
    backend = subprocess.Popen(command, start_new_session=True)
    time.sleep(0.5)
    return backend


def end(backend: subprocess.Popen) -> None:
    os.killpg(backend.pid, signal.SIGTERM)
    backend.wait(timeout=60)


def measure(root: Path, peers: list[str], args: argparse.Namespace) -> None:
    token = prepare(root)
    backend = serve(root)
    running = []
    try:
        for at, name in enumerate(peers):
            running.append(start(name, FIRST + at, root, args.menshen))
            check(running[-1], token)
        results = {scenario: {peer.name: [] for peer in running} for scenario in args.scenarios.split(",")}
        for _ in range(args.rounds):
            for scenario, by_peer in results.items():
                for peer in running:
                    by_peer[peer.name].append(load(peer, token, scenario, args.seconds, root))
        table(results)
        if args.json:
            Path(args.json).write_text(json.dumps(results))
    finally:
        for peer in running:
            peer.stop()
        end(backend)


def table(results: dict) -> None:
    peers = list(next(iter(results.values())))
    print("| µs of processor time, to nginx | " + " | ".join(peers) + " |")
    print("|---" * (len(peers) + 1) + "|")
    for scenario, by_peer in results.items():
        middle = {peer: statistics.median(cost for _, cost in rounds) for peer, rounds in by_peer.items()}
        base = middle.get("nginx")
        cells = [f"{middle[p]:,.0f}" + (f" ({middle[p] / base:.2f})" if base else "") for p in peers]
        print(f"| {scenario} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
