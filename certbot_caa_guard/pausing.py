"""An event loop that is run now and then, and whose time stands still meanwhile."""

from __future__ import annotations

import asyncio
import contextlib


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
