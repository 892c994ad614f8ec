"""A witness of logs as C2SP tlog-witness describes it, made of somebody else's tools; the test's stand-in for an auditor's server.

usage: witness.py FOLDER CERTIFICATE KEY

It listens on a free port of the loopback, over TLS, and prints the port and its verifier key. It knows the logs whose
verifier keys stand in FOLDER/logs, a line each, and keeps there what it saw, so that a witness that starts anew has forgotten nothing.
FOLDER/mood makes it misbehave: `stranger` signs with another key, `babble` answers with something else, `down` with 503.
"""

import json
import ssl
import sys
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from aics_tlog import (
    Note,
    cosignature_vkey,
    format_vkey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_cosignature,
    verify_checkpoint,
    verify_consistency,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "auditor.example"
EMPTY = b64decode("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
FOLDER = Path(sys.argv[1])


def private_key(name: str) -> Ed25519PrivateKey:
    path = FOLDER / name
    if not path.exists():
        path.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def read(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


class Witness(BaseHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass

    def answer(self, status: int, body: str = "", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path != "/witness/add-checkpoint":
            return self.answer(404)
        mood = read("mood")
        if mood == "down":
            return self.answer(503)
        if mood == "babble":
            return self.answer(200, "welcome\n")
        head, text = body.split("\n\n", 1)
        old, *hashes = head.split("\n")
        return self.judge(int(old.removeprefix("old ")), [b64decode(line) for line in hashes], text)

    def judge(self, old: int, proof: list[bytes], text: str) -> None:
        note = parse_note(text)
        checkpoint = parse_checkpoint(note.text)
        known = {key.name: key for key in map(parse_vkey, read("logs").split())}
        if checkpoint.origin not in known:
            return self.answer(404)
        if not verify_checkpoint(note, known[checkpoint.origin]).ok:
            return self.answer(403)
        saw = json.loads(read("saw") or "{}")
        size, root = saw.get(checkpoint.origin, (0, b64encode(EMPTY).decode()))
        if old > checkpoint.size:
            return self.answer(400)
        if old != size:
            return self.answer(409, f"{size}\n", "text/x.tlog.size")
        if size == checkpoint.size and b64decode(root) != checkpoint.root:
            return self.answer(409, f"{size}\n", "text/x.tlog.size")
        if not verify_consistency(old, checkpoint.size, b64decode(root), checkpoint.root, proof):
            return self.answer(422)
        saw[checkpoint.origin] = (checkpoint.size, b64encode(checkpoint.root).decode())
        (FOLDER / "saw").write_text(json.dumps(saw), encoding="utf-8")
        key = private_key("other" if read("mood") == "stranger" else "own")
        _, line = sign_cosignature(
            key, NAME, int(time.time()), checkpoint.origin, checkpoint.size, checkpoint.root
        )
        return self.answer(200, Note(note.text, (line,)).serialise().split("\n\n", 1)[1])


server = HTTPServer(("127.0.0.1", 0), Witness)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, format_vkey(cosignature_vkey(NAME, private_key("own").public_key())), flush=True)
server.serve_forever()
