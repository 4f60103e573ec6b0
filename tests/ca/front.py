"""The TLS server that clients talk to."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from .messages import AnswerLostError, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .certificates import ServerCertificate

PORT = 14001


class _Handler(BaseHTTPRequestHandler):
    """One client's connection, kept alive over many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            self.command, self.path, list(self.headers.items()), self.rfile.read(length)
        )
        try:
            response = self.server.answer(request)
        except AnswerLostError:
            self._break_connection()
            return
        except OSError as error:
            response = Response(502, [("Content-Type", "text/plain")], repr(error).encode())
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def _break_connection(self) -> None:
        """End it with a reset (RFC 9293 section 3.10.7), not with TLS's or TCP's good-bye."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: Pebble's log has the requests."""

    def version_string(self) -> str:
        return "test-ca"


class _Server(ThreadingHTTPServer):
    """Does each TLS handshake in the connection's own thread, and closes what is still open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        answer: Callable[[Request], Response],
    ) -> None:
        super().__init__(address, _Handler)
        self.answer = answer
        self._context = context
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse lookup of the address, which asks the real DNS."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), PORT

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(300)
        try:
            connection = self._context.wrap_socket(request, server_side=True)
        except OSError:
            return
        with self._changed:
            self._open.add(connection)
        try:
            _Handler(connection, client_address, self)
        except OSError:
            pass  # The client went away.
        finally:
            connection.close()
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()

    def close_connections(self) -> None:
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=5)


class Front:
    """The running server; `answer` is called in many threads."""

    def __init__(
        self, address: str, files: ServerCertificate, answer: Callable[[Request], Response]
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        self._server = _Server((address, PORT), context, answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()
