"""An HTTP door for programs that are not Python or not in this process, such as certbot hooks."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

Commands = Mapping[str, Callable[[str, str, "str | None"], None]]
PORT = 8053


class ControlServer:
    """Takes ``POST /COMMAND`` with JSON ``{"owner": ..., "type": ..., "text": ...}``.

    Answers 204, or 400 with the reason as text.
    """

    def __init__(self, address: str, commands: Commands) -> None:
        self.url = f"http://{address}:{PORT}"
        self._address = address
        self._commands = commands

    def __enter__(self) -> ControlServer:
        class BoundHandler(Handler):
            commands = self._commands

        self._server = Server((self._address, PORT), BoundHandler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="control", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        """Bind without asking the machine's resolver for our name, as HTTPServer does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), PORT


class Handler(BaseHTTPRequestHandler):
    commands: ClassVar[Commands]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        command = self.commands.get(self.path.strip("/"))
        if command is None:
            self._answer(404, f"no such command: {self.path}")
            return
        try:
            record = json.loads(body)
            command(record["owner"], record["type"], record.get("text"))
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller should read it
            self._answer(400, f"{type(error).__name__}: {error}")
        else:
            self._answer(204, "")

    def log_message(self, *_: object) -> None:
        """Keep quiet: standard error belongs to the tests."""

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        if text:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())
