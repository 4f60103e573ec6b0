"""The servers of one resolver, and which of them is asked first."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_UNANSWERED = 3  # questions in a row; of few a server may know no answer, and yet be well


class Servers:
    """Addresses and ports in the order of their list, which begins anew with one that answers.

    A resolver that is down would cost each question its time; so the next one is asked first when
    it has left several questions without any answer, and for as long as that one answers.

    :ivar first: the place of the server that is asked first.
    """

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._servers = servers
        self._unanswered = 0  # by the first, since its last answer
        self.first = 0

    def __len__(self) -> int:
        return len(self._servers)

    def __getitem__(self, place: int) -> tuple[str, int]:
        return self._servers[place]

    def after(self, place: int) -> int:
        """The place of the one to ask after that at *place*."""
        return (place + 1) % len(self._servers)

    def answered(self, place: int) -> None:
        """That at *place* has answered, whatever."""
        if place == self.first:
            self._unanswered = 0

    def unanswered(self, place: int) -> None:
        """That at *place* has left a question unanswered for its whole time."""
        if place != self.first:
            return
        self._unanswered += 1
        if self._unanswered > _MOST_UNANSWERED:
            self.first = self.after(place)
            self._unanswered = 0
