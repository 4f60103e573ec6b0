"""An event loop that is run now and then, and whose time stands still meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class PausingLoop(asyncio.SelectorEventLoop):
    """Whoever runs it may take as long as they like in between, and nobody in it is late for that.

    Deadlines are of the loop's time: an answer that has come during a pause is read before they
    are over.
    """

    _pauses = 0.0  # seconds, in all
    _paused_at: float | None = None

    def time(self) -> float:
        """Seconds, monotonic; those of the pauses do not count."""
        now = super().time() if self._paused_at is None else self._paused_at
        return now - self._pauses

    def run_forever(self) -> None:
        """Run until it is stopped."""
        if self._paused_at is not None:
            self._pauses += super().time() - self._paused_at
            self._paused_at = None
        try:
            super().run_forever()
        finally:
            self._paused_at = super().time()

    def finish(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do *work* to its end, and return what it returns.

        :raises Exception: what it raises, or what a callback does meanwhile: asyncio would merely
            log that, and whoever waits for what the callback was to bring would wait for ever.
        """
        task = self.create_task(work())
        faults: list[Exception] = []

        def went_wrong(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if "handle" in context and isinstance(error, Exception):
                faults.append(error)
                task.cancel()
            else:
                self.default_exception_handler(context)

        self.set_exception_handler(went_wrong)
        try:
            return self.run_until_complete(task)
        except asyncio.CancelledError:
            if faults:
                raise faults[0] from None
            raise
        finally:
            self.set_exception_handler(None)

    def end(self) -> None:
        """Cancel what is left, after a failure or an interrupt, and what that begins; close.

        Nothing in it may stop it any more.
        """
        while left := asyncio.all_tasks(self):
            for task in left:
                task.cancel()
            # One interrupt has been told already; another does not cut this short.
            with contextlib.suppress(KeyboardInterrupt):
                self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.close()
