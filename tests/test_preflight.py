"""The check before the order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.names import Identifier, parse
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.verdict import Lasting, Result, Verdict
from tests.fakes import (
    Clock,
    FakeResolver,
    FaultyLookup,
    FaultyProbe,
    issue,
    requester_for,
)

LASTING = Lasting(rounds=3, seconds=90.0)


class Preflights:
    """Makes preflights, and ends them after the test."""

    def __init__(self, clock: Clock, stack: ExitStack) -> None:
        self._clock = clock
        self._stack = stack

    def __call__(self, *resolvers: FakeResolver) -> Preflight:
        made = Preflight(resolvers, requester_for, clock=self._clock, lasting=LASTING)
        return self._stack.enter_context(made)


@pytest.fixture
def preflight(clock: Clock) -> Iterator[Preflights]:
    with ExitStack() as stack:
        yield Preflights(clock, stack)


def identifiers(*names: str) -> list[Identifier]:
    return [parse(name) for name in names]


def rounds(made: Preflight, clock: Clock, one: Identifier, times: Sequence[float]) -> None:
    for seconds in times:
        clock.now += seconds
        made.round([one])


def test_each_owner_is_asked_once_however_many_share_it(preflight: Preflights) -> None:
    resolver = FakeResolver()
    preflight(resolver).round(identifiers("a.example.net", "*.a.example.net", "b.example.net"))
    assert resolver.owners_asked == ["a.example.net", "example.net", "net", "b.example.net"]


def test_every_perspective_is_asked(preflight: Preflights) -> None:
    resolvers = [FakeResolver("192.0.2.1"), FakeResolver("192.0.2.2")]
    preflight(*resolvers).round(identifiers("a.net"))
    assert [one.owners_asked for one in resolvers] == [["a.net", "net"]] * 2


def test_a_name_asked_for_twice_is_judged_once_a_round(preflight: Preflights) -> None:
    made = preflight(FakeResolver())
    made.round(identifiers("a.net", "a.net"))
    assert len(made.evidence(parse("a.net")).determinations) == 1


def test_records_of_the_ca_permit(preflight: Preflights) -> None:
    made = preflight(FakeResolver(answers={"a.net": issue()}))
    made.round(identifiers("a.net"))
    assert made.verdict(parse("a.net")) is Verdict.PERMITTED


def test_records_of_another_ca_deny(preflight: Preflights) -> None:
    made = preflight(FakeResolver(answers={"a.net": issue("other.example")}))
    made.round(identifiers("a.net", "b.net"))
    verdicts = [made.verdict(one) for one in identifiers("a.net", "b.net")]
    assert verdicts == [Verdict.DENIED, Verdict.PERMITTED]


def test_a_failure_that_two_perspectives_see_for_long_enough_breaks(
    preflight: Preflights, clock: Clock
) -> None:
    broken = {"a.net": Outcome.SERVFAIL}
    made = preflight(FakeResolver("192.0.2.1", broken), FakeResolver("192.0.2.2", broken))
    rounds(made, clock, parse("a.net"), [0, 6, 84])
    assert made.verdict(parse("a.net")) is Verdict.BROKEN


def test_the_determination_tells_the_round_and_the_time(
    preflight: Preflights, clock: Clock
) -> None:
    made = preflight(FakeResolver())
    start = clock.now
    rounds(made, clock, parse("a.net"), [0, 6])
    found = made.evidence(parse("a.net")).determinations
    assert [(one.round, one.at) for one in found] == [(1, start), (2, start + 6)]


def test_the_first_round_is_quick_and_the_others_have_the_patience_of_a_ca(
    preflight: Preflights, clock: Clock
) -> None:
    resolver = FakeResolver()
    rounds(preflight(resolver), clock, parse("net"), [0, 6, 90])
    assert resolver.asked == [("net", 5.0), ("net", 20.0), ("net", 20.0)]


def test_an_unusable_perspective_has_no_say(preflight: Preflights) -> None:
    deaf = FakeResolver("192.0.2.1", {"a.net": Outcome.TIMEOUT}, usable=False)
    made = preflight(deaf, FakeResolver("192.0.2.2"))
    made.round(identifiers("a.net"))
    found = made.evidence(parse("a.net")).determinations
    assert [one.perspective.name for one in found] == ["udp://192.0.2.2"]


def test_an_unusable_perspective_is_not_asked_again(preflight: Preflights, clock: Clock) -> None:
    deaf = FakeResolver(usable=False)
    rounds(preflight(deaf, FakeResolver("192.0.2.2")), clock, parse("net"), [0, 6])
    assert (len(deaf.asked), deaf.probes) == (1, 1)


def test_usable_and_unusable_perspectives_are_told(preflight: Preflights) -> None:
    deaf, good = FakeResolver("192.0.2.1", usable=False), FakeResolver("192.0.2.2")
    made = preflight(deaf, good)
    made.round(identifiers("net"))
    assert (made.usable, made.unusable) == ((good.perspective,), (deaf.perspective,))


def test_before_the_first_round_nobody_is_known_to_be_unusable(preflight: Preflights) -> None:
    assert preflight(FakeResolver()).unusable == ()


def test_without_any_perspective_nothing_is_known(preflight: Preflights) -> None:
    made = preflight()
    made.round(identifiers("a.net"))
    assert made.verdict(parse("a.net")) is Verdict.UNKNOWN


def test_a_name_that_was_not_asked_about_has_no_evidence(preflight: Preflights) -> None:
    assert preflight(FakeResolver()).evidence(parse("a.net")).determinations == ()


def test_what_is_reported_adds_up(preflight: Preflights) -> None:
    made, one = preflight(FakeResolver()), parse("a.net")
    made.report(one, ca_refused=True)
    made.report(one, failed_before=True)
    made.report(one, ca_failed=True)
    known = made.evidence(one)
    assert (known.ca_refused, known.ca_failed, known.failed_before) == (True, True, True)


def test_a_report_outlives_a_round(preflight: Preflights) -> None:
    made, one = preflight(FakeResolver()), parse("a.net")
    made.report(one, ca_failed=True)
    made.round([one])
    assert made.evidence(one).ca_failed


def test_names_that_may_yet_be_held_are_in_doubt(preflight: Preflights) -> None:
    broken = {"a.net": Outcome.SERVFAIL}
    made = preflight(FakeResolver("192.0.2.1", broken), FakeResolver("192.0.2.2", broken))
    both = identifiers("a.net", "b.net")
    made.round(both)
    assert made.in_doubt(both) == identifiers("a.net")


def test_a_failure_of_one_perspective_alone_is_not_in_doubt(preflight: Preflights) -> None:
    made = preflight(FakeResolver("192.0.2.1", {"a.net": Outcome.SERVFAIL}))
    made.round(identifiers("a.net"))
    assert made.in_doubt(identifiers("a.net")) == []


def test_the_second_round_comes_after_the_resolvers_forgot_the_failure(
    preflight: Preflights,
) -> None:
    made, one = preflight(FakeResolver()), parse("a.net")
    made.round([one])
    assert made.next_round_in([one]) == 6.0


def test_the_third_round_comes_when_what_lasts_has_lasted(
    preflight: Preflights, clock: Clock
) -> None:
    made, one = preflight(FakeResolver()), parse("a.net")
    rounds(made, clock, one, [0, 10])
    assert made.next_round_in([one]) == 80.0


def test_rounds_are_never_closer_than_6_seconds(preflight: Preflights, clock: Clock) -> None:
    made, one = preflight(FakeResolver()), parse("a.net")
    rounds(made, clock, one, [0, 6, 200])
    assert made.next_round_in([one]) == 6.0


BOGUS = Lookup("", Outcome.SERVFAIL, extended_error=ExtendedError(6))


def test_a_dnssec_failure_is_seen(preflight: Preflights) -> None:
    made = preflight(FakeResolver(answers={"a.net": BOGUS}))
    made.round(identifiers("a.net"))
    assert made.saw_dnssec_failure


def test_another_failure_is_no_dnssec_failure(preflight: Preflights) -> None:
    made = preflight(FakeResolver(answers={"a.net": Outcome.SERVFAIL}))
    made.round(identifiers("a.net"))
    assert not made.saw_dnssec_failure


def test_no_dnssec_failure_is_believed_while_the_clock_is_wrong(
    preflight: Preflights, clock: Clock
) -> None:
    bogus = {"a.net": BOGUS}
    made = preflight(FakeResolver("192.0.2.1", bogus), FakeResolver("192.0.2.2", bogus))
    rounds(made, clock, parse("a.net"), [0, 6, 90])
    before = made.verdict(parse("a.net"))
    made.clock_is_right = False
    assert (before, made.verdict(parse("a.net"))) == (Verdict.BROKEN, Verdict.UNKNOWN)


def test_the_method_may_differ_by_identifier(clock: Clock) -> None:
    asked: list[str] = []

    def remember(identifier: Identifier) -> object:
        asked.append(str(identifier))
        return requester_for(identifier)

    with Preflight([FakeResolver()], remember, clock=clock, lasting=LASTING) as made:
        made.round(identifiers("a.net", "*.a.net"))
    assert asked == ["a.net", "*.a.net"]


def test_the_loop_is_closed_in_the_end(clock: Clock) -> None:
    with Preflight([FakeResolver()], requester_for, clock=clock, lasting=LASTING) as made:
        made.round(identifiers("net"))
    assert made._loop.is_closed()


def test_a_failing_name_is_an_error_determination(preflight: Preflights) -> None:
    made = preflight(FakeResolver(answers={"net": Outcome.SERVFAIL}))
    made.round(identifiers("a.net"))
    (found,) = made.evidence(parse("a.net")).determinations
    assert (found.result, found.failure) == (Result.ERROR, Lookup("net", Outcome.SERVFAIL))


class TestProgress:
    """A round can be seen to go on."""

    def told(self, clock: Clock, *names: str) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        resolvers = [FakeResolver("192.0.2.1"), FakeResolver("192.0.2.2")]
        with Preflight(
            resolvers,
            requester_for,
            clock=clock,
            lasting=LASTING,
            progress=lambda done, of: seen.append((done, of)),
        ) as made:
            made.round(identifiers(*names))
        return seen

    def test_it_counts_the_lookups_of_all_perspectives(self, clock: Clock) -> None:
        assert self.told(clock, "a.net", "b.net")[-1] == (6, 6)

    def test_it_starts_at_nothing(self, clock: Clock) -> None:
        assert self.told(clock, "a.net")[0] == (0, 4)


def test_questions_that_nobody_waits_for_are_ended(clock: Clock) -> None:
    """One resolver is interrupted while another still waits for its answer."""
    ended: list[str] = []

    class Slow(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(owner)
            return await super().lookup(owner, timeout)

    class Interrupted(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            raise KeyboardInterrupt(owner, timeout)

    resolvers = [Slow(), Interrupted("192.0.2.2")]
    with (
        pytest.raises(KeyboardInterrupt),
        Preflight(resolvers, requester_for, clock=clock, lasting=LASTING) as made,
    ):
        made.round(identifiers("net"))
    assert ended == ["net"]


def test_a_perspective_that_dies_meanwhile_has_no_say(preflight: Preflights, clock: Clock) -> None:
    dying, good = FakeResolver("192.0.2.1"), FakeResolver("192.0.2.2")
    made = preflight(dying, good)
    made.round(identifiers("a.net"))
    dying.usable, dying.answers = False, {"a.net": Outcome.TIMEOUT}
    clock.now += 6
    made.round(identifiers("a.net"))
    assert made.verdict(parse("a.net")) is Verdict.PERMITTED
    assert made.unusable == (dying.perspective,)


def test_what_a_perspective_said_before_it_died_holds_no_name(
    preflight: Preflights, clock: Clock
) -> None:
    broken = {"a.net": Outcome.SERVFAIL}
    dying, other = FakeResolver("192.0.2.1", broken), FakeResolver("192.0.2.2", broken)
    made, one = preflight(dying, other), parse("a.net")
    rounds(made, clock, one, [0, 6])
    dying.usable = False
    rounds(made, clock, one, [84])
    assert made.verdict(one) is Verdict.UNKNOWN
    assert made.in_doubt([one]) == []


def test_a_resolver_that_never_comes_to_an_end_ends_the_round(clock: Clock) -> None:
    class Endless(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            await asyncio.Event().wait()
            return await super().lookup(owner, timeout)

    with (
        Preflight([Endless()], requester_for, clock=clock, lasting=LASTING, longest=0.01) as made,
        pytest.raises((TimeoutError, asyncio.TimeoutError)),
    ):
        made.round(identifiers("a.net"))


def test_a_fault_beside_the_questions_leaves_nobody_waiting(preflight: Preflights) -> None:
    """Such as in what a socket calls when an answer has come."""

    class Faulty(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            asyncio.get_running_loop().call_soon(lambda: 1 // 0)
            await asyncio.Event().wait()
            return await super().lookup(owner, timeout)

    with pytest.raises(ZeroDivisionError):
        preflight(Faulty()).round(identifiers("a.net"))


@pytest.mark.parametrize("faulty", [FaultyLookup, FaultyProbe])
def test_a_resolver_at_fault_has_no_say_and_ends_nothing(
    preflight: Preflights, clock: Clock, faulty: type[FakeResolver]
) -> None:
    broken, good = faulty("192.0.2.1"), FakeResolver("192.0.2.2")
    made = preflight(broken, good)
    rounds(made, clock, parse("a.net"), [0, 6])
    assert made.verdict(parse("a.net")) is Verdict.PERMITTED
    assert (made.usable, made.unusable) == ((good.perspective,), (broken.perspective,))
    assert {one.perspective for one in made.evidence(parse("a.net")).determinations} == {
        good.perspective
    }
