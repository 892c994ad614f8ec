"""Receivers of notices, out of what others wrote: a mail server (aiosmtpd) and a verifier of the Standard Webhooks; the
rooms' robots check their signatures as their makers' manuals say. Each line of the file that is written is one notice.

    receive.py smtp  PORT CERT KEY FILE start|at-once
    receive.py https PORT CERT KEY FILE SECRET
"""
import base64, email, email.policy, hashlib, hmac, json, ssl, sys, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

kind, port, cert, key, file, last = sys.argv[1], int(sys.argv[2]), *sys.argv[3:7]


def keep(what):
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(what) + "\n")


def context():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    return tls


def smtp():
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Mailbox:
        async def handle_RCPT(self, server, session, envelope, address, options):
            if address.startswith("nobody@"):
                return "550 5.1.1 no such mailbox"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            keep({
                "from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": mail["subject"],
                "id": mail["message-id"], "text": mail.get_content(), "defects": len(mail.defects),
                "tls": session.ssl is not None or last == "at-once",
            })
            return "250 OK"

    def sign_in(server, session, envelope, mechanism, data):
        return AuthResult(success=data.login == b"gate" and data.password == b"hush")

    is_start = last == "start"
    Controller(
        Mailbox(), hostname="127.0.0.1", port=port, authenticator=sign_in, auth_required=True,
        auth_require_tls=is_start, tls_context=context() if is_start else None,
        require_starttls=is_start, ssl_context=None if is_start else context(),
    ).start()
    while True:
        time.sleep(60)


def hmac_64(key, message):
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


met = set()


class Robots(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        url = urllib.parse.urlparse(self.path)
        if url.path not in met:
            # What comes first is refused: in a status, or in words.
            met.add(url.path)
            return self.answer(429 if url.path == "/slack" else 503, b"")
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        status, said = getattr(self, url.path.strip("/"))(query, body)
        if status == 200 and said in (b"", b"ok", b'{"errcode":0,"errmsg":"ok"}', b'{"code":0,"msg":"success"}'):
            keep({"path": url.path, "id": self.headers.get("webhook-id"), "body": json.loads(body)})
        self.answer(status, said)

    def hook(self, query, body):
        from standardwebhooks import Webhook
        try:
            Webhook(last).verify(body, dict(self.headers.items()))
        except Exception as error:
            keep({"path": "/hook", "refused": repr(error)})
            return 401, b""
        return 200, b""

    def dingtalk(self, query, body):
        at = query["timestamp"]
        if query.get("access_token") != "T" or query.get("sign") != hmac_64(b"SECding", f"{at}\nSECding".encode()):
            return 200, b'{"errcode":310000,"errmsg":"sign not match"}'
        return 200, b'{"errcode":0,"errmsg":"ok"}'

    def wecom(self, query, body):
        if query.get("key") != "K" or json.loads(body)["msgtype"] != "text":
            return 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}'
        return 200, b'{"errcode":0,"errmsg":"ok"}'

    def feishu(self, query, body):
        said = json.loads(body)
        if said["sign"] != hmac_64(f"{said['timestamp']}\nfei".encode(), b""):
            return 200, b'{"code":19021,"msg":"sign match fail"}'
        return 200, b'{"code":0,"msg":"success"}'

    def slack(self, query, body):
        return (200, b"ok") if isinstance(json.loads(body).get("text"), str) else (400, b"invalid_payload")

    def answer(self, status, said):
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "1")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


if kind == "smtp":
    smtp()
else:
    server = ThreadingHTTPServer(("127.0.0.1", port), Robots)
    server.socket = context().wrap_socket(server.socket, server_side=True)
    server.serve_forever()
