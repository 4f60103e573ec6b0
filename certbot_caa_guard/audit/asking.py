"""Putting probes to servers: paced, counted, and each only once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import dns.rcode

from certbot_caa_guard.audit.matrix import NOT_ASKED, Answer, Heard, Server
from certbot_caa_guard.audit.questions import MOST_QUESTIONS, PATIENT, Probe
from certbot_caa_guard.resolvers.gate import Gate
from certbot_caa_guard.resolvers.iterative.exchange import is_silence, put
from certbot_caa_guard.resolvers.iterative.message import (
    EDNS_SIZE,
    MessageError,
    Name,
    Question,
    decode,
    encode,
    mixed_case,
)
from certbot_caa_guard.resolvers.manners import Manners, Reaction

# All questions of one name to one server may go in a second or so, and those that it drops do not
# hold back the others.
MANNERS = Manners(
    lookups=200,
    all_per_second=500.0,
    zone_in_flight=60,
    in_flight=20,
    per_second=40.0,
    burst=20,
    fewest_in_flight=12,
    slowest=20.0,
)
# In a DNS of one's own.
MANNERS_AT_HOME = replace(
    MANNERS, all_per_second=None, zone_in_flight=200, in_flight=200, per_second=None,
    fewest_in_flight=200, slowest=10_000.0,
)  # fmt: skip

_PATIENCE = 2.5
_LONGEST_PATIENCE = 9.0
# A datagram may be lost, so a question that is not answered by then is put again.
_AGAIN_AFTER = 1.0


class Asker:
    """Asks the servers for the audit of one name.

    :ivar reached: who answered anything: zone, IP version, and whether over TCP.
    """

    def __init__(
        self,
        gate: Gate[Name],
        dice: random.Random,
        clock: Callable[[], float],
        deadline: float,
    ) -> None:
        """:param deadline: when nobody waits for an answer any more, by *clock*."""
        self.reached: set[tuple[Name, int, bool]] = set()
        self._gate = gate
        self._dice = dice
        self._clock = clock
        self._deadline = deadline
        self._asked: Counter[str] = Counter()
        self._heard: set[str] = set()
        self._answers: dict[tuple[str, Probe], asyncio.Task[Answer]] = {}

    async def ask(self, server: Server, zone: Name, probe: Probe) -> Answer:
        """What *server*, one of *zone*, answers to *probe*; it is asked once."""
        key = (server.address, probe)
        if key not in self._answers:
            self._answers[key] = asyncio.ensure_future(self._ask(server, zone, probe))
        return await asyncio.shield(self._answers[key])

    async def close(self) -> None:
        """Wait for no answer any more."""
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)

    async def _ask(self, server: Server, zone: Name, probe: Probe) -> Answer:
        if self._asked[server.address] >= MOST_QUESTIONS:
            return NOT_ASKED
        async with self._gate.turn(server.address, zone) as turn:
            patience = _LONGEST_PATIENCE if probe.manner in PATIENT else _PATIENCE
            patience = min(patience, self._deadline - turn.started)
            if patience <= 0 or self._asked[server.address] >= MOST_QUESTIONS:
                return NOT_ASKED
            answer = await self._put(server, probe, patience, turn.started)
            turn.reaction = _reaction(answer)
        if answer.heard in {Heard.ANSWER, Heard.UNREADABLE}:
            self._heard.add(server.address)
            self.reached.add((zone, server.version, probe.manner.tcp))
        return answer

    async def _put(self, server: Server, probe: Probe, patience: float, start: float) -> Answer:
        """Put the question, twice if need be, and wait for either answer."""
        tries = {self._try(server, probe)}
        try:
            done, _ = await asyncio.wait(tries, timeout=min(_AGAIN_AFTER, patience))
            if not done and self._may_repeat(server, probe):
                tries.add(self._try(server, probe))
            if not done:
                left = patience - (self._clock() - start)
                done, _ = await asyncio.wait(
                    tries, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            for one in tries:
                one.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        seconds = self._clock() - start
        return _read(done.pop(), seconds) if done else Answer(Heard.SILENCE, seconds)

    def _may_repeat(self, server: Server, probe: Probe) -> bool:
        """Whether it may have been a datagram lost, and not a server that is silent anyway."""
        wanted = probe.manner in PATIENT or server.address in self._heard
        return wanted and not probe.manner.tcp and self._asked[server.address] < MOST_QUESTIONS

    def _try(self, server: Server, probe: Probe) -> asyncio.Task[tuple[bytes, bytes]]:
        self._asked[server.address] += 1
        manner = probe.manner
        name = mixed_case(probe.owner, self._dice) if manner.mixed else probe.owner
        query = encode(
            Question(name, probe.type),
            self._dice.getrandbits(16),
            edns=manner.size is not None,
            size=manner.size or EDNS_SIZE,
            dnssec=manner.dnssec,
        )
        return asyncio.ensure_future(_converse(server.address, query, tcp=manner.tcp))


async def burst(address: str, owner: Name, kind: int, count: int, patience: float) -> int:
    """Put *count* questions at once, and return how many went unanswered or were refused."""
    queries = [encode(Question(owner, kind), number, edns=True) for number in range(count)]

    async def one(query: bytes) -> bool:
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError, OSError, MessageError):
            message = await asyncio.wait_for(put(address, query, tcp=False), patience)
            reply = decode(query, message)
            return reply.truncated or reply.rcode not in {dns.rcode.REFUSED, dns.rcode.SERVFAIL}
        return False

    return sum(not served for served in await asyncio.gather(*map(one, queries)))


async def _converse(address: str, query: bytes, *, tcp: bool) -> tuple[bytes, bytes]:
    return query, await put(address, query, tcp=tcp)


def _read(done: asyncio.Task[tuple[bytes, bytes]], seconds: float) -> Answer:
    try:
        query, message = done.result()
    except MessageError:
        return Answer(Heard.UNREADABLE, seconds)
    except OSError as error:
        return Answer(Heard.SILENCE if is_silence(error) else Heard.NOT_ASKED, seconds)
    try:
        return Answer(Heard.ANSWER, seconds, decode(query, message), message)
    except MessageError:
        return Answer(Heard.UNREADABLE, seconds, wire=message)


def _reaction(answer: Answer) -> Reaction:
    if answer.reply is not None:
        refused = answer.reply.rcode in {dns.rcode.REFUSED, dns.rcode.SERVFAIL}
        return Reaction.REFUSED if refused else Reaction.ANSWERED
    if answer.heard is Heard.SILENCE:
        return Reaction.SILENT
    return Reaction.ANSWERED if answer.heard is Heard.UNREADABLE else Reaction.NOT_ASKED
