"""For suites that speak HTTP/2 without TLS: takes their connections and carries the bytes, unread, over TLS to the gate,
as a program that is known by its certificate."""

import asyncio
import ssl
import threading

from gate import HOST, Gate


class Relay:
    def __init__(self, gate: Gate) -> None:
        self.gate, self.loop, ready = gate, asyncio.new_event_loop(), threading.Event()
        # The loop itself forgets tasks that nobody holds.
        self.carrying: set[asyncio.Task] = set()
        self.tls = ssl.create_default_context(cafile=str(gate.authority))
        self.tls.load_cert_chain(gate.folder / "program.pem", gate.folder / "program.key")
        self.tls.set_alpn_protocols(["h2"])
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait()

    def run(self, ready: threading.Event) -> None:
        server = self.loop.run_until_complete(asyncio.start_server(self.carry, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def carry(self, from_suite: asyncio.StreamReader, to_suite: asyncio.StreamWriter) -> None:
        self.carrying.add(asyncio.current_task())
        from_gate, to_gate = await asyncio.open_connection("127.0.0.1", self.gate.programs_port, ssl=self.tls, server_hostname=HOST)
        await asyncio.gather(copy(from_suite, to_gate), copy(from_gate, to_suite))
        self.carrying.discard(asyncio.current_task())


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    except (OSError, ssl.SSLError):
        pass
    sink.close()
