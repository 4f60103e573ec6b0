"""How certbot's user is told: through certbot's own display, and its log under ``-q``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from certbot.display import util as display_util

from certbot_caa_guard.problem import Reading
from certbot_caa_guard.report import text
from certbot_caa_guard.retry import Step

_LOG = logging.getLogger(__name__)
_TICK = 1.0


class Display:
    """Tells the user of one certbot process what the guard does."""

    def __init__(self, *, quiet: bool) -> None:
        """:param quiet: certbot runs with ``-q``: only what needs a person is said."""
        self._quiet = quiet

    def note(self, line: str) -> None:
        """Say something that is nice to know."""
        line = text.escaped(line)
        display_util.notify(line)
        _LOG.debug("%s", line)

    def alert(self, line: str) -> None:
        """Say something that needs a person: it is said under ``-q``, too."""
        if self._quiet:
            _LOG.error("%s", text.escaped(line))
        else:
            self.note(line)

    def doubtful(self, names: Sequence[str], wait: float) -> None:
        """Names that failed are asked about again."""
        self.note(
            f"CAA guard: {text.listing(names)} failed; asking again in {wait:.0f} s, to see "
            "whether it lasts."
        )

    def refused(self, readings: Sequence[Reading]) -> None:
        """The CA refused."""
        self.note(text.refusal(readings))

    def next(self, step: Step, wait: float) -> None:
        """What comes next."""
        self.note(text.next_step(step, wait))

    def progress(self, done: int, of: int) -> None:
        """Show on a terminal how far a round of questions is."""
        self._move(f"CAA guard: {done} of {of} answers" if done < of else "")

    def sleep(self, seconds: float) -> None:
        """Wait, and on a terminal show that time passes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._move(f"CAA guard: waiting {left:3.0f} s")
            time.sleep(min(_TICK, left))
        self._move("")

    def _move(self, text: str) -> None:
        """Put *text* where the cursor is, in place of what was there; on a terminal only."""
        if self._quiet or not sys.stdout.isatty():
            return
        width = 40
        sys.stdout.write(f"\r{text:{width}}" if text else f"\r{'':{width}}\r")
        sys.stdout.flush()
