"""One lookup for each owner, whoever wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from zope.interface import implementer

from certbot_caa_guard.climb import Lookup, Outcome, climb
from certbot_caa_guard.interfaces import IBulkResolver
from certbot_caa_guard.sharing import OneByOne, Sharing, asking
from certbot_caa_guard.witness import Witness
from tests.fakes import FakeResolver, issue


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

    def answer(self, *owners: str, outcome: Outcome = Outcome.NOTHING) -> None:
        records = issue() if outcome is Outcome.RECORDS else ()
        for owner, known in self.asked:
            if owner in owners or not owners:
                known(Lookup(owner, outcome, records))

    @property
    def owners(self) -> list[str]:
        return [owner for owner, _ in self.asked]


def sharing(ways: Asked, most: int = 100) -> tuple[Sharing[str], list[str]]:
    settled: list[str] = []
    return Sharing(ways, 5.0, most, settled.append), settled


def test_a_name_is_asked_for_with_all_its_parents() -> None:
    ways = Asked()
    made, _ = sharing(ways)
    made.want("www.shop.net", "a")
    assert sorted(ways.owners) == ["net", "shop.net", "www.shop.net"]


def test_an_owner_that_several_wait_for_is_asked_for_once() -> None:
    ways = Asked()
    made, settled = sharing(ways)
    assert made.want("shop.net", "a") is made.want("shop.net", "b")
    made.want("www.shop.net", "c")
    ways.answer()
    assert sorted(ways.owners) == ["net", "shop.net", "www.shop.net"]
    assert sorted(settled) == ["a", "b", "c"]


def test_who_waits_is_told_when_the_last_of_all_owners_is_known() -> None:
    ways = Asked()
    made, settled = sharing(ways)
    rung = made.want("www.shop.net", "a")
    for owner in ("shop.net", "www.shop.net"):
        ways.answer(owner)
        assert not rung.settled
    assert settled == []
    ways.answer("net")
    assert (rung.settled, settled) == (True, ["a"])


def test_nothing_above_records_is_waited_for() -> None:
    ways = Asked()
    made, settled = sharing(ways)
    made.want("shop.net", "a")
    made.want("www.shop.net", "b")
    made.want("other.net", "c")
    ways.answer("www.shop.net", "other.net")
    assert settled == []
    ways.answer("shop.net", outcome=Outcome.RECORDS)
    assert settled == ["a", "b"]
    later = made.want("mail.shop.net", "d")
    ways.answer("mail.shop.net")
    assert settled == ["a", "b", "d"]
    assert (later.relevant, later.easy) == (made.want("shop.net", "e"), True)
    ways.answer("net")
    assert settled == ["a", "b", "d", "c"]


def test_a_name_under_one_that_is_settled_needs_only_its_own_lookup() -> None:
    ways = Asked()
    made, settled = sharing(ways)
    made.want("shop.net", "a")
    ways.answer()
    made.want("www.shop.net", "b")
    ways.answer("www.shop.net")
    assert settled == ["a", "b"]
    assert ways.owners.count("net") == 1


def test_what_is_known_is_not_asked_for_again() -> None:
    ways = Asked(at_once=True)
    made, settled = sharing(ways)
    rungs = [made.want("net", who) for who in ("a", "b")]
    assert rungs[0] is rungs[1]
    assert rungs[0].lookup == Lookup("net", Outcome.NOTHING)
    assert (ways.owners, settled) == (["net"], [])


def test_a_rung_knows_all_lookups_from_there_on() -> None:
    ways = Asked()
    made, _ = sharing(ways)
    rung = made.want("www.shop.net", "a")
    ways.answer("shop.net", "net")
    assert list(rung.lookups()) == ["shop.net", "net"]
    ways.answer("www.shop.net")
    assert list(rung.lookups()) == ["www.shop.net", "shop.net", "net"]


@pytest.mark.parametrize(
    ("outcomes", "relevant", "easy"),
    [
        ("nothing nothing nothing", None, True),
        ("nxdomain nothing nothing", None, True),
        ("records nothing nothing", 0, True),
        ("nothing records nothing", 1, True),
        ("records records nothing", 0, True),
        ("nothing nothing records", 2, True),
        ("nothing nothing nxdomain", None, False),
        ("servfail nothing nothing", None, False),
        ("nothing timeout nothing", None, False),
        ("nothing nothing servfail", None, False),
        ("records servfail nothing", 0, True),
        ("servfail records nothing", 1, False),
        ("nothing records nxdomain", 1, True),
    ],
)
def test_a_settled_rung_knows_where_the_climb_ends(
    outcomes: str, relevant: int | None, easy: bool
) -> None:
    ways = Asked()
    made, _ = sharing(ways)
    rung = made.want("www.shop.net", "a")
    owners = ["www.shop.net", "shop.net", "net"]
    for owner, outcome in zip(owners, outcomes.split(), strict=True):
        ways.answer(owner, outcome=Outcome(outcome))
    assert (rung.relevant.owner if rung.relevant else None) == (
        None if relevant is None else owners[relevant]
    )
    assert rung.easy is easy
    assert (climb(rung.lookups().values()).failure is None) is easy


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
        made.want(f"{number}.tld", "a")
        assert len(made._known) <= 10
    assert ways.owners.count("tld") == 1
    made.want("3.tld", "a")
    assert ways.owners.count("3.tld") == 2


def test_when_it_is_abandoned_nobody_waits() -> None:
    ways = Asked()
    made, settled = sharing(ways)
    rung = made.want("shop.net", "a")
    made.abandon()
    assert settled == ["a"]
    assert [one.outcome for one in rung.lookups().values()] == [Outcome.TIMEOUT] * 2
    ways.answer()
    assert len(settled) == 1


def test_a_bulk_resolver_is_asked_as_such() -> None:
    @implementer(IBulkResolver)
    class Bulk(FakeResolver, Asked):
        pass

    bulk = Bulk()
    assert asking(Witness(bulk)) is bulk
    assert isinstance(asking(Witness(FakeResolver())), OneByOne)


class TestOneByOne:
    """A resolver that knows only how to look one owner up."""

    def test_it_answers(self) -> None:
        async def scenario() -> Lookup:
            known: asyncio.Future[Lookup] = asyncio.get_running_loop().create_future()
            OneByOne(Witness(FakeResolver())).ask("a.net", 5.0, known.set_result)
            return await known

        assert asyncio.run(scenario()) == Lookup("a.net", Outcome.NOTHING)

    def test_when_it_is_cancelled_nobody_is_told(self) -> None:
        async def scenario() -> None:
            ways = OneByOne(Witness(FakeResolver()))
            ways.ask("a.net", 5.0, lambda _lookup: pytest.fail("told"))
            (task,) = ways._tasks
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not ways._tasks

        asyncio.run(scenario())
