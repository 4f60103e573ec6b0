"""How many questions may be in flight to a resolver, and how many may be sent in a second."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

# A few that do not come back are slow or lost by chance; more than these mean that we are too fast.
_TOLERATED_LOSS = 0.1
_LEAST = 4.0
_MORE_EACH_TIME = 8.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a resolver is to be asked at most.

    :ivar window: how many questions it may be at work on that it did not have for long yet.
    :ivar in_flight: how many questions there may be in flight, however long.
    :ivar per_second: how many may be sent in any second; None for as many as it answers.
    :ivar resend: the seconds after which a question is sent again for the first time.
    """

    window: int
    in_flight: int
    per_second: int | None
    resend: float


# Resolvers of others: 100 questions in flight and 500 a second.
GENTLE = Limits(window=100, in_flight=100, per_second=500, resend=1.0)
# Resolvers on this machine; the datagrams that wait for one fill its socket at about 250.
LOCAL = Limits(window=200, in_flight=1000, per_second=None, resend=0.4)


def limits_for(*, local: bool, rate: int | None) -> Limits:
    """The limits for a resolver.

    :param local: whether it is on this machine.
    :param rate: questions a second, where the user has said so.
    """
    usual = LOCAL if local else GENTLE
    if rate is None:
        return usual
    # As many in flight for the rate as by default.
    in_flight = math.ceil(rate * GENTLE.in_flight / 500)
    return Limits(
        window=max(usual.window, min(in_flight, LOCAL.window)),
        in_flight=max(usual.in_flight, in_flight),
        per_second=rate,
        resend=usual.resend,
    )


class Window:
    """How many questions may wait for an answer: more while they come back, half when not.

    Additive increase, multiplicative decrease, decided once for each windowful of questions.
    """

    def __init__(self, start: float, most: float) -> None:
        self.size = start
        self._most = most
        self._answered = 0
        self._lost = 0
        self._refused = False

    def answered(self, count: int = 1) -> None:
        """So many questions were answered."""
        self._answered += count
        if self._answered + self._lost >= self.size:
            self._turn()

    def lost(self) -> None:
        """A question, or its answer, seems to be lost."""
        self._lost += 1
        if self._answered + self._lost >= self.size:
            self._turn()

    def refused(self) -> None:
        """A question was refused, and it may be for those under way: chance does not do that."""
        self._refused = True
        self.lost()

    def _turn(self) -> None:
        if self._refused or self._lost > _TOLERATED_LOSS * (self._answered + self._lost):
            self.size = max(_LEAST, self.size / 2)
        else:
            self.size = min(self._most, self.size + _MORE_EACH_TIME)
        self._answered = self._lost = 0
        self._refused = False


class Rate:
    """At most so many in any one second; until then as fast as may be."""

    def __init__(self, per_second: int) -> None:
        self._sent: deque[float] = deque(maxlen=per_second)

    def wait(self, now: float) -> float:
        """The seconds until one more may be sent."""
        if len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return max(0.0, self._sent[0] + 1.0 - now)

    def room(self, now: float) -> int:
        """How many may be sent now."""
        while self._sent and self._sent[0] + 1.0 <= now:
            self._sent.popleft()
        return (self._sent.maxlen or 0) - len(self._sent)

    def sent(self, now: float, count: int = 1) -> None:
        """So many were sent."""
        self._sent.extend([now] * count)
