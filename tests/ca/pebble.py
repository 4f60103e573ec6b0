"""Debian's Pebble as a child process, and the way to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

from .messages import Request, Response

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from .certificates import ServerCertificate

PORT = 14000
MANAGEMENT_PORT = 15000
NEW_NONCE = "/nonce-plz"

_STARTUP_SECONDS = 30.0
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
_ENVIRONMENT = {
    "PEBBLE_VA_NOSLEEP": "1",
    "PEBBLE_WFE_NONCEREJECT": "0",
    "PEBBLE_AUTHZREUSE": "100",
}


class PebbleError(RuntimeError):
    """Pebble is missing, or does not start."""


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise PebbleError(f"{name} is not installed; on Debian: apt-get install {package}")
    return path


class Pebble:
    """A Pebble at PORT of `address`, which validates through the resolver at `resolver`."""

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        resolver: str,
        files: ServerCertificate,
        http_port: int,
        certificate_seconds: int,
    ) -> None:
        self._directory = directory
        self._address = address
        self._resolver = resolver
        self._context = ssl.create_default_context(cafile=str(files.bundle))
        self._config = {
            "listenAddress": f"{address}:{PORT}",
            "managementListenAddress": f"{address}:{MANAGEMENT_PORT}",
            "certificate": str(files.certificate),
            "privateKey": str(files.key),
            "httpPort": http_port,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": certificate_seconds,
        }

    @property
    def log(self) -> Path:
        return self._directory / "pebble.log"

    def __enter__(self) -> Pebble:
        config = self._directory / "pebble.json"
        config.write_text(json.dumps({"pebble": self._config}, indent=1), encoding="utf-8")
        # setpriv arranges for the kernel to end Pebble when the thread that starts it ends, so
        # that a killed test run leaves nothing behind; preexec_fn is not safe among threads.
        command = [_program("setpriv", "util-linux"), "--pdeathsig", "KILL"]
        command += [_program("pebble", "pebble"), "-config", str(config)]
        command += ["-dnsserver", f"{self._resolver}:53"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._directory,
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _await_start(self) -> None:
        deadline = time.monotonic() + _STARTUP_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self._address, PORT), timeout=1).close()
            except OSError:
                pass
            else:
                # Only our own child counts: with the port taken by another, ours soon ends.
                if "Listening on" in self.log.read_text(encoding="utf-8", errors="replace"):
                    return
            try:
                self._process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise PebbleError(f"Pebble does not answer at {self._address}:{PORT}:\n{tail}")

    def send(self, request: Request) -> Response:
        """Pass a request on, its Host header kept: Pebble checks the JWS's url against that."""
        connection = http.client.HTTPSConnection(
            self._address, PORT, context=self._context, timeout=60
        )
        try:
            connection.putrequest(
                request.method, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers:
                if name.lower() not in _HOP_BY_HOP | {"accept-encoding"}:
                    connection.putheader(name, value)
            if request.body:
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            headers = [pair for pair in answer.getheaders() if pair[0].lower() not in _HOP_BY_HOP]
            return Response(answer.status, headers, answer.read())
        finally:
            connection.close()

    def nonce(self, host: str) -> str:
        """Get a fresh nonce (RFC 8555 section 7.2), for an answer that is not Pebble's."""
        return self.send(Request("HEAD", NEW_NONCE, [("Host", host)])).header("Replay-Nonce")
