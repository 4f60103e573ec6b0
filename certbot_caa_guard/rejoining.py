"""When a certificate may be renewed ahead of time, so that held names rejoin it.

A CA counts the certificates that it issues: Let's Encrypt gives five for one exact set of names
in seven days.  And a name that passes CAA may still fail its challenge; then the renewal gives the
old names again, and is worth less with each try.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

DAY = 86400.0
LIMIT_PERIOD = 7 * DAY

# One of the five is left to the user.
_MOST_OF_ONE_SET = 4
_LONGEST_WAIT = 16 * DAY


class Reason(enum.Enum):
    """Why a lineage must wait."""

    TRIED = "it was tried less than a day ago"
    FAILED = "its last tries did not bring the name back"
    LIMIT = "the CA has issued as many certificates for these names as it may in seven days"


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now.

    :ivar until: when it may be tried again, in seconds since the epoch.
    """

    reason: Reason
    until: float


@dataclass(frozen=True, slots=True)
class Past:
    """What was tried so far for one lineage.

    :ivar tried: when it was last renewed ahead of time, or None.
    :ivar failures: how many such renewals in the last month gave no name back.
    :ivar issued: the names of each certificate of the CA, and when it was issued.
    """

    tried: float | None = None
    failures: int = 0
    issued: tuple[tuple[frozenset[str], float], ...] = ()


def wait(now: float, past: Past, outcomes: Iterable[Collection[str]]) -> Wait | None:
    """Tell whether a lineage must wait; None when it may be renewed at *now*.

    :param outcomes: the sets of names that the renewal may end with.
    """
    if past.tried is not None and past.tried <= now:
        pause = min(DAY * 2 ** max(0, past.failures - 1), _LONGEST_WAIT)
        if now < past.tried + pause:
            reason = Reason.TRIED if pause == DAY else Reason.FAILED
            return Wait(reason, past.tried + pause)
    limits = [_free_again(now, past, frozenset(names)) for names in outcomes]
    until = max((one for one in limits if one is not None), default=None)
    return None if until is None else Wait(Reason.LIMIT, until)


def _free_again(now: float, past: Past, names: frozenset[str]) -> float | None:
    """When one more certificate for just these names fits into the limit; None if it does now."""
    recent = sorted(
        at for issued, at in past.issued if issued == names and now - LIMIT_PERIOD < at <= now
    )
    if len(recent) < _MOST_OF_ONE_SET:
        return None
    return recent[-_MOST_OF_ONE_SET] + LIMIT_PERIOD
