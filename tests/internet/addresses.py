"""Loopback addresses that nobody else on this machine is using.

Name servers must listen on port 53, because a delegation has no room for a port. So tests that
run at the same time need addresses of their own, and 127.0.0.0/8 has plenty.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST_OCTET = 64  # well away from 127.0.0.x, where the machine's own services live
LAST_OCTET = 254


class Block:
    """A /24 of 127.0.0.0/8 that belongs to this object alone, on the whole machine.

    Ownership is an flock on a file named after the block. The kernel drops it when the process
    dies, however it dies, so nothing has to be tidied up after a crash. The files themselves
    stay: removing one would let a second process lock a file that no longer has a name.
    """

    def __init__(self) -> None:
        self._lock: int | None = None
        self._prefix = ""

    def __enter__(self) -> Block:
        directory = Path(tempfile.gettempdir()) / "loopback-blocks"
        directory.mkdir(exist_ok=True)
        for prefix in _candidates():
            lock = _try_lock(directory / f"{prefix}.0")
            if lock is not None:
                self._lock, self._prefix = lock, prefix
                return self
        raise RuntimeError(f"every block of 127.0.0.0/8 is taken, according to {directory}")

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def address(self, n: int) -> str:
        """The block's address number `n`, 1 to 254."""
        if self._lock is None:
            raise RuntimeError("the block is not held: use it as a context manager")
        if not 1 <= n <= 254:
            raise ValueError(f"a /24 has no host number {n}")
        return f"{self._prefix}.{n}"


def _candidates() -> Iterator[str]:
    """All prefixes, beginning where the process id says, so that processes rarely collide."""
    start = os.getpid() % 256
    total = (LAST_OCTET - FIRST_OCTET + 1) * 256
    for offset in range(total):
        number = (start + offset) % total
        yield f"127.{FIRST_OCTET + number // 256}.{number % 256}"


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # another user's block
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
