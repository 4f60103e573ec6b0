"""One issuance, whole: preflight, split, order, and what follows when the CA says no.

It drives an ACME client through :class:`~certbot_caa_guard.interfaces.IOrders` and knows
nothing of certbot.  Decisions are the mind's; what is here asks it what to do next, does it, and
tells it what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from certbot_caa_guard import problem, retry
from certbot_caa_guard.history import History, Kind
from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.names import Identifier, IdentifierError, is_ip_address, parse
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.retry import Budget, Status, Step
from certbot_caa_guard.split import OnFail, Split, split
from certbot_caa_guard.verdict import Evidence, Verdict, is_clock_right

_HOUR = 3600.0
_DAY = 24 * _HOUR
_REMEMBERED = 30 * _DAY

# A CA allows five failed authorizations for an identifier in an hour; the guard spends three.
_MOST_FAILED_AUTHORIZATIONS = 3


class Refused(Exception):  # noqa: N818 - it is the CA's answer, not an error of ours
    """The CA refused a step of the order.

    :ivar documents: the problem documents, each with the identifier of the authorization that it
        was found in, or None.
    :ivar cause: the ACME client's own exception, to be raised again where nothing helps.
    :ivar order: the order it happened to, as the client knows it; None where none is known.
    """

    def __init__(
        self,
        documents: Sequence[tuple[str | None, Mapping[str, object]]],
        cause: Exception,
        order: object = None,
    ) -> None:
        super().__init__(str(cause))
        self.documents = documents
        self.cause = cause
        self.order = order


class Hold(Exception):  # noqa: N818 - a turn in the flow, not an error
    """These names must be left out, and the rest ordered anew with a CSR of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


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


class Teller(Protocol):
    """How the user learns what goes on."""

    def doubtful(self, names: Sequence[str], wait: float) -> None:
        """Names that failed are asked about again after so many seconds."""

    def refused(self, readings: Sequence[Reading]) -> None:
        """The CA refused; what it said."""

    def next(self, step: Step, wait: float) -> None:
        """What comes next, and after how many seconds."""


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    :ivar retries: orders or finalizations tried again in one issuance.
    :ivar spare: names that the current certificate covers and that it can wait for.
    :ivar rejoining: names that were held and are to come back: whatever goes wrong with one of
        them, the rest must not suffer for it.
    :ivar may_split: False where the CSR is the user's own.
    """

    on_fail: OnFail = OnFail.SPLIT
    retries: int = 4
    spare: frozenset[str] = frozenset()
    rejoining: frozenset[str] = frozenset()
    may_split: bool = True


@dataclass(frozen=True)
class Survey:
    """The outcome of a preflight.

    :ivar verdicts: by identifier, in the order in which they were asked for.
    :ivar seconds: how long it took.
    :ivar unusable: the SPECs of perspectives that do not resolve the root.
    :ivar perspectives: how many perspectives answered.
    """

    verdicts: Mapping[str, Verdict]
    evidence: Mapping[str, Evidence]
    division: Split
    seconds: float
    perspectives: int
    unusable: tuple[str, ...] = ()
    clock_is_right: bool = True


@dataclass
class Surroundings:
    """What an issuance needs of the world; tests hand in their own.

    :ivar clock: monotonic seconds.
    :ivar sleep: waits so many seconds, showing that it does.
    :ivar chance: a random number from 0 up to 1.
    :ivar clock_skew: how many seconds our clock is ahead of the CA's; None where that cannot be
        known.
    :ivar explained: those identifiers for whose failed lookups an audit finds a reason.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    teller: Teller
    history: History
    patience: Patience
    clock_skew: Callable[[], float | None] = field(default=lambda: None)
    explained: Callable[[Sequence[Evidence]], Set[str]] = field(default=lambda _known: frozenset())


class Issuance:
    """One issuance of one certificate."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        preflight: Preflight | None,
        settings: Settings,
        surroundings: Surroundings,
    ) -> None:
        """:param names: the identifiers wanted; IP addresses have no CAA and pass untouched.
        :param preflight: None where the issuer is not known: then CAA cannot be judged.
        """
        self.names = list(names)
        self._identifiers = _parse_all(names)
        self._preflight = preflight
        self._settings = settings
        self._world = surroundings
        self._attempt = 0
        self._clock_was_checked = False

    def survey(self) -> Survey:
        """Ask about every name, until each has a verdict or the patience is spent."""
        preflight = self._preflight
        if preflight is None:
            return self._survey_of_nothing()
        start = self._world.clock()
        identifiers = list(self._identifiers.values())
        self._recall(identifiers)
        preflight.round(identifiers)
        self._check_clock(preflight)
        self._have_explained(preflight, identifiers)
        self._settle(identifiers)
        self._remember_failures(identifiers)
        verdicts = {name: preflight.verdict(one) for name, one in self._identifiers.items()}
        return Survey(
            verdicts,
            {name: preflight.evidence(one) for name, one in self._identifiers.items()},
            split(
                self.names,
                verdicts,
                on_fail=self._settings.on_fail,
                spare=self._settings.spare,
            ),
            self._world.clock() - start,
            perspectives=len(preflight.usable),
            unusable=tuple(one.name for one in preflight.unusable),
            clock_is_right=preflight.clock_is_right,
        )

    def authorized(self, orders: IOrders) -> object:
        """Place an order and get it authorized, trying again while that can help.

        :raises Hold: when names must be left out first.
        """
        while True:
            try:
                return orders.authorize(orders.place())
            except Refused as refused:
                self._note_failed_authorizations(refused)
                self._recover(refused, lambda: Status.INVALID)

    def finalized(self, orders: IOrders, order: object) -> object:
        """Finalize *order*, trying again while that can help, and return it with its certificate.

        :raises Hold: when names must be left out first.
        """
        while True:
            try:
                return orders.finalize(order)
            except Refused as refused:
                step = self._recover(refused, partial(_status, orders, order))
                if step is Step.ORDER_AGAIN:
                    order = self.authorized(orders)

    def without(self, names: Sequence[str]) -> None:
        """Go on without *names*."""
        for name in names:
            self.names.remove(name)
            self._identifiers.pop(name, None)

    def _survey_of_nothing(self) -> Survey:
        everything = Split(ordered=tuple(self.names))
        return Survey({}, {}, everything, seconds=0.0, perspectives=0)

    def _recall(self, identifiers: Sequence[Identifier]) -> None:
        """Tell the preflight what earlier runs saw."""
        if self._preflight is None:
            return
        history = self._world.history
        for identifier in identifiers:
            name = str(identifier)
            failed = history.count(Kind.LOOKUP_FAILED, name, within=_REMEMBERED)
            refused = history.count(Kind.CA_REFUSED, name, within=_DAY)
            self._preflight.report(identifier, failed_before=failed > 0, ca_refused=refused > 0)

    def _remember_failures(self, identifiers: Sequence[Identifier]) -> None:
        if self._preflight is None:
            return
        failed = [
            str(one)
            for one in identifiers
            if self._preflight.evidence(one).main_failure is not None
            and self._preflight.verdict(one) is not Verdict.PERMITTED
        ]
        self._world.history.record(Kind.LOOKUP_FAILED, failed)

    def _have_explained(self, preflight: Preflight, identifiers: Sequence[Identifier]) -> None:
        """Where one perspective alone saw a failure, the reason for it is as good as another."""
        unexplained = preflight.unexplained(identifiers)
        if not unexplained:
            return
        explained = self._world.explained(unexplained)
        for one in unexplained:
            preflight.report(one.identifier, explained=str(one.identifier) in explained)

    def _settle(self, identifiers: Sequence[Identifier]) -> None:
        """Make more rounds for the names that they could still decide about."""
        preflight = self._preflight
        if preflight is None:
            return
        while doubtful := preflight.in_doubt(identifiers):
            wait = preflight.next_round_in(doubtful)
            if self._world.patience.left < wait:
                return
            self._world.teller.doubtful([str(one) for one in doubtful], wait)
            self._wait(wait)
            self._ask_again(doubtful)

    def _ask_again(self, identifiers: Sequence[Identifier]) -> None:
        if self._preflight is None:
            return
        start = self._world.clock()
        self._preflight.round(identifiers)
        self._check_clock(self._preflight)
        self._world.patience.spend(self._world.clock() - start)

    def _check_clock(self, preflight: Preflight) -> None:
        """Signatures are valid from one time to another: with a wrong clock none can be judged."""
        if self._clock_was_checked or not preflight.saw_dnssec_failure:
            return
        self._clock_was_checked = True
        preflight.clock_is_right = is_clock_right(self._world.clock_skew())

    def _recover(self, refused: Refused, status: Callable[[], Status]) -> Step:
        """Do what must be done before the next try, and return which try that is.

        :param status: tells the order's, when it matters: a problem that is not about CAA costs
            not even a question.
        :raises Hold: when names must be left out.
        :raises Exception: the client's own, when nothing helps.
        """
        readings = self._readings(refused)
        wait = retry.wait_before(self._attempt, self._world.chance())
        budget = Budget(self._settings.retries - self._attempt, self._world.patience.left)
        known = status() if retry.kind_of(readings) is retry.Kind.TRANSIENT else Status.UNKNOWN
        step = retry.next_step(readings, known, budget, wait)
        self._report_to_preflight(readings)
        if step is Step.HOLD:
            self._hold([one.identifier for one in readings if one.is_permanent])
        if step in {Step.HOLD, Step.GIVE_BACK} or self._has_failed_often(readings):
            self._hold_if_broken(readings)
            self._hold_what_rejoins(refused, readings)
            raise refused.cause
        self._attempt += 1
        self._world.teller.refused(readings)
        self._world.teller.next(step, wait)
        self._wait(wait)
        self._look_again(readings)
        return step

    def _readings(self, refused: Refused) -> list[Reading]:
        """What the CA says, as far as it is about this very order."""
        readings = [
            reading
            for identifier, document in refused.documents
            for reading in problem.read(document, identifier=identifier)
        ]
        return [
            reading
            for reading in readings
            if reading.identifier is None or reading.identifier in self._identifiers
        ]

    def _report_to_preflight(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            if reading.identifier is None or reading.meaning not in _OF_CAA:
                continue
            denied = reading.meaning is Meaning.DENIED
            kind = Kind.CA_REFUSED if denied else Kind.CA_FAILED
            self._world.history.record(kind, [reading.identifier])
            if self._preflight is not None:
                identifier = self._identifiers[reading.identifier]
                self._preflight.report(identifier, ca_refused=denied, ca_failed=not denied)

    def _look_again(self, readings: Sequence[Reading]) -> None:
        """See for ourselves what became of the failing names, and hold those that are broken.

        Where the CA names only some of them, all are asked about.
        """
        named = {reading.identifier for reading in readings}
        if None in named or any(reading.others for reading in readings):
            named = set(self._identifiers)
        identifiers = [one for name, one in self._identifiers.items() if name in named]
        self._ask_again(identifiers)
        self._settle(identifiers)
        self._hold_if_broken(readings)

    def _hold_if_broken(self, readings: Sequence[Reading]) -> None:
        """Hold the names that hold by all that is known now, the CA's report among it."""
        if self._preflight is None or retry.kind_of(readings) is not retry.Kind.TRANSIENT:
            return
        self._hold(
            [
                name
                for name, identifier in self._identifiers.items()
                if self._preflight.verdict(identifier).holds
            ]
        )

    def _hold_what_rejoins(self, refused: Refused, readings: Sequence[Reading]) -> None:
        """Try once more without the names that came back, as if they never had.

        They may be what is wrong, even where the CA does not say so: a changed set of names
        meets other rate limits.
        """
        failing = {name for name, _ in refused.documents} | {one.identifier for one in readings}
        rejoining = [name for name in self.names if name in self._settings.rejoining]
        self._hold([name for name in rejoining if name in failing] or rejoining)

    def _hold(self, names: Sequence[str | None]) -> None:
        """:raises Hold: unless there is nothing to hold, or it may not be."""
        settings = self._settings
        failing = [name for name in dict.fromkeys(names) if name is not None]
        if (
            failing
            and settings.on_fail is OnFail.SPLIT
            and settings.may_split
            and not settings.spare.intersection(failing)
            and len(failing) < len(self.names)
        ):
            raise Hold(failing)

    def _note_failed_authorizations(self, refused: Refused) -> None:
        names = [name for name, _ in refused.documents if name is not None]
        self._world.history.record(Kind.AUTHORIZATION_FAILED, names)

    def _has_failed_often(self, readings: Sequence[Reading]) -> bool:
        return any(
            self._world.history.count(Kind.AUTHORIZATION_FAILED, reading.identifier, within=_HOUR)
            >= _MOST_FAILED_AUTHORIZATIONS
            for reading in readings
            if reading.identifier is not None and reading.at is problem.At.AUTHORIZATION
        )

    def _wait(self, seconds: float) -> None:
        self._world.sleep(seconds)
        self._world.patience.spend(seconds)


_OF_CAA = frozenset({Meaning.DENIED, Meaning.DNSSEC, Meaning.TRANSIENT})


def _parse_all(names: Sequence[str]) -> dict[str, Identifier]:
    """The names that CAA is looked up for; what is no DNS name is left to the CA."""
    identifiers = {}
    for name in names:
        if is_ip_address(name):
            continue
        try:
            identifiers[name] = parse(name)
        except IdentifierError:
            continue
    return identifiers


def _status(orders: IOrders, order: object) -> Status:
    try:
        return Status(orders.refresh(order))
    except ValueError:
        return Status.UNKNOWN
