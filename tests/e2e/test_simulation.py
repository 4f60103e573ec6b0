"""Small versions of what ``make bench`` simulates at large: faults by schedule, waits skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation import programs, scenarios
from tests.simulation.scenarios import Contender, Place
from tests.simulation.world import World

# Seeds by which the CA's first lookup fails and its second does not.
_FAILS_AT_FIRST = {Place.A: 0, Place.B: 4, Place.C: 1, Place.AUTHORIZATION: 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.mark.parametrize("place", Place)
def test_a_tld_that_fails_every_other_time_costs_no_certificate(world: World, place: Place) -> None:
    seed = _FAILS_AT_FIRST[place]
    outcome = scenarios.run(world, scenarios.flaky_tld(0.5), place, Contender.GUARDED, seed=seed)
    assert outcome.missing == 0, outcome.output
    assert outcome.faults > 0
    assert outcome.failed_authorizations <= 3
    assert outcome.issued == 1


@pytest.mark.parametrize("place", [Place.B, Place.AUTHORIZATION])
def test_names_that_are_sick_for_a_minute_are_in_the_first_certificate(
    world: World, place: Place
) -> None:
    outcome = scenarios.run(world, scenarios.sick_for_a_minute(6), place, Contender.GUARDED)
    assert outcome.missing == 0, outcome.output
    assert outcome.orders <= 2


@pytest.mark.parametrize("place", [Place.A, Place.AUTHORIZATION])
def test_dead_names_cost_the_others_nothing(world: World, place: Place) -> None:
    outcome = scenarios.run(world, scenarios.dead(6), place, Contender.GUARDED)
    assert outcome.got == 6, outcome.output
    assert outcome.orders <= 2
    assert outcome.failed_authorizations == 0


@pytest.mark.parametrize("place", [Place.C, Place.AUTHORIZATION])
def test_a_ca_that_cannot_look_anything_up_is_waited_for_or_given_up(
    world: World, place: Place
) -> None:
    outcome = scenarios.run(world, scenarios.sick_ca(), place, Contender.GUARDED)
    assert outcome.orders <= 5
    if outcome.status == 0:
        assert outcome.missing == 0
    else:
        assert outcome.issued == 0
        assert "SERVFAIL looking up CAA for n0." in outcome.output


def test_programs_are_guarded_alike(world: World) -> None:
    outcomes = list(programs.run_many(world, scenarios.flaky_tld(0.3), Place.B, seed=2, times=10))
    assert [outcome.output for outcome in outcomes if outcome.missing] == []
    assert sum(outcome.faults for outcome in outcomes) > 0


def test_without_the_guard_the_same_faults_cost_the_certificate(world: World) -> None:
    """Or else the tests above would tell nothing."""
    for scenario in (scenarios.flaky_tld(1.0), scenarios.dead(6), scenarios.sick_ca()):
        outcome = scenarios.run(world, scenario, Place.B, Contender.ALONE)
        assert outcome.got == 0, outcome.output
