"""What an issuance needs of the world around it; tests hand in their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from certbot_caa_guard.history import History
from certbot_caa_guard.patience import Patience
from certbot_caa_guard.problem import Reading
from certbot_caa_guard.retry import Step
from certbot_caa_guard.trouble import Troubles
from certbot_caa_guard.verdict import Evidence


class Teller(Protocol):
    """How the user learns what goes on."""

    def doubtful(self, names: Sequence[str], wait: float) -> None:
        """Names that failed are asked about again after so many seconds."""

    def refused(self, readings: Sequence[Reading]) -> None:
        """The CA refused; what it said.  Nothing, where the answer was lost."""

    def next(self, step: Step, wait: float) -> None:
        """What comes next, and after how many seconds."""


@dataclass
class Surroundings:
    """Time, chance, memory and the user.

    :ivar clock: monotonic seconds.
    :ivar sleep: waits so many seconds, showing that it does.
    :ivar chance: a random number from 0 up to 1.
    :ivar clock_skew: how many seconds our clock is ahead of the CA's; None where that cannot be
        known.
    :ivar explained: those identifiers for whose failed lookups an audit finds a reason.
    :ivar troubles: what other issuances of this process failed on.
    :ivar began: when this run began, in seconds since the epoch: what was seen later was not seen
        by an earlier one.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    teller: Teller
    history: History
    patience: Patience
    clock_skew: Callable[[], float | None] = field(default=lambda: None)
    explained: Callable[[Sequence[Evidence]], Set[str]] = field(default=lambda _known: frozenset())
    troubles: Troubles = field(default_factory=Troubles)
    began: float = math.inf

    def wait(self, seconds: float) -> None:
        """Wait, and take it off the patience."""
        self.sleep(seconds)
        self.patience.spend(seconds)
