"""certbot's own lock, so that no certbot changes a file while we do."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from certbot_caa_guard.console.usage import UsageError


class LockedError(Exception):
    """Another process has the lock; the message says which file it is."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at *path*, as certbot holds its ``.certbot.lock``.

    The file goes when the lock does, so whoever gets a lock must look whether the file is still
    there.

    :raises LockedError: at once, when another process holds it.
    :raises UsageError: when it cannot be had at all.
    """
    descriptor = _acquire(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UsageError(f"cannot write to {path}: {error.strerror}") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(path, descriptor):
                return descriptor
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            raise LockedError(str(path)) from None
        except OSError as error:
            os.close(descriptor)
            raise UsageError(f"cannot lock {path}: {error.strerror}") from error
        os.close(descriptor)


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
