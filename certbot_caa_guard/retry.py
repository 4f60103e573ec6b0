"""What to do after the CA has said no, or nothing: a table, and the waits between tries.

``docs/retry.md`` shows the table; it is made from :data:`RULES`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from certbot_caa_guard.problem import Meaning, Reading


class Step(enum.Enum):
    """What comes next in an issuance."""

    FETCH = "fetch the certificate"
    KEEP_POLLING = "wait for the certificate"
    FINALIZE_AGAIN = "finalize the same order again"
    ORDER_AGAIN = "place a new order with the same CSR"
    VALIDATE_AGAIN = "have the failing names validated anew, in a new order with the same CSR"
    LOOK_AGAIN = "fetch the order again"
    HOLD = "hold the failing names and order the rest"
    STOP = "place no order before the limit is over, and give the CA's error back"
    GIVE_BACK = "give the error back"


class Kind(enum.Enum):
    """What a whole failure comes to, over all its identifiers."""

    NOT_OURS = "not about CAA"
    LIMITED = "a rate limit"
    PERMANENT = "at least one identifier cannot pass"
    TRANSIENT = "may pass if tried again"
    LOST = "the answer was lost on the way"


class Status(enum.Enum):
    """The status of the order once fetched again (RFC 8555 section 7.1.6)."""

    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    PENDING = "pending"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    NONE = "no order is known"


class Sight(enum.Enum):
    """What the guard itself sees of the failing names, in all its perspectives together."""

    UNSEEN = "nobody could be asked"
    CLEAN = "never failed here"
    RECOVERED = "failed here, and does no more"
    FAILING = "fails here"
    BROKEN = "corroborated as broken, and may be left out"


class Validations(enum.Enum):
    """The valid authorizations of the failing names."""

    KEEP = "are kept"
    RENEW = "are stale, failed at finalize before, and can be had again without a person"


class Purse(enum.Enum):
    """What is left of the budget."""

    PLENTY = "enough for any try"
    NO_ORDERS = "no more orders"
    SPENT = "no more tries, or no time to wait"
    EMPTY = "not even another look"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be spent.

    :ivar tries: orders or finalizations.
    :ivar seconds: waiting.
    :ivar orders: new orders of this account.
    :ivar looks: fetching what the CA has finished or is working on.
    """

    tries: int
    seconds: float
    orders: int = 1
    looks: int = 1

    def after(self, wait: float) -> Purse:
        """What it allows after a wait of so many seconds."""
        if self.looks <= 0:
            return Purse.EMPTY
        if self.tries <= 0 or self.seconds < wait:
            return Purse.SPENT
        return Purse.PLENTY if self.orders > 0 else Purse.NO_ORDERS


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision hangs on."""

    kind: Kind
    status: Status
    sight: Sight
    validations: Validations
    purse: Purse


_KINDS = frozenset(Kind)
_STATUSES = frozenset(Status)
_SIGHTS = frozenset(Sight)
_VALIDATIONS = frozenset(Validations)
_PURSES = frozenset(Purse)


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: what it asks for in a situation, the step, and why.

    What it does not ask about may be anything.
    """

    step: Step
    why: str
    kinds: frozenset[Kind] = _KINDS
    statuses: frozenset[Status] = _STATUSES
    sights: frozenset[Sight] = _SIGHTS
    validations: frozenset[Validations] = _VALIDATIONS
    purses: frozenset[Purse] = _PURSES

    def fits(self, situation: Situation) -> bool:
        """Whether a situation is as it asks."""
        return (
            situation.kind in self.kinds
            and situation.status in self.statuses
            and situation.sight in self.sights
            and situation.validations in self.validations
            and situation.purse in self.purses
        )


_ALIVE = frozenset({Kind.TRANSIENT, Kind.LOST})
_NOT_EMPTY = frozenset({Purse.PLENTY, Purse.NO_ORDERS, Purse.SPENT})

# The first row that fits is the one that counts; the last fits everything.
RULES: tuple[Rule, ...] = (
    Rule(Step.GIVE_BACK, "Not the guard's affair.", kinds=frozenset({Kind.NOT_OURS})),
    Rule(
        Step.STOP,
        "Another order would only be refused, or spend what is scarce.",
        kinds=frozenset({Kind.LIMITED}),
    ),
    Rule(
        Step.HOLD,
        "Only a change of their DNS can help these names.",
        kinds=frozenset({Kind.PERMANENT}),
    ),
    Rule(
        Step.FETCH,
        "It is issued: only the answer was lost.",
        kinds=_ALIVE,
        statuses=frozenset({Status.VALID}),
        purses=_NOT_EMPTY,
    ),
    Rule(
        Step.KEEP_POLLING,
        "The CA is at work.",
        kinds=_ALIVE,
        statuses=frozenset({Status.PROCESSING}),
        purses=_NOT_EMPTY,
    ),
    Rule(
        Step.HOLD,
        "The CA and the guard see the same, and it lasts.",
        kinds=frozenset({Kind.TRANSIENT}),
        sights=frozenset({Sight.BROKEN}),
    ),
    Rule(
        Step.GIVE_BACK,
        "The budget is spent.",
        purses=frozenset({Purse.SPENT, Purse.EMPTY}),
    ),
    Rule(
        Step.LOOK_AGAIN,
        "It may have been finalized: a new order might make a second certificate.",
        kinds=frozenset({Kind.LOST}),
        statuses=frozenset({Status.UNKNOWN}),
    ),
    Rule(
        Step.VALIDATE_AGAIN,
        "Each finalize asks about every stale authorization again; a fresh one is asked about "
        "once.",
        kinds=frozenset({Kind.TRANSIENT}),
        validations=frozenset({Validations.RENEW}),
        purses=frozenset({Purse.PLENTY}),
    ),
    Rule(
        Step.FINALIZE_AGAIN,
        "The order is still good: that costs nothing.",
        statuses=frozenset({Status.READY}),
    ),
    Rule(
        Step.GIVE_BACK,
        "The order is dead, and the account has placed too many.",
        purses=frozenset({Purse.NO_ORDERS}),
    ),
    Rule(Step.ORDER_AGAIN, "The order is dead; what is validated carries over to the new one."),
)

# Steps before which there is no wait.
AT_ONCE = frozenset({Step.FETCH, Step.KEEP_POLLING, Step.HOLD, Step.STOP, Step.GIVE_BACK})


class Watch(enum.Enum):
    """What a wait comes to when the guard has looked at the failing names itself."""

    WAIT = "wait on"
    GO = "try again now"
    SPLIT = "leave the failing names out"


# That names are clean here all along says nothing about the CA's own trouble with them.
WATCH: dict[Sight, Watch] = {
    Sight.UNSEEN: Watch.WAIT,
    Sight.CLEAN: Watch.WAIT,
    Sight.RECOVERED: Watch.GO,
    Sight.FAILING: Watch.WAIT,
    Sight.BROKEN: Watch.SPLIT,
}

# Nobody tries again sooner after a failure: the CA's resolver remembers a SERVFAIL for 5 s.
SOONEST = 6.0

# Seconds before the first, second, … try.
_WAITS = ((SOONEST, 10.0), (25.0, 35.0), (100.0, 140.0), (420.0, 540.0))

# The same where an answer was lost: no resolver has to forget anything.
_WAITS_AFTER_LOSS = ((1.0, 3.0), (6.0, 10.0), (25.0, 35.0))

# A CA allows five failed authorizations for an identifier in an hour, and stops an identifier that
# has failed for months, at about one a day.  The guard spends less: how many, in how many seconds.
MOST_FAILED_AUTHORIZATIONS = ((3, 3_600.0), (10, 86_400.0))

# A CA allows 300 new orders of an account in three hours; above half of that the guard places no
# second order in an issuance.
MOST_ORDERS = (150, 10_800.0)

# How often in an issuance the CA is asked for what it has finished or is working on.
MOST_LOOKS = 8


def kind_of(readings: Sequence[Reading]) -> Kind:
    """Sum the readings of one failure up."""
    if any(reading.meaning is Meaning.RATE_LIMITED for reading in readings):
        return Kind.LIMITED
    ours = {Meaning.DENIED, Meaning.DNSSEC, Meaning.TRANSIENT}
    if not readings or any(reading.meaning not in ours for reading in readings):
        return Kind.NOT_OURS
    if any(reading.is_permanent for reading in readings):
        return Kind.PERMANENT
    return Kind.TRANSIENT


def wait_before(attempt: int, chance: float, kind: Kind = Kind.TRANSIENT) -> float:
    """The seconds to wait before a try.

    :param attempt: 0 before the first retry.
    :param chance: a number from 0 up to 1 that spreads clients that failed together.
    """
    waits = _WAITS_AFTER_LOSS if kind is Kind.LOST else _WAITS
    shortest, longest = waits[min(attempt, len(waits) - 1)]
    return shortest + (longest - shortest) * chance


def tries_left(retries: int, attempt: int, *, in_no_hurry: bool) -> int:
    """How many tries are left.

    :param retries: how many the user allows.
    :param attempt: how many were made.
    :param in_no_hurry: a later run is the better one: then there is one short try.
    """
    return min(retries, 1 if in_no_hurry else retries) - attempt


def rule_for(situation: Situation) -> Rule:
    """The row that counts."""
    return next(rule for rule in RULES if rule.fits(situation))


def next_step(situation: Situation) -> Step:
    """Look the next step up."""
    return rule_for(situation).step
