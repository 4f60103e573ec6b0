"""How many questions are in flight, and how fast they follow each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from certbot_caa_guard.resolvers import pace
from certbot_caa_guard.resolvers.pace import Pace


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; none of them is waited for."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    return asked


def test_no_more_questions_than_allowed_are_in_flight() -> None:
    async def scenario() -> None:
        limited = Pace(2, None)
        flying, most = 0, 0
        landed = asyncio.Event()

        async def ask() -> None:
            nonlocal flying, most
            async with limited:
                flying += 1
                most = max(most, flying)
                await landed.wait()
                flying -= 1

        tasks = [asyncio.ensure_future(ask()) for _ in range(5)]
        while flying < 2:
            await asyncio.sleep(0)
        landed.set()
        await asyncio.gather(*tasks)
        assert most == 2

    run(scenario())


def test_questions_are_spread_over_time(sleeps: list[float]) -> None:
    async def scenario() -> None:
        limited = Pace(100, 10.0)
        for _ in range(4):
            async with limited:
                pass

    run(scenario())
    assert sleeps == pytest.approx([0.1, 0.2, 0.3], abs=0.05)


def test_without_a_rate_nobody_waits(sleeps: list[float]) -> None:
    async def scenario() -> None:
        limited = Pace.unlimited_rate()
        for _ in range(200):
            async with limited:
                pass

    run(scenario())
    assert sleeps == []


def test_the_gentle_pace_is_500_a_second(sleeps: list[float]) -> None:
    async def scenario() -> None:
        limited = Pace.gentle()
        for _ in range(501):
            async with limited:
                pass

    run(scenario())
    assert sleeps[-1] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("make", [Pace.gentle, Pace.unlimited_rate])
def test_at_most_100_are_in_flight(make: Any, sleeps: list[float]) -> None:
    async def scenario() -> None:
        limited = make()
        for _ in range(100):
            await limited.__aenter__()
        waiting = asyncio.ensure_future(limited.__aenter__())
        done, _ = await asyncio.wait({waiting}, timeout=0)
        assert not done
        await limited.__aexit__(None, None, None)
        await waiting

    run(scenario())
    assert all(one < 1 for one in sleeps)


def test_room_is_made_after_an_error() -> None:
    async def scenario() -> None:
        limited = Pace(1, None)
        with pytest.raises(OSError, match="broken"):
            async with limited:
                raise OSError("broken")
        async with limited:
            pass

    run(scenario())


def test_a_question_that_is_given_up_while_it_waits_for_its_time_leaves_its_room() -> None:
    async def scenario() -> None:
        limited = Pace(1, 0.001)
        async with limited:
            pass
        waiting = asyncio.ensure_future(limited.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not limited._room.locked()

    run(scenario())
