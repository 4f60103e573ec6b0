"""A name server that misbehaves on request, and otherwise is what stands behind it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, cast

import dns.name
import dns.rcode
import dns.rdatatype

from tests.internet.actions import (
    Action,
    Exchange,
    Rcode,
    delay,
    drop,
    formerr,
    notimp,
    nxdomain,
    pass_on,
    ratelimit,
    refused,
    servfail,
    transform,
)
from tests.internet.overlay import Overlay
from tests.internet.question import Answer, Question, Transport, unreadable
from tests.internet.rules import Condition, Rule

__all__ = [
    "Action",
    "Answer",
    "Exchange",
    "FaultyServer",
    "Question",
    "Rcode",
    "Rule",
    "delay",
    "drop",
    "formerr",
    "notimp",
    "nxdomain",
    "pass_on",
    "ratelimit",
    "refused",
    "servfail",
    "transform",
]

LOG = logging.getLogger(__name__)
BACKEND_SECONDS = 5.0
T = TypeVar("T")


class FaultyServer:
    """Stands in front of name servers and passes questions and answers on, but for its script.

    `fronts` maps each address to listen on (UDP and TCP, port 53) to the address of the name
    server behind it. All of them share one script, one list of questions and one overlay.
    UDP is passed on by UDP and TCP by TCP, so truncation is the real server's.

    Everything may be used from any thread; the work is done in a thread of its own.
    """

    def __init__(self, fronts: Mapping[str, str]) -> None:
        self.fronts = dict(fronts)
        self.overlay = Overlay()
        self.errors: list[Exception] = []
        """What went wrong inside, such as an exception in a transform. Empty in a good test."""
        self._rules: list[Rule] = []
        self._questions: Counter[tuple[str, str]] = Counter()
        self._dice = random.Random()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = contextlib.ExitStack()

    @property
    def address(self) -> str:
        """The first (often only) address it listens on."""
        return next(iter(self.fronts))

    def script(
        self,
        action: Action,
        *,
        owner: str | None = None,
        below: str | None = None,
        qtype: str | None = None,
        times: int | None = None,
        lookups: float | None = None,
        probability: float | None = None,
        seed: int | None = None,
        when: Callable[[], bool] | None = None,
        source: str | None = None,
        transport: Transport | None = None,
        edns: bool | None = None,
        mixed_case: bool | None = None,
    ) -> Rule:
        """Apply an action to the questions that meet all conditions.

        Rules are tried in the order they were scripted and the first that applies wins; one that
        is used up steps aside, so two rules with ``times=1`` make a sequence.

        `owner` is exactly this name, `below` this name and everything under it (neither minds
        case). `source` is the client's address. `edns` is whether the question has an OPT record.

        `times` counts questions. A resolver sends several for one lookup, and how many depends on
        its version and on chance, so there is also `lookups`: all questions for the same owner
        and type from the same source are one lookup as long as no more than 2 s pass between
        them. ``lookups=1`` fails one lookup by one resolver, however often it tries. (A client
        that asks without a resolver in between and comes back within 2 s is still in the same
        lookup. `end_lookups` closes it.) If the action is `drop`, 20 s may pass, because a
        resolver waits longer and longer for a server that says nothing.

        `probability` is decided by the server's own dice (`seed`) at each question, or once
        for each lookup if `lookups` is given; ``lookups=math.inf`` sets no limit.

        With a `seed` the rule has dice of its own, which nobody else's questions turn.

        `when` is asked at each question that meets the conditions: it may look at a clock.
        """
        condition = Condition(
            None if owner is None else dns.name.from_text(owner),
            None if below is None else dns.name.from_text(below),
            None if qtype is None else dns.rdatatype.from_text(qtype),
            source,
            transport,
            edns,
            mixed_case,
        )
        dice = None if seed is None else random.Random(seed)
        rule = Rule(
            action, condition, times, lookups, probability, when, dice, _forget=self._remove
        )
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def end_lookups(self) -> None:
        """Let the next question be the first of a new lookup, for every rule."""
        with self._lock:
            for rule in self._rules:
                rule.end_lookups()

    def seed(self, number: int) -> None:
        """Make chance repeatable."""
        with self._lock:
            self._dice.seed(number)

    @property
    def questions(self) -> Counter[tuple[str, str]]:
        """How often each was asked, as in ``questions["example.net", "CAA"]``: a copy."""
        with self._lock:
            return self._questions.copy()

    def forget(self) -> None:
        """Begin a new list of questions."""
        with self._lock:
            self._questions.clear()

    def __enter__(self) -> FaultyServer:
        with contextlib.ExitStack() as stack:
            udp = {front: _bound(stack, front, socket.SOCK_DGRAM) for front in self.fronts}
            tcp = {front: _bound(stack, front, socket.SOCK_STREAM) for front in self.fronts}
            self._loop = asyncio.new_event_loop()
            stack.callback(self._loop.close)
            thread = threading.Thread(target=self._loop.run_forever, name="faulty", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            stack.callback(self._run, _cancel_tasks())
            for front, backend in self.fronts.items():
                self._run(self._serve(stack, backend, udp[front], tcp[front]))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._loop = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(BACKEND_SECONDS)

    def _remove(self, rule: Rule) -> None:
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    async def _serve(
        self, stack: contextlib.ExitStack, backend: str, udp: socket.socket, tcp: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        upstream = Upstream(backend)
        endpoint, _ = await loop.create_datagram_endpoint(
            lambda: upstream, remote_addr=(backend, 53)
        )
        stack.callback(self._run, _close(endpoint))
        front, _ = await loop.create_datagram_endpoint(lambda: UdpFront(self, upstream), sock=udp)
        stack.callback(self._run, _close(front))

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer, upstream)
            writer.close()

        server = await asyncio.start_server(talk, sock=tcp)
        stack.callback(self._run, _close(server))

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: Upstream
    ) -> None:
        """Answer the questions of one TCP connection, one after the other."""
        source = writer.get_extra_info("peername")[0]
        try:
            while True:
                reply = await self.reply(await _read_framed(reader), source, "tcp", upstream)
                if reply is not None:
                    writer.write(_framed(reply))
                    await writer.drain()
        finally:
            writer.close()

    async def reply(
        self, wire: bytes, source: str, transport: Transport, upstream: Upstream
    ) -> bytes | None:
        """What to send back for the bytes received, if anything. Never raises."""
        try:
            question = Question.parse(wire, source, transport)
        except ValueError:
            return unreadable(wire)

        async def answer() -> bytes:
            return self.overlay.apply(question, await upstream.ask(wire, transport))

        try:
            action = self._action_for(question)
            if action is None:
                return await answer()
            return question.encode(await action(Exchange(question, answer)))
        except Exception as error:
            LOG.exception("answering %s %s", *question.key)
            self.errors.append(error)
            return wire[:2] + question.rcode(dns.rcode.SERVFAIL).to_wire()[2:]

    def _action_for(self, question: Question) -> Action | None:
        """Count the question and find the rule for it."""
        now = time.monotonic()
        with self._lock:
            self._questions[question.key] += 1
            for rule in self._rules:
                if rule.claims(question, now, self._dice):
                    return rule.action
        return None


class UdpFront(asyncio.DatagramProtocol):
    """Answers each datagram in a task of its own, so that a late answer delays no other."""

    def __init__(self, server: FaultyServer, upstream: Upstream) -> None:
        self._server = server
        self._upstream = upstream
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._reply(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = await self._server.reply(data, addr[0], "udp", self._upstream)
        if reply is not None and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


class Upstream(asyncio.DatagramProtocol):
    """The name server behind: one UDP socket, questions told apart by an ID of ours."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._ids = itertools.cycle(range(65536))
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        waiting = self._waiting.get(data[:2])
        if waiting is not None and not waiting.done():
            waiting.set_result(data)

    async def ask(self, wire: bytes, transport: Transport) -> bytes:
        """The answer, with the ID of the question."""
        ask = self._ask_udp if transport == "udp" else self._ask_tcp
        answer = await asyncio.wait_for(ask(wire), BACKEND_SECONDS)
        return wire[:2] + answer[2:]

    async def _ask_udp(self, wire: bytes) -> bytes:
        number = next(self._ids).to_bytes(2, "big")
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._transport.sendto(number + wire[2:])
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    async def _ask_tcp(self, wire: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, 53)
        try:
            writer.write(_framed(wire))
            return await _read_framed(reader)
        finally:
            writer.close()


def _bound(stack: contextlib.ExitStack, address: str, kind: socket.SocketKind) -> socket.socket:
    """A socket on port 53, made in the caller's thread so that an error is raised there."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
    if kind is socket.SOCK_STREAM:  # for UDP it would let two servers share the address
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    sock.bind((address, 53))
    return sock


def _framed(wire: bytes) -> bytes:
    return len(wire).to_bytes(2, "big") + wire


async def _read_framed(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


async def _close(what: asyncio.BaseTransport | asyncio.AbstractServer) -> None:
    what.close()
    await asyncio.sleep(0)  # transports close their sockets in the next round


async def _cancel_tasks() -> None:
    """End answers that are still late, and connections that are still open."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
