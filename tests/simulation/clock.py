"""A clock that is real but for the waits, which are skipped.

The program under test gets `shim` on its PYTHONPATH.  There ``time.sleep`` tells this process, by
a Unix socket, how long it would have slept, and goes on at once with its clocks set forward by as
much.  Here the same clock drives the schedule of faults.  So two minutes of waiting cost nothing,
while computing and talking take the time they take.
"""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path

SHIM = Path(__file__).with_name("shim")

# Unbound remembers a SERVFAIL for so long.
_SERVFAIL_SECONDS = 5.0


class SimulatedClock:
    """Seconds since it was made or reset: those that passed, and those that were skipped."""

    def __init__(self, forget: Callable[[], None]) -> None:
        """`forget` is called when resolvers would have forgotten a SERVFAIL."""
        self._forget = forget
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._start = time.monotonic()
            self.skipped = 0.0
            self._forgot_at = 0.0

    def now(self) -> float:
        return time.monotonic() - self._start + self.skipped

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass."""
        with self._lock:
            self.skipped += seconds
            forgets = self.now() - self._forgot_at >= _SERVFAIL_SECONDS
            if forgets:
                self._forgot_at = self.now()
        if forgets:
            self._forget()


class ClockServer:
    """Lets another process skip time; a context manager."""

    def __init__(self, clock: SimulatedClock, path: Path) -> None:
        """`path` of the socket must be short: 100 bytes."""
        self._clock = clock
        self._path = path

    def __enter__(self) -> ClockServer:
        clock = self._clock

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    clock.skip(float(line))
                    self.wfile.write(b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed is no error."""

        self._server = Server(str(self._path), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    @property
    def environment(self) -> dict[str, str]:
        """For the program under test."""
        return {"PYTHONPATH": os.fspath(SHIM), "SIMULATED_CLOCK": os.fspath(self._path)}
