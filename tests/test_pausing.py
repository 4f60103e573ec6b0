"""The event loop whose time stands still while nobody runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from certbot_caa_guard.pausing import PausingLoop

Skip = Callable[[float], None]


@pytest.fixture
def loop() -> Iterator[PausingLoop]:
    made = PausingLoop()
    yield made
    made.end()


def test_its_time_goes_on_where_it_stood(loop: PausingLoop, skip: Skip) -> None:
    async def now() -> float:
        return loop.time()

    before = loop.run_until_complete(now())
    assert loop.time() == loop.time()
    skip(3600.0)
    assert 0.0 <= loop.run_until_complete(now()) - before < 60.0


def test_what_has_come_during_a_pause_is_not_late(loop: PausingLoop, skip: Skip) -> None:
    answer = loop.create_future()
    waiting = loop.create_task(asyncio.wait_for(answer, 60.0))
    loop.run_until_complete(asyncio.sleep(0))
    skip(3600.0)
    loop.call_soon(answer.set_result, "an answer")
    assert loop.run_until_complete(waiting) == "an answer"


def fail() -> None:
    raise ZeroDivisionError


def test_what_is_finished_gives_its_result(loop: PausingLoop) -> None:
    assert loop.finish(lambda: asyncio.sleep(0, "a result")) == "a result"


def test_what_it_raises_is_raised(loop: PausingLoop) -> None:
    async def raises() -> None:
        fail()

    with pytest.raises(ZeroDivisionError):
        loop.finish(raises)


def test_a_callback_that_fails_leaves_nobody_waiting(loop: PausingLoop) -> None:
    async def waits() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        loop.finish(waits)
    assert loop.finish(lambda: asyncio.sleep(0, "goes on")) == "goes on"


def test_what_is_cancelled_is_cancelled(loop: PausingLoop) -> None:
    async def cancels() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        loop.finish(cancels)


def test_all_else_that_a_loop_tells_is_logged(
    loop: PausingLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def tells() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "something odd"})

    loop.finish(tells)
    assert "something odd" in caplog.text


def test_its_end_ends_what_tasks_begin_at_theirs() -> None:
    loop = PausingLoop()
    ended: list[str] = []

    async def wait(name: str, then: str | None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            if then is not None:
                later.append(loop.create_task(wait(then, None)))
                # It has begun when its end comes.
                await asyncio.sleep(0)

    later: list[asyncio.Task[None]] = []
    first = loop.create_task(wait("first", "second"))
    loop.run_until_complete(asyncio.sleep(0))
    loop.end()
    assert ended == ["first", "second"]
    assert first.cancelled()
    assert later[0].cancelled()
    assert loop.is_closed()
    loop.end()


def test_its_end_is_not_cut_short_by_one_more_interrupt() -> None:
    loop = PausingLoop()

    async def is_interrupted_at_its_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyboardInterrupt

    interrupted = [loop.create_task(is_interrupted_at_its_end()) for _ in range(2)]
    other = loop.create_task(asyncio.Event().wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.end()
    assert other.cancelled()
    assert loop.is_closed()
    for task in interrupted:
        assert isinstance(task.exception(), KeyboardInterrupt)
