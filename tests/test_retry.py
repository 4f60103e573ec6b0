"""After the CA has said no: what comes next, and after which wait."""

from __future__ import annotations

import pytest

from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.retry import (
    TABLE,
    Budget,
    Kind,
    Status,
    Step,
    kind_of,
    next_step,
    wait_before,
)

_DENIED = Reading(Meaning.DENIED, "a.example", "example", at=At.FINALIZE)
_DNSSEC = Reading(Meaning.DNSSEC, "b.example", "b.example", "DNSSEC: Bogus")
_SERVFAIL = Reading(Meaning.TRANSIENT, "c.example", "c.example", "SERVFAIL")
_NO_TLD = Reading(Meaning.TRANSIENT, "d.gonetld", "gonetld", "NXDOMAIN")
_LIMITED = Reading(Meaning.RATE_LIMITED)
_ELSE = Reading(Meaning.NOT_CAA)

_PLENTY = Budget(tries=4, seconds=900.0)
_SPENT = Budget(tries=0, seconds=0.0)


@pytest.mark.parametrize(
    ("readings", "kind"),
    [
        pytest.param([], Kind.NOT_OURS, id="nothing was read"),
        pytest.param([_ELSE], Kind.NOT_OURS, id="not about CAA"),
        pytest.param([_LIMITED], Kind.NOT_OURS, id="a rate limit"),
        pytest.param([_DENIED, _ELSE], Kind.NOT_OURS, id="one of them not about CAA"),
        pytest.param([_LIMITED, _SERVFAIL], Kind.NOT_OURS, id="one of them a rate limit"),
        pytest.param([_DENIED], Kind.PERMANENT, id="a denial"),
        pytest.param([_DNSSEC], Kind.PERMANENT, id="a DNSSEC failure"),
        pytest.param([_NO_TLD], Kind.PERMANENT, id="a TLD that does not exist"),
        pytest.param([_SERVFAIL, _DENIED], Kind.PERMANENT, id="a denial among what may pass"),
        pytest.param([_SERVFAIL], Kind.TRANSIENT, id="a failed lookup"),
        pytest.param([_SERVFAIL, _SERVFAIL], Kind.TRANSIENT, id="two failed lookups"),
    ],
)
def test_the_readings_of_a_failure_sum_up_to_a_kind(readings: list[Reading], kind: Kind) -> None:
    assert kind_of(readings) is kind


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name)
def test_the_table_knows_every_status(kind: Kind) -> None:
    assert set(TABLE[kind]) == set(Status)


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
@pytest.mark.parametrize(
    ("reading", "step"),
    [
        pytest.param(_ELSE, Step.GIVE_BACK, id="what is not ours is given back"),
        pytest.param(_LIMITED, Step.GIVE_BACK, id="a rate limit is given back"),
        pytest.param(_DENIED, Step.HOLD, id="what cannot pass is held"),
        pytest.param(_NO_TLD, Step.HOLD, id="a misspelled name is held"),
    ],
)
@pytest.mark.parametrize("budget", [_PLENTY, _SPENT], ids=["budget", "no budget"])
def test_where_a_retry_cannot_help_there_is_none_whatever_the_order(
    reading: Reading, step: Step, status: Status, budget: Budget
) -> None:
    assert next_step([reading], status, budget, wait=8.0) is step


@pytest.mark.parametrize(
    ("status", "step"),
    [
        pytest.param(Status.READY, Step.FINALIZE_AGAIN, id="a ready order lives"),
        pytest.param(Status.PROCESSING, Step.FINALIZE_AGAIN, id="so does one being worked on"),
        pytest.param(Status.VALID, Step.FINALIZE_AGAIN, id="and one that came through"),
        pytest.param(Status.PENDING, Step.ORDER_AGAIN, id="a pending one lacks an authorization"),
        pytest.param(Status.INVALID, Step.ORDER_AGAIN, id="an invalid one is dead"),
        pytest.param(Status.UNKNOWN, Step.ORDER_AGAIN, id="an unknown one is not trusted"),
    ],
)
def test_what_may_pass_is_tried_again_on_a_living_order(status: Status, step: Step) -> None:
    assert next_step([_SERVFAIL], status, _PLENTY, wait=8.0) is step


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
@pytest.mark.parametrize(
    "budget",
    [
        pytest.param(Budget(tries=0, seconds=900.0), id="no tries left"),
        pytest.param(Budget(tries=4, seconds=7.9), id="no time left"),
    ],
)
def test_without_the_budget_the_error_is_given_back(budget: Budget, status: Status) -> None:
    assert next_step([_SERVFAIL], status, budget, wait=8.0) is Step.GIVE_BACK


@pytest.mark.parametrize(
    ("tries", "seconds", "affords"),
    [
        pytest.param(1, 8.0, True, id="the last try, to the second"),
        pytest.param(1, 7.99, False, id="a moment too long"),
        pytest.param(0, 8.0, False, id="no tries"),
        pytest.param(-1, 8.0, False, id="overdrawn"),
    ],
)
def test_a_budget_affords_what_is_within_it(tries: int, seconds: float, affords: bool) -> None:
    assert Budget(tries, seconds).affords(8.0) is affords


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
    assert wait_before(0, 0.0) > 5.0
