"""A certificate waits for a name for as long as it safely can."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from certbot_caa_guard import grace

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("0", 0 * HOUR), ("36h", 36 * HOUR), ("10d", 10 * DAY), ("90m", 1.5 * HOUR), ("0d", 0 * DAY)],
)
def test_a_grace_is_a_number_and_its_unit(text: str, meant: timedelta) -> None:
    assert grace.parse(text) == meant


@pytest.mark.parametrize(
    "text", ["", "10", "-1d", "1.5d", "d", "1w", "1d2h", " 1d", "1D", "9999999d"]
)
def test_anything_else_is_refused_with_a_word_on_how_to_write_it(text: str) -> None:
    with pytest.raises(grace.GraceError, match="write 36h, 10d or 90m"):
        grace.parse(text)


@pytest.mark.parametrize(
    ("lifetime", "said", "window"),
    [
        pytest.param(90 * DAY, None, 30 * DAY, id="a third"),
        pytest.param(160 * HOUR, None, 80 * HOUR, id="half of a short one"),
        pytest.param(90 * DAY, "30 days", 30 * DAY, id="as the lineage says"),
        pytest.param(90 * DAY, "10", 10 * DAY, id="a number alone is one of days"),
        pytest.param(90 * DAY, " 10 ", 10 * DAY, id="with blanks around it"),
        pytest.param(90 * DAY, "10.5", 30 * DAY, id="but a whole one"),
        pytest.param(90 * DAY, "12 hours", 12 * HOUR, id="in hours"),
        pytest.param(90 * DAY, "1.5 weeks", 10.5 * DAY, id="in weeks"),
        pytest.param(160 * HOUR, "30 days", 160 * HOUR, id="never more than the lifetime"),
        pytest.param(90 * DAY, "a fortnight", 30 * DAY, id="what is not understood says nothing"),
    ],
)
def test_the_window_is_that_in_which_certbot_renews(
    lifetime: timedelta, said: str | None, window: timedelta
) -> None:
    assert grace.renewal_window(lifetime, said) == window


@pytest.mark.parametrize(
    ("lifetime", "window", "expected"),
    [
        pytest.param(90 * DAY, 30 * DAY, 10 * DAY, id="a ninth of the lifetime"),
        pytest.param(45 * DAY, 15 * DAY, 5 * DAY, id="of a shorter one, too"),
        pytest.param(17 * DAY, 30 * DAY, 48 * HOUR, id="at least 48 hours"),
        pytest.param(90 * DAY, 10 * DAY, 6 * DAY, id="at most 60 % of the window"),
        pytest.param(160 * HOUR, 80 * HOUR, 48 * HOUR, id="six days, where both bounds meet"),
        pytest.param(160 * HOUR, 53 * HOUR, 31.8 * HOUR, id="the window outranks the 48 hours"),
        pytest.param(90 * DAY, 0 * DAY, 0 * DAY, id="no window, no grace"),
    ],
)
def test_the_default_fits_the_certificate(
    lifetime: timedelta, window: timedelta, expected: timedelta
) -> None:
    assert grace.default(lifetime, window) == expected


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        pytest.param(None, 10 * DAY, id="the default"),
        pytest.param("36h", 36 * HOUR, id="as chosen"),
        pytest.param("0", 90 * DAY, id="none: it never waits"),
        pytest.param("999d", 90 * DAY, id="never more than its life"),
    ],
)
def test_a_certificate_waits_until_so_much_life_is_left(
    chosen: str | None, left: timedelta
) -> None:
    assert grace.remaining(90 * DAY, 30 * DAY, chosen) == left


LIFETIMES = [160 * HOUR, 45 * DAY, 90 * DAY]
# certbot before 4.1 renews 30 days before the end, whatever the lifetime.
WINDOWS = [None, "30 days"]


@pytest.mark.parametrize("every", [12 * HOUR, 24 * HOUR], ids=["twice a day", "once a day"])
@pytest.mark.parametrize("said", WINDOWS)
@pytest.mark.parametrize("lifetime", LIFETIMES, ids=["6 days", "45 days", "90 days"])
def test_no_certificate_expires_before_a_timer_that_is_late_has_shrunk_it(
    lifetime: timedelta, said: str | None, every: timedelta
) -> None:
    """The timer fires up to 24 hours after it was due, by chance or as badly as can be."""
    window = grace.renewal_window(lifetime, said)
    looks = max(lifetime - grace.default(lifetime, window), lifetime - window)
    dice = random.Random(str((lifetime, said, every)))
    for _ in range(300):
        first = dice.random() * every
        late = dice.choice([lambda: dice.choice([0, 24]), lambda: dice.uniform(0, 24)])
        runs = sorted(first + number * every + late() * HOUR for number in range(200))
        assert next(run for run in runs if run >= looks) < lifetime


def test_there_is_time_to_wait_in_at_all() -> None:
    for lifetime in LIFETIMES:
        window = grace.renewal_window(lifetime)
        assert grace.default(lifetime, window) <= window - 24 * HOUR
