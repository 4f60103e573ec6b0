"""One lookup for each owner name, whoever wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Generic, Protocol, TypeVar

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IBulkResolver
from certbot_caa_guard.witness import Witness

_W = TypeVar("_W")


class Asking(Protocol):
    """How a resolver is asked: see IBulkResolver."""

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None: ...


def asking(witness: Witness) -> Asking:
    """How a resolver is asked best."""
    if IBulkResolver.providedBy(witness.resolver):
        bulk: Asking = witness.resolver
        return bulk
    return OneByOne(witness)


class OneByOne:
    """A resolver that knows no other way than ``lookup``: a task for each question."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._tasks: set[asyncio.Task[Lookup]] = set()

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None:
        """Ask for the CAA records of *owner*, and give *known* what was found."""
        task = asyncio.get_running_loop().create_task(self._witness.lookup(owner, timeout))
        self._tasks.add(task)

        def done(task: asyncio.Task[Lookup]) -> None:
            self._tasks.discard(task)
            # What a witness raises is an interrupt, and ends the loop itself.
            if not task.cancelled() and task.exception() is None:
                known(task.result())

        task.add_done_callback(done)


class Rung(Generic[_W]):
    """One owner name on the climb to the TLD, shared by all the names that are climbed from below.

    :ivar above: its parent; None at the TLD.
    :ivar lookup: None until it is known.
    :ivar settled: whether all that counts is known: its lookup, and all above it up to the first
        with records (RFC 8659 section 3), or to the TLD.
    :ivar relevant: once settled, the first rung from here on with records.
    :ivar easy: once settled, whether no lookup below those records failed, or none at all:
        :func:`certbot_caa_guard.climb.climb` would meet no failure.
    """

    __slots__ = ("_below", "_waiting", "above", "easy", "lookup", "owner", "relevant", "settled")

    def __init__(self, owner: str, above: Rung[_W] | None) -> None:
        self.owner = owner
        self.above = above
        self.lookup: Lookup | None = None
        self.settled = False
        self._waiting: list[_W] | None = None
        self._below: list[Rung[_W]] | None = None
        if above is not None and not above.settled:
            above.precede(self)

    def lookups(self) -> dict[str, Lookup]:
        """What is known from here on, by owner."""
        known = {}
        rung: Rung[_W] | None = self
        while rung is not None:
            if rung.lookup is not None:
                known[rung.owner] = rung.lookup
            rung = rung.above
        return known

    def wait(self, who: _W) -> None:
        """Have *who* told when it is settled."""
        if self._waiting is None:
            self._waiting = [who]
        else:
            self._waiting.append(who)

    def precede(self, below: Rung[_W]) -> None:
        """Have *below* settled, when it is known itself, as soon as this is."""
        if self._below is None:
            self._below = [below]
        else:
            self._below.append(below)

    def settle(self, lookup: Lookup, told: Callable[[_W], None]) -> None:
        """Take what was found; where nothing is missing above, so it is for those below."""
        self.lookup = lookup
        above = self.above
        outcome = lookup.outcome
        if above is not None and not above.settled and outcome is not Outcome.RECORDS:
            return
        if outcome is Outcome.RECORDS:
            self.relevant: Rung[_W] | None = self
            self.easy = True
        elif above is None:
            self.relevant = None
            self.easy = outcome is Outcome.NOTHING
        else:
            self.relevant = above.relevant
            self.easy = above.easy and (outcome is Outcome.NOTHING or outcome is Outcome.NXDOMAIN)
        self.settled = True
        if self._waiting is not None:
            for who in self._waiting:
                told(who)
            self._waiting = None
        if self._below is not None:
            for below in self._below:
                if below.lookup is not None and not below.settled:
                    below.settle(below.lookup, told)
            self._below = None


class Sharing(Generic[_W]):
    """The lookups of one perspective in one round.

    An owner is asked for once, as long as it is not among those that were wanted too long ago:
    so many may be known that memory is not to grow with them.
    """

    def __init__(
        self, ways: Asking, timeout: float, most: int, settled: Callable[[_W], None]
    ) -> None:
        """:param most: how many lookups to remember, at most.
        :param settled: told for each who waits that all lookups that it needs are there.
        """
        self._ways = ways
        self._timeout = timeout
        self._settled = settled
        self._asked: dict[str, Rung[_W]] = {}
        self._most = most
        # The one that was wanted last comes last.
        self._known: dict[str, Rung[_W]] = {}

    def want(self, owner: str, who: _W) -> Rung[_W]:
        """The rung for *owner*; where it is not settled yet, *who* is told when it is."""
        rung = self._rung(owner)
        if not rung.settled:
            rung.wait(who)
        return rung

    def abandon(self) -> None:
        """Let nobody wait any longer: what the resolver will say does not count."""
        for owner in list(self._asked):
            self._arrived(Lookup(owner, Outcome.TIMEOUT))

    def _rung(self, owner: str) -> Rung[_W]:
        """The rung for *owner*; asked for, as all above it, unless it is there."""
        rung = self._known.pop(owner, None)
        if rung is not None:
            self._known[owner] = rung
            return rung
        rung = self._asked.get(owner)
        if rung is None:
            _, dot, parent = owner.partition(".")
            rung = self._asked[owner] = Rung(owner, self._rung(parent) if dot else None)
            self._ways.ask(owner, self._timeout, self._arrived)
        return rung

    def _arrived(self, lookup: Lookup) -> None:
        rung = self._asked.pop(lookup.owner, None)
        if rung is None:
            return  # it was abandoned
        if len(self._known) >= self._most:
            # Several at a time: the first of a dict is hard to find when many before it are gone.
            for owner in list(islice(self._known, self._most // 8 + 1)):
                del self._known[owner]
        self._known[lookup.owner] = rung
        rung.settle(lookup, self._settled)
