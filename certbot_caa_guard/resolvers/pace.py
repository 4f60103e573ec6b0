"""How many questions may be in flight, and how fast: other people's servers are not ours."""

from __future__ import annotations

import asyncio
from types import TracebackType

_IN_FLIGHT = 100
_PER_SECOND = 500.0


class Pace:
    """Holds each question back until there is room and time for it.

    Used as an async context manager around one question.
    """

    def __init__(self, in_flight: int, per_second: float | None) -> None:
        """:param per_second: None for no limit."""
        self._in_flight = in_flight
        self._room: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interval = 1.0 / per_second if per_second else 0.0
        self._next = 0.0

    @classmethod
    def gentle(cls) -> Pace:
        """For resolvers of others: 100 in flight and 500 a second."""
        return cls(_IN_FLIGHT, _PER_SECOND)

    @classmethod
    def at(cls, rate: int) -> Pace:
        """As many a second as the user says, and in flight in proportion."""
        return cls(max(_IN_FLIGHT, int(rate * _IN_FLIGHT / _PER_SECOND)), float(rate))

    @classmethod
    def for_resolver(cls, *, local: bool, rate: int | None) -> Pace:
        """For a resolver on this machine or not, at the rate that the user says, if any."""
        if rate is not None:
            return cls.at(rate)
        return cls.unlimited_rate() if local else cls.gentle()

    @classmethod
    def unlimited_rate(cls) -> Pace:
        """For resolvers on this machine: 100 in flight, as fast as they answer."""
        return cls(_IN_FLIGHT, None)

    async def __aenter__(self) -> None:
        await self._room_here().acquire()
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._next)
        self._next = start + self._interval
        if start > now:
            try:
                await asyncio.sleep(start - now)
            except asyncio.CancelledError:
                # Whoever was not let in is not seen out.
                self._room_here().release()
                raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._room_here().release()

    def _room_here(self) -> asyncio.Semaphore:
        """A semaphore belongs to the event loop that it was first waited on in."""
        loop = asyncio.get_running_loop()
        if self._room is None or self._loop is not loop:
            self._room, self._loop = asyncio.Semaphore(self._in_flight), loop
        return self._room
