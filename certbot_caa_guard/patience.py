"""How long may still be waited."""

from __future__ import annotations


class Patience:
    """How long may still be waited: in this issuance, and in this process."""

    def __init__(self, seconds: float, whole: Patience | None = None) -> None:
        """:param whole: what this is a part of, and spends from, too."""
        self._left = seconds
        self._whole = whole

    @property
    def left(self) -> float:
        """Seconds."""
        return self._left if self._whole is None else min(self._left, self._whole.left)

    def spend(self, seconds: float) -> None:
        """Take *seconds* off."""
        self._left = max(0.0, self._left - seconds)
        if self._whole is not None:
            self._whole.spend(seconds)

    def limit(self, seconds: float) -> None:
        """Leave at most *seconds*, for this and all that it is a part of."""
        self._left = min(self._left, seconds)
        if self._whole is not None:
            self._whole.limit(seconds)
