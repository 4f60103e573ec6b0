"""One lookup for each owner, whoever wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from zope.interface import implementer

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IBulkResolver
from certbot_caa_guard.sharing import OneByOne, Sharing, asking
from tests.fakes import FakeResolver

Arrived = list[tuple[str, int, str]]


class Asked:
    """Is asked, and answers when it is told to."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.asked: list[tuple[str, Callable[[Lookup], None]]] = []

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None:
        assert timeout == 5.0
        self.asked.append((owner, known))
        if self.at_once:
            known(Lookup(owner, Outcome.NOTHING))

    def answer(self) -> None:
        for owner, known in self.asked:
            known(Lookup(owner, Outcome.NOTHING))

    @property
    def owners(self) -> list[str]:
        return [owner for owner, _ in self.asked]


def sharing(ways: Asked, most: int = 100) -> tuple[Sharing[str], Arrived]:
    arrived: Arrived = []
    made: Sharing[str] = Sharing(
        ways, 5.0, most, lambda who, place, lookup: arrived.append((who, place, lookup.owner)), 7
    )
    return made, arrived


def test_an_owner_that_several_wait_for_is_asked_for_once() -> None:
    ways = Asked()
    made, arrived = sharing(ways)
    assert [made.want("net", who) for who in ("a", "b")] == [None, None]
    ways.answer()
    assert ways.owners == ["net"]
    assert arrived == [("a", 7, "net"), ("b", 7, "net")]


def test_what_is_known_is_not_asked_for_again() -> None:
    ways = Asked(at_once=True)
    made, arrived = sharing(ways)
    assert made.want("net", "a") is None
    assert made.want("net", "b") == Lookup("net", Outcome.NOTHING)
    assert (ways.owners, arrived) == (["net"], [("a", 7, "net")])


def test_as_many_as_are_to_be_remembered_are() -> None:
    ways = Asked(at_once=True)
    made, _ = sharing(ways, most=10)
    for _ in range(2):
        for number in range(10):
            made.want(str(number), "a")
    assert len(ways.owners) == 10


def test_those_wanted_too_long_ago_are_forgotten() -> None:
    ways = Asked(at_once=True)
    made, _ = sharing(ways, most=10)
    for number in range(1000):
        made.want(str(number), "a")
        made.want("tld", "a")
    assert ways.owners.count("tld") == 1
    assert len(made._lookups) == 10
    made.want("3", "a")
    assert ways.owners.count("3") == 2


def test_when_it_is_abandoned_nobody_waits() -> None:
    ways = Asked()
    made, arrived = sharing(ways)
    made.want("net", "a")
    made.abandon()
    assert arrived == [("a", 7, "net")]
    ways.answer()
    assert len(arrived) == 1


def test_a_bulk_resolver_is_asked_as_such() -> None:
    @implementer(IBulkResolver)
    class Bulk(FakeResolver, Asked):
        pass

    bulk, other = Bulk(), FakeResolver()
    assert asking(bulk) is bulk
    assert isinstance(asking(other), OneByOne)


class TestOneByOne:
    """A resolver that knows only how to look one owner up."""

    def found(self, resolver: FakeResolver, *, errors: list[str] | None = None) -> Lookup:
        told: list[str] = [] if errors is None else errors

        async def scenario() -> Lookup:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: told.append(context["message"]))
            known: asyncio.Future[Lookup] = loop.create_future()
            OneByOne(resolver).ask("a.net", 5.0, known.set_result)
            return await known

        return asyncio.run(scenario())

    def test_it_answers(self) -> None:
        assert self.found(FakeResolver()) == Lookup("a.net", Outcome.NOTHING)

    def test_an_owner_that_it_spells_otherwise_is_ours(self) -> None:
        class Shouts(FakeResolver):
            async def lookup(self, owner: str, timeout: float) -> Lookup:
                return await super().lookup(owner.upper(), timeout)

        assert self.found(Shouts()).owner == "a.net"

    def test_an_error_of_its_own_is_an_outcome_and_told(self) -> None:
        class Breaks(FakeResolver):
            async def lookup(self, owner: str, timeout: float) -> Lookup:
                raise RuntimeError(f"{owner} {timeout}")

        errors: list[str] = []
        assert self.found(Breaks(), errors=errors).outcome is Outcome.NETWORK
        assert errors == ["the lookup for a.net failed"]

    def test_when_it_is_cancelled_nobody_is_told(self) -> None:
        async def scenario() -> None:
            ways = OneByOne(FakeResolver())
            ways.ask("a.net", 5.0, lambda _lookup: pytest.fail("told"))
            (task,) = ways._tasks
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not ways._tasks

        asyncio.run(scenario())
