"""One issuance, whole, against an ACME client that does as its script says."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest
from zope.interface.verify import verifyObject

from certbot_caa_guard import retry
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.history import Closed, History, Kind
from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.issuance import (
    Hold,
    Issuance,
    Patience,
    Refused,
    Settings,
    Surroundings,
    Survey,
)
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.retry import Step
from certbot_caa_guard.split import OnFail, Split
from certbot_caa_guard.trouble import Troubles
from certbot_caa_guard.verdict import Evidence, Lasting, Verdict
from tests.fakes import (
    Answer,
    Clock,
    FakeOrders,
    FakeResolver,
    FakeTeller,
    RefusedByCAError,
    at_authorization,
    at_finalize,
    denial,
    failed_lookup,
    issue,
    lost,
    not_about_caa,
    rate_limited,
    refused,
    requester_for,
    several_at_finalize,
    without_subproblems,
)

HOUR = 3600.0
DAY = 24 * HOUR
LASTING = Lasting(rounds=3, seconds=90.0)
NAMES = ("a.net", "b.net", "c.net")

BOGUS = Lookup("", Outcome.SERVFAIL, extended_error=ExtendedError(6, "bad signature"))
DENIED = issue("other.example")


@dataclass
class World:
    """One process on one machine, with two resolvers."""

    clock: Clock
    stack: ExitStack
    history: History
    resolvers: list[FakeResolver] = field(
        default_factory=lambda: [FakeResolver("192.0.2.1"), FakeResolver("192.0.2.2")]
    )
    teller: FakeTeller = field(default_factory=FakeTeller)
    patience: Patience = field(default_factory=lambda: Patience(900.0))
    troubles: Troubles = field(default_factory=Troubles)
    began: float = math.inf
    skew: float | None = None
    asked_for_skew: int = 0
    explained: frozenset[str] = frozenset()
    to_be_explained: list[str] = field(default_factory=list)

    def answers(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        """All resolvers say this."""
        for resolver in self.resolvers:
            resolver.answers = dict(answers)

    def issuance(
        self, *names: str, settings: Settings | None = None, with_preflight: bool = True
    ) -> Issuance:
        preflight = Preflight(self.resolvers, requester_for, clock=self.clock, lasting=LASTING)
        self.stack.enter_context(preflight)
        return Issuance(
            names or NAMES,
            preflight=preflight if with_preflight else None,
            settings=settings or Settings(),
            surroundings=Surroundings(
                clock=self.clock,
                sleep=self.clock.sleep,
                chance=lambda: 0.5,
                teller=self.teller,
                history=self.history,
                patience=self.patience,
                clock_skew=self._clock_skew,
                explained=self._explained,
                troubles=self.troubles,
                began=self.began,
            ),
        )

    def ca_said(self, kind: Kind, name: str, *, times: int = 1, account: str = "") -> None:
        """What an earlier run put on disk."""
        self.history.record(kind, [f"{account} {name}"] * times)

    def counted(self, kind: Kind, name: str) -> int:
        """How often that happened within an hour."""
        return self.history.count(kind, f" {name}", within=HOUR)

    def _explained(self, known: Sequence[Evidence]) -> frozenset[str]:
        self.to_be_explained += [str(one.identifier) for one in known]
        return self.explained

    def _clock_skew(self) -> float | None:
        self.asked_for_skew += 1
        return self.skew


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(clock, stack, stack.enter_context(History(None, now=clock)))


def transient(*names: str) -> Refused:
    """The CA could not look these names' CAA up at finalize."""
    if len(names) == 1:
        return refused(at_finalize(failed_lookup(names[0])))
    return refused(several_at_finalize(*names, text=failed_lookup))


def denied(*names: str) -> Refused:
    if len(names) == 1:
        return refused(at_finalize(denial(names[0])))
    return refused(several_at_finalize(*names, text=denial))


def failed_authorization(name: str) -> Refused:
    return refused(at_authorization(failed_lookup(name)), identifier=name)


def run(issuance: Issuance, orders: FakeOrders) -> object:
    """Order and finalize, as certbot does."""
    return issuance.finalized(orders, issuance.authorized(orders))


def given_back(issuance: Issuance, orders: FakeOrders) -> Exception:
    with pytest.raises(RefusedByCAError) as caught:
        run(issuance, orders)
    return caught.value


def held(issuance: Issuance, orders: FakeOrders) -> tuple[str, ...]:
    with pytest.raises(Hold) as caught:
        run(issuance, orders)
    return caught.value.names


def test_the_fake_client_of_these_tests_is_one() -> None:
    assert verifyObject(IOrders, FakeOrders())


class TestSurvey:
    """The check before the order."""

    def test_permitted_names_are_ordered(self, world: World) -> None:
        assert world.issuance().survey().division == Split(NAMES)

    def test_names_keep_their_verdicts_in_the_order_asked_for(self, world: World) -> None:
        world.answers({"b.net": DENIED})
        assert list(world.issuance("c.net", "b.net", "a.net").survey().verdicts.items()) == [
            ("c.net", Verdict.PERMITTED),
            ("b.net", Verdict.DENIED),
            ("a.net", Verdict.PERMITTED),
        ]

    def test_a_denied_name_is_held(self, world: World) -> None:
        world.answers({"b.net": DENIED})
        assert world.issuance().survey().division == Split(("a.net", "c.net"), held=("b.net",))

    def test_a_denial_needs_no_second_round(self, world: World) -> None:
        world.answers({"b.net": DENIED})
        world.issuance().survey()
        assert world.clock.slept == []

    def test_a_failing_name_is_asked_about_in_three_rounds_over_90_seconds(
        self, world: World
    ) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        assert world.issuance().survey().division.held == ("b.net",)
        assert world.clock.slept == [6.0, 84.0]

    def test_only_failing_names_are_asked_about_again(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        assert world.resolvers[0].owners_asked.count("a.net") == 1

    def test_the_user_is_told_of_the_waiting(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        assert world.teller.doubts == [(("b.net",), 6.0), (("b.net",), 84.0)]

    def test_a_failure_that_passes_holds_nobody(self, world: World) -> None:
        world.answers({"b.net": [Outcome.SERVFAIL, Outcome.NOTHING]})
        survey = world.issuance().survey()
        assert (survey.division.held, world.clock.slept) == ((), [6.0])

    def test_after_a_failure_in_an_earlier_run_two_rounds_are_enough(self, world: World) -> None:
        world.history.record(Kind.LOOKUP_FAILED, ["b.net"])
        world.answers({"b.net": Outcome.SERVFAIL})
        assert world.issuance().survey().division.held == ("b.net",)
        assert world.clock.slept == [6.0]

    def test_a_failure_is_remembered_for_later_runs(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        counts = [world.history.count(Kind.LOOKUP_FAILED, name, within=1) for name in NAMES]
        assert counts == [0, 1, 0]

    def test_a_failure_that_passed_is_not_remembered(self, world: World) -> None:
        world.answers({"b.net": [Outcome.SERVFAIL, Outcome.NOTHING]})
        world.issuance().survey()
        assert world.history.count(Kind.LOOKUP_FAILED, "b.net", within=1) == 0

    def test_that_nobody_could_ask_is_not_remembered(self, world: World) -> None:
        world.answers({"b.net": Outcome.NETWORK})
        world.issuance().survey()
        assert world.history.count(Kind.LOOKUP_FAILED, "b.net", within=1) == 0

    def test_a_refusal_by_the_ca_within_a_day_corroborates_a_private_perspective(
        self, world: World
    ) -> None:
        world.resolvers[:] = [FakeResolver(answers={"b.net": DENIED}, public=False)]
        world.ca_said(Kind.CA_REFUSED, "b.net")
        world.clock.now += DAY - 1
        assert world.issuance().survey().division.held == ("b.net",)

    def test_a_refusal_by_the_ca_of_yesterday_does_not(self, world: World) -> None:
        world.resolvers[:] = [FakeResolver(answers={"b.net": DENIED}, public=False)]
        world.ca_said(Kind.CA_REFUSED, "b.net")
        world.clock.now += DAY + 1
        assert world.issuance().survey().division.held == ()

    def test_nor_does_one_by_another_ca(self, world: World) -> None:
        """Nor what the same one's staging environment says."""
        world.resolvers[:] = [FakeResolver(answers={"b.net": DENIED}, public=False)]
        world.ca_said(Kind.CA_REFUSED, "b.net", account="https://other.example/acct/1")
        assert world.issuance().survey().division.held == ()

    @pytest.mark.parametrize(("earlier", "held"), [(True, ("b.net",)), (False, ())])
    def test_a_failure_in_this_run_is_none_of_an_earlier_one(
        self, world: World, earlier: bool, held: tuple[str, ...]
    ) -> None:
        """Another certificate of the same process has just met it."""
        world.answers({"b.net": Outcome.SERVFAIL})
        world.patience = Patience(30.0)
        world.began = world.clock.now + (1 if earlier else 0)
        world.history.record(Kind.LOOKUP_FAILED, ["b.net"])
        assert world.issuance().survey().division.held == held

    def test_without_the_patience_for_it_nobody_waits(self, world: World) -> None:
        world.patience = Patience(5.0)
        world.answers({"b.net": Outcome.SERVFAIL})
        survey = world.issuance().survey()
        assert (survey.verdicts["b.net"], world.clock.slept) == (Verdict.UNKNOWN, [])

    def test_the_waiting_is_taken_off_the_patience(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        assert world.patience.left == 810.0

    def test_a_first_round_that_takes_longer_than_a_second_is_a_wait_too(
        self, world: World
    ) -> None:
        async def slow(owner: str, timeout: float) -> Lookup:
            world.clock.now += timeout
            return Lookup(owner, Outcome.NOTHING)

        world.resolvers[0].lookup = slow  # type: ignore[method-assign]
        world.issuance("net").survey()
        assert world.patience.left == 896.0

    def test_one_that_is_answered_at_once_is_none(self, world: World) -> None:
        async def quick(owner: str, _timeout: float) -> Lookup:
            world.clock.now += 0.3
            return Lookup(owner, Outcome.NOTHING)

        world.resolvers[0].lookup = quick  # type: ignore[method-assign]
        world.issuance("a.net", "b.net").survey()
        assert world.patience.left == 900.0

    @pytest.mark.parametrize(("seconds", "asked"), [(5.0, True), (4.9, False)])
    def test_where_there_is_a_limit_nobody_is_asked_unless_the_first_round_fits_in(
        self, world: World, seconds: float, asked: bool
    ) -> None:
        """However little patience there is for more."""
        world.patience = Patience(0.0)
        world.patience.limit(seconds)
        survey = world.issuance().survey()
        assert (survey.skipped, bool(world.resolvers[0].asked)) == (not asked, asked)

    def test_a_name_that_the_certificate_covers_and_can_wait_for_is_spared(
        self, world: World
    ) -> None:
        world.answers({"b.net": DENIED, "c.net": DENIED})
        survey = world.issuance(settings=Settings(spare=frozenset({"b.net"}))).survey()
        assert survey.division == Split(("a.net", "b.net"), held=("c.net",), spared=("b.net",))

    def test_with_warn_all_are_ordered(self, world: World) -> None:
        world.answers({"b.net": DENIED})
        survey = world.issuance(settings=Settings(on_fail=OnFail.WARN)).survey()
        assert survey.division.ordered == NAMES

    def test_without_an_issuer_all_are_ordered_unjudged(self, world: World) -> None:
        survey = world.issuance(with_preflight=False).survey()
        assert survey == Survey({}, {}, Split(NAMES), seconds=0.0, perspectives=0)

    def test_ip_addresses_are_ordered_unjudged(self, world: World) -> None:
        survey = world.issuance("192.0.2.7", "a.net", "2001:db8::1").survey()
        assert list(survey.verdicts) == ["a.net"]
        assert survey.division.ordered == ("192.0.2.7", "a.net", "2001:db8::1")

    def test_what_is_no_name_is_left_to_the_ca(self, world: World) -> None:
        survey = world.issuance("a b.net", "a.net").survey()
        assert (list(survey.verdicts), survey.division.ordered) == (["a.net"], ("a b.net", "a.net"))

    def test_perspectives_that_work_and_that_do_not_are_told(self, world: World) -> None:
        world.resolvers[0].usable = False
        survey = world.issuance().survey()
        assert (survey.perspectives, survey.unusable) == (1, ("udp://192.0.2.1",))

    def test_the_time_it_took_is_told(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        assert world.issuance().survey().seconds == 90.0

    def test_the_clock_is_compared_only_for_a_dnssec_failure(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        assert world.asked_for_skew == 0

    @pytest.mark.parametrize(
        ("skew", "right"),
        [(None, True), (0.0, True), (299.0, True), (-299.0, True), (301.0, False), (-301.0, False)],
    )
    def test_a_clock_that_differs_by_5_minutes_is_wrong(
        self, world: World, skew: float | None, right: bool
    ) -> None:
        world.answers({"b.net": BOGUS})
        world.skew = skew
        survey = world.issuance().survey()
        assert (survey.clock_is_right, survey.division.held == ("b.net",)) == (right, right)


class TestOrder:
    """What follows when the CA says yes."""

    def test_the_certificate_is_that_of_the_first_order(self, world: World) -> None:
        orders = FakeOrders()
        assert run(world.issuance(), orders) == "certificate of order 1"
        assert orders.calls == ["place 1", "authorize 1", "finalize 1"]

    def test_nobody_waits(self, world: World) -> None:
        run(world.issuance(), FakeOrders())
        assert world.clock.slept == []


class TestModeA:
    """Boulder as in production: a failure at finalize leaves the order ready."""

    def test_the_same_order_is_finalized_again(self, world: World) -> None:
        orders = FakeOrders(finalizing=[transient("b.net")])
        run(world.issuance(), orders)
        assert orders.calls == [
            "place 1", "authorize 1", "finalize 1", "refresh 1", "finalize 1",
        ]  # fmt: skip

    def test_the_first_wait_is_longer_than_the_ca_remembers_a_servfail(self, world: World) -> None:
        run(world.issuance(), FakeOrders(finalizing=[transient("b.net")]))
        assert world.clock.slept == [8.0]

    def test_the_waits_grow(self, world: World) -> None:
        issuance = world.issuance(with_preflight=False)
        run(issuance, FakeOrders(finalizing=[transient(*NAMES)] * 4))
        assert world.clock.slept == [8.0, 30.0, 120.0, 480.0]

    def test_the_user_is_told_what_was_said_and_what_comes(self, world: World) -> None:
        run(world.issuance(), FakeOrders(finalizing=[transient("b.net")]))
        assert world.teller.refusals[0][0].owner == "b.net"
        assert world.teller.steps == [(Step.FINALIZE_AGAIN, 8.0)]

    def test_several_failing_names_are_one_retry(self, world: World) -> None:
        orders = FakeOrders(finalizing=[transient("a.net", "b.net")])
        assert run(world.issuance(), orders) == "certificate of order 1"

    def test_only_the_names_that_the_ca_told_are_looked_at_again(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        run(issuance, FakeOrders(finalizing=[transient("b.net")]))
        asked = [world.resolvers[0].owners_asked.count(name) for name in NAMES]
        assert asked == [1, 2, 1]


@pytest.mark.parametrize("status", ["invalid", "pending", "", "nonsense"])
class TestModesBAndC:
    """The order is dead after a failure at finalize, or nobody can tell."""

    def test_a_new_order_follows(self, world: World, status: str) -> None:
        orders = FakeOrders(finalizing=[transient("b.net")], statuses=[status])
        assert run(world.issuance(), orders) == "certificate of order 2"

    def test_the_new_order_is_authorized(self, world: World, status: str) -> None:
        orders = FakeOrders(finalizing=[transient("b.net")], statuses=[status])
        run(world.issuance(), orders)
        assert orders.calls[-3:] == ["place 2", "authorize 2", "finalize 2"]

    def test_tries_of_both_kinds_are_counted_together(self, world: World, status: str) -> None:
        orders = FakeOrders(
            placing=[None, failed_authorization("b.net")],
            finalizing=[transient("b.net")] * 10,
            statuses=[status] * 10,
        )
        given_back(world.issuance(), orders)
        assert orders.placed == 5


class TestModeC:
    """Asynchronous: the CA tells one name of several, without subproblems."""

    def told(self) -> Refused:
        return refused(without_subproblems("b.net", 1))

    def test_all_names_are_looked_at_again(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        run(issuance, FakeOrders(finalizing=[self.told()], statuses=["invalid"]))
        asked = [world.resolvers[0].owners_asked.count(name) for name in NAMES]
        assert asked == [2, 2, 2]

    def test_the_name_that_the_ca_did_not_tell_is_found_and_held(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        world.answers({"c.net": DENIED})
        orders = FakeOrders(finalizing=[self.told()], statuses=["invalid"])
        assert held(issuance, orders) == ("c.net",)

    def test_both_are_held_where_both_are_seen_to_fail(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        world.answers({"b.net": DENIED, "c.net": DENIED})
        orders = FakeOrders(finalizing=[self.told()], statuses=["invalid"])
        assert held(issuance, orders) == ("b.net", "c.net")

    def test_no_name_at_all_makes_all_looked_at_again(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        problem = at_finalize("something that nobody knows")
        run(issuance, FakeOrders(finalizing=[refused(problem)], statuses=["invalid"]))
        asked = [world.resolvers[0].owners_asked.count(name) for name in NAMES]
        assert asked == [2, 2, 2]


class TestAuthorization:
    """A failure of CAA while an authorization is made."""

    def test_a_new_order_follows(self, world: World) -> None:
        orders = FakeOrders(placing=[failed_authorization("b.net")])
        assert run(world.issuance(), orders) == "certificate of order 2"

    def test_it_is_remembered(self, world: World) -> None:
        run(world.issuance(), FakeOrders(placing=[failed_authorization("b.net")]))
        assert world.counted(Kind.AUTHORIZATION_FAILED, "b.net") == 1

    def test_a_name_that_fails_three_times_is_held(self, world: World) -> None:
        orders = FakeOrders(placing=[failed_authorization("b.net")] * 10)
        assert held(world.issuance(), orders) == ("b.net",)
        assert orders.placed == 3

    def test_where_no_other_is_left_three_failures_end_it(self, world: World) -> None:
        orders = FakeOrders(placing=[failed_authorization("b.net")] * 10)
        given_back(world.issuance("b.net"), orders)
        assert orders.placed == 3

    def test_a_failure_that_was_known_before_the_refusal_is_counted_once(
        self, world: World
    ) -> None:
        issuance = world.issuance()

        class Early(FakeOrders):
            def place(self) -> object:
                if not self.placed:
                    issuance.authorization_failed("b.net")
                return super().place()

        run(issuance, Early(placing=[failed_authorization("b.net")]))
        assert world.counted(Kind.AUTHORIZATION_FAILED, "b.net") == 1

    def test_failures_of_earlier_runs_count(self, world: World) -> None:
        world.ca_said(Kind.AUTHORIZATION_FAILED, "b.net", times=2)
        orders = FakeOrders(placing=[failed_authorization("b.net")] * 10)
        assert held(world.issuance(), orders) == ("b.net",)
        assert orders.placed == 1

    def test_failures_of_more_than_an_hour_ago_do_not(self, world: World) -> None:
        world.ca_said(Kind.AUTHORIZATION_FAILED, "b.net", times=2)
        world.clock.now += HOUR + 1
        run(world.issuance(), FakeOrders(placing=[failed_authorization("b.net")]))

    def test_failures_at_another_account_do_not(self, world: World) -> None:
        staging = "https://staging.example/acct/1"
        world.ca_said(Kind.AUTHORIZATION_FAILED, "b.net", times=3, account=staging)
        world.ca_said(Kind.CA_FAILED, "b.net", times=3, account=staging)
        issuance = world.issuance()
        assert issuance.exhausted(NAMES) == []
        run(issuance, FakeOrders(placing=[failed_authorization("b.net")]))

    def test_failures_of_other_identifiers_do_not(self, world: World) -> None:
        world.ca_said(Kind.AUTHORIZATION_FAILED, "*.b.net", times=5)
        run(world.issuance(), FakeOrders(placing=[failed_authorization("b.net")]))

    def test_failures_at_finalize_cost_no_authorization(self, world: World) -> None:
        run(world.issuance(), FakeOrders(finalizing=[transient("b.net")] * 4))
        assert world.counted(Kind.AUTHORIZATION_FAILED, "b.net") == 0

    def test_a_wildcard_is_known_by_its_authorization(self, world: World) -> None:
        issuance = world.issuance("a.net", "*.b.net")
        problem = at_authorization(denial("*.b.net"))
        orders = FakeOrders(placing=[refused(problem, identifier="*.b.net")])
        assert held(issuance, orders) == ("*.b.net",)

    def test_one_that_fails_for_another_reason_is_given_back(self, world: World) -> None:
        refusal = refused(not_about_caa(), identifier="b.net")
        assert given_back(world.issuance(), FakeOrders(placing=[refusal])) is refusal.cause


class TestDenial:
    """Names that the CA may not issue."""

    def test_a_denied_name_is_held_at_once(self, world: World) -> None:
        orders = FakeOrders(finalizing=[denied("b.net")])
        assert held(world.issuance(), orders) == ("b.net",)
        assert world.clock.slept == []

    def test_denied_names_are_held_together(self, world: World) -> None:
        assert held(world.issuance(), FakeOrders(finalizing=[denied("a.net", "c.net")])) == (
            "a.net",
            "c.net",
        )

    def test_only_the_names_that_cannot_pass_are_held(self, world: World) -> None:
        text = {"a.net": denial, "b.net": failed_lookup}
        document = several_at_finalize("a.net", "b.net", text=lambda name: text[name](name))
        assert held(world.issuance(), FakeOrders(finalizing=[refused(document)])) == ("a.net",)

    def test_a_dnssec_failure_that_the_ca_reports_is_one(self, world: World) -> None:
        text = (
            "While processing CAA for b.net: DNS problem: looking up CAA for b.net: "
            "DNSSEC: Bogus: bad signature"
        )
        orders = FakeOrders(finalizing=[refused(at_finalize(text))])
        assert held(world.issuance(), orders) == ("b.net",)

    def test_a_dnssec_failure_of_the_tld_is_none(self, world: World) -> None:
        text = (
            "While processing CAA for b.net: DNS problem: looking up CAA for net: "
            "DNSSEC: Bogus: bad signature"
        )
        orders = FakeOrders(finalizing=[refused(at_finalize(text))])
        assert run(world.issuance(), orders) == "certificate of order 1"

    def test_it_is_remembered(self, world: World) -> None:
        held(world.issuance(), FakeOrders(finalizing=[denied("b.net")]))
        assert world.counted(Kind.CA_REFUSED, "b.net") == 1

    def test_the_issuance_goes_on_without_what_is_held(self, world: World) -> None:
        issuance = world.issuance()
        issuance.without(held(issuance, FakeOrders(finalizing=[denied("b.net")])))
        assert run(issuance, FakeOrders()) == "certificate of order 1"
        assert issuance.names == ["a.net", "c.net"]

    def test_a_name_that_is_gone_is_not_held_again(self, world: World) -> None:
        issuance = world.issuance()
        issuance.without(["b.net"])
        refusal = denied("b.net")
        assert given_back(issuance, FakeOrders(finalizing=[refusal])) is refusal.cause

    @pytest.mark.parametrize(
        "settings",
        [
            Settings(on_fail=OnFail.STOP),
            Settings(on_fail=OnFail.WARN),
            Settings(may_split=False),
            Settings(spare=frozenset({"b.net"})),
        ],
        ids=["stop", "warn", "a CSR", "the certificate can wait"],
    )
    def test_where_nothing_may_be_left_out_the_error_is_given_back(
        self, world: World, settings: Settings
    ) -> None:
        refusal = denied("b.net")
        orders = FakeOrders(finalizing=[refusal])
        assert given_back(world.issuance(settings=settings), orders) is refusal.cause

    def test_where_nothing_is_left_the_error_is_given_back(self, world: World) -> None:
        refusal = denied(*NAMES)
        assert given_back(world.issuance(), FakeOrders(finalizing=[refusal])) is refusal.cause

    def test_a_name_of_another_order_is_not_held(self, world: World) -> None:
        refusal = denied("victim.example")
        assert given_back(world.issuance(), FakeOrders(finalizing=[refusal])) is refusal.cause

    def test_a_name_of_another_order_beside_one_of_this_is_passed_over(self, world: World) -> None:
        orders = FakeOrders(finalizing=[denied("b.net", "victim.example")])
        assert held(world.issuance(), orders) == ("b.net",)

    def test_a_name_of_another_order_is_not_remembered(self, world: World) -> None:
        held(world.issuance(), FakeOrders(finalizing=[denied("b.net", "victim.example")]))
        assert world.counted(Kind.CA_REFUSED, "victim.example") == 0


class TestGivenBack:
    """What the guard can do nothing about."""

    @pytest.mark.parametrize("make", [rate_limited, not_about_caa], ids=["rate limit", "not CAA"])
    @pytest.mark.parametrize("step", ["placing", "finalizing"])
    def test_the_very_same_error_comes_back_at_once(
        self, world: World, make: Callable[[], dict[str, object]], step: str
    ) -> None:
        refusal = refused(make())
        assert given_back(world.issuance(), FakeOrders(**{step: [refusal]})) is refusal.cause
        assert world.clock.slept == []

    def test_a_rate_limit_beside_a_caa_failure_comes_back(self, world: World) -> None:
        refusal = refused(at_finalize(failed_lookup("b.net")), rate_limited())
        assert given_back(world.issuance(), FakeOrders(finalizing=[refusal])) is refusal.cause

    def test_a_refusal_that_tells_nothing_comes_back(self, world: World) -> None:
        refusal = refused()
        assert given_back(world.issuance(), FakeOrders(placing=[refusal])) is refusal.cause

    @pytest.mark.parametrize("step", ["placing", "finalizing"])
    def test_an_error_that_is_no_refusal_passes_untouched(self, world: World, step: str) -> None:
        error = OSError("the network is gone")
        with pytest.raises(OSError, match="the network is gone") as caught:
            run(world.issuance(), FakeOrders(**{step: [error]}))
        assert caught.value is error

    def test_nothing_is_told_of_a_refusal_that_comes_back(self, world: World) -> None:
        given_back(world.issuance(), FakeOrders(placing=[refused(not_about_caa())]))
        assert (world.teller.refusals, world.teller.steps) == ([], [])

    def test_a_limit_is_told(self, world: World) -> None:
        given_back(world.issuance(), FakeOrders(placing=[refused(rate_limited())]))
        assert world.teller.steps == [(Step.STOP, 0.0)]


class TestBounds:
    """Tries and waiting have an end."""

    @pytest.mark.parametrize("retries", [0, 1, 4])
    def test_no_more_tries_than_allowed(self, world: World, retries: int) -> None:
        orders = FakeOrders(finalizing=[transient(*NAMES)] * 20)
        given_back(world.issuance(settings=Settings(retries=retries)), orders)
        assert orders.calls.count("finalize 1") == retries + 1

    def test_the_last_error_is_the_one_that_comes_back(self, world: World) -> None:
        refusals = [transient("b.net") for _ in range(2)]
        error = given_back(
            world.issuance(settings=Settings(retries=1)), FakeOrders(finalizing=refusals)
        )
        assert error is refusals[-1].cause

    def test_no_wait_beyond_the_patience(self, world: World) -> None:
        world.patience = Patience(40.0)
        given_back(world.issuance(), FakeOrders(finalizing=[transient("b.net")] * 20))
        assert sum(world.clock.slept) == 38.0

    def test_no_wait_beyond_the_patience_of_the_process(self, world: World) -> None:
        whole = Patience(20.0)
        world.patience = Patience(900.0, whole=whole)
        given_back(world.issuance(), FakeOrders(finalizing=[transient("b.net")] * 20))
        assert (world.clock.slept, whole.left) == ([8.0], 12.0)

    def test_without_a_preflight_the_retry_works_all_the_same(self, world: World) -> None:
        orders = FakeOrders(finalizing=[transient(*NAMES)] * 2)
        issuance = world.issuance(with_preflight=False)
        assert run(issuance, orders) == "certificate of order 1"

    def test_without_a_preflight_a_denial_is_held_all_the_same(self, world: World) -> None:
        issuance = world.issuance(with_preflight=False)
        assert held(issuance, FakeOrders(finalizing=[denied("b.net")])) == ("b.net",)


class TestCorroboration:
    """The CA's report and the guard's own evidence make a broken name together."""

    def broken_for_one(self, world: World) -> Issuance:
        """Only one resolver sees it, so that it is no reason to hold the name by itself."""
        world.resolvers[:] = [FakeResolver(answers={"b.net": Outcome.SERVFAIL})]
        issuance = world.issuance()
        assert issuance.survey().division.held == ()
        return issuance

    def test_a_failure_that_the_ca_reports_too_is_held_when_it_lasts(self, world: World) -> None:
        issuance = self.broken_for_one(world)
        orders = FakeOrders(finalizing=[transient("b.net")] * 10)
        assert held(issuance, orders) == ("b.net",)
        assert world.clock.now - 1_000_000.0 >= 90.0

    def test_a_failure_that_an_audit_explains_is_held_when_it_lasts(self, world: World) -> None:
        world.resolvers[:] = [FakeResolver(answers={"b.net": Outcome.SERVFAIL})]
        world.explained = frozenset({"b.net"})
        assert world.issuance().survey().division.held == ("b.net",)
        assert world.to_be_explained == ["b.net"]
        assert world.clock.now - 1_000_000.0 >= 90.0

    def test_what_two_perspectives_saw_needs_no_audit(self, world: World) -> None:
        world.answers({"b.net": Outcome.SERVFAIL})
        world.issuance().survey()
        assert world.to_be_explained == []

    def test_it_is_not_held_for_what_the_ca_says_alone(self, world: World) -> None:
        issuance = world.issuance()
        issuance.survey()
        orders = FakeOrders(finalizing=[transient("b.net")] * 10)
        assert given_back(issuance, orders)

    def test_it_is_held_when_no_try_is_left(self, world: World) -> None:
        world.history.record(Kind.LOOKUP_FAILED, ["b.net"])
        world.resolvers[:] = [FakeResolver(answers={"b.net": Outcome.SERVFAIL})]
        issuance = world.issuance(settings=Settings(retries=1))
        issuance.survey()
        assert held(issuance, FakeOrders(finalizing=[transient("b.net")] * 2)) == ("b.net",)

    def test_a_spare_name_is_never_held(self, world: World) -> None:
        world.resolvers[:] = [FakeResolver(answers={"b.net": Outcome.SERVFAIL})]
        issuance = world.issuance(settings=Settings(spare=frozenset({"b.net"})))
        issuance.survey()
        assert given_back(issuance, FakeOrders(finalizing=[transient("b.net")] * 10))

    def test_one_that_is_seen_to_be_broken_keeps_no_other_from_being_held(
        self, world: World
    ) -> None:
        """Perhaps only we see it so; the CA did not mind it."""
        world.answers({"a.net": Outcome.SERVFAIL})
        issuance = world.issuance(settings=Settings(spare=frozenset({"a.net"})))
        issuance.survey()
        assert held(issuance, FakeOrders(finalizing=[denied("b.net")])) == ("b.net",)

    def test_what_the_ca_reports_is_remembered(self, world: World) -> None:
        run(world.issuance(), FakeOrders(finalizing=[transient("b.net")]))
        assert world.counted(Kind.CA_FAILED, "b.net") == 1


class TestRejoining:
    """Names that come back must not hurt the rest, whatever goes wrong with them."""

    SETTINGS = Settings(rejoining=frozenset({"b.net", "c.net"}))

    @pytest.mark.parametrize(
        "refusal",
        [
            pytest.param(refused(rate_limited()), id="rate limit"),
            pytest.param(refused(not_about_caa()), id="not CAA"),
            pytest.param(refused(), id="nothing told"),
        ],
    )
    def test_what_names_nobody_is_tried_once_more_without_them(
        self, world: World, refusal: Refused
    ) -> None:
        issuance = world.issuance(settings=self.SETTINGS)
        assert held(issuance, FakeOrders(placing=[refusal])) == ("b.net", "c.net")

    def test_the_one_that_failed_is_left_out_alone(self, world: World) -> None:
        issuance = world.issuance(settings=self.SETTINGS)
        refusal = refused(not_about_caa(), identifier="c.net")
        assert held(issuance, FakeOrders(placing=[refusal])) == ("c.net",)

    @pytest.mark.parametrize(
        "refusal",
        [
            pytest.param(refused(not_about_caa(), identifier="a.net"), id="not CAA"),
            pytest.param(denied("a.net"), id="denied, but spared"),
        ],
    )
    def test_they_are_not_blamed_for_another(self, world: World, refusal: Refused) -> None:
        """It would fail again: that costs an order and an authorization, and them their place."""
        settings = replace(self.SETTINGS, spare=frozenset({"a.net"}))
        issuance = world.issuance(settings=settings)
        assert given_back(issuance, FakeOrders(placing=[refusal])) is refusal.cause

    def test_no_order_is_placed_without_them_for_one_that_must_not_fail_again(
        self, world: World
    ) -> None:
        settings = replace(self.SETTINGS, spare=frozenset({"a.net"}))
        world.ca_said(Kind.AUTHORIZATION_FAILED, "a.net", times=2)
        refusal = Refused(
            [("a.net", at_authorization(failed_lookup("a.net"))), ("c.net", not_about_caa())],
            refused().cause,
        )
        issuance = world.issuance(settings=settings)
        assert given_back(issuance, FakeOrders(placing=[refusal])) is refusal.cause

    def test_without_them_the_next_error_comes_back(self, world: World) -> None:
        issuance = world.issuance(settings=self.SETTINGS)
        issuance.without(held(issuance, FakeOrders(placing=[refused(rate_limited())])))
        refusal = refused(rate_limited())
        assert given_back(issuance, FakeOrders(placing=[refusal])) is refusal.cause

    def test_when_no_try_is_left_they_are_left_out(self, world: World) -> None:
        settings = Settings(rejoining=frozenset({"b.net"}), retries=1)
        orders = FakeOrders(finalizing=[transient("b.net")] * 2)
        assert held(world.issuance(settings=settings), orders) == ("b.net",)

    def test_names_alone_that_come_back_are_not_left_out(self, world: World) -> None:
        issuance = world.issuance("b.net", "c.net", settings=self.SETTINGS)
        refusal = refused(rate_limited())
        assert given_back(issuance, FakeOrders(placing=[refusal])) is refusal.cause


class TestLost:
    """The connection breaks before an answer comes: nobody knows what the CA did."""

    def test_a_lost_order_is_placed_again(self, world: World) -> None:
        orders = FakeOrders(placing=[lost()])
        assert run(world.issuance(), orders) == "certificate of order 2"
        assert world.clock.slept == [2.0]

    @pytest.mark.parametrize(
        ("status", "calls"),
        [
            pytest.param("valid", ["poll 1"], id="issued: only the certificate is fetched"),
            pytest.param("processing", ["poll 1"], id="at work: it is waited for"),
            pytest.param("ready", ["finalize 1"], id="never arrived: finalized again"),
            pytest.param("invalid", ["place 2", "authorize 2", "finalize 2"], id="dead"),
        ],
    )
    def test_after_a_lost_finalization_the_order_tells(
        self, world: World, status: str, calls: list[str]
    ) -> None:
        orders = FakeOrders(finalizing=[lost()], statuses=[status])
        run(world.issuance(), orders)
        assert orders.calls == ["place 1", "authorize 1", "finalize 1", "refresh 1", *calls]

    def test_no_order_is_placed_before_it_is_known_what_became_of_the_first(
        self, world: World
    ) -> None:
        orders = FakeOrders(finalizing=[lost()], statuses=["", "", "valid"])
        assert run(world.issuance(), orders) == "certificate of order 1"
        assert world.clock.slept == [2.0, 8.0]

    def test_a_certificate_that_is_there_is_fetched_though_no_try_is_left(
        self, world: World
    ) -> None:
        orders = FakeOrders(finalizing=[lost()], statuses=["valid"])
        issuance = world.issuance(settings=Settings(retries=0))
        assert run(issuance, orders) == "certificate of order 1"

    def test_fetching_it_has_an_end(self, world: World) -> None:
        orders = FakeOrders(finalizing=[lost()], statuses=["valid"] * 100)
        orders.polling = [lost() for _ in range(100)]
        given_back(world.issuance(), orders)
        assert orders.calls.count("poll 1") == retry.MOST_LOOKS

    def test_what_is_lost_for_good_is_the_clients_own_error(self, world: World) -> None:
        losses = [lost() for _ in range(5)]
        assert given_back(world.issuance(), FakeOrders(placing=losses)) is losses[-1].cause

    def test_names_that_come_back_are_not_to_blame(self, world: World) -> None:
        settings = Settings(rejoining=frozenset({"b.net"}), retries=0)
        loss = lost()
        issuance = world.issuance(settings=settings)
        assert given_back(issuance, FakeOrders(placing=[loss])) is loss.cause

    def test_an_order_in_processing_that_turns_invalid_is_judged_by_its_problem(
        self, world: World
    ) -> None:
        orders = FakeOrders(finalizing=[lost()], statuses=["processing"])
        orders.polling = [denied("b.net")]
        assert held(world.issuance(), orders) == ("b.net",)

    def test_a_loss_says_what_the_client_said(self) -> None:
        assert str(lost()) == "connection reset"


class TestStale:
    """Names that keep failing at finalize are validated anew, once a day."""

    def run(self, world: World, *failing: str, **settings: int) -> list[str]:
        orders = FakeOrders(finalizing=[transient(*failing)] * 2)
        run(world.issuance(settings=Settings(**settings)), orders)
        return orders.calls[4:]

    def test_at_the_second_failure_their_authorizations_are_deactivated(self, world: World) -> None:
        assert self.run(world, "b.net") == [
            "finalize 1", "refresh 1", "deactivate b.net in 1",
            "place 2", "authorize 2", "finalize 2",
        ]  # fmt: skip

    def test_not_where_most_names_fail(self, world: World) -> None:
        assert self.run(world, "a.net", "b.net")[-1] == "finalize 1"

    def test_once_a_day(self, world: World) -> None:
        self.run(world, "b.net")
        assert self.run(world, "b.net")[-1] == "finalize 1"
        world.clock.now += DAY
        assert self.run(world, "b.net")[-1] == "finalize 2"

    def test_it_is_on_disk_before_it_is_done(self, world: World) -> None:
        counted = []

        class Watched(FakeOrders):
            def deactivate(self, order: object, identifiers: Collection[str]) -> Collection[str]:
                counted.append(
                    world.history.count(Kind.AUTHORIZATION_DEACTIVATED, "b.net", within=1)
                )
                return super().deactivate(order, identifiers)

        run(world.issuance(), Watched(finalizing=[transient("b.net")] * 2))
        assert counted == [1]


class TestLimits:
    """What the CA refuses for having been asked too much is not asked again before its time."""

    LIMIT = "too many new orders (300) from this account in the last 3h, retry after {}: see …"

    def limited(self, until: float | None = None, **members: str) -> Refused:
        refusal = refused({**rate_limited(), **members})
        return Refused(refusal.documents, refusal.cause, until=until)

    def test_it_is_remembered_until_the_retry_after(self, world: World) -> None:
        issuance = world.issuance()
        given_back(issuance, FakeOrders(placing=[self.limited(world.clock() + 60)]))
        assert issuance.closed(NAMES) == Closed(world.clock() + 60, "new-orders")
        world.clock.now += 60
        assert issuance.closed(NAMES) is None

    def test_without_one_the_text_tells(self, world: World) -> None:
        world.clock.now = 1_800_000_000.0
        detail = self.LIMIT.format("2027-01-15 09:00:00 UTC")
        issuance = world.issuance()
        given_back(issuance, FakeOrders(placing=[self.limited(detail=detail)]))
        assert issuance.closed(NAMES) == Closed(1_800_003_600.0, "new-orders")

    def test_where_nobody_says_until_when_it_may_be_asked_again(self, world: World) -> None:
        issuance = world.issuance()
        given_back(issuance, FakeOrders(placing=[self.limited()]))
        assert issuance.closed(NAMES) is None

    def test_other_names_are_free(self, world: World) -> None:
        issuance = world.issuance()
        given_back(issuance, FakeOrders(placing=[self.limited(world.clock() + 60)]))
        assert issuance.closed(NAMES[1:]) is None

    def test_a_limit_of_one_identifier_is_that_identifiers(self, world: World) -> None:
        detail = (
            'too many failed authorizations (5) for "b.net" in the last 1h0m0s, retry after '
            "2027-01-15 08:30:00 UTC: see …"
        )
        world.clock.now = 1_800_000_000.0
        issuance = world.issuance()
        given_back(issuance, FakeOrders(placing=[self.limited(detail=detail)]))
        assert (issuance.closed(NAMES), issuance.exhausted(NAMES)) == (None, ["b.net"])

    def test_a_busy_ca_is_no_reason_to_leave_out_what_comes_back(self, world: World) -> None:
        refusal = self.limited(detail="Service busy; retry later.")
        issuance = world.issuance(settings=Settings(rejoining=frozenset({"b.net"})))
        assert given_back(issuance, FakeOrders(placing=[refusal])) is refusal.cause

    def test_names_that_failed_too_often_are_exhausted(self, world: World) -> None:
        for kind in (Kind.AUTHORIZATION_FAILED, Kind.CA_FAILED):
            world.ca_said(kind, "b.net", times=3)
        issuance = world.issuance()
        assert issuance.exhausted(NAMES) == ["b.net"]
        world.clock.now += HOUR + 1
        assert issuance.exhausted(NAMES) == []

    def test_so_are_those_that_failed_ten_times_in_a_day(self, world: World) -> None:
        for _ in range(10):
            world.clock.now += HOUR
            for kind in (Kind.AUTHORIZATION_FAILED, Kind.CA_REFUSED):
                world.ca_said(kind, "b.net")
        assert world.issuance().exhausted(NAMES) == ["b.net"]

    def test_failures_that_had_nothing_to_do_with_caa_exhaust_nobody(self, world: World) -> None:
        world.ca_said(Kind.AUTHORIZATION_FAILED, "b.net", times=4)
        assert world.issuance().exhausted(NAMES) == []

    def test_an_account_that_has_placed_150_orders_places_no_second_one(self, world: World) -> None:
        world.history.record(Kind.ORDER_PLACED, [""] * 149)
        orders = FakeOrders(finalizing=[transient("b.net")], statuses=["invalid"])
        given_back(world.issuance(), orders)
        assert orders.placed == 1

    def test_an_order_is_on_disk_before_it_is_placed(self, world: World) -> None:
        given_back(world.issuance(), FakeOrders(placing=[refused(not_about_caa())]))
        assert world.history.count(Kind.ORDER_PLACED, "", within=1) == 1


class TestHurry:
    """Long waits are for those who need them (a web server may be down, a timer comes again)."""

    def waited(self, world: World, settings: Settings | None = None) -> float:
        given_back(
            world.issuance(settings=settings), FakeOrders(finalizing=[transient("b.net")] * 20)
        )
        return sum(world.clock.slept)

    def test_a_renewal_that_is_not_urgent_gets_one_short_retry(self, world: World) -> None:
        assert self.waited(world, Settings(is_urgent=False)) == 8.0

    def test_when_two_have_failed_on_unrelated_zones_the_rest_get_one_short_retry(
        self, world: World
    ) -> None:
        for name in ("one.org", "two.com"):
            world.troubles.note(object(), [name])
        assert self.waited(world) == 8.0

    def test_one_that_failed_elsewhere_makes_the_second_short(self, world: World) -> None:
        world.troubles.note(object(), ["one.org"])
        assert self.waited(world) == 8.0

    def test_one_that_came_through_after_all_does_not(self, world: World) -> None:
        run(world.issuance(), FakeOrders(finalizing=[transient("a.net")]))
        world.clock.slept.clear()
        assert self.waited(world) > 600


class TestWatch:
    """While it waits it looks itself."""

    def issuance(self, world: World, **settings: int) -> Issuance:
        issuance = world.issuance(settings=Settings(**settings))
        issuance.survey()
        return issuance

    def test_when_the_name_has_recovered_the_try_comes_early(self, world: World) -> None:
        issuance = self.issuance(world)
        world.answers({"c.net": [Outcome.NOTHING] * 2 + [Outcome.SERVFAIL, Outcome.NOTHING]})
        run(issuance, FakeOrders(finalizing=[transient("a.net", "c.net")] * 2))
        assert world.clock.slept == [8.0, 6.0, 6.0]

    def test_one_that_cannot_ask_does_not_hide_that(self, world: World) -> None:
        issuance = self.issuance(world)
        world.answers({"c.net": [Outcome.NOTHING] * 2 + [Outcome.SERVFAIL, Outcome.NOTHING]})
        world.resolvers[1].answers = {"c.net": Outcome.NETWORK}
        run(issuance, FakeOrders(finalizing=[transient("a.net", "c.net")] * 2))
        assert world.clock.slept == [8.0, 6.0, 6.0]

    def test_names_that_never_failed_here_are_waited_for(self, world: World) -> None:
        run(self.issuance(world), FakeOrders(finalizing=[transient("a.net", "c.net")] * 2))
        assert sum(world.clock.slept) == 38.0

    def test_a_name_that_is_denied_by_now_is_held_at_the_first_look(self, world: World) -> None:
        issuance = self.issuance(world)
        world.answers({"c.net": DENIED})
        assert held(issuance, FakeOrders(finalizing=[transient("c.net")])) == ("c.net",)
        assert world.clock.slept == [8.0]

    def test_a_name_that_breaks_is_watched_until_that_is_sure(self, world: World) -> None:
        world.resolvers[:] = [FakeResolver(answers={"c.net": Outcome.SERVFAIL})]
        issuance = self.issuance(world)
        assert held(issuance, FakeOrders(finalizing=[transient("c.net")])) == ("c.net",)
        assert 90 <= sum(world.clock.slept) <= 150
        assert world.teller.doubts

    def test_never_longer_than_there_is_patience(self, world: World) -> None:
        world.patience = Patience(60.0)
        world.resolvers[:] = [FakeResolver(answers={"c.net": Outcome.SERVFAIL})]
        issuance = self.issuance(world)
        given_back(issuance, FakeOrders(finalizing=[transient("c.net")] * 10))
        assert sum(world.clock.slept) <= 60

    def test_where_the_ca_cannot_look_up_anything_for_five_minutes_five_orders_are_enough(
        self, world: World
    ) -> None:
        start = world.clock()

        class Sick(FakeOrders):
            def finalize(self, order: object) -> object:
                if world.clock() - start < 300:
                    self.finalizing = [transient(*NAMES)]
                return super().finalize(order)

        orders = Sick(statuses=["invalid"] * 10)
        run(self.issuance(world), orders)
        assert orders.placed <= 5

    def test_of_a_denial_among_names_not_told_all_are_looked_at_first(self, world: World) -> None:
        issuance = self.issuance(world)
        world.answers({"c.net": DENIED})
        document = several_at_finalize("b.net", "c.net", "a.net", text=denial)
        document["subproblems"] = list(document["subproblems"])[:1]  # type: ignore[call-overload]
        document["detail"] = without_subproblems("b.net", 1)["detail"]
        assert held(issuance, FakeOrders(finalizing=[refused(document)])) == ("b.net", "c.net")


class TestPatience:
    """How long may still be waited."""

    def test_spending_lessens_it(self) -> None:
        patience = Patience(10.0)
        patience.spend(4.0)
        assert patience.left == 6.0

    def test_it_never_falls_below_nothing(self) -> None:
        patience = Patience(10.0)
        patience.spend(40.0)
        assert patience.left == 0.0

    def test_what_one_spends_the_others_lack(self) -> None:
        whole = Patience(10.0)
        Patience(10.0, whole).spend(4.0)
        assert Patience(10.0, whole).left == 6.0

    def test_a_limit_holds_for_the_whole(self) -> None:
        whole = Patience(900.0)
        Patience(900.0, whole).limit(15.0)
        assert whole.left == 15.0

    def test_a_limit_of_the_whole_is_one_of_its_parts(self) -> None:
        whole = Patience(900.0)
        part = Patience(900.0, whole)
        assert part.within_limit == math.inf
        whole.limit(15.0)
        assert part.within_limit == 15.0

    def test_a_limit_never_gives_more(self) -> None:
        patience = Patience(5.0)
        patience.limit(15.0)
        assert patience.left == 5.0

    def test_what_is_allowed_later_counts_from_the_start(self) -> None:
        patience = Patience(10.0)
        patience.spend(40.0)
        patience.allow(100.0)
        patience.allow(50.0)
        assert patience.left == 60.0

    def test_what_is_allowed_later_lifts_no_limit(self) -> None:
        patience = Patience(5.0)
        patience.limit(15.0)
        patience.allow(900.0)
        assert patience.left == 15.0


def test_a_refusal_says_what_the_client_said() -> None:
    assert str(refused(rate_limited())) == "no"


def test_a_hold_says_which_names() -> None:
    assert str(Hold(["a.net", "b.net"])) == "a.net, b.net"


def test_every_status_of_an_order_is_known() -> None:
    """RFC 8555 section 7.1.6."""
    statuses = {"pending", "ready", "processing", "valid", "invalid"}
    assert {one.value for one in retry.Status} >= statuses
