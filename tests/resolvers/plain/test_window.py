"""How many questions are in flight, and how many are sent in a second."""

from __future__ import annotations

import pytest

from certbot_caa_guard.resolvers.plain.window import GENTLE, LOCAL, Limits, Rate, Window, limits_for


def windowful(window: Window, lost: int) -> None:
    """As many questions as fit, of which some are lost."""
    size = int(window.size)
    for number in range(size):
        if number < lost:
            window.lost()
        else:
            window.answered()


def test_it_grows_while_all_is_answered() -> None:
    window = Window(start=100, most=200)
    windowful(window, lost=0)
    assert window.size == 108


def test_it_grows_to_its_limit() -> None:
    window = Window(start=100, most=110)
    for _ in range(9):
        windowful(window, lost=0)
    assert window.size == 110


def test_it_halves_when_many_are_lost() -> None:
    window = Window(start=100, most=200)
    windowful(window, lost=11)
    assert window.size == 50


def test_a_few_that_are_lost_by_chance_do_not_shrink_it() -> None:
    window = Window(start=100, most=200)
    windowful(window, lost=10)
    assert window.size == 108


def test_it_halves_when_one_is_refused() -> None:
    window = Window(start=100, most=200)
    window.refused()
    windowful(window, lost=0)
    assert window.size == 50
    windowful(window, lost=0)
    assert window.size == 58


def test_answers_may_be_counted_together() -> None:
    window = Window(start=100, most=200)
    window.answered(60)
    assert window.size == 100
    window.answered(60)
    assert window.size == 108


def test_it_never_closes() -> None:
    window = Window(start=100, most=200)
    for _ in range(20):
        windowful(window, lost=int(window.size))
    assert window.size == 4


def test_it_recovers() -> None:
    window = Window(start=8, most=200)
    windowful(window, lost=8)
    for _ in range(3):
        windowful(window, lost=0)
    assert window.size == 28


def test_before_a_windowful_nothing_is_decided() -> None:
    window = Window(start=100, most=200)
    for _ in range(99):
        window.lost()
    assert window.size == 100


def test_the_rate_lets_so_many_go_at_once() -> None:
    rate = Rate(3)
    for _ in range(3):
        assert rate.wait(10.0) == 0
        rate.sent(10.0)
    assert rate.wait(10.0) == 1.0


def test_the_rate_knows_how_many_may_go_now() -> None:
    rate = Rate(5)
    rate.sent(10.0, 2)
    rate.sent(10.5, 2)
    assert [rate.room(now) for now in (10.5, 10.9, 11.0, 11.5)] == [1, 1, 3, 5]


def test_in_no_second_there_are_more() -> None:
    rate = Rate(2)
    sent = []
    now = 0.0
    while len(sent) < 20:
        now += rate.wait(now) or 0.05
        if not rate.wait(now):
            rate.sent(now)
            sent.append(now)
    assert all(later - one > 0.999 for one, later in zip(sent, sent[2:], strict=False))


@pytest.mark.parametrize(
    ("local", "rate", "expected"),
    [
        (False, None, GENTLE),
        (True, None, LOCAL),
        (False, 50, Limits(100, 100, 50, 1.0)),
        (False, 5000, Limits(200, 1000, 5000, 1.0)),
        (True, 2000, Limits(200, 1000, 2000, 0.4)),
    ],
)
def test_limits(local: bool, rate: int | None, expected: Limits) -> None:
    assert limits_for(local=local, rate=rate) == expected


def test_other_peoples_resolvers_get_100_in_flight_and_500_a_second() -> None:
    assert (GENTLE.in_flight, GENTLE.per_second) == (100, 500)
