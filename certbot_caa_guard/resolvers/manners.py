"""What other people's name servers are asked to bear, and how they are let recover.

For questions that reach authoritative servers by our own hand; :mod:`~.gate` holds them back
accordingly.  Who begins to refuse or to drop questions is asked half as fast each time, and faster
again little by little as long as it answers (as TCP does, RFC 5681 section 3.1): bursts of CAA
questions are what trips the rate limits of name servers in the first place.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, replace

# By how much each answer raises the rate, in questions a second: since as many answers come in a
# second as the rate says, it doubles in some 3 seconds.
_RISE = 0.25
_PACE_SEEN_OVER = 32  # questions


@dataclass(frozen=True, slots=True)
class Manners:
    """What other people's servers are asked to bear.

    :ivar lookups: at the same time.
    :ivar all_per_second: questions to all servers; None for no limit.
    :ivar zone_in_flight: questions to all servers of one zone at the same time.
    :ivar in_flight: questions to one server at the same time.
    :ivar per_second: questions to one server; None for no limit.
    :ivar burst: how many of these may go at once, after a while without any.
    :ivar fewest_in_flight: of ``in_flight``, where a server has been slowed down for.
    :ivar slowest: of ``per_second``, where a server has been slowed down for: slow enough for any
        server, and fast enough for the names of one certificate to be asked for in time.
    """

    lookups: int = 100
    all_per_second: float | None = 500.0
    zone_in_flight: int = 20
    in_flight: int = 10
    per_second: float | None = 100.0
    burst: int = 50
    fewest_in_flight: int = 2
    slowest: float = 10.0

    @classmethod
    def at_home(cls) -> Manners:
        """For a DNS of one's own: as fast as it answers, until it begins not to."""
        return cls(per_second=None, all_per_second=None)

    def at_rate(self, rate: int | None) -> Manners:
        """The same with so many questions a second to all servers, where the user has said so."""
        return self if rate is None else replace(self, all_per_second=float(rate))

    def towards_all(self) -> Allowance:
        """What all servers together are asked to bear."""
        return Allowance(self.lookups, self.all_per_second)

    def towards_zone(self) -> Allowance:
        """What all servers of a zone are asked to bear."""
        return Allowance(self.zone_in_flight)

    def towards_server(self) -> Allowance:
        """What one server is asked to bear, at first."""
        return Allowance(
            self.in_flight,
            self.per_second,
            burst=self.burst,
            fewest_in_flight=min(self.fewest_in_flight, self.in_flight),
            slowest=min(self.slowest, self.per_second or math.inf),
        )


class Reaction(enum.Enum):
    """What a server did with a question."""

    ANSWERED = enum.auto()
    REFUSED = enum.auto()
    SILENT = enum.auto()
    NOT_ASKED = enum.auto()


class Allowance:
    """How many questions somebody bears, now; times are seconds of the caller's clock.

    :ivar in_flight: how many at the same time.
    :ivar per_second: how many in a second; None for no limit.
    """

    def __init__(
        self,
        in_flight: float,
        per_second: float | None = None,
        *,
        burst: int = 1,
        fewest_in_flight: float = 1.0,
        slowest: float = 1.0,
    ) -> None:
        self.in_flight = float(in_flight)
        self.per_second = per_second
        self._most_in_flight, self._fastest = self.in_flight, per_second or math.inf
        self._fewest_in_flight, self._slowest = fewest_in_flight, slowest
        self._burst = burst
        self._flying = 0
        # When the next would go if all went at even distances; bursts run ahead of it.
        self._due = -math.inf
        self._slowed_at = -math.inf
        self._starts: deque[float] = deque(maxlen=_PACE_SEEN_OVER)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._flying

    def ready_at(self) -> float:
        """When the next question may go; infinity while one must end first."""
        if self._flying >= int(self.in_flight):
            return math.inf
        ahead = (self._burst - 1) / self.per_second if self.per_second else 0.0
        return self._due - ahead

    def start(self, now: float) -> None:
        """A question goes."""
        self._flying += 1
        self._starts.append(now)
        if self.per_second:
            self._due = max(now, self._due) + 1 / self.per_second

    def end(self) -> None:
        """A question has been answered or given up."""
        self._flying -= 1

    def speed_up(self) -> None:
        """After an answer."""
        self.in_flight = min(self.in_flight + 1 / self.in_flight, self._most_in_flight)
        if self.per_second:
            self.per_second = min(self.per_second + _RISE, self._fastest)

    def slow_down(self, asked_at: float, now: float) -> None:
        """After a question that was refused or not answered.

        :param asked_at: when it went; what was under way already when this was slowed down last
            tells nothing new.
        """
        if asked_at < self._slowed_at:
            return
        self._slowed_at = now
        self._burst = 1
        self.in_flight = max(self.in_flight / 2, self._fewest_in_flight)
        pace = min(self.per_second or math.inf, self._pace_of_late(now))
        if pace < math.inf:
            self.per_second = max(pace / 2, self._slowest)
            self._due = now + 1 / self.per_second

    def _pace_of_late(self, now: float) -> float:
        """How many questions a second went; infinity when there is no telling."""
        past = now - self._starts[0] if self._starts else 0.0
        return len(self._starts) / past if past > 0 else math.inf
