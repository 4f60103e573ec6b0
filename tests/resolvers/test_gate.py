"""Who is let through when: in an event loop whose time passes only when all wait for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from certbot_caa_guard.resolvers import gate
from certbot_caa_guard.resolvers.gate import Gate
from certbot_caa_guard.resolvers.manners import Manners, Reaction

FREE = Manners.at_home()


class Selector(selectors.SelectSelector):
    """Waits for nothing: the time that would be waited passes at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.passed += timeout or 0.0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.passed


def run(*scenarios: Coroutine[Any, Any, None]) -> None:
    """Each in a loop of its own."""
    for scenario in scenarios:
        loop = Loop()
        try:
            loop.run_until_complete(scenario)
        finally:
            loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


class Server:
    """Takes its time to answer, and counts.

    :ivar asked: when each question came.
    """

    def __init__(self, gate: Gate[str], address: str = "192.0.2.1", seconds: float = 0.01) -> None:
        self.gate, self.address, self.seconds = gate, address, seconds
        self.reaction = Reaction.ANSWERED
        self.asked: list[float] = []
        self.under_way = self.most = 0

    async def ask(self, zone: str = "example.net") -> None:
        async with self.gate.turn(self.address, zone) as turn:
            assert turn.started == now()
            self.asked.append(now())
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(self.seconds)
            self.under_way -= 1
            turn.reaction = self.reaction


async def times(number: int, server: Server, zone: str = "example.net") -> None:
    await asyncio.gather(*(server.ask(zone) for _ in range(number)))


class TestBounds:
    def test_so_many_questions_to_a_server(self) -> None:
        async def scenario() -> None:
            server = Server(Gate(Manners(in_flight=3, per_second=None), now))
            await times(20, server)
            assert server.most == 3
            assert len(server.asked) == 20

        run(scenario())

    def test_so_many_questions_to_all_servers_of_a_zone(self) -> None:
        async def scenario() -> None:
            gate = Gate(replace(FREE, zone_in_flight=4), now)
            servers = [Server(gate, f"192.0.2.{number}") for number in range(3)]
            await asyncio.gather(*(times(5, server) for server in servers))
            flying = [when for server in servers for when in server.asked]
            assert max(flying.count(when) for when in flying) == 4

        run(scenario())

    def test_so_many_questions_a_second_to_a_server(self) -> None:
        async def scenario() -> None:
            server = Server(Gate(replace(FREE, per_second=10.0, burst=2), now))
            await times(12, server)
            assert server.asked[:2] == [0, 0]
            assert server.asked[-1] == pytest.approx(1.0, abs=0.01)

        run(scenario())

    def test_so_many_questions_a_second_to_all(self) -> None:
        async def scenario() -> None:
            gate = Gate(Manners(all_per_second=100.0), now)
            servers = [Server(gate, f"192.0.2.{number}") for number in range(50)]
            await asyncio.gather(*(server.ask(f"z{n}") for n, server in enumerate(servers)))
            assert max(server.asked[0] for server in servers) == pytest.approx(0.49)

        run(scenario())

    def test_who_waits_for_one_server_holds_nobody_up(self) -> None:
        async def scenario() -> None:
            gate = Gate(Manners(lookups=5, in_flight=1), now)
            slow, quick = Server(gate, "192.0.2.1", seconds=60.0), Server(gate, "192.0.2.2")
            waiting = asyncio.ensure_future(times(10, slow, "slow.net"))
            await asyncio.sleep(0)
            await times(10, quick, "quick.net")
            assert now() < 1
            waiting.cancel()

        run(scenario())

    def test_first_come_first_served(self) -> None:
        async def scenario() -> None:
            gate = Gate(Manners(in_flight=1, per_second=10.0), now)
            order: list[int] = []

            async def ask(number: int) -> None:
                await asyncio.sleep(number / 1000)
                async with gate.turn("192.0.2.1", f"z{number}"):
                    order.append(number)
                    await asyncio.sleep(0.25)

            await asyncio.gather(*(ask(number) for number in range(20)))
            assert order == list(range(20))

        run(scenario())


class TestSettling:
    def test_lets_others_ask_that_server_though_not_beyond_all(self) -> None:
        async def scenario() -> None:
            gate: Gate[str] = Gate(replace(FREE, in_flight=1, lookups=2), now)
            started: list[float] = []

            async def ask() -> None:
                async with gate.turn("192.0.2.1", "example.net") as turn:
                    started.append(now())
                    await asyncio.sleep(1.0)
                    gate.settle(turn)
                    gate.settle(turn)
                    await asyncio.sleep(9.0)

            await asyncio.gather(*(ask() for _ in range(4)))
            assert started == [0, 1, 10, 11]

        run(scenario())

    def test_counts_a_question_once(self) -> None:
        async def scenario() -> None:
            gate: Gate[str] = Gate(FREE, now)
            await Server(gate).ask()
            async with gate.turn("192.0.2.1", "example.net") as turn:
                turn.reaction = Reaction.SILENT
                gate.settle(turn)
            assert gate.allowance("192.0.2.1").in_flight == FREE.in_flight / 2
            assert gate.allowance("192.0.2.1").is_idle

        run(scenario())


class TestGivingUp:
    def test_while_waiting_leaves_the_room_to_others(self) -> None:
        async def scenario() -> None:
            server = Server(Gate(Manners(in_flight=1), now), seconds=1.0)
            first, second, third = (asyncio.ensure_future(server.ask()) for _ in range(3))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.gather(first, third)
            assert len(server.asked) == 2

        run(scenario())

    def test_while_asking_makes_room(self) -> None:
        async def scenario() -> None:
            server = Server(Gate(Manners(in_flight=1), now), seconds=1.0)
            first, second = (asyncio.ensure_future(server.ask()) for _ in range(2))
            await asyncio.sleep(0.5)
            first.cancel()
            await second
            assert server.asked == [0, 0.5]

        run(scenario())

    def test_at_the_moment_of_being_let_in_makes_room(self) -> None:
        async def scenario() -> None:
            gate = Gate(Manners(in_flight=1), now)
            waiting = asyncio.ensure_future(Server(gate).ask())
            async with gate.turn("192.0.2.1", "example.net"):
                await asyncio.sleep(0)
            # Its turn has come with the end of the block, and it has not run since.
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await Server(gate).ask()
            assert gate.allowance("192.0.2.1").is_idle

        run(scenario())

    def test_an_error_makes_room(self) -> None:
        async def scenario() -> None:
            gate = Gate(Manners(in_flight=1), now)
            with pytest.raises(OSError, match="broken"):
                async with gate.turn("192.0.2.1", "example.net"):
                    raise OSError("broken")
            await Server(gate).ask()

        run(scenario())

    def test_what_an_earlier_event_loop_left_is_over(self) -> None:
        used = Gate(Manners(in_flight=1, lookups=1))

        async def leave_in_the_middle() -> None:
            turn = used.turn("192.0.2.1", "example.net")
            await turn.__aenter__()
            left.append(turn)

        async def ask() -> None:
            async with used.turn("192.0.2.1", "example.net"):
                pass

        left: list[Any] = []
        run(leave_in_the_middle(), ask(), ask())


class TestSlowingDown:
    @pytest.mark.parametrize(
        ("first", "then", "zone", "slowed"),
        [
            (Reaction.ANSWERED, Reaction.REFUSED, "example.net", True),
            (Reaction.ANSWERED, Reaction.SILENT, "example.net", True),
            # No server of that zone: it would refuse a single question, too.
            (Reaction.ANSWERED, Reaction.REFUSED, "other.net", False),
            (Reaction.ANSWERED, Reaction.SILENT, "other.net", True),
            # Dead, or refusing everything from the beginning.
            (Reaction.REFUSED, Reaction.REFUSED, "example.net", False),
            (Reaction.SILENT, Reaction.SILENT, "example.net", False),
            (Reaction.ANSWERED, Reaction.NOT_ASKED, "example.net", False),
        ],
    )
    def test_is_for_servers_that_begin_to(
        self, first: Reaction, then: Reaction, zone: str, slowed: bool
    ) -> None:
        async def scenario() -> None:
            gate: Gate[str] = Gate(FREE, now)
            server = Server(gate)
            server.reaction = first
            await server.ask()
            server.reaction = then
            await server.ask(zone)
            assert (gate.allowance("192.0.2.1").in_flight < FREE.in_flight) is slowed

        run(scenario())

    def test_is_of_that_server_alone(self) -> None:
        async def scenario() -> None:
            gate: Gate[str] = Gate(FREE, now)
            server = Server(gate)
            await server.ask()
            server.reaction = Reaction.REFUSED
            await server.ask()
            assert gate.allowance("192.0.2.2").in_flight == FREE.in_flight

        run(scenario())

    def test_has_those_who_wait_come_later(self) -> None:
        async def scenario() -> None:
            server = Server(Gate(Manners(in_flight=1), now))
            await times(10, server)
            server.reaction = Reaction.REFUSED
            await times(10, server)
            gaps = [b - a for a, b in zip(server.asked, server.asked[1:], strict=False)]
            assert gaps[-1] == pytest.approx(1 / Manners().slowest, rel=0.2)

        run(scenario())


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_CAPACITY", 5)

    async def scenario() -> None:
        used: Gate[str] = Gate(FREE, now)
        busy = asyncio.ensure_future(Server(used, "192.0.2.99", seconds=60.0).ask("busy.net"))
        await asyncio.sleep(0)
        for number in range(30):
            await Server(used, f"192.0.2.{number}").ask(f"z{number}.net")
        assert len(used._servers._held) <= 6
        assert len(used._has_answered) <= 5
        assert not used.allowance("192.0.2.99").is_idle
        busy.cancel()

    run(scenario())
