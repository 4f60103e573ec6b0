"""Standard output and error, either of which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO


class _Watched:
    """A stream that keeps the first error met in writing to it: argparse, and whoever logs, pass
    over it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """:raises OSError: when it cannot be written."""
        with self._watching():
            return self._stream.write(text)

    def flush(self) -> None:
        """:raises OSError: when it cannot be written."""
        with self._watching():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            raise


class UnwrittenError(Exception):
    """Something that was printed could not be written."""

    def __init__(self, why: OSError) -> None:
        super().__init__(f"cannot write the output: {why.strerror}")
        self.why = why


class Output:
    """Both, while a command runs.  A context manager.

    :raises UnwrittenError: at its end, however that came, if not all was written.
    """

    def __init__(self) -> None:
        self._streams = tuple(_Watched(_writable(name)) for name in ("stdout", "stderr"))
        self._restoring = ExitStack()

    @property
    def error(self) -> OSError | None:
        """Why something could not be written so far; None if all was."""
        return next((one.error for one in self._streams if one.error is not None), None)

    def give_up(self) -> None:
        """Write nothing more at exit: it would fail again, and have an exit status of its own."""
        with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            for stream in self._streams:
                os.dup2(nowhere.fileno(), stream.fileno())

    def __enter__(self) -> Output:
        out, err = self._streams
        self._restoring.enter_context(redirect_stdout(out))
        self._restoring.enter_context(redirect_stderr(err))
        return self

    def __exit__(self, *_: object) -> None:
        self._restoring.close()
        for stream in self._streams:
            with suppress(OSError):
                stream.flush()
        if self.error is not None:
            raise UnwrittenError(self.error)


def _writable(name: str) -> TextIO:
    """A stream of the process, on which no character is one that cannot be written.

    Where a caller has closed it there is somewhere to write to all the same: the exit status still
    tells, and what is opened later must not take its place.
    """
    stream: TextIO | None = getattr(sys, name)
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        setattr(sys, name, stream)
    elif isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
