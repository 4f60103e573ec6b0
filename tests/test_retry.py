"""After the CA has said no: what comes next, and after which wait."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.retry import (
    AT_ONCE,
    RULES,
    SOONEST,
    WATCH,
    Budget,
    Kind,
    Purse,
    Rule,
    Sight,
    Situation,
    Status,
    Step,
    Validations,
    kind_of,
    next_step,
    rule_for,
    tries_left,
    wait_before,
)
from tests import retry_page

_DENIED = Reading(Meaning.DENIED, "a.example", "example", at=At.FINALIZE)
_DNSSEC = Reading(Meaning.DNSSEC, "b.example", "b.example", "DNSSEC: Bogus")
_DNSSEC_OF_TLD = Reading(Meaning.DNSSEC, "b.example", "example", "DNSSEC: Bogus")
_SERVFAIL = Reading(Meaning.TRANSIENT, "c.example", "c.example", "SERVFAIL")
_NO_TLD = Reading(Meaning.TRANSIENT, "d.gonetld", "gonetld", "NXDOMAIN")
_LIMITED = Reading(Meaning.RATE_LIMITED)
_ELSE = Reading(Meaning.NOT_CAA)

SITUATIONS = [
    Situation(*each) for each in itertools.product(Kind, Status, Sight, Validations, Purse)
]


def situation(
    kind: Kind,
    status: Status = Status.READY,
    sight: Sight = Sight.UNSEEN,
    validations: Validations = Validations.KEEP,
    purse: Purse = Purse.PLENTY,
) -> Situation:
    return Situation(kind, status, sight, validations, purse)


def is_one_of(*kinds: Kind) -> list[Situation]:
    return [one for one in SITUATIONS if one.kind in kinds]


@pytest.mark.parametrize(
    ("readings", "kind"),
    [
        pytest.param([], Kind.NOT_OURS, id="nothing was read"),
        pytest.param([_ELSE], Kind.NOT_OURS, id="not about CAA"),
        pytest.param([_LIMITED], Kind.LIMITED, id="a rate limit"),
        pytest.param([_DENIED, _ELSE], Kind.NOT_OURS, id="one of them not about CAA"),
        pytest.param([_SERVFAIL, _LIMITED], Kind.LIMITED, id="one of them a rate limit"),
        pytest.param([_DENIED], Kind.PERMANENT, id="a denial"),
        pytest.param([_DNSSEC], Kind.PERMANENT, id="a DNSSEC failure"),
        pytest.param([_DNSSEC_OF_TLD], Kind.TRANSIENT, id="a DNSSEC failure of the TLD"),
        pytest.param([_NO_TLD], Kind.PERMANENT, id="a TLD that does not exist"),
        pytest.param([_SERVFAIL, _DENIED], Kind.PERMANENT, id="a denial among what may pass"),
        pytest.param([_SERVFAIL], Kind.TRANSIENT, id="a failed lookup"),
        pytest.param([_SERVFAIL, _SERVFAIL], Kind.TRANSIENT, id="two failed lookups"),
    ],
)
def test_the_readings_of_a_failure_sum_up_to_a_kind(readings: list[Reading], kind: Kind) -> None:
    assert kind_of(readings) is kind


@pytest.mark.parametrize(
    ("given", "step"),
    [
        pytest.param(situation(Kind.NOT_OURS), Step.GIVE_BACK, id="what is not ours"),
        pytest.param(situation(Kind.LIMITED), Step.STOP, id="a limit"),
        pytest.param(situation(Kind.PERMANENT), Step.HOLD, id="what cannot pass"),
        pytest.param(situation(Kind.TRANSIENT), Step.FINALIZE_AGAIN, id="a ready order lives"),
        pytest.param(
            situation(Kind.TRANSIENT, Status.PROCESSING),
            Step.KEEP_POLLING,
            id="an order in processing may still come through",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, Status.VALID), Step.FETCH, id="a valid one came through"
        ),
        pytest.param(
            situation(Kind.TRANSIENT, Status.PENDING),
            Step.ORDER_AGAIN,
            id="a pending one lacks an authorization",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, Status.INVALID), Step.ORDER_AGAIN, id="an invalid one is dead"
        ),
        pytest.param(
            situation(Kind.TRANSIENT, Status.UNKNOWN),
            Step.ORDER_AGAIN,
            id="after a refusal an unknown one is not trusted",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, sight=Sight.BROKEN),
            Step.HOLD,
            id="what the guard sees broken, too",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, validations=Validations.RENEW),
            Step.VALIDATE_AGAIN,
            id="stale authorizations that keep failing",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, validations=Validations.RENEW, purse=Purse.NO_ORDERS),
            Step.FINALIZE_AGAIN,
            id="they are kept where no order can follow",
        ),
        pytest.param(
            situation(Kind.TRANSIENT, Status.INVALID, purse=Purse.NO_ORDERS),
            Step.GIVE_BACK,
            id="a dead order, and no more",
        ),
        pytest.param(situation(Kind.TRANSIENT, purse=Purse.SPENT), Step.GIVE_BACK, id="no budget"),
        pytest.param(
            situation(Kind.TRANSIENT, Status.INVALID, Sight.BROKEN, purse=Purse.SPENT),
            Step.HOLD,
            id="to hold needs no budget",
        ),
        pytest.param(situation(Kind.LOST, Status.VALID), Step.FETCH, id="a lost answer: issued"),
        pytest.param(
            situation(Kind.LOST, Status.VALID, purse=Purse.SPENT),
            Step.FETCH,
            id="to fetch what is issued needs no tries",
        ),
        pytest.param(
            situation(Kind.LOST, Status.VALID, purse=Purse.EMPTY),
            Step.GIVE_BACK,
            id="but it has an end",
        ),
        pytest.param(
            situation(Kind.LOST, Status.PROCESSING), Step.KEEP_POLLING, id="a lost answer: at work"
        ),
        pytest.param(
            situation(Kind.LOST), Step.FINALIZE_AGAIN, id="a lost request: it never arrived"
        ),
        pytest.param(
            situation(Kind.LOST, Status.UNKNOWN),
            Step.LOOK_AGAIN,
            id="a lost answer, and no way to ask: a new order might double the certificate",
        ),
        pytest.param(situation(Kind.LOST, Status.NONE), Step.ORDER_AGAIN, id="a lost new order"),
        pytest.param(situation(Kind.LOST, Status.INVALID), Step.ORDER_AGAIN, id="lost and dead"),
    ],
)
def test_the_table_says_what_comes_next(given: Situation, step: Step) -> None:
    assert next_step(given) is step


def test_the_table_is_complete() -> None:
    assert {next_step(one) for one in SITUATIONS} == set(Step)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.why)
def test_no_row_is_hidden_by_those_above_it(rule: Rule) -> None:
    assert any(rule_for(one) is rule for one in SITUATIONS)


def test_what_is_not_ours_is_given_back_whatever_else() -> None:
    assert {next_step(one) for one in is_one_of(Kind.NOT_OURS)} == {Step.GIVE_BACK}


def test_what_cannot_pass_is_never_tried_again() -> None:
    assert {next_step(one) for one in is_one_of(Kind.PERMANENT)} == {Step.HOLD}


def test_after_a_limit_there_is_never_an_order() -> None:
    assert {next_step(one) for one in is_one_of(Kind.LIMITED)} == {Step.STOP}


def test_no_order_is_placed_while_one_may_be_good() -> None:
    alive = {Status.READY, Status.PROCESSING, Status.VALID}
    steps = {next_step(one) for one in SITUATIONS if one.status in alive}
    assert Step.ORDER_AGAIN not in steps


def test_without_a_budget_nothing_is_tried() -> None:
    spent = {next_step(one) for one in SITUATIONS if one.purse is Purse.EMPTY}
    assert spent <= AT_ONCE - {Step.FETCH, Step.KEEP_POLLING}


@pytest.mark.parametrize(
    ("budget", "purse"),
    [
        pytest.param(Budget(tries=1, seconds=8.0), Purse.PLENTY, id="the last, to the second"),
        pytest.param(Budget(tries=1, seconds=7.99), Purse.SPENT, id="a moment too long"),
        pytest.param(Budget(tries=0, seconds=8.0), Purse.SPENT, id="no tries"),
        pytest.param(Budget(tries=-1, seconds=8.0), Purse.SPENT, id="overdrawn"),
        pytest.param(Budget(tries=1, seconds=8.0, orders=0), Purse.NO_ORDERS, id="no orders"),
        pytest.param(Budget(tries=1, seconds=8.0, looks=0), Purse.EMPTY, id="no looks"),
    ],
)
def test_a_budget_allows_what_is_within_it(budget: Budget, purse: Purse) -> None:
    assert budget.after(8.0) is purse


@pytest.mark.parametrize(
    ("retries", "attempt", "in_no_hurry", "left"),
    [(4, 0, False, 4), (4, 3, False, 1), (4, 0, True, 1), (4, 1, True, 0), (0, 0, True, 0)],
)
def test_in_no_hurry_there_is_one_try(
    retries: int, attempt: int, in_no_hurry: bool, left: int
) -> None:
    assert tries_left(retries, attempt, in_no_hurry=in_no_hurry) == left


def test_every_sight_says_how_a_wait_goes_on() -> None:
    assert set(WATCH) == set(Sight)


def test_the_page_is_what_the_table_makes() -> None:
    """``python -m tests.retry_page`` writes it anew."""
    assert retry_page.PATH.read_text("utf-8") == retry_page.page()


def test_writing_the_page_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_page, "PATH", tmp_path / "retry.md")
    retry_page.main()
    assert (tmp_path / "retry.md").read_text("utf-8") == retry_page.page()


@pytest.mark.parametrize(("attempt", "wait"), [(0, 2.0), (1, 8.0), (2, 30.0), (3, 30.0)], ids=str)
def test_after_a_lost_answer_waits_are_short(attempt: int, wait: float) -> None:
    assert wait_before(attempt, 0.5, Kind.LOST) == wait


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"),
    [
        pytest.param(0, 6.0, 10.0, id="first"),
        pytest.param(1, 25.0, 35.0, id="second"),
        pytest.param(2, 100.0, 140.0, id="third"),
        pytest.param(3, 420.0, 540.0, id="fourth"),
        pytest.param(4, 420.0, 540.0, id="from then on the same"),
        pytest.param(1000, 420.0, 540.0, id="for ever"),
    ],
)
def test_the_waits_grow_and_chance_spreads_them(
    attempt: int, shortest: float, longest: float
) -> None:
    middle = (shortest + longest) / 2
    waits = [wait_before(attempt, chance) for chance in (0.0, 0.5, 1.0)]
    assert waits == [shortest, middle, longest]


def test_even_the_shortest_wait_outlasts_the_resolvers_memory_of_a_servfail() -> None:
    """Unbound remembers a SERVFAIL for 5 s: a retry within them sees the same failure."""
    assert wait_before(0, 0.0) == SOONEST > 5.0
