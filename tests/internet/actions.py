"""What a `FaultyServer` can be told to do with a question.

An action is an async callable that gets an `Exchange` and returns the answer to send. Most needs
are met by the ones here; `transform` turns a plain function into one.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode

from tests.internet.question import Answer, Question


@dataclass(frozen=True)
class Exchange:
    """A question, and a way to find out what the right answer is."""

    question: Question
    answer: Callable[[], Awaitable[bytes]]


Action = Callable[[Exchange], Awaitable[Answer]]
Transformation = Callable[[dns.message.Message, dns.message.Message, bytes], Answer]


@dataclass(frozen=True)
class Rcode:
    """Answers with an rcode and the question. `edns` off leaves out the OPT record, as servers
    do that have never heard of it. NXDOMAIN is authoritative (AA) but has no SOA.
    """

    rcode: dns.rcode.Rcode
    edns: bool = True

    async def __call__(self, exchange: Exchange) -> Answer:
        reply = exchange.question.rcode(self.rcode)
        if self.rcode == dns.rcode.NXDOMAIN:
            reply.flags |= dns.flags.AA
        if not self.edns:
            reply.use_edns(False)
        return reply


servfail = Rcode(dns.rcode.SERVFAIL)
refused = Rcode(dns.rcode.REFUSED)
nxdomain = Rcode(dns.rcode.NXDOMAIN)
notimp = Rcode(dns.rcode.NOTIMP, edns=False)
formerr = Rcode(dns.rcode.FORMERR, edns=False)


async def drop(exchange: Exchange) -> Answer:  # noqa: ARG001  # an action has this signature
    """No answer at all."""
    return None


async def pass_on(exchange: Exchange) -> Answer:
    """The right answer: for ``times=2`` in front of a rule that is to break the third one."""
    return await exchange.answer()


@dataclass(frozen=True)
class delay:  # noqa: N801  # reads as a verb in script()
    """The right answer, `seconds` late."""

    seconds: float

    async def __call__(self, exchange: Exchange) -> Answer:
        answer = await exchange.answer()
        await asyncio.sleep(self.seconds)
        return answer


@dataclass
class ratelimit:  # noqa: N801  # reads as a verb in script()
    """The right answer, but at most `per_second` of them to each source in any second;
    the others are dropped, as the response rate limiting of a real server may do, or get what
    is said `otherwise`. `beyond` counts them.
    """

    per_second: int
    otherwise: Action = drop
    beyond: int = 0
    clock: Callable[[], float] = time.monotonic
    _sent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)

    async def __call__(self, exchange: Exchange) -> Answer:
        sent, now = self._sent[exchange.question.source], self.clock()
        while sent and sent[0] <= now - 1:
            sent.popleft()
        if len(sent) >= self.per_second:
            self.beyond += 1
            return await self.otherwise(exchange)
        sent.append(now)
        return await exchange.answer()


@dataclass(frozen=True)
class transform:  # noqa: N801  # reads as a verb in script()
    """Whatever `function(query, response, wire)` makes of the right answer.

    `response` is a fresh parsed copy of it, to be changed and returned or replaced; `wire` is the
    same as bytes, for changes below what a message can express. RDATA that dnspython cannot parse
    is missing from `response` but not from `wire`. Returning None drops the answer.
    """

    function: Transformation

    async def __call__(self, exchange: Exchange) -> Answer:
        wire = await exchange.answer()
        response = dns.message.from_wire(wire, continue_on_error=True)
        return self.function(exchange.question.message, response, wire)
