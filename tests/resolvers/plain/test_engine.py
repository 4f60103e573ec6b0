"""Questions to a resolver on loopback that does to them what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.plain import engine as engine_module
from certbot_caa_guard.resolvers.plain import ports
from certbot_caa_guard.resolvers.plain.engine import Engine, Question
from certbot_caa_guard.resolvers.plain.question import TYPE_CAA, encode
from certbot_caa_guard.resolvers.plain.servers import Servers
from certbot_caa_guard.resolvers.plain.window import LOCAL, Limits

PATIENT = 10.0  # seconds; never reached
SOON = 0.1  # seconds; for what never comes
QUICK = replace(LOCAL, resend=0.02)

NOTHING, NXDOMAIN, SERVFAIL = b"\x81\x80", b"\x81\x83", b"\x81\x82"
REFUSED = b"\x81\x85"


def reply(query: bytes, flags: bytes = NOTHING) -> bytes:
    """An answer without records."""
    end = query.index(b"\0", 12) + 5
    return query[:2] + flags + b"\0\1" + bytes(6) + query[12:end]


@dataclass
class Server(asyncio.DatagramProtocol):
    """Does with each datagram what *script* says, and counts them."""

    script: Callable[[Server, bytes, Any], None]
    asked: list[bytes] = field(default_factory=list)
    addresses: list[Any] = field(default_factory=list)
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.asked.append(data)
        self.addresses.append(address)
        self.script(self, data, address)

    def send(self, message: bytes, address: Any) -> None:
        self.transport.sendto(message, address)

    @property
    def ports(self) -> set[int]:
        return {address[1] for address in self.addresses}


def answers(server: Server, query: bytes, address: Any) -> None:
    server.send(reply(query), address)


def is_silent(_server: Server, _query: bytes, _address: Any) -> None:
    pass


def free_port(host: str) -> int:
    """A port that neither UDP nor TCP uses: some servers speak both."""
    while True:
        with (
            socket.create_server((host, 0), family=family_of(host)) as tcp,
            socket.socket(family_of(host), socket.SOCK_DGRAM) as udp,
            contextlib.suppress(OSError),
        ):
            port: int = tcp.getsockname()[1]
            udp.bind((host, port))
            return port


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def run(
    script: Callable[[Server, bytes, Any], None],
    scenario: Callable[[Engine, Server], Awaitable[Any]],
    *,
    limits: Limits = QUICK,
    host: str = "127.0.0.1",
) -> tuple[Any, Engine, Server]:
    """Run *scenario* with an engine that asks a server with that script."""

    async def go() -> tuple[Any, Engine, Server]:
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(
            lambda: Server(script), local_addr=(host, free_port(host))
        )
        engine = Engine([transport.get_extra_info("sockname")[:2]], limits)
        try:
            return await scenario(engine, server), engine, server
        finally:
            engine.close()
            transport.close()

    return asyncio.run(go())


async def ask(engine: Engine, name: str = "www.example.net", timeout: float = PATIENT) -> Any:
    """The answer, or why there is none."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(_question: Question, answer: bytes | Outcome, _seconds: float) -> None:
        answered.set_result(answer)  # fails when it is called twice

    engine.ask(encode(name), TYPE_CAA, timeout, done)
    return await answered


async def ask_many(engine: Engine, count: int, timeout: float = PATIENT) -> list[Any]:
    return await asyncio.gather(*(ask(engine, f"n{n}.example", timeout) for n in range(count)))


def names(answers_: list[Any]) -> list[str]:
    """Whom answers are about."""
    return [one[13 : one.index(b"\x07", 13)].decode().lower() for one in answers_]


def sockets_open() -> int:
    """How many sockets this process has; the list itself is read through no socket."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the list itself
            links.append(str(one.readlink()))
    return sum(link.startswith("socket:") for link in links)


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "another ID": lambda true: bytes([true[0] ^ 1]) + true[1:],
    "another question": lambda true: true.replace(true[12:16], b"\x03xxx"),
    "another type": lambda true: true[:-4] + b"\x00\x01\x00\x01",
    "another case": lambda true: true[:12] + true[12:-4].swapcase() + true[-4:],
    "no response": lambda true: true[:2] + b"\x01\x00" + true[4:],
    "no question": lambda true: true[:4] + bytes(8),
    "two questions": lambda true: true[:4] + b"\0\2" + true[6:],
    "cut short": lambda true: true[:-1],
    "a header cut short": lambda true: true[:7],
    "one octet": lambda true: true[:1],
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_answer_is_passed_over_and_counted(kind: str) -> None:
    def forges(server: Server, query: bytes, address: Any) -> None:
        server.send(FORGERIES[kind](reply(query, NXDOMAIN)), address)
        server.send(reply(query), address)

    answer, engine, _ = run(forges, lambda engine, _server: ask(engine))
    assert answer[2:4] == NOTHING
    assert engine.mismatched == 1


def test_an_answer_from_another_address_or_port_never_gets_in() -> None:
    def forges(server: Server, query: bytes, address: Any) -> None:
        for source in ("127.0.0.1", "127.0.0.2"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((source, 0))
                other.sendto(reply(query, NXDOMAIN), address)
        server.send(reply(query), address)

    answer, engine, _ = run(forges, lambda engine, _server: ask(engine))
    assert (answer[2:4], engine.mismatched) == (NOTHING, 0)


def test_ids_ports_and_case_are_not_to_be_foreseen() -> None:
    _, _, server = run(answers, lambda engine, _server: ask_many(engine, 200))
    assert len({query[:2] for query in server.asked}) > 190
    assert len({query[12:20] for query in server.asked}) > 190
    assert len(server.ports) > 4


def test_a_port_serves_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_SERVES", 5)
    _, _, server = run(answers, lambda engine, _server: ask_many(engine, 200))
    assert len(server.ports) >= 200 / engine_module._TOGETHER


def test_answers_in_another_order_find_their_questions() -> None:
    waiting: list[tuple[bytes, Any]] = []

    def reorders(server: Server, query: bytes, address: Any) -> None:
        waiting.append((query, address))
        if len(waiting) == 50:
            random.Random(1).shuffle(waiting)
            for each in waiting:
                answers(server, *each)

    found, _, server = run(
        reorders,
        lambda engine, _server: ask_many(engine, 50),
        limits=replace(QUICK, resend=PATIENT),
    )
    assert names(found) == [f"n{n}" for n in range(50)]
    assert len(server.asked) == 50


def test_an_answer_that_comes_twice_counts_once() -> None:
    def doubles(server: Server, query: bytes, address: Any) -> None:
        answers(server, query, address)
        answers(server, query, address)

    async def scenario(engine: Engine, _server: Server) -> list[Any]:
        # The port stays open for the second answer while others are in flight.
        return [await ask_many(engine, 20) for _ in range(3)][-1]

    found, engine, _ = run(doubles, scenario)
    assert names(found) == [f"n{n}" for n in range(20)]
    assert engine.mismatched > 0


def test_every_lost_question_is_asked_again() -> None:
    chance = random.Random(2)

    def drops(server: Server, query: bytes, address: Any) -> None:
        if chance.random() > 0.3:
            answers(server, query, address)

    found, _, server = run(drops, lambda engine, _server: ask_many(engine, 300))
    assert len(server.asked) > 350
    lost = [one for one in found if one is Outcome.TIMEOUT]
    assert len(lost) <= 3  # 0.3 ** 5 of 300, and luck


def test_a_late_answer_to_the_first_sending_is_taken() -> None:
    def is_late(server: Server, _query: bytes, address: Any) -> None:
        if len(server.asked) == 3:
            answers(server, server.asked[0], address)

    found, engine, server = run(is_late, lambda engine, _server: ask(engine))
    assert isinstance(found, bytes)
    assert engine.mismatched == 0
    assert len(set(server.asked)) == 1


def test_an_answer_after_the_deadline_does_no_harm() -> None:
    waiting: list[tuple[bytes, Any]] = []

    def is_late(_server: Server, query: bytes, address: Any) -> None:
        waiting.append((query, address))

    async def scenario(engine: Engine, server: Server) -> tuple[Any, Any]:
        first = await ask(engine, timeout=0.05)
        for each in waiting:
            answers(server, *each)
        server.script = answers
        return first, await ask(engine)

    (first, second), _, _ = run(is_late, scenario)
    assert first is Outcome.TIMEOUT
    assert isinstance(second, bytes)


def test_with_many_lost_questions_fewer_are_in_flight() -> None:
    async def scenario(engine: Engine, _server: Server) -> list[Any]:
        return await ask_many(engine, 100, timeout=SOON)

    _, engine, _ = run(is_silent, scenario)
    assert engine._window.size < 100


def test_a_question_that_hangs_is_lost_once_however_often_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = []

    async def scenario(engine: Engine, _server: Server) -> Any:
        monkeypatch.setattr(engine._window, "lost", lambda: lost.append(1))
        return await ask(engine, timeout=SOON)

    found, _, server = run(is_silent, scenario)
    assert found is Outcome.TIMEOUT
    assert len(server.asked) > 2
    assert len(lost) == 1


def test_no_more_than_allowed_are_in_flight() -> None:
    flying, most = set(), 0

    def holds(server: Server, query: bytes, address: Any) -> None:
        nonlocal most
        flying.add(query[:2])
        most = max(most, len(flying))

        def land() -> None:
            flying.discard(query[:2])
            answers(server, query, address)

        asyncio.get_running_loop().call_later(0.005, land)

    limits = replace(QUICK, in_flight=7, resend=PATIENT)
    run(holds, lambda engine, _server: ask_many(engine, 40), limits=limits)
    assert most == 7


def test_slow_names_do_not_hold_up_the_others() -> None:
    """Questions that the resolver works on for long do not fill the window."""

    def is_slow_with_some(server: Server, query: bytes, address: Any) -> None:
        if query[13:14].lower() == b"n":
            answers(server, query, address)

    async def scenario(engine: Engine, _server: Server) -> list[Any]:
        slow = [asyncio.ensure_future(ask(engine, f"slow{n}.example", 1.0)) for n in range(20)]
        quick = await ask_many(engine, 20)
        assert not any(one.done() for one in slow)
        await asyncio.gather(*slow)
        return quick

    limits = replace(LOCAL, window=10)
    found, _, _ = run(is_slow_with_some, scenario, limits=limits)
    assert names(found) == [f"n{n}" for n in range(20)]


def test_the_rate_is_kept() -> None:
    times: list[float] = []

    def notes(server: Server, query: bytes, address: Any) -> None:
        times.append(asyncio.get_running_loop().time())
        answers(server, query, address)

    run(
        notes,
        lambda engine, _server: ask_many(engine, 25),
        limits=replace(LOCAL, per_second=10, resend=PATIENT),
    )
    assert len(times) == 25
    assert times[20] - times[0] > 1.5


def test_what_is_sent_again_keeps_the_rate_too() -> None:
    times: list[float] = []

    def notes(server: Server, query: bytes, address: Any) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) > 10:
            answers(server, query, address)

    limits = replace(LOCAL, per_second=10, resend=0.1)
    found, _, _ = run(notes, lambda engine, _server: ask_many(engine, 12), limits=limits)
    assert names(found) == [f"n{n}" for n in range(12)]
    in_a_second = [sum(start <= one < start + 0.95 for one in times) for start in times]
    assert max(in_a_second) <= 10


@pytest.mark.parametrize("seconds", [0.001, 0.02])
def test_a_server_that_refuses_while_many_are_under_way_is_asked_again(seconds: float) -> None:
    """As forwarders do that have a limit for questions under way.

    The first are refused after the first is answered, or before.
    """
    under_way: set[asyncio.TimerHandle] = set()

    def has_a_limit(server: Server, query: bytes, address: Any) -> None:
        if len(under_way) >= 60:
            server.send(reply(query, REFUSED), address)
            return

        def answer() -> None:
            under_way.discard(timer)
            answers(server, query, address)

        timer = asyncio.get_running_loop().call_later(seconds, answer)
        under_way.add(timer)

    limits = replace(LOCAL, resend=0.05)
    found, _, _ = run(has_a_limit, lambda engine, _: ask_many(engine, 300), limits=limits)
    assert {one[3] & 0xF for one in found} == {0}


def test_what_comes_first_does_not_wait_for_the_others() -> None:
    async def scenario(engine: Engine, server: Server) -> bytes:
        for number in range(50):
            engine.ask(encode(f"n{number}.example"), TYPE_CAA, PATIENT, lambda *_: None)
        engine.ask(encode("first.example"), TYPE_CAA, PATIENT, lambda *_: None, first=True)
        await ask(engine)
        return server.asked[0]

    found, _, _ = run(answers, scenario)
    assert b"first" in found.lower()


def test_what_is_refused_again_and_again_is_refused() -> None:
    def refuses_some(server: Server, query: bytes, address: Any) -> None:
        server.send(reply(query, NOTHING if b"\x02n0" in query.lower() else REFUSED), address)

    async def scenario(engine: Engine, server: Server) -> list[int]:
        await ask(engine, "n1.example")
        assert len(server.asked) == 1  # it has answered nobody yet
        return [(await ask(engine, f"n{n}.example"))[3] & 0xF for n in (0, 1)]

    found, _, server = run(refuses_some, scenario)
    assert found == [0, 5]
    assert len(server.asked) == 5


def test_time_in_which_we_were_held_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads our output may take a break; meanwhile the answers wait in the socket."""
    monkeypatch.setattr(engine_module, "_STALL", 0.05)
    now = [1000.0]

    async def scenario(engine: Engine, server: Server) -> Any:
        engine._clock = lambda: now[0]
        asking = asyncio.ensure_future(ask(engine, timeout=5.0))
        while not server.asked:
            await asyncio.sleep(0)
        now[0] += 60.0
        await asyncio.sleep(0.05)
        assert not asking.done()
        answers(server, server.asked[0], server.addresses[0])
        return await asking

    found, _, _ = run(is_silent, scenario, limits=replace(LOCAL, resend=PATIENT))
    assert isinstance(found, bytes)


def test_a_server_that_does_not_answer_any_more_is_not_asked_first() -> None:
    """It costs a few questions their time, and not each."""

    async def go() -> tuple[list[Any], list[tuple[int, int]]]:
        loop = asyncio.get_running_loop()
        created = [
            await loop.create_datagram_endpoint(
                functools.partial(Server, script), local_addr=("127.0.0.1", free_port("127.0.0.1"))
            )
            for script in (is_silent, answers)
        ]
        one, other = (server for _, server in created)
        engine = Engine([each.get_extra_info("sockname")[:2] for each, _ in created], QUICK)
        asked = []

        async def ask_on(count: int) -> list[Any]:
            found = [await ask(engine, f"n{n}.example", 2 * SOON) for n in range(count)]
            asked.append((len(set(one.asked)), len(set(other.asked))))
            return found

        found = [*await ask_on(4), *await ask_on(20)]
        one.script, other.script = other.script, one.script
        found += await ask_on(5)
        engine.close()
        for transport, _ in created:
            transport.close()
        return found, asked

    found, asked = asyncio.run(go())
    assert all(isinstance(each, bytes) for each in found)
    assert asked == [(4, 4), (4, 24), (9, 28)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_there_is_known_at_once(host: str) -> None:
    async def scenario(engine: Engine, server: Server) -> list[Any]:
        server.transport.close()
        await asyncio.sleep(0)
        return await ask_many(engine, 5)

    found, _, _ = run(is_silent, scenario, host=host)
    assert found == [Outcome.NETWORK] * 5


def test_an_ipv6_address_is_asked() -> None:
    found, _, _ = run(answers, lambda engine, _server: ask_many(engine, 3), host="::1")
    assert names(found) == ["n0", "n1", "n2"]


def test_no_way_to_a_server_is_a_network_error() -> None:
    async def scenario() -> Any:
        engine = Engine([("255.255.255.255", 53)], QUICK)
        return await ask(engine)

    assert asyncio.run(scenario()) is Outcome.NETWORK


def test_between_questions_nothing_is_open() -> None:
    async def scenario(engine: Engine, _server: Server) -> tuple[int, int]:
        before = sockets_open()
        await ask_many(engine, 300)
        return before, sockets_open()

    (before, after), _, _ = run(answers, scenario)
    assert before == after


def test_close_leaves_nobody_waiting_and_nothing_open() -> None:
    async def scenario(engine: Engine, server: Server) -> tuple[list[Any], int, int]:
        before = sockets_open()
        asking = asyncio.ensure_future(ask_many(engine, 150))
        while not server.asked:
            await asyncio.sleep(0)
        engine.close()
        return await asking, before, sockets_open()

    (found, before, after), _, _ = run(is_silent, scenario)
    assert found == [Outcome.NETWORK] * 150
    assert before == after


def test_a_withdrawn_question_is_not_asked_again() -> None:
    async def scenario(engine: Engine, server: Server) -> tuple[int, int]:
        before = sockets_open()
        question = engine.ask(encode("a.example"), TYPE_CAA, PATIENT, lambda *_: None)
        while not server.asked:
            await asyncio.sleep(0)
        engine.withdraw(question)
        return before, sockets_open()

    (before, after), _, server = run(is_silent, scenario)
    assert (before, len(server.asked)) == (after, 1)


@pytest.mark.parametrize("ending", ["withdraw", "close"])
def test_who_is_told_of_a_failure_may_end_the_others(ending: str) -> None:
    """Each is told once, at most, though they were begun with together."""

    async def scenario() -> tuple[list[int], int]:
        engine = Engine([("255.255.255.255", 53)], QUICK)  # no way to it: all fail at once
        told: list[int] = []
        questions: list[Question] = []

        def done(question: Question, _answer: bytes | Outcome, _seconds: float) -> None:
            told.append(question.about)
            if len(told) > 1:
                return
            if ending == "close":
                engine.close()
            else:
                for other in questions:
                    engine.withdraw(other)

        questions += [
            engine.ask(encode(f"n{n}.example"), TYPE_CAA, PATIENT, done, n) for n in range(40)
        ]
        while not told:
            await asyncio.sleep(0)
        return told, engine._fresh

    told, fresh = asyncio.run(scenario())
    assert (len(told), len(set(told))) == ((40, 40) if ending == "close" else (1, 1))
    assert fresh == 0


def test_it_serves_one_event_loop_after_another() -> None:
    """Even when one was left in the middle of a question."""
    engines: list[Engine] = []

    async def abandons(engine: Engine, _server: Server) -> None:
        engine.ask(encode("a.example"), TYPE_CAA, PATIENT, lambda *_: None)
        engines.append(engine)

    async def asks_again(_engine: Engine, server: Server) -> Any:
        (old,) = engines
        old._servers = Servers([server.transport.get_extra_info("sockname")])
        return await ask(old)

    run(is_silent, abandons)
    found, _, _ = run(answers, asks_again)
    assert isinstance(found, bytes)


class TestOtherCase:
    """A resolver that does not keep the case is told from a forger over TCP."""

    def test_it_is_asked_over_tcp_and_then_in_lower_case(self) -> None:
        def folds(server: Server, query: bytes, address: Any) -> None:
            answers(server, query[:12] + query[12:].lower(), address)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            size = int.from_bytes(await reader.readexactly(2), "big")
            query = await reader.readexactly(size)
            message = reply(query[:12] + query[12:].lower())
            writer.write(len(message).to_bytes(2, "big") + message)
            writer.close()

        async def scenario(engine: Engine, server: Server) -> list[bytes]:
            address = server.transport.get_extra_info("sockname")
            async with await asyncio.start_server(serve, *address):
                first = await ask(engine)
                asked = len(server.asked)
                second = await ask(engine)
            return [first, second, *server.asked[asked:]]

        found, engine, _ = run(folds, scenario)
        assert [one[12:-4] for one in found[:2]] == [encode("www.example.net")] * 2
        assert [one[12:29] for one in found[2:]] == [encode("www.example.net")]
        assert engine.mismatched == 1

    def test_without_tcp_it_fails(self) -> None:
        def folds(server: Server, query: bytes, address: Any) -> None:
            answers(server, query[:12] + query[12:].lower(), address)

        found, _, _ = run(folds, lambda engine, _server: ask(engine))
        assert found is Outcome.NETWORK


class TestTcp:
    """A truncated answer is asked for again over TCP."""

    def found(self, serve: Any, timeout: float = PATIENT) -> Any:
        def truncates(server: Server, query: bytes, address: Any) -> None:
            server.send(reply(query, b"\x83\x80"), address)

        async def scenario(engine: Engine, server: Server) -> Any:
            if serve is None:
                return await ask(engine, timeout=timeout)
            address = server.transport.get_extra_info("sockname")
            async with await asyncio.start_server(serve, *address):
                return await ask(engine, timeout=timeout)

        found, _, _ = run(truncates, scenario)
        return found

    def test_nobody_there(self) -> None:
        assert self.found(None) is Outcome.NETWORK

    def test_a_message_cut_short(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(512)
            writer.write(b"\x00\x20short")
            writer.close()

        assert self.found(serve) is Outcome.NETWORK

    def test_an_answer_to_something_else(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(512)
            writer.write(b"\x00\x0c" + bytes(12))
            writer.close()

        assert self.found(serve) is Outcome.NETWORK

    def test_silence_lasts_until_the_deadline(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        assert self.found(serve, timeout=SOON) is Outcome.TIMEOUT
