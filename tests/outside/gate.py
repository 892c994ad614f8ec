"""A gate to try others' suites on: keys, policy and configuration in a folder of its own, a backend, and the program.

All of it on 127.0.0.1 and free ports. No judgement of any suite stands here.
"""

import base64
import json
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "localhost"
# What one caller may do here; where a suite must see an answer of the backend it asks for `/one/1`.
POLICY = """grades: { 1: {}, 2: {}, sealed: {} }
purposes: [service]
entities:
  customer:
    subject: id
    fields: { id: 1, name: 1, note: 1, phone: { grade: 2, kind: phone }, secret: sealed }
routes:
  one.view: { match: "GET localhost/one/{id}", to: core, action: view, returns: { customer: $ } }
  one.create: { match: "POST localhost/one", to: core, action: create, accepts: { customer: $ }, returns: { customer: $ } }
  program.looks: { match: "POST localhost/", to: core, action: view, returns: { customer: $ } }
  list.search: { match: "GET localhost/list", to: core, action: search, query: { name: customer.name }, returns: { customer: "$[]" } }
roles: { teller: {}, security: {}, program: {} }
rules:
  - { name: tellers work, allow: [view, search, create], to: teller, of: customer, clear: [id, name, note], masked: [phone], write: [name, note, phone] }
  - { name: programs look, allow: view, to: program, of: customer, clear: [id, name, note] }
limits:
  - { to: [teller, program], subjects: [900000/h, 1000000/day], records: [900000000/h], bytes: [1000GiB/day], concurrent: 10000 }
detections: { own-median: off, sequential-ids: off, zero-hits: off, new-place: off, dormant: off, page-depth: off, partner-volume: off }
"""
# Scanners open more connections from one address than any client: those caps stand aside.
WIDE = """connections: { total: 20000, per-address: 20000, new-per-minute: 1000000, handshakes-per-address: 10000, attempts-per-minute: 10000 }
in-flight: 10000
in-flight-per-person: 10000
"""
CONFIGURATION = """node: outside
state: state
log: log
key: master.key
policies: policies
listeners:
  - {{ address: "127.0.0.1:{port}", zone: business, certificate: cert.pem, key: key.pem{listener} }}
  - {{ address: "127.0.0.1:{programs}", zone: programs, certificate: cert.pem, key: key.pem, clients: {{ ca: ca.pem, ask: required }} }}
machines: [ {{ name: suite, certificate: "uri:spiffe://outside/suite", zones: [programs], roles: [program] }} ]
upstreams: {{ core: {{ address: "127.0.0.1:{backend}", plain: loopback, connections: 256 }} }}
issuers: [ {{ name: corp, issuer: "https://login.example", audience: menshen, keys: jwks.json, kind: staff, roles: [roles], assurance: {{ "2": 2 }} }} ]
admin:
  address: "127.0.0.1:{admin}"
  certificate: cert.pem
  key: key.pem
  rights: {{ {rights} }}
"""
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
RIGHTS = "switches limits detections grants links campaigns policies registry published".split()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Backend(ThreadingHTTPServer):
    """Answers what the policy's routes expect, and notes the head of every request that reached it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.serve_forever, daemon=True).start()


    def handle_error(self, *_) -> None:
        """The gate drops connections of requests that it gives up; that is no fault here."""


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.server.asked.append(f"{self.requestline}\r\n{self.headers}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        one = {"id": "1", "name": "Wang Fang", "note": "n" * 200, "phone": "13800138000", "secret": "4111111111111111"}
        body = json.dumps([one] if self.path.startswith("/list") else one).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_) -> None:
        pass


class Gate:
    """A running gate. `listener` has further keys of its listener, `more` further lines of its configuration."""

    def __init__(self, program: str, folder: Path, listener: str = "", more: str = "") -> None:
        self.folder, self.backend = folder, Backend()
        self.port, self.programs_port, self.admin_port = free_port(), free_port(), free_port()
        folder.mkdir(parents=True)
        self.write_keys()
        (folder / "policies").mkdir()
        (folder / "policies/policy.yaml").write_text(POLICY)
        rights = ", ".join(f"{right}: [security]" for right in RIGHTS)
        places = {"port": self.port, "programs": self.programs_port, "admin": self.admin_port, "backend": self.backend.server_port}
        text = CONFIGURATION.format(**places, rights=rights, listener=listener)
        (folder / "menshen.yaml").write_text(text + WIDE + more)
        subprocess.run([program, "key", "generate", "master.key"], cwd=folder, check=True, capture_output=True)
        self.events = open(folder / "events.txt", "wb")
        command = [program, "run", "--config", "menshen.yaml", "--events", "warn"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=self.events, stderr=self.events)
        self.wait_until_it_listens()

    def wait_until_it_listens(self) -> None:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"the gate does not listen: {(self.folder / 'events.txt').read_text()}")

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.events.close()
        self.backend.shutdown()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def openssl(self, *args: str, **more) -> bytes:
        return subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True, **more).stdout

    def write_keys(self) -> None:
        """An authority, certificates that it signed for the gate and for a program, and the key of an issuer of tokens."""
        self.openssl("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-days", "90", "-subj", "/CN=outside", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.sign("cert.pem", "key.pem", f"DNS:{HOST}", "serverAuth")
        self.sign("program.pem", "program.key", "URI:spiffe://outside/suite", "clientAuth")
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "jwt.pem")
        point = self.openssl("ec", "-in", "jwt.pem", "-pubout", "-outform", "DER")[-64:]
        jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": url64(point[:32]), "y": url64(point[32:])}
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))

    def sign(self, certificate: str, key: str, name: str, use: str) -> None:
        self.openssl("req", *CURVE, "-keyout", key, "-out", "request.pem", "-subj", f"/CN={HOST}")
        usage = f"subjectAltName={name}\nextendedKeyUsage={use}\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        (self.folder / "usage").write_text(usage)
        by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "89", "-extfile", "usage"]
        self.openssl("x509", "-req", "-in", "request.pem", *by, "-out", certificate)

    def token(self, role: str, subject: str = "wang") -> str:
        now = int(time.time())
        claims = {"iss": "https://login.example", "aud": "menshen", "sub": subject, "roles": [role], "acr": "2", "iat": now - 5, "exp": now + 3500}
        head = url64(json.dumps({"alg": "ES256", "kid": "1", "typ": "JWT"}).encode())
        signed = f"{head}.{url64(json.dumps(claims).encode())}"
        return f"{signed}.{url64(joined(self.openssl('dgst', '-sha256', '-sign', 'jwt.pem', input=signed.encode())))}"

    def headers(self) -> list[tuple[str, str]]:
        """What a request of the teller carries."""
        return [("Authorization", f"Bearer {self.token('teller')}"), ("Menshen-Purpose", "service")]

    def connect(self, protocol: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols([protocol])
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=HOST)


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def joined(der: bytes) -> bytes:
    """The two numbers of a signature in the form of JSON Web Signatures."""
    length = der[3]
    r, s = der[4:4 + length], der[6 + length:]
    return r[-32:].rjust(32, bytes(1)) + s[-32:].rjust(32, bytes(1))
