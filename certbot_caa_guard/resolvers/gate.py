"""Holding questions to authoritative servers back until those bear them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from certbot_caa_guard.resolvers.manners import Allowance, Manners, Reaction

# Of whom something is remembered, at the same time.
_CAPACITY = 10_000

K = TypeVar("K", bound=Hashable)


@dataclass(eq=False)
class Turn(Generic[K]):
    """A question that was let through.

    :ivar lines: the places that it takes.
    :ivar started: when.
    :ivar reaction: what came of it; whoever asked it says so.
    :ivar settled: whether it has been counted; see :meth:`Gate.settle`.
    """

    server: str
    zone: K
    lines: list[_Line]
    started: float
    reaction: Reaction = Reaction.NOT_ASKED
    settled: bool = False


class Gate(Generic[K]):
    """Lets questions through when their server, their zone and all of them together allow.

    It belongs to the event loop that it is used in; what was under way in an earlier one is over.
    """

    def __init__(self, manners: Manners, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: monotonic, in seconds."""
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._all = _Line(manners.towards_all())
        self._zones: _Lines[K] = _Lines(manners.towards_zone)
        self._servers: _Lines[str] = _Lines(manners.towards_server)
        self._manners = manners
        self._has_answered: OrderedDict[tuple[str, K | None], None] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, server: str, zone: K) -> AsyncIterator[Turn[K]]:
        """Wait until *server* may be asked about a name in *zone*; the turn ends with the block.

        :param server: its address, or what else stands for it.
        """
        self._attach(asyncio.get_running_loop())
        lines = [self._zones.of(zone), self._servers.of(server), self._all]
        await self._wait(lines)
        turn = Turn(server, zone, lines, self._clock())
        try:
            yield turn
        finally:
            self.settle(turn)
            self._leave(turn.lines[-1:])

    def settle(self, turn: Turn[K]) -> None:
        """Let others ask that server and zone, by what *turn* says of them.

        At the latest when the turn ends; before that where a question that is not answered soon
        is no burden any more, and only waits.
        """
        if turn.settled:
            return
        turn.settled = True
        self._learn(turn)
        self._leave(turn.lines[:-1])

    def allowance(self, server: str) -> Allowance:
        """What *server* bears now."""
        return self._servers.of(server).allowance

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None:
            self._all = _Line(self._manners.towards_all())
            self._zones.clear()
            self._servers.clear()
        self._loop = loop

    async def _wait(self, lines: list[_Line]) -> None:
        waiting = _Waiting(lines, asyncio.get_running_loop().create_future())
        self._try(waiting)
        try:
            await waiting.let_in
        except asyncio.CancelledError:
            if not waiting.let_in.cancelled():  # let in, and called off at the same time
                self._leave(lines)
            raise

    def _try(self, waiting: _Waiting, first_in: _Line | None = None) -> None:
        """Let a question in, or have it wait in the first line that does not allow it yet.

        :param first_in: the line in which it has been waiting for longest.
        """
        now = self._clock()
        for line in waiting.lines:
            first_come = line.waiting and line is not first_in
            if first_come or line.allowance.ready_at() > now:
                line.waiting.append(waiting)
                self._set_alarm(line, now)
                return
        for line in waiting.lines:
            line.allowance.start(now)
        waiting.let_in.set_result(None)

    def _set_alarm(self, line: _Line, now: float) -> None:
        """Where time alone must pass, come back when it has."""
        at = line.allowance.ready_at()
        if line.has_alarm or at == math.inf:
            return
        line.has_alarm = True
        asyncio.get_running_loop().call_later(max(at - now, 0.0), self._ring, line)

    def _ring(self, line: _Line) -> None:
        line.has_alarm = False
        self._advance(line)

    def _advance(self, line: _Line) -> None:
        while line.waiting:
            now = self._clock()
            if line.allowance.ready_at() > now:
                self._set_alarm(line, now)
                return
            waiting = line.waiting.popleft()
            if not waiting.let_in.done():
                self._try(waiting, line)

    def _leave(self, lines: list[_Line]) -> None:
        for line in lines:
            line.allowance.end()
        for line in lines:
            self._advance(line)

    def _learn(self, turn: Turn[K]) -> None:
        """Slow down for a server that does no more what it did before.

        Who has never answered about a zone is no server of it, and refuses for that; who has never
        answered at all is dead.  Neither comes of our questions.
        """
        allowance = self._servers.of(turn.server).allowance
        of_zone, at_all = (turn.server, turn.zone), (turn.server, None)
        if turn.reaction is Reaction.ANSWERED:
            self._note_answers(of_zone, at_all)
            allowance.speed_up()
        elif (turn.reaction is Reaction.REFUSED and of_zone in self._has_answered) or (
            turn.reaction is Reaction.SILENT and at_all in self._has_answered
        ):
            allowance.slow_down(turn.started, self._clock())

    def _note_answers(self, *keys: tuple[str, K | None]) -> None:
        for key in keys:
            self._has_answered[key] = None
            self._has_answered.move_to_end(key)
        while len(self._has_answered) > _CAPACITY:
            self._has_answered.popitem(last=False)


@dataclass(eq=False)
class _Waiting:
    """A question that waits.

    :ivar lines: of all whose allowance it needs.
    """

    lines: list[_Line]
    let_in: asyncio.Future[None]


@dataclass(eq=False)
class _Line:
    """Those who wait for one allowance, in the order in which they came."""

    allowance: Allowance
    waiting: deque[_Waiting] = field(default_factory=deque)
    has_alarm: bool = False


class _Lines(Generic[K]):
    """A line for each key; those used longest ago are forgotten when nobody needs them."""

    def __init__(self, fresh: Callable[[], Allowance]) -> None:
        self._fresh = fresh
        self._held: OrderedDict[K, _Line] = OrderedDict()

    def of(self, key: K) -> _Line:
        """The line of *key*."""
        line = self._held.get(key)
        if line is None:
            self._forget()
            line = self._held[key] = _Line(self._fresh())
        self._held.move_to_end(key)
        return line

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()

    def _forget(self) -> None:
        if len(self._held) < _CAPACITY:
            return
        for key, line in self._held.items():
            if line.allowance.is_idle and not line.waiting:
                del self._held[key]
                return
