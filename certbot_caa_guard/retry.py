"""What to do after the CA has said no: a table, and the waits between tries."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from certbot_caa_guard.problem import Meaning, Reading


class Step(enum.Enum):
    """What comes next in an issuance."""

    FINALIZE_AGAIN = "finalize the same order again"
    ORDER_AGAIN = "place a new order with the same CSR"
    HOLD = "hold the failing names and order the rest"
    GIVE_BACK = "give the CA's error back"


class Kind(enum.Enum):
    """What a whole problem comes to, over all its identifiers."""

    NOT_OURS = "not about CAA, or a rate limit"
    PERMANENT = "at least one identifier cannot pass"
    TRANSIENT = "may pass if tried again"


class Status(enum.Enum):
    """The status of the order once fetched again (RFC 8555 section 7.1.6)."""

    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    PENDING = "pending"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be spent.

    :ivar tries: orders or finalizations.
    :ivar seconds: waiting.
    """

    tries: int
    seconds: float

    def affords(self, wait: float) -> bool:
        """Whether one more try after a wait of so many seconds is within it."""
        return self.tries > 0 and self.seconds >= wait


# Kind of the problem -> status of the order -> next step, as long as the budget lasts.
# An order that is still ready, or that the CA works on, is finalized again: that costs nothing.
# Any other is dead, and valid authorizations carry over to the new one.
TABLE: dict[Kind, dict[Status, Step]] = {
    Kind.NOT_OURS: dict.fromkeys(Status, Step.GIVE_BACK),
    Kind.PERMANENT: dict.fromkeys(Status, Step.HOLD),
    Kind.TRANSIENT: {
        Status.READY: Step.FINALIZE_AGAIN,
        Status.PROCESSING: Step.FINALIZE_AGAIN,
        Status.VALID: Step.FINALIZE_AGAIN,
        Status.PENDING: Step.ORDER_AGAIN,
        Status.INVALID: Step.ORDER_AGAIN,
        Status.UNKNOWN: Step.ORDER_AGAIN,
    },
}

# Seconds before the first, second, … try.  The first is longer than the 5 s for which the CA's
# resolver remembers a SERVFAIL.
_WAITS = ((6.0, 10.0), (25.0, 35.0), (100.0, 140.0), (420.0, 540.0))


def kind_of(readings: Sequence[Reading]) -> Kind:
    """Sum the readings of one failure up."""
    ours = {Meaning.DENIED, Meaning.DNSSEC, Meaning.TRANSIENT}
    if not readings or any(reading.meaning not in ours for reading in readings):
        return Kind.NOT_OURS
    if any(reading.is_permanent for reading in readings):
        return Kind.PERMANENT
    return Kind.TRANSIENT


def wait_before(attempt: int, chance: float) -> float:
    """The seconds to wait before a try.

    :param attempt: 0 before the first retry.
    :param chance: a number from 0 up to 1 that spreads clients that failed together.
    """
    shortest, longest = _WAITS[min(attempt, len(_WAITS) - 1)]
    return shortest + (longest - shortest) * chance


def next_step(readings: Sequence[Reading], status: Status, budget: Budget, wait: float) -> Step:
    """Look the next step up; without the budget for it, the error is the caller's again."""
    step = TABLE[kind_of(readings)][status]
    if step in {Step.FINALIZE_AGAIN, Step.ORDER_AGAIN} and not budget.affords(wait):
        return Step.GIVE_BACK
    return step
