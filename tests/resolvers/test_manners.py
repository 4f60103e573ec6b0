"""How much a server is asked to bear: decided on numbers alone, with time handed in."""

from __future__ import annotations

import math

import pytest

from certbot_caa_guard.resolvers.manners import Allowance, Manners


def starts(allowance: Allowance, until: float, now: float = 0.0) -> list[float]:
    """When questions go that are answered at once, if there are always more."""
    went = []
    while (now := max(now, allowance.ready_at())) < until:
        allowance.start(now)
        allowance.end()
        went.append(now)
    return went


class TestInFlight:
    def test_there_is_room_for_so_many(self) -> None:
        allowance = Allowance(2)
        allowance.start(0.0)
        assert allowance.ready_at() < 0
        allowance.start(0.0)
        assert allowance.ready_at() == math.inf

    def test_room_is_made_by_an_end(self) -> None:
        allowance = Allowance(1)
        allowance.start(0.0)
        assert not allowance.is_idle
        allowance.end()
        assert allowance.is_idle
        assert allowance.ready_at() < 0


class TestPace:
    def test_questions_go_at_even_distances(self) -> None:
        assert starts(Allowance(1, 10.0), until=0.45) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])

    def test_a_burst_goes_at_once_and_no_more_than_the_rate_after_it(self) -> None:
        went = starts(Allowance(1, 10.0, burst=3), until=0.35)
        assert went == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])

    def test_a_rest_allows_another_burst(self) -> None:
        allowance = Allowance(1, 10.0, burst=3)
        starts(allowance, until=0.2)
        assert starts(allowance, until=5.05, now=5.0) == pytest.approx([5, 5, 5])


class TestSlowingDown:
    def test_is_by_half(self) -> None:
        allowance = Allowance(8, 100.0)
        starts(allowance, until=1.0)
        allowance.slow_down(asked_at=1.0, now=1.0)
        assert allowance.per_second == pytest.approx(50.0)
        assert allowance.in_flight == 4
        assert len(starts(allowance, until=2.0, now=1.0)) == pytest.approx(50, abs=1)

    def test_begins_at_the_pace_of_late_where_that_was_less(self) -> None:
        allowance = Allowance(8, 1000.0)
        for tenth in range(11):
            allowance.start(tenth / 10)
        allowance.slow_down(asked_at=1.0, now=1.0)
        assert allowance.per_second == pytest.approx(5.5)

    def test_gives_a_rate_to_what_had_none(self) -> None:
        allowance = Allowance(8)
        for hundredth in range(100):
            allowance.start(hundredth / 100)
        allowance.slow_down(asked_at=1.0, now=1.0)
        assert allowance.per_second == pytest.approx(50, rel=0.1)

    def test_is_done_once_for_all_that_was_under_way(self) -> None:
        allowance = Allowance(8, 100.0)
        starts(allowance, until=1.0)
        allowance.slow_down(asked_at=0.9, now=1.0)
        allowance.slow_down(asked_at=0.95, now=1.1)
        assert allowance.per_second == pytest.approx(50.0)
        allowance.slow_down(asked_at=1.05, now=1.2)
        assert allowance.per_second < 50

    def test_has_an_end(self) -> None:
        allowance = Allowance(8, 100.0, fewest_in_flight=2, slowest=10.0)
        for second in range(20):
            starts(allowance, until=second + 1.0, now=float(second))
            allowance.slow_down(asked_at=second + 1.0, now=second + 1.0)
        assert (allowance.in_flight, allowance.per_second) == (2, 10.0)

    def test_without_a_past_is_in_number_only(self) -> None:
        allowance = Allowance(8)
        allowance.slow_down(asked_at=0.0, now=0.0)
        assert (allowance.in_flight, allowance.per_second) == (4, None)

    def test_ends_bursts(self) -> None:
        allowance = Allowance(8, 100.0, burst=50)
        starts(allowance, until=1.0)
        allowance.slow_down(asked_at=1.0, now=1.0)
        assert len(starts(allowance, until=10.1, now=10.0)) <= 8


class TestSpeedingUp:
    def test_takes_some_seconds_of_answers(self) -> None:
        allowance = Allowance(8, 100.0)
        starts(allowance, until=1.0)
        allowance.slow_down(asked_at=1.0, now=1.0)
        now = 1.0
        while allowance.per_second < 99:
            now = max(now, allowance.ready_at())
            allowance.start(now)
            allowance.end()
            allowance.speed_up()
        assert 3 < now < 5
        assert allowance.in_flight == 8

    def test_has_an_end(self) -> None:
        allowance = Allowance(8, 100.0)
        for _ in range(1000):
            allowance.speed_up()
        assert (allowance.in_flight, allowance.per_second) == (8, 100.0)

    def test_does_not_give_a_rate_to_what_has_none(self) -> None:
        allowance = Allowance(8)
        allowance.speed_up()
        assert allowance.per_second is None


def test_a_server_that_refuses_beyond_a_rate_is_asked_about_as_fast_as_it_answers() -> None:
    limit, allowance = 20, Manners().towards_server()
    answered: list[float] = []
    refused, now = 0, 0.0
    while now < 60:
        now = max(now, allowance.ready_at())
        allowance.start(now)
        allowance.end()
        if len([one for one in answered[-limit:] if one > now - 1]) < limit:
            answered.append(now)
            allowance.speed_up()
        else:
            refused += 1
            allowance.slow_down(now, now)
    assert refused < 60  # one a second; unslowed it would be 80
    assert len(answered) > 60 * limit / 2


@pytest.mark.parametrize("manners", [Manners(), Manners.at_home(), Manners(in_flight=1)])
def test_nobody_is_asked_for_more_than_the_manners_say(manners: Manners) -> None:
    assert manners.towards_all().in_flight == manners.lookups
    assert manners.towards_zone().in_flight == manners.zone_in_flight
    server = manners.towards_server()
    assert server.in_flight == manners.in_flight
    server.slow_down(0.0, 0.0)
    assert server.in_flight <= manners.in_flight
    for _ in range(1000):
        server.speed_up()
    assert (server.in_flight, server.per_second) == (manners.in_flight, manners.per_second)


def test_the_user_may_say_how_many_questions_a_second() -> None:
    assert Manners().at_rate(50).towards_all().per_second == 50
    assert Manners.at_home().at_rate(50).towards_all().per_second == 50
    assert Manners().at_rate(None) == Manners()
