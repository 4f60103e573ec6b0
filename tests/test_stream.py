"""Many names, one after another, each as soon as it is known."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from certbot_caa_guard import checking
from certbot_caa_guard import stream as stream_module
from certbot_caa_guard.caa import Record
from certbot_caa_guard.checking import CheckStream, Options, Query, check_stream
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import IdentifierError
from tests.fakes import Clock, FakeResolver, FaultyLookup, FaultyProbe

OTHER = (Record(0, b"issue", b"other-ca.example"),)


def start(
    names: Any, *resolvers: IResolver, clock: Clock | None = None, **more: Any
) -> CheckStream:
    clock = clock or Clock()
    options = Options(resolvers=resolvers, clock=clock, sleep=clock.sleep, **more)
    return check_stream(names, options)


def run(names: Any, *resolvers: IResolver, **more: Any) -> list[tuple[int, str]]:
    with start(names, *resolvers, **more) as stream:
        return [(one.index, one.verdict.value) for one in stream]


class Counted:
    """An endless input that knows how much of it was read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[str]:
        for number in itertools.count():
            self.read += 1
            yield f"n{number}.net"


def test_input_is_read_as_it_is_needed() -> None:
    names = Counted()
    with start(names, FakeResolver()) as stream:
        first = list(itertools.islice(stream, 3000))
    assert len(first) == 3000
    assert names.read <= 3000 + 2 * stream_module._MOST_UNDER_WAY


def test_memory_of_owners_is_bounded_but_no_question_is_asked_twice_while_they_fit() -> None:
    resolver = FakeResolver()
    names = [f"h{host}.z{zone}.net" for zone in range(100) for host in range(4)]
    run(names, resolver)
    assert len(resolver.asked) == len(set(resolver.owners_asked)) == 501


def test_a_name_given_twice_gets_two_results_and_no_further_question() -> None:
    resolver = FakeResolver(answers={"a.net": OTHER})
    found = run(["a.net", "b.net", "a.net"], resolver)
    assert sorted(found) == [(0, "denied"), (1, "permitted"), (2, "denied")]
    assert sorted(resolver.owners_asked) == ["a.net", "b.net", "net"]


@pytest.mark.parametrize("name", ["a.net", "192.0.2.1"])
@pytest.mark.parametrize("ordered", [False, True])
def test_names_that_need_no_further_question_come_out_before_the_input_ends(
    name: str, ordered: bool
) -> None:
    """However long it is: memory must not hold it all."""
    with start(itertools.repeat(name), FakeResolver(), ordered=ordered) as stream:
        assert len(list(itertools.islice(stream, 5000))) == 5000


def test_above_a_relevant_set_that_is_known_nothing_is_asked() -> None:
    resolver = FakeResolver(answers={"shop.example": OTHER})
    names = itertools.chain(["shop.example"], [None] * 3, ["www.shop.example"])
    run(names, resolver, remembered=2)
    assert resolver.owners_asked.count("shop.example") == 1


def test_a_name_in_doubt_waits_aside_and_holds_nobody_up() -> None:
    clock = Clock()
    resolver = FakeResolver(answers={"bad.net": [Outcome.SERVFAIL, Outcome.NOTHING]})
    with start(["bad.net", *(f"n{n}.net" for n in range(2000))], resolver, clock=clock) as stream:
        found = [(one.identifier, clock.now) for one in stream]
    began = clock.now - 6
    assert found[-1] == ("bad.net", began + 6)
    assert {when for _, when in found[:-1]} == {began}


def test_rounds_about_a_name_are_6_seconds_apart_and_no_more() -> None:
    clock = Clock()
    resolver = FakeResolver(answers={"bad.net": Outcome.SERVFAIL})
    run(["bad.net"], resolver, clock=clock, rounds=4)
    assert clock.slept == [6.0] * 3
    assert [timeout for owner, timeout in resolver.asked if owner == "bad.net"] == [5, 20, 20, 20]


def test_few_enough_wait_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_MOST_ASIDE", 10)
    monkeypatch.setattr(stream_module, "_MOST_UNDER_WAY", 10)
    bad = {f"n{n}.net": [Outcome.SERVFAIL, Outcome.NOTHING] for n in range(100)}
    clock = Clock()
    found = run([*bad], FakeResolver(answers=bad), clock=clock)
    assert sorted(found) == [(n, "permitted") for n in range(100)]
    assert len(clock.slept) >= 5


def test_in_order_the_rest_waits_for_the_first() -> None:
    resolver = FakeResolver(answers={"bad.net": Outcome.SERVFAIL})
    names = ["a.net", "bad.net", "192.0.2.1", "c.net"]
    assert [index for index, _ in run(names, resolver)] == [2, 0, 3, 1]
    assert [index for index, _ in run(names, resolver, ordered=True)] == [0, 1, 2, 3]


def test_in_order_only_so_many_are_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module.InOrder.__init__, "__defaults__", (50,))
    names = Counted()
    resolver = FakeResolver(answers={"n0.net": Outcome.SERVFAIL})
    with start(names, resolver, ordered=True) as stream:
        assert next(stream).index == 0
        assert names.read == 50


def test_an_error_of_the_input_comes_after_what_was_read_before_it() -> None:
    def names() -> Iterator[str]:
        yield "bad.net"
        yield "a.net"
        raise OSError("the disk is gone")

    resolver = FakeResolver(answers={"bad.net": [Outcome.SERVFAIL, OTHER]})
    with start(names(), resolver) as stream:
        found = [(one.index, one.verdict.value) for one in itertools.islice(stream, 2)]
        with pytest.raises(OSError, match="the disk is gone"):
            next(stream)
    assert found == [(1, "permitted"), (0, "denied")]


def test_a_name_that_is_none_ends_it_when_those_before_are_known() -> None:
    resolver = FakeResolver()
    with start(["a.net", "a..net", "b.net"], resolver) as stream:
        assert next(stream).identifier == "a.net"
        with pytest.raises(IdentifierError):
            next(stream)
    assert "b.net" not in resolver.owners_asked


def test_while_there_is_nothing_to_read_what_is_known_comes_out() -> None:
    seen: list[str] = []

    def names() -> Iterator[str | None]:
        yield "a.net"
        while not seen:
            yield None
        yield "b.net"

    with start(names(), FakeResolver()) as stream:
        seen.append(next(stream).identifier)  # the input looks at it
        seen.append(next(stream).identifier)
    assert seen == ["a.net", "b.net"]


def test_a_hanging_tld_holds_up_no_name_with_records_below_it() -> None:
    class Hangs(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            if owner == "net":
                await asyncio.Event().wait()
            return await super().lookup(owner, timeout)

    names = ["plain.net", "shop.net", "www.shop.net"]
    with start(names, Hangs(answers={"shop.net": OTHER})) as stream:
        found = [next(stream) for _ in range(2)]
    assert {(one.identifier, one.verdict.value) for one in found} == {
        ("shop.net", "denied"),
        ("www.shop.net", "denied"),
    }


def test_an_unusable_perspective_has_no_say_and_is_not_waited_for() -> None:
    """Its questions would time out one after another."""

    class Deaf(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            await asyncio.Event().wait()
            return await super().lookup(owner, timeout)

    deaf = Deaf("192.0.2.1", usable=False)
    with start(["a.net", "b.net"], deaf, FakeResolver("192.0.2.2")) as stream:
        assert [one.verdict.value for one in stream] == ["permitted", "permitted"]
        assert stream.unusable == ("udp://192.0.2.1",)
        assert [one.name for one in stream.usable] == ["udp://192.0.2.2"]


def test_a_perspective_that_dies_meanwhile_has_no_say() -> None:
    class Dies(FakeResolver):
        async def is_usable(self, timeout: float) -> bool:
            await super().is_usable(timeout)
            return self.probes == 1

    dies = Dies("192.0.2.1", {"a.net": Outcome.TIMEOUT})
    good = FakeResolver("192.0.2.2")
    assert run(["a.net"], dies, good) == [(0, "permitted")]


def test_what_a_perspective_said_before_it_died_holds_no_name() -> None:
    class Dies(FakeResolver):
        async def is_usable(self, timeout: float) -> bool:
            await super().is_usable(timeout)
            return self.probes < 3

    bad = {"a.net": Outcome.SERVFAIL}
    found = run(["a.net"], Dies("192.0.2.1", bad), FakeResolver("192.0.2.2", bad), rounds=3)
    assert found == [(0, "unknown")]


@pytest.mark.parametrize("faulty", [FaultyLookup, FaultyProbe])
def test_a_resolver_at_fault_has_no_say_and_ends_nothing(faulty: type[FakeResolver]) -> None:
    names = ["a.net", "b.net", "c.example"]
    with start(names, faulty("192.0.2.1"), FakeResolver("192.0.2.2")) as stream:
        assert [one.verdict.value for one in stream] == ["permitted"] * 3
        assert stream.unusable == ("udp://192.0.2.1",)
        assert [one.name for one in stream.usable] == ["udp://192.0.2.2"]


def test_where_the_only_resolver_is_at_fault_nothing_is_known() -> None:
    assert run(["a.net"], FaultyLookup()) == [(0, "unknown")]


def test_resolvers_are_closed_when_it_is_left_early() -> None:
    resolver = FakeResolver()
    with start(Counted(), resolver) as stream:
        next(stream)
    assert resolver.closed
    assert stream._stream._loop.is_closed()


def test_one_that_nobody_iterates_leaves_nothing_open() -> None:
    with start(["a.net"], FakeResolver()) as stream:
        pass
    assert stream._stream._loop.is_closed()


def test_an_interrupt_while_the_input_is_read_is_just_that() -> None:
    def interrupted() -> Iterator[str]:
        yield "192.0.2.1"
        raise KeyboardInterrupt

    resolver = FakeResolver()
    with pytest.raises(KeyboardInterrupt):
        run(interrupted(), resolver)
    assert resolver.closed


def test_an_interrupt_of_a_lookup_is_just_that() -> None:
    class Interrupted(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            if owner == "a.net":
                raise KeyboardInterrupt
            await asyncio.sleep(timeout)
            raise AssertionError

    with pytest.raises(KeyboardInterrupt):
        run(["a.net", "b.net"], Interrupted())


def test_input_may_check_names_itself() -> None:
    def checks_first() -> Iterator[str]:
        for name in ("a.net", "b.net"):
            assert run([name], FakeResolver()) == [(0, "permitted")]
            yield name

    assert len(run(checks_first(), FakeResolver())) == 2


def test_a_pause_of_the_reader_is_no_silence_of_the_resolver(
    skip: Callable[[float], None],
) -> None:
    class Patient(FakeResolver):
        """It answers as soon as anybody runs the loop, within the time that it is given."""

        async def lookup(self, owner: str, timeout: float) -> Lookup:
            await asyncio.wait_for(asyncio.sleep(0.001), timeout)
            return Lookup(owner, Outcome.NOTHING)

    with start(["192.0.2.1", "a.net"], Patient(), rounds=1) as stream:
        assert next(stream).identifier == "192.0.2.1"
        skip(3600.0)
        assert next(stream).verdict.value == "permitted"


def test_of_accounts_no_more_are_remembered_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_MOST_REQUESTERS", 10)
    own = (Record(0, b"issue", b"letsencrypt.org; accounturi=https://ca/7"),)
    queries = [Query("a.net", account_uri=f"https://ca/{number}") for number in range(25)]
    with start(queries, FakeResolver(answers={"a.net": own})) as stream:
        permitted = [one.index for one in stream if one.verdict.value == "permitted"]
    assert permitted == [7]
    assert len(stream._requesters) <= 10


def test_progress_counts_names() -> None:
    told: list[tuple[int, int]] = []
    run(["a.net", "b.net"], FakeResolver(), progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (2, 2)


def test_without_any_name_there_is_nothing() -> None:
    assert run([], FakeResolver()) == []


def test_queries_may_say_their_own_method() -> None:
    http_only = (Record(0, b"issue", b"letsencrypt.org; validationmethods=http-01"),)
    resolver = FakeResolver(answers={"a.net": http_only})
    queries = [Query("a.net", "dns-01"), Query("a.net", "http-01")]
    assert run(queries, resolver) == [(0, "denied"), (1, "permitted")]
