"""How long may still be waited."""

from __future__ import annotations

import math


class Patience:
    """How long may still be waited: in this issuance, and in this process."""

    def __init__(self, seconds: float, whole: Patience | None = None) -> None:
        """:param whole: what this is a part of, and spends from, too."""
        self._seconds = seconds
        self._spent = 0.0
        self._limit = math.inf
        self._whole = whole

    @property
    def left(self) -> float:
        """Seconds."""
        left = max(0.0, min(self._seconds, self._limit) - self._spent)
        return left if self._whole is None else min(left, self._whole.left)

    @property
    def within_limit(self) -> float:
        """Seconds for what is done even without patience; without end, unless there is a limit."""
        left = max(0.0, self._limit - self._spent)
        return left if self._whole is None else min(left, self._whole.within_limit)

    def spend(self, seconds: float) -> None:
        """Take *seconds* off."""
        self._spent += seconds
        if self._whole is not None:
            self._whole.spend(seconds)

    def allow(self, seconds: float) -> None:
        """Let it have been *seconds* from the start, if it was less; a limit holds all the same."""
        self._seconds = max(self._seconds, seconds)

    def limit(self, seconds: float) -> None:
        """Leave at most *seconds*, for this and all that it is a part of."""
        self._limit = min(self._limit, self._spent + seconds)
        if self._whole is not None:
            self._whole.limit(seconds)
