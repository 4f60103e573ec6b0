"""Many identifiers, one after another: asked about side by side, settled as each is known.

Memory stays the same however many there are: input is read as it is needed, so many identifiers
are under way at most, and owners are remembered up to a bound.  An identifier with an error waits
aside for its next round and holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from certbot_caa_guard import verdict
from certbot_caa_guard.caa import Requester
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.pausing import PausingLoop
from certbot_caa_guard.sharing import Rung, Sharing, asking
from certbot_caa_guard.verdict import Determination, Perspective
from certbot_caa_guard.witness import Witness

_PROBE_TIMEOUT = 5.0
_FIRST_TIMEOUT = 5.0
# A CA waits for about so long before it calls a server silent.
_PATIENT_TIMEOUT = 20.0

_MOST_UNDER_WAY = 1_000
_MOST_ASIDE = 10_000
_MOST_IN_LATER_ROUNDS = 20_000  # owners remembered of each of these
_MOST_OUT_OF_ORDER = 10_000

_POLL = 0.05  # seconds between two looks whether there is more input
_SHOW = 0.25  # seconds between two reports of progress

Q = TypeVar("Q")


class Case(Generic[Q]):
    """One identifier on its way to a verdict.

    :ivar identifier: None for an IP address: there is nothing to ask.
    :ivar rungs: where the climb begins, by perspective, in the present round.
    :ivar usable: the places and perspectives that have a say.
    :ivar made: what was determined; nothing yet where nothing failed in the first round.
    """

    __slots__ = (
        "identifier",
        "index",
        "made",
        "missing",
        "query",
        "round",
        "rungs",
        "usable",
    )

    def __init__(self, index: int, query: Q, identifier: Identifier | None) -> None:
        self.index = index
        self.query = query
        self.identifier = identifier
        self.round = 1
        self.missing = 0
        self.rungs: dict[int, Rung[Case[Q]]] = {}
        self.usable: Sequence[tuple[int, Perspective]] = ()
        self.made: tuple[Determination, ...] = ()


@dataclass(frozen=True)
class Settings(Generic[Q]):
    """What a stream needs from outside.

    :ivar identify: what CAA is looked up for; None for an IP address.
    :ivar requester_for: who would issue.
    :ivar rounds: how often to ask about an identifier with an error.
    :ivar interval: seconds between two rounds about one, at least.
    :ivar remembered: how many owners' lookups to remember.
    :ivar clock: monotonic, in seconds.
    :ivar sleep: waits while nothing else is to be done.
    :ivar progress: told now and then how many are done, and of how many so far.
    """

    identify: Callable[[Q], Identifier | None]
    requester_for: Callable[[Q], Requester]
    rounds: int
    interval: float
    remembered: int
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    progress: Callable[[int, int], None] = field(default=lambda _done, _of: None)


class Outlet(Protocol[Q]):
    """In which order cases leave."""

    def put(self, case: Case[Q]) -> None:
        """Take a settled case."""

    def take(self) -> list[Case[Q]]:
        """Those that may leave."""

    def room(self, index: int) -> int:
        """How many to begin with from that place of the input on."""


class AsKnown(Generic[Q]):
    """Each leaves as soon as it is settled."""

    def __init__(self) -> None:
        self._settled: list[Case[Q]] = []

    def put(self, case: Case[Q]) -> None:
        """Take a settled case."""
        self._settled.append(case)

    def take(self) -> list[Case[Q]]:
        """Those that may leave."""
        settled, self._settled = self._settled, []
        return settled

    def room(self, _index: int) -> int:
        """How many to begin with from that place of the input on: as many as may be under way."""
        return _MOST_UNDER_WAY


class InOrder(Generic[Q]):
    """In the order of the input; only so far ahead of the first that is not settled."""

    def __init__(self, most: int = _MOST_OUT_OF_ORDER) -> None:
        self._most = most
        self._next = 0
        self._settled: dict[int, Case[Q]] = {}

    def put(self, case: Case[Q]) -> None:
        """Take a settled case."""
        self._settled[case.index] = case

    def take(self) -> list[Case[Q]]:
        """Those that may leave."""
        leaving = []
        while (case := self._settled.pop(self._next, None)) is not None:
            leaving.append(case)
            self._next += 1
        return leaving

    def room(self, index: int) -> int:
        """How many to begin with from that place of the input on."""
        return self._next + self._most - index


class Stream(Generic[Q]):
    """Asks several perspectives about many identifiers.

    :ivar unusable: the perspectives that do not resolve the root in this run, or are at fault.
    :ivar usable: those that do.
    """

    def __init__(
        self, resolvers: Sequence[IResolver], settings: Settings[Q], outlet: Outlet[Q]
    ) -> None:
        self.unusable: tuple[Perspective, ...] = ()
        self._settings = settings
        self._outlet = outlet
        self._witnesses = [Witness(resolver, self._at_fault) for resolver in resolvers]
        self._asking = [asking(witness) for witness in self._witnesses]
        # By perspective, and by round from the first on.
        self._sharings: list[list[Sharing[Case[Q]]]] = [[] for _ in resolvers]
        self._usable = [(place, one.perspective) for place, one in enumerate(resolvers)]
        self._loop = PausingLoop()
        self._loop.set_exception_handler(self._went_wrong)
        self._source: Iterator[Q | None] = iter(())
        self._fresh: list[tuple[Q, Identifier | None]] = []  # read, and not begun with yet
        self._exhausted = False
        self._starved = False
        self._error: BaseException | None = None  # of the input
        self._failure: BaseException | None = None  # of ours
        self._begun = self._done = 0
        self._shown = 0.0
        self._under_way = 0
        self._waited_until = 0.0
        self._aside: deque[tuple[float, Case[Q]]] = deque()
        self._unprobed: list[Case[Q]] = []
        self._probing: asyncio.Task[None] | None = None
        self._polling: asyncio.TimerHandle | None = None
        self._stopping = self._ending = False

    @property
    def usable(self) -> tuple[Perspective, ...]:
        """The perspectives that resolve the root in this run."""
        return tuple(perspective for _, perspective in self._usable)

    def run(self, queries: Iterable[Q | None]) -> Generator[list[Case[Q]], None, None]:
        """Yield cases as they are settled, several at a time.

        When *queries* raises, what was read before is settled first.

        :param queries: read as there is room; None says that there is nothing to read just now.
        """
        self._source = iter(queries)
        try:
            self._loop.call_soon(self._probe_again)
            while not self._is_at_end():
                self._stopping = False
                self._read()
                self._loop.call_soon(self._advance)
                self._loop.run_forever()
                if self._failure is not None:
                    raise self._failure
                leaving = self._outlet.take()
                self._show(len(leaving))
                if leaving:
                    yield leaving
                elif self._has_only_to_wait():
                    self._wait()
            if self._error is not None:
                raise self._error
        finally:
            self.close()

    def close(self) -> None:
        """End what is under way."""
        self._ending = True
        self._loop.end()

    # Time and input

    def _is_at_end(self) -> bool:
        return self._exhausted and not self._under_way and not self._aside and self._probing is None

    def _has_only_to_wait(self) -> bool:
        """Whether nothing is to be done until somebody's next round."""
        busy = self._under_way or self._probing is not None or self._starved
        return bool(self._aside) and not busy

    def _wait(self) -> None:
        """Sleep until the next round; afterwards it is time for it, whatever the clock says."""
        due, _ = self._aside[0]
        wait = due - self._settings.clock()
        if wait > 0:
            self._settings.sleep(wait)
        self._waited_until = due

    def _advance(self) -> None:
        """Begin with what there is room for; the loop goes on until something is settled."""
        now = max(self._settings.clock(), self._waited_until)
        if self._aside and self._aside[0][0] <= now:
            self._release(now)
        for query, identifier in self._fresh:
            self._begin(query, identifier)
        self._fresh = []
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        if not self._under_way and self._probing is None and not self._starved:
            self._stop()
        elif self._starved or self._aside:
            self._polling = self._loop.call_later(_POLL, self._stop)

    def _stop(self) -> None:
        """Let the loop stop, after what is to be done at once."""
        if not self._stopping:
            self._stopping = True
            self._loop.call_soon(self._pause)

    def _pause(self) -> None:
        if not self._ending:
            self._loop.stop()

    def _read(self) -> None:
        """Read as many as there is room for, however long that takes: the loop's time stands still.

        Once, for they may be settled without a question.
        """
        self._starved = False
        identify = self._settings.identify
        for _ in range(0 if self._exhausted else self._room()):
            try:
                query = next(self._source)
                identifier = None if query is None else identify(query)
            except StopIteration:
                self._exhausted = True
                return
            except Exception as error:  # noqa: BLE001 - raised when all before it is settled
                self._error = error
                self._exhausted = True
                return
            if query is None:
                self._starved = True
                return
            self._fresh.append((query, identifier))

    def _room(self) -> int:
        """How many may be read now."""
        if len(self._aside) >= _MOST_ASIDE:
            return 0
        return min(_MOST_UNDER_WAY - self._under_way, self._outlet.room(self._begun))

    def _show(self, more: int) -> None:
        self._done += more
        now = self._loop.time()
        if now - self._shown >= _SHOW or self._is_at_end():
            self._shown = now
            self._settings.progress(self._done, self._begun)

    def _went_wrong(self, _loop: object, context: dict[str, Any]) -> None:
        self._failure = context.get("exception") or RuntimeError(context["message"])
        self._stop()

    # Cases

    def _begin(self, query: Q, identifier: Identifier | None) -> None:
        case = Case(self._begun, query, identifier)
        self._begun += 1
        self._under_way += 1
        self._climb(case)

    def _climb(self, case: Case[Q]) -> None:
        """Ask for all owners at once, as a CA does."""
        if case.identifier is None:
            self._settle(case)
            return
        domain = case.identifier.domain
        for place, _ in self._usable:
            rung = self._sharing(place, case.round).want(domain, case)
            case.rungs[place] = rung
            if not rung.settled:
                case.missing += 1
        if not case.missing:
            self._climbed(case)

    def _sharing(self, place: int, round_: int) -> Sharing[Case[Q]]:
        sharings = self._sharings[place]
        if len(sharings) < round_:
            first = not sharings
            sharings.append(
                Sharing(
                    self._asking[place],
                    _FIRST_TIMEOUT if first else _PATIENT_TIMEOUT,
                    self._settings.remembered if first else _MOST_IN_LATER_ROUNDS,
                    self._arrived,
                )
            )
        return sharings[round_ - 1]

    def _arrived(self, case: Case[Q]) -> None:
        """One perspective knows all that is to be known in this round."""
        case.missing -= 1
        if not case.missing:
            self._climbed(case)

    def _climbed(self, case: Case[Q]) -> None:
        """All lookups of a round are there."""
        if self._probing is not None:
            self._unprobed.append(case)
            return
        case.usable = self._usable
        if case.round == 1 and _is_easy(case):
            self._settle(case)
            return
        case.made += self._determine(case)
        if case.round < self._settings.rounds and _failed(case):
            self._under_way -= 1
            self._aside.append((self._settings.clock() + self._settings.interval, case))
            self._stop()
        else:
            self._settle(case)

    def _settle(self, case: Case[Q]) -> None:
        self._under_way -= 1
        self._outlet.put(case)
        if not self._stopping:
            self._stop()

    def _determine(self, case: Case[Q]) -> tuple[Determination, ...]:
        """What the perspectives that have a say determine in this round."""
        identifier = case.identifier
        if identifier is None:
            return ()
        now = self._settings.clock()
        requester = self._settings.requester_for(case.query)
        return tuple(
            verdict.determine(
                identifier,
                case.rungs[place].lookups(),
                perspective=perspective,
                requester=requester,
                round=case.round,
                at=now,
            )
            for place, perspective in case.usable
        )

    def determinations(self, case: Case[Q]) -> tuple[Determination, ...]:
        """All that was determined about a settled case."""
        return case.made or self._determine(case)

    def _release(self, now: float) -> None:
        """Begin the next round about all whose time has come."""
        self._probe_again()
        while self._aside and self._aside[0][0] <= now:
            _, case = self._aside.popleft()
            case.round += 1
            case.rungs = {}
            self._under_way += 1
            self._climb(case)

    # Perspectives

    def _probe_again(self) -> None:
        """Find out who resolves the root now: who does not has no say about names."""
        if self._probing is None and self._usable:
            self._probing = self._loop.create_task(self._probe())

    async def _probe(self) -> None:
        probed = self._usable
        works = await asyncio.gather(
            *(self._witnesses[place].is_usable(_PROBE_TIMEOUT) for place, _ in probed)
        )
        self._dismiss(place for (place, _), does in zip(probed, works, strict=True) if not does)
        self._probing = None
        unprobed, self._unprobed = self._unprobed, []
        for case in unprobed:
            self._climbed(case)
        self._stop()

    def _at_fault(self) -> None:
        """Dismiss a resolver that has raised, but not while its answers are being awaited."""
        self._loop.call_soon(self._dismiss_those_at_fault)

    def _dismiss_those_at_fault(self) -> None:
        self._dismiss(place for place, one in enumerate(self._witnesses) if one.has_failed)

    def _dismiss(self, places: Iterable[int]) -> None:
        """Let the perspectives at *places* have no say any more, and nobody wait for them."""
        dismissed = set(places)
        leaving = [one for one in self._usable if one[0] in dismissed]
        self._usable = [one for one in self._usable if one[0] not in dismissed]
        for place, perspective in leaving:
            self.unusable += (perspective,)
            for sharing in self._sharings[place]:
                sharing.abandon()


def _is_easy(case: Case[Any]) -> bool:
    """Whether :func:`verdict.determine` would see no failure."""
    for place, _ in case.usable:  # noqa: SIM110 - a generator takes longer, for every name
        if not case.rungs[place].easy:
            return False
    return True


def _failed(case: Case[Any]) -> bool:
    """Whether a perspective failed in the last round."""
    return any(one.failure is not None for one in case.made if one.round == case.round)
