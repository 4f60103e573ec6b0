"""What the guard sees of the names of one issuance: before the order, and while it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from certbot_caa_guard.history import Kind
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.retry import SOONEST, WATCH, Sight, Watch
from certbot_caa_guard.spending import Spending
from certbot_caa_guard.verdict import Result, Verdict, is_clock_right
from certbot_caa_guard.world import Surroundings

_REMEMBERED = 30 * 24 * 3600.0

# Looks during a wait are so far apart, from the first to the second and so on: other people's
# servers are asked, too.
_INTERVALS = (SOONEST, SOONEST, 12.0, 24.0, 48.0)

# Seconds that a round takes where all servers answer: a check is no wait.
_USUAL_ROUND = 1.0

_A_MOMENT = 0.01  # seconds: what is left of a wait by rounding is no wait

OF_CAA = frozenset({Meaning.DENIED, Meaning.DNSSEC, Meaning.TRANSIENT})


class Lookout:
    """Drives a preflight through rounds, and waits between them."""

    def __init__(self, preflight: Preflight, world: Surroundings, spending: Spending) -> None:
        self.preflight = preflight
        self._world = world
        self._spending = spending
        self._clock_was_checked = False

    def survey(self, identifiers: Sequence[Identifier]) -> None:
        """Ask about *identifiers* until each has a verdict or the patience is spent."""
        self._recall(identifiers)
        self._ask(identifiers, free=_USUAL_ROUND)
        self._have_explained(identifiers)
        self.settle(identifiers)
        self._remember_failures(identifiers)

    def hear(self, readings: Iterable[Reading], identifiers: Sequence[Identifier]) -> None:
        """Take what the CA says of *identifiers* for evidence."""
        known = {str(one): one for one in identifiers}
        for reading in readings:
            identifier = known.get(reading.identifier or "")
            if identifier is not None and reading.meaning in OF_CAA:
                denied = reading.meaning is Meaning.DENIED
                self.preflight.report(identifier, ca_refused=denied, ca_failed=not denied)

    def ask_again(self, identifiers: Sequence[Identifier]) -> None:
        """Make another round, and take its time off the patience."""
        self._ask(identifiers, free=0.0)

    def _ask(self, identifiers: Sequence[Identifier], *, free: float) -> None:
        """Make a round, and take its time off the patience, but for so many seconds."""
        start = self._world.clock()
        self.preflight.round(identifiers)
        self._check_clock()
        self._world.patience.spend(max(0.0, self._world.clock() - start - free))

    def settle(self, identifiers: Sequence[Identifier]) -> None:
        """Make more rounds for the names that they could still decide about."""
        while doubtful := self.preflight.in_doubt(identifiers):
            wait = self.preflight.next_round_in(doubtful)
            if self._world.patience.left < wait:
                return
            self._world.teller.doubtful([str(one) for one in doubtful], wait)
            self._world.wait(wait)
            self.ask_again(doubtful)

    def watch(
        self,
        identifiers: Sequence[Identifier],
        wait: float,
        longest: float,
        may_split: Callable[[], bool],
    ) -> None:
        """Wait, look meanwhile, and end it as soon as it is known how it ends.

        The first look is at all of *identifiers*, the others at those that fail.

        :param longest: for so many seconds at most it goes on where more looks could still make
            sure that a name is broken.
        :param may_split: whether what is broken may be left out.
        """
        since = self._world.clock()
        watched, looks = list(identifiers), 0
        while True:
            left = wait - (self._world.clock() - since)
            interval = _INTERVALS[min(looks, len(_INTERVALS) - 1)]
            if left >= _A_MOMENT and left - interval < SOONEST:
                interval = left
            elif left < _A_MOMENT:
                doubtful = self.preflight.in_doubt(watched)
                if not doubtful or min(longest, self._world.patience.left) < interval:
                    return
                self._world.teller.doubtful([str(one) for one in doubtful], interval)
            longest -= interval
            self._world.wait(interval)
            self.ask_again(watched)
            looks += 1
            now = WATCH[self.sight(identifiers, since)]
            if now is Watch.GO or (now is Watch.SPLIT and may_split()):
                return
            watched = [one for one in watched if self._fails(one)] or watched

    def sight(self, identifiers: Sequence[Identifier], since: float) -> Sight:
        """What is seen of *identifiers* together.

        :param since: the time from which on a failure counts that is over.
        """
        preflight = self.preflight
        if any(preflight.verdict(one).holds for one in identifiers):
            return Sight.BROKEN
        made = [preflight.evidence(one).counting for one in identifiers]
        if not made or not all(made):
            return Sight.UNSEEN
        if any(self._fails(one) for one in identifiers):
            return Sight.FAILING
        failed = any(
            one.result is not Result.PERMITTED and one.at >= since for each in made for one in each
        )
        return Sight.RECOVERED if failed else Sight.CLEAN

    def _fails(self, identifier: Identifier) -> bool:
        made = self.preflight.evidence(identifier).counting
        return any(
            one.result is not Result.PERMITTED for one in made if one.round == made[-1].round
        )

    def _have_explained(self, identifiers: Sequence[Identifier]) -> None:
        """Where one perspective alone saw a failure, the reason for it is as good as another."""
        unexplained = self.preflight.unexplained(identifiers)
        if not unexplained:
            return
        explained = self._world.explained(unexplained)
        for one in unexplained:
            self.preflight.report(one.identifier, explained=str(one.identifier) in explained)

    def _recall(self, identifiers: Sequence[Identifier]) -> None:
        """Tell the preflight what earlier runs saw."""
        history, began = self._world.history, self._world.began
        for identifier in identifiers:
            name = str(identifier)
            failed = history.count(Kind.LOOKUP_FAILED, name, within=_REMEMBERED, before=began)
            self.preflight.report(
                identifier,
                failed_before=failed > 0,
                ca_refused=self._spending.was_denied(name),
            )

    def _remember_failures(self, identifiers: Sequence[Identifier]) -> None:
        failed = [
            str(one)
            for one in identifiers
            if self.preflight.evidence(one).main_failure is not None
            and self.preflight.verdict(one) is not Verdict.PERMITTED
        ]
        self._world.history.record(Kind.LOOKUP_FAILED, failed)

    def _check_clock(self) -> None:
        """Signatures are valid from one time to another: with a wrong clock none can be judged."""
        if self._clock_was_checked or not self.preflight.saw_dnssec_failure:
            return
        self._clock_was_checked = True
        self.preflight.clock_is_right = is_clock_right(self._world.clock_skew())
