"""From a failure of an order to the next try: asks the table, waits, looks, remembers."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from certbot_caa_guard import refusal, retry
from certbot_caa_guard.history import Kind as Event
from certbot_caa_guard.lookout import OF_CAA, Lookout
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.ratelimit import Limit
from certbot_caa_guard.refusal import Hold, Lost, Refused
from certbot_caa_guard.retry import Budget, Kind, Sight, Situation, Status, Step, Validations
from certbot_caa_guard.settings import Settings
from certbot_caa_guard.spending import Spending
from certbot_caa_guard.split import OnFail
from certbot_caa_guard.world import Surroundings

_DAY = 24 * 3600.0


@dataclass(frozen=True)
class _Failure:
    """A failure, read.

    :ivar error: what the client's orders raised.
    """

    error: Refused | Lost
    kind: Kind
    readings: Sequence[Reading]


class Recovery:
    """What an issuance does after each of its failures.

    :ivar stale: the identifiers that were last to be validated anew.
    """

    def __init__(
        self,
        names: Sequence[str],
        identifiers: Mapping[str, Identifier],
        *,
        lookout: Lookout | None,
        settings: Settings,
        world: Surroundings,
        spending: Spending,
    ) -> None:
        """:param names: what is ordered; whoever changes it changes *identifiers*, too."""
        self._names = names
        self._identifiers = identifiers
        self._lookout = lookout
        self._settings = settings
        self._world = world
        self._spending = spending
        self._attempt = 0
        self._looks = retry.MOST_LOOKS
        self._finalize_failed = 0
        self.stale: list[str] = []

    def after(self, error: Refused | Lost, status: Callable[[], Status]) -> Step:
        """Do what must be done before the next try, and return which try that is.

        :param status: tells the order's, when it matters: a problem that is not about CAA costs
            not even a question.
        :raises Hold: when names must be left out.
        :raises Exception: the client's own, when nothing helps.
        """
        failure = self._read(error)
        self._remember(failure)
        step = self._step_after(failure, status)
        while step is Step.LOOK_AGAIN:
            step = self._step_after(failure, status)
        return step

    def succeeded(self) -> None:
        """The certificate is there."""
        self._world.troubles.over(self)

    def may_hold(self, names: Sequence[str]) -> bool:
        """Whether *names* may be left out, and something is left then."""
        settings = self._settings
        return (
            bool(names)
            and settings.on_fail is OnFail.SPLIT
            and settings.may_split
            and not settings.spare.intersection(names)
            and len(names) < len(self._names)
        )

    def _read(self, error: Refused | Lost) -> _Failure:
        if isinstance(error, Lost):
            return _Failure(error, Kind.LOST, ())
        readings = [
            _with_end(one, error.until) for one in refusal.readings(error, self._identifiers)
        ]
        return _Failure(error, retry.kind_of(readings), readings)

    def _step_after(self, failure: _Failure, status: Callable[[], Status]) -> Step:
        wait = retry.wait_before(self._attempt, self._world.chance(), failure.kind)
        step = retry.next_step(self._situation(failure, status, wait))
        if step in {Step.FETCH, Step.KEEP_POLLING}:
            self._looks -= 1
            return step
        if step in retry.AT_ONCE:
            self._end(step, failure)
        self._attempt += 1
        self._world.teller.refused(failure.readings)
        self._world.teller.next(step, wait)
        self._watch(failure, wait)
        return step

    def _situation(self, failure: _Failure, status: Callable[[], Status], wait: float) -> Situation:
        asks = failure.kind in {Kind.TRANSIENT, Kind.LOST}
        self.stale = self._stale(failure)
        return Situation(
            failure.kind,
            status() if asks else Status.UNKNOWN,
            Sight.BROKEN if self.may_hold(self._broken()) else Sight.UNSEEN,
            Validations.RENEW if self.stale else Validations.KEEP,
            self._budget(failure).after(wait),
        )

    def _budget(self, failure: _Failure) -> Budget:
        tries = retry.tries_left(
            self._settings.retries, self._attempt, in_no_hurry=self._is_in_no_hurry
        )
        return Budget(
            tries=0 if self._exhausted(failure) else tries,
            seconds=self._world.patience.left,
            orders=self._spending.orders_left,
            looks=self._looks,
        )

    @property
    def _is_in_no_hurry(self) -> bool:
        return not self._settings.is_urgent or self._world.troubles.are_the_cas

    def _exhausted(self, failure: _Failure) -> list[str]:
        """The identifiers of which no other authorization may fail now."""
        return [
            one.identifier
            for one in failure.readings
            if one.at is At.AUTHORIZATION
            and one.meaning in OF_CAA
            and one.identifier is not None
            and self._spending.has_failed_often(one.identifier)
        ]

    def _stale(self, failure: _Failure) -> list[str]:
        """The failing identifiers that may be validated anew.

        That helps where others pass: for one alone, or for all, a finalize asks no more than a
        validation does.
        """
        if failure.kind is not Kind.TRANSIENT or self._finalize_failed < 2:
            return []
        failing = [
            one.identifier
            for one in failure.readings
            if one.at is At.FINALIZE and one.identifier is not None
        ]
        history = self._world.history
        if not 0 < len(failing) <= len(self._names) // 2:
            return []
        return [
            name
            for name in failing
            if not history.count(Event.AUTHORIZATION_DEACTIVATED, name, within=_DAY)
        ]

    def _remember(self, failure: _Failure) -> None:
        """Put what the CA says where this run and later ones find it."""
        if isinstance(failure.error, Refused):
            self._spending.authorizations_failed(
                [name for name, _ in failure.error.documents if name is not None]
            )
        for reading in failure.readings:
            if reading.limit is not None:
                self._spending.met(reading.limit, self._names)
            if reading.identifier is not None and reading.meaning in OF_CAA:
                denied = reading.meaning is Meaning.DENIED
                self._spending.failed_for_caa(reading.identifier, denied=denied)
        if self._lookout is not None:
            self._lookout.hear(failure.readings, list(self._identifiers.values()))
        if any(one.at is At.FINALIZE for one in failure.readings):
            self._finalize_failed += 1
        if failure.kind is Kind.TRANSIENT:
            owners = [one.owner or one.identifier for one in failure.readings]
            self._world.troubles.note(self, [one for one in owners if one is not None])

    def _watch(self, failure: _Failure, wait: float) -> None:
        """Wait, and see meanwhile for ourselves what becomes of the failing names."""
        if self._lookout is None or failure.kind is not Kind.TRANSIENT:
            self._world.wait(wait)
            return
        longest = 0.0 if self._is_in_no_hurry else self._world.patience.left
        self._lookout.watch(
            self._failing(failure), wait, longest, lambda: self.may_hold(self._broken())
        )
        self._hold(self._broken())

    def _failing(self, failure: _Failure) -> list[Identifier]:
        """The names that the CA says failed; all of them where it does not name every one."""
        named = {one.identifier for one in failure.readings}
        if None in named or any(one.others for one in failure.readings):
            named = set(self._identifiers)
        return [one for name, one in self._identifiers.items() if name in named]

    def _broken(self) -> list[str]:
        """The names that hold by all that is known now, the CA's report among it.

        But for those that are spared: these are for the CA to judge.
        """
        if self._lookout is None:
            return []
        preflight, spare = self._lookout.preflight, self._settings.spare
        return [
            name
            for name, one in self._identifiers.items()
            if name not in spare and preflight.verdict(one).holds
        ]

    def _end(self, step: Step, failure: _Failure) -> None:
        """Leave out what must or may be.

        :raises Hold: when there is something to leave out.
        :raises Exception: the client's own otherwise.
        """
        if step is Step.HOLD:
            self._hold(self._cannot_pass(failure))
        self._hold(self._exhausted(failure))
        if failure.kind is Kind.TRANSIENT:
            self._hold(self._broken())
        if isinstance(failure.error, Refused) and not _is_busy(failure):
            self._hold(self._what_rejoins(failure, failure.error))
        if step is Step.STOP:
            self._world.teller.refused(failure.readings)
            self._world.teller.next(step, 0.0)
        raise failure.error.cause

    def _cannot_pass(self, failure: _Failure) -> list[str]:
        named = [one.identifier for one in failure.readings if one.is_permanent]
        if self._lookout is not None and any(one.others for one in failure.readings):
            self._lookout.ask_again(self._failing(failure))
        found = [*named, *self._broken()]
        return [name for name in self._identifiers if name in found]

    def _what_rejoins(self, failure: _Failure, refused: Refused) -> list[str]:
        """What to leave out to try once more without names that came back, as if they never had.

        They may be what is wrong even where the CA names nobody: a changed set of names meets
        other rate limits.  Where it names others only, or one that must not fail again, another
        try would fail as well.
        """
        rejoining = [name for name in self._names if name in self._settings.rejoining]
        if any(name not in rejoining for name in self._exhausted(failure)):
            return []
        named = {name for name, _ in refused.documents}
        named |= {one.identifier for one in failure.readings}
        named.discard(None)
        names_all = bool(named) and not any(one.others for one in failure.readings)
        blamed = [name for name in rejoining if name in named]
        return blamed if blamed or names_all else rejoining

    def _hold(self, names: Sequence[str]) -> None:
        """:raises Hold: unless there is nothing to hold, or it may not be."""
        if self.may_hold(names):
            raise Hold(names)


def _with_end(reading: Reading, until: float | None) -> Reading:
    """The reading of a limit with when it ends, by the answer's Retry-After.

    That is better than a time in a text: our clock may differ from the CA's.
    """
    if reading.limit is None or until is None:
        return reading
    end = datetime.datetime.fromtimestamp(until, datetime.timezone.utc)
    return replace(reading, limit=replace(reading.limit, until=end))


def _is_busy(failure: _Failure) -> bool:
    """Whether the CA has too much to do, whatever is ordered."""
    return any(
        one.limit is not None and one.limit.limit is Limit.REQUESTS for one in failure.readings
    )
