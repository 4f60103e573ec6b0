"""The driver of walks: asks what they say, for many lookups side by side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable

from zope.interface import implementer

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers.gate import Gate
from certbot_caa_guard.resolvers.iterative import root
from certbot_caa_guard.resolvers.iterative.addresses import Reachability, own_networks
from certbot_caa_guard.resolvers.iterative.exchange import exchange, families, reaction
from certbot_caa_guard.resolvers.iterative.memory import Memory
from certbot_caa_guard.resolvers.iterative.message import (
    CAA,
    NS,
    MessageError,
    Name,
    Question,
    name_from_text,
    name_to_text,
)
from certbot_caa_guard.resolvers.iterative.walk import Ask, Done, Walk
from certbot_caa_guard.resolvers.manners import Manners
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.verdict import Perspective

_FAMILIES_KNOWN_FOR = 10.0  # seconds; networks come and go
# Nobody waits longer than this for another lookup's question before asking the same.
_FOLLOWER_PATIENCE = 1.0


@implementer(IResolver)
class IterativeResolver:
    """Asks authoritative servers itself, beginning at the root."""

    def __init__(
        self,
        perspective: Perspective,
        root_hints: str | os.PathLike[str] | None = None,
        *,
        manners: Manners | None = None,
        rate: int | None = None,
        dice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """:param root_hints: a file in the format of named.root; then name servers may be on
            loopback and in private networks, and pace does not matter.  The public root if None.
        :param manners: how much servers are asked; the usual ones if None.
        :param rate: how many questions a second to all of them; as the manners say if None.
        :param dice: for the order of servers, IDs and the case of letters.
        :param clock: monotonic, in seconds.
        :raises ResolverError: when the root hints are of no use.
        """
        self.perspective = perspective
        self._root = root.built_in() if root_hints is None else root.from_file(root_hints)
        self._own = frozenset[str]() if root_hints is None else own_networks(self._root.addresses)
        manners = manners or (Manners() if root_hints is None else Manners.at_home())
        self._lookups = manners.lookups
        self._gate: Gate[Name] = Gate(manners.at_rate(rate), clock)
        self._dice = dice or random.SystemRandom()
        self._clock = clock
        self._memory = Memory(self._root)
        self._families: tuple[float, frozenset[int]] = (float("-inf"), frozenset())
        self._traffic: _Traffic | None = None

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether a server of the root answers for the root."""
        try:
            done = await asyncio.wait_for(self.walk(Question((), NS), timeout), timeout)
        except (TimeoutError, asyncio.TimeoutError):
            return False
        return done.outcome is Outcome.RECORDS

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*.

        The time that questions wait for their own turn does not count, up to *timeout* more.
        """
        async with self._current_traffic().room:
            start = self._clock()
            try:
                question = Question(name_from_text(owner), CAA)
                done = await asyncio.wait_for(self.walk(question, timeout), 2 * timeout)
                records = tuple(caa.parse_rdata(rdata) for rdata in done.rdatas)
            except (TimeoutError, asyncio.TimeoutError):
                return Lookup(owner, Outcome.TIMEOUT, seconds=self._clock() - start)
            except (MessageError, caa.MalformedRdataError):
                return Lookup(owner, Outcome.MALFORMED, seconds=self._clock() - start)
            zone = None if done.zone is None else name_to_text(done.zone)
            alias_of = None if done.alias_of is None else name_to_text(done.alias_of)
            seconds = self._clock() - start
            return Lookup(
                owner, done.outcome, records, zone=zone, seconds=seconds, alias_of=alias_of
            )

    def close(self) -> None:
        """Nothing is kept open between questions."""

    async def walk(self, question: Question, timeout: float) -> Done:
        """Look up any question, from the root to its end.

        :param timeout: seconds to give up after, without the time that questions wait.
        """
        traffic = self._current_traffic()
        walk = Walk(
            question,
            self._memory,
            Reachability(self._current_families(), self._own),
            dice=self._dice,
            deadline=self._clock() + timeout,
        )
        followed: set[tuple[Name, Name]] = set()
        while isinstance(ask := walk.next(self._clock()), Ask):
            if ask.cut is not None and ask.cut not in followed:
                followed.add(ask.cut)
                if await traffic.follow(ask.cut):
                    continue
            came = self._clock()
            async with traffic.leading(ask.cut), self._gate.turn(ask.address, ask.zone) as turn:
                walk.deadline += turn.started - came
                result = await exchange(ask, self._dice)
                turn.reaction = reaction(result)
                now = self._clock()
                walk.feed(ask, result, now, now - turn.started)
        return ask

    def _current_families(self) -> frozenset[int]:
        known_until, found = self._families
        if self._clock() >= known_until:
            found = families(self._root.addresses)
            self._families = (self._clock() + _FAMILIES_KNOWN_FOR, found)
        return found

    def _current_traffic(self) -> _Traffic:
        """What is under way in this event loop; another loop cannot wait for it."""
        loop = asyncio.get_running_loop()
        if self._traffic is None or self._traffic.loop is not loop:
            self._traffic = _Traffic(loop, self._lookups)
        return self._traffic


class _Traffic:
    """The questions under way in one event loop.

    :ivar room: held by each lookup.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, lookups: int) -> None:
        self.loop = loop
        self.room = asyncio.Semaphore(lookups)
        self._leaders: dict[tuple[Name, Name], asyncio.Event] = {}

    async def follow(self, cut: tuple[Name, Name]) -> bool:
        """Wait for whoever is asking about *cut*; tell whether there was anybody."""
        leader = self._leaders.get(cut)
        if leader is None:
            return False
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(leader.wait(), _FOLLOWER_PATIENCE)
        return True

    @contextlib.asynccontextmanager
    async def leading(self, cut: tuple[Name, Name] | None) -> AsyncIterator[None]:
        """Let others follow, if nobody leads yet, until this ends."""
        if cut is None or cut in self._leaders:
            yield
            return
        done = self._leaders[cut] = asyncio.Event()
        try:
            yield
        finally:
            del self._leaders[cut]
            done.set()


def iterative(spec: Spec) -> IterativeResolver:
    """Our own walk, from the root that *spec* says.

    :raises ResolverError: when the root hints are of no use.
    """
    perspective = Perspective(spec.text, public=True, addresses=frozenset())
    return IterativeResolver(perspective, spec.root_hints, rate=spec.rate)
