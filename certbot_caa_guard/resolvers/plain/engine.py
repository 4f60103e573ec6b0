"""Sends questions, sends them again, and gives up, for many questions at a time in one event loop.

The servers of one resolver are asked in turn: the next one when one does not answer or fails, as
stub resolvers do; what the last one said counts.  One that does not answer any more is no longer
asked first.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.plain import question as wording
from certbot_caa_guard.resolvers.plain import tcp
from certbot_caa_guard.resolvers.plain.ports import Port, Ports
from certbot_caa_guard.resolvers.plain.question import Match
from certbot_caa_guard.resolvers.plain.servers import Servers
from certbot_caa_guard.resolvers.plain.window import Limits, Rate, Window

_MOST_SENDINGS = 5  # of one question to one server; each wait is twice the one before
_MOST_REFUSALS = 3  # of one question by a server that answers others, or has many of them
_FEW = 30  # questions in flight that are too many for nobody
_TICK = 0.02  # seconds between two looks at what is overdue
_STALL = 0.25  # seconds; if a look comes so late, we were held up, not the servers
_FRESH = 0.25  # seconds; an older question is being worked on and fills no buffer
_LARGEST = 4096  # octets; more than any answer to a question that offers 1232
_TOGETHER = 16  # questions that leave from the same port, one after another

# Flags, RCODE and number of questions of an answer with which nothing is left to try: RFC 1035
# section 4.1.1, and AD and CD of RFC 4035 section 3.2.
_FINAL = frozenset(
    bytes([0x80 | authoritative | recursion_desired, high | rcode, 0, 1])
    for authoritative in (0, 4)
    for recursion_desired in (0, 1)
    for high in range(0, 0x100, 0x10)
    for rcode in (0, 3)
)

# Told of the question, the answer, or why there is none, and the seconds it took from the first
# sending.
Done = Callable[["Question", "bytes | Outcome", float], None]


class Question:
    """What the engine remembers of one question until it is done.

    :ivar entry: that of the question section, in lower case; ``asked`` is as it was sent.
    :ivar about: whatever the one who asked wants to know again.
    :ivar place: of the server that is asked now.
    :ivar left: how many servers may be asked after that one.
    :ivar stale: whether it has been in flight for so long that it fills no buffer.
    """

    __slots__ = (
        "about",
        "asked",
        "deadline",
        "done",
        "edns",
        "entry",
        "failure",
        "identifier",
        "left",
        "other_case",
        "over",
        "place",
        "port",
        "sendings",
        "sent",
        "stale",
        "started",
        "task",
        "timeout",
    )

    # Set when a server is asked.
    place: int
    left: int
    identifier: bytes
    asked: bytes
    deadline: float
    started: float
    sent: float
    sendings: int

    def __init__(self, entry: bytes, timeout: float, done: Done, about: Any) -> None:
        self.entry = entry
        self.timeout = timeout
        self.done = done
        self.about = about
        self.edns = True
        self.over = False
        self.stale = False
        self.other_case = False
        self.port: Port | None = None
        self.task: asyncio.Task[None] | None = None
        self.failure: bytes | None = None


class Engine:
    """Asks the servers of one resolver.

    Between questions nothing is open; it may serve one event loop after another.

    :ivar mismatched: how many datagrams came that answered no question in flight: forged, in
        another case, late or a second time.
    """

    def __init__(
        self,
        servers: Sequence[tuple[str, int]],
        limits: Limits,
        *,
        tcp_only: bool = False,
        urandom: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.mismatched = 0
        self.limits = limits
        self._servers = Servers(servers)
        self._tcp_only = tcp_only
        self._urandom = urandom
        self._mixes_case = True
        self._answers = False  # whether it has, ever
        self._refuses = False  # whether it has refused what may have been too much for it
        self._rate = Rate(limits.per_second) if limits.per_second else None
        self._window = Window(start=100, most=limits.window)
        self._ports = Ports(self._listen, self._stop_listening)
        self._queue: deque[Question] = deque()
        self._in_flight: set[Question] = set()
        self._fresh = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pumping: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._held_back = False  # whether the rate kept one from being sent again
        self._waking: asyncio.TimerHandle | None = None

    def ask(
        self,
        name: bytes,
        kind: int,
        timeout: float,
        done: Done,
        about: Any = None,
        *,
        first: bool = False,
    ) -> Question:
        """Ask for the records of one type, in the running event loop, as soon as there is room.

        :param name: encoded, in lower case.
        :param timeout: seconds from the first sending, shared among the servers.
        :param done: called once, when this has returned.
        :param first: whether it goes before those that wait for room.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._serve(loop)
        entry = wording.ask_for(name, kind)
        question = Question(entry, timeout / len(self._servers), done, about)
        if first:
            self._queue.appendleft(question)
        else:
            self._queue.append(question)
        if self._pumping is None:
            self._pumping = loop.call_soon(self._pump)
        return question

    def withdraw(self, question: Question) -> None:
        """Forget a question that nobody waits for any more."""
        if not question.over:
            self._end(question)
            self._carry_on()

    def close(self) -> None:
        """Give everything back; what is asked still has no answer."""
        loop = self._loop
        outstanding = [*self._in_flight, *self._queue]
        for question in outstanding:
            question.over = True
        self._queue.clear()
        self._forget()
        if loop is not None and not loop.is_closed():
            for question in outstanding:
                question.done(question, Outcome.NETWORK, 0.0)

    # Beginning and ending

    def _clock(self) -> float:
        """The time of the loop, which may stand still while it does not run."""
        return self._loop.time() if self._loop is not None else 0.0

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget what another loop, which has ended, left behind."""
        self._queue.clear()
        self._forget()
        self._loop = loop

    def _forget(self) -> None:
        for question in self._in_flight:
            if question.task is not None and self._loop and not self._loop.is_closed():
                question.task.cancel()
        self._in_flight.clear()
        self._fresh = 0
        self._rest()

    def _rest(self) -> None:
        self._ports.close()
        for timer in (self._pumping, self._ticking, self._waking):
            if timer is not None:
                timer.cancel()
        self._pumping = self._ticking = self._waking = None

    def _carry_on(self) -> None:
        """Begin with what waits in the queue when all that has come is read; or rest."""
        if self._queue:
            if self._pumping is None and self._loop is not None:
                self._pumping = self._loop.call_soon(self._pump)
        elif not self._in_flight:
            self._rest()

    def _pump(self) -> None:
        """Begin with as many questions of the queue as there is room for."""
        self._pumping = None
        now = self._clock()
        queue = self._queue
        first, others = self._servers.first, len(self._servers) - 1
        room = self._room(now)
        batch: list[Question] = []
        while queue and len(batch) < room:
            question = queue.popleft()
            if not question.over:
                question.place = first
                question.left = others
                question.started = now
                question.deadline = now + question.timeout
                batch.append(question)
        self._fresh += len(batch)
        self._in_flight.update(batch)
        for start in range(0, len(batch), _TOGETHER):
            # Who is told of a failure may withdraw others.
            self._send([one for one in batch[start : start + _TOGETHER] if not one.over], now)

    def _room(self, now: float) -> int:
        """How many questions may be begun with now; where the rate allows none, see to it later."""
        in_flight = len(self._in_flight)
        # Who refuses may count what it is at work on, however long it is.
        busy = in_flight if self._refuses else self._fresh
        room = min(int(self._window.size) - busy, self.limits.in_flight - in_flight)
        if self._rate is None or room <= 0:
            return room
        if self._held_back and self._ticking is not None:
            return 0  # what is to be sent again goes first
        wait = self._rate.wait(now)
        if wait > 0 and self._waking is None and self._loop is not None:
            self._waking = self._loop.call_later(wait, self._wake)
        return min(room, self._rate.room(now))

    def _wake(self) -> None:
        self._waking = None
        self._pump()

    def _finish(self, question: Question, answer: bytes | Outcome, now: float) -> None:
        self._end(question)
        question.done(question, answer, now - question.started)
        self._carry_on()

    def _end(self, question: Question) -> None:
        question.over = True
        if question in self._in_flight:
            self._in_flight.discard(question)
            self._fresh -= not question.stale
        self._leave_port(question)
        if question.task is not None and question.task is not _current_task():
            question.task.cancel()

    def _leave_port(self, question: Question) -> None:
        port, question.port = question.port, None
        if port is not None:
            del port.waiting[question.identifier]
            if not port.waiting:
                self._ports.emptied(port)

    # Sending

    def _send(self, batch: Sequence[Question], now: float) -> None:
        """Word questions to one server anew and send them from one port; chance decides which.

        They are few, so that who knows the port of one does not know that of many.
        """
        if not batch:
            return
        entries = b"".join([question.entry for question in batch])
        size = len(entries)
        noise = self._urandom(size + 1 + 2 * len(batch))
        if self._mixes_case:
            entries = wording.mix_case(entries, noise[:size])
        start, position = 0, size + 1
        for question in batch:
            end = start + len(question.entry)
            question.asked = entries[start:end]
            question.identifier = noise[position : position + 2]
            question.sendings = 0
            start = end
            position += 2
        if self._tcp_only:
            for question in batch:
                self._ask_over_tcp(question)
        else:
            self._send_from_port(batch, noise[size], now)

    def _send_from_port(self, batch: Sequence[Question], chance: int, now: float) -> None:
        place = batch[0].place
        try:
            port = self._ports.take(place, self._servers[place], chance, len(batch))
        except OSError:
            for question in batch:
                self._failed(question, Outcome.NETWORK, now)
            return
        waiting = port.waiting
        for question in batch:
            while question.identifier in waiting:
                question.identifier = self._urandom(2)
            waiting[question.identifier] = question
            question.port = port
        self._transmit(batch, port, now)

    def _transmit(self, batch: Sequence[Question], port: Port, now: float) -> None:
        if self._ticking is None:
            self._tick_later(now)
        if self._rate is not None:
            self._rate.sent(now, len(batch))
        send = port.send
        before, after = wording.around(edns=batch[0].edns)
        try:
            for question in batch:
                question.sendings += 1
                question.sent = now
                try:
                    send(question.identifier + before + question.asked + after)
                except BlockingIOError:
                    continue  # as good as lost
        except OSError:
            self._port_failed(port, now)

    # Receiving

    def _listen(self, port: Port) -> None:
        if self._loop is not None:
            self._loop.add_reader(port.fileno(), self._readable, port)

    def _stop_listening(self, port: Port) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(port.fileno())

    def _readable(self, port: Port) -> None:
        """Read all that has come to a port."""
        receive = port.receive
        waiting = port.waiting
        in_flight = self._in_flight
        now = self._clock()
        answered = 0
        try:
            while not port.closed:
                message = receive(_LARGEST)
                question = waiting.pop(message[:2], None)
                if (
                    question is not None
                    and message[2:6] in _FINAL
                    and message.startswith(question.asked, 12)
                ):
                    # What _finish does, for the answer that nearly all questions get.
                    answered += 1
                    question.over = True
                    in_flight.discard(question)
                    if not question.stale:
                        self._fresh -= 1
                    question.done(question, message, now - question.started)
                else:
                    if question is not None:
                        waiting[question.identifier] = question
                    self._consider(question, message, now)
        except BlockingIOError:
            pass
        except OSError:
            self._port_failed(port, now)
        if answered:
            self._answers = True
            self._servers.answered(port.place)
            self._window.answered(answered)
        if not waiting:
            self._ports.emptied(port)
        self._carry_on()

    def _consider(self, question: Question | None, message: bytes, now: float) -> None:
        """What to make of a datagram that is not simply the answer."""
        found = wording.match(message, question.asked) if question is not None else Match.NONE
        if question is None or found is not Match.ANSWER:
            self.mismatched += 1
            if question is not None and found is Match.OTHER_CASE:
                question.other_case = True
            return
        if self._may_be_too_fast(question, message):
            # It is sent again when its time has come.
            question.failure = message
            self._refuses = True
            self._window.refused()
            return
        self._window.answered()
        self._servers.answered(question.place)
        self._leave_port(question)
        if wording.is_truncated(message):
            self._ask_over_tcp(question)
        else:
            self._answered(question, message, now)

    def _may_be_too_fast(self, question: Question, message: bytes) -> bool:
        """Whether a refusal may be for the others under way: forwarders have a limit for these."""
        return (
            wording.is_refusal(message)
            and (self._answers or len(self._in_flight) > _FEW)
            and question.sendings < _MOST_REFUSALS
            and not question.left
        )

    def _answered(self, question: Question, message: bytes, now: float) -> None:
        if question.edns and wording.is_ignorant_of_edns(message):
            question.edns = False
            self._send([question], now)
        elif wording.is_failure(message) and question.left:
            question.failure = message
            self._ask_next_server(question, now)
        else:
            self._finish(question, message, now)

    # Failing

    def _port_failed(self, port: Port, now: float) -> None:
        """The kernel says that nobody is there (ICMP port unreachable, or no route)."""
        for question in list(port.waiting.values()):
            self._failed(question, Outcome.NETWORK, now)

    def _failed(self, question: Question, why: Outcome, now: float) -> None:
        """One server has not answered."""
        if question.over:
            return
        self._leave_port(question)
        self._servers.unanswered(question.place)
        if question.left:
            self._ask_next_server(question, now)
        else:
            self._finish(question, question.failure or why, now)

    def _ask_next_server(self, question: Question, now: float) -> None:
        question.place = self._servers.after(question.place)
        question.left -= 1
        question.edns = True
        question.other_case = False
        question.deadline = now + question.timeout
        self._send([question], now)

    def _tick_later(self, now: float) -> None:
        if self._loop is not None:
            self._tick_due = now + _TICK
            self._ticking = self._loop.call_later(_TICK, self._tick)

    def _tick(self) -> None:
        """Look for what is overdue. Time in which we were held up ourselves does not count."""
        self._ticking = None
        now = self._clock()
        late = now - self._tick_due
        self._held_back = False
        for question in list(self._in_flight):
            if question.port is not None:
                if late > _STALL:
                    question.deadline += late
                    question.sent += late
                self._look_at(question, question.port, now)
        if self._in_flight and self._ticking is None:
            self._tick_later(now)
        self._pump()

    def _look_at(self, question: Question, port: Port, now: float) -> None:
        waited = now - question.sent
        if now >= question.deadline:
            self._failed(question, Outcome.TIMEOUT, now)
        elif waited >= self.limits.resend * 2 ** (question.sendings - 1):
            self._send_again(question, port, now)
        elif not question.stale and waited >= _FRESH:
            question.stale = True
            self._fresh -= 1

    def _send_again(self, question: Question, port: Port, now: float) -> None:
        if question.other_case:
            # Either somebody forges, or the resolver does not keep the case: TCP will tell.
            self._leave_port(question)
            self._ask_over_tcp(question)
        elif question.sendings == _MOST_SENDINGS:
            return
        elif self._rate is not None and self._rate.room(now) <= 0:
            self._held_back = True
        else:
            if question.sendings == 1:  # one that hangs is not lost anew each time
                self._window.lost()
            self._transmit([question], port, now)

    # TCP

    def _ask_over_tcp(self, question: Question) -> None:
        if self._rate is not None:
            self._rate.sent(self._clock())
        if self._loop is not None:
            question.task = self._loop.create_task(self._exchange(question))

    async def _exchange(self, question: Question) -> None:
        server = self._servers[question.place]
        asked = question.asked
        query = wording.query(question.identifier, asked, edns=question.edns)
        try:
            message = await asyncio.wait_for(
                tcp.exchange(server, query), question.deadline - self._clock()
            )
        except (TimeoutError, asyncio.TimeoutError):
            self._failed(question, Outcome.TIMEOUT, self._clock())
        except OSError:
            self._failed(question, Outcome.NETWORK, self._clock())
        else:
            self._servers.answered(question.place)
            if question.other_case and not message.startswith(asked, 12):
                self._mixes_case = False
            self._answered(question, message, self._clock())


def _current_task() -> asyncio.Task[None] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
