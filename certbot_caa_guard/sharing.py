"""One lookup for each owner name, whoever wants it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IBulkResolver, IResolver

_W = TypeVar("_W")


class Asking(Protocol):
    """How a resolver is asked: see IBulkResolver."""

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None: ...


def asking(resolver: IResolver) -> Asking:
    """How *resolver* is asked best."""
    if IBulkResolver.providedBy(resolver):
        bulk: Asking = resolver
        return bulk
    return OneByOne(resolver)


class OneByOne:
    """A resolver that knows no other way than ``lookup``: a task for each question."""

    def __init__(self, resolver: IResolver) -> None:
        self._resolver = resolver
        self._tasks: set[asyncio.Task[Lookup]] = set()

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None:
        """Ask for the CAA records of *owner*, and give *known* what was found."""
        task = asyncio.get_running_loop().create_task(self._resolver.lookup(owner, timeout))
        self._tasks.add(task)

        def done(task: asyncio.Task[Lookup]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                known(_outcome(task, owner))

        task.add_done_callback(done)


def _outcome(task: asyncio.Task[Lookup], owner: str) -> Lookup:
    """What came of a lookup; it may be anybody's code, and somebody waits for an outcome."""
    error = task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {"message": f"the lookup for {owner} failed", "exception": error}
        )
        return Lookup(owner, Outcome.NETWORK)
    lookup = task.result()
    return lookup if lookup.owner == owner else replace(lookup, owner=owner)


class Sharing(Generic[_W]):
    """The lookups of one perspective in one round.

    An owner is asked for once, as long as it is not among those that were wanted too long ago:
    so many may be known that memory is not to grow with them.
    """

    def __init__(
        self,
        ways: Asking,
        timeout: float,
        most: int,
        arrived: Callable[[_W, int, Lookup], None],
        place: int = 0,
    ) -> None:
        """:param most: how many lookups to remember, at most.
        :param arrived: told, with *place*, for each who waits for it that a lookup is there.
        """
        self._ways = ways
        self._place = place
        self._timeout = timeout
        self._arrived = arrived
        self._waiting: dict[str, list[_W]] = {}
        self._most = most
        # The one that was wanted least lately comes first.
        self._lookups: OrderedDict[str, Lookup] = OrderedDict()

    def want(self, owner: str, who: _W) -> Lookup | None:
        """The lookup for *owner*, if it is known; else *who* is told of it as soon as it is.

        That may be at once, before this returns None.
        """
        lookup = self._lookups.get(owner)
        if lookup is not None:
            self._lookups.move_to_end(owner)
            return lookup
        waiting = self._waiting.get(owner)
        if waiting is not None:
            waiting.append(who)
        else:
            self._waiting[owner] = [who]
            self._ways.ask(owner, self._timeout, self._known)
        return None

    def abandon(self) -> None:
        """Let nobody wait any longer: what the resolver will say does not count."""
        for owner, waiting in list(self._waiting.items()):
            del self._waiting[owner]
            for who in waiting:
                self._arrived(who, self._place, Lookup(owner, Outcome.TIMEOUT))

    def _known(self, lookup: Lookup) -> None:
        if len(self._lookups) >= self._most:
            self._lookups.popitem(last=False)
        self._lookups[lookup.owner] = lookup
        for who in self._waiting.pop(lookup.owner, ()):
            self._arrived(who, self._place, lookup)
