"""How fast challenges are answered."""

from __future__ import annotations

import pytest

from certbot_caa_guard.pacing import Pacing, gap


def names(number: int, domain: str = "a.net") -> list[str]:
    return [f"n{index}.{domain}" for index in range(number)]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        pytest.param([], 0.0, id="no names"),
        pytest.param(names(20), 0.0, id="few enough"),
        pytest.param(names(21), 0.1, id="many in one zone"),
        pytest.param([*names(20), *names(20, "b.net")], 0.0, id="few in each of two zones"),
        pytest.param([*names(21), *names(9, "b.net")], 0.1, id="many in one of them"),
        pytest.param(names(1000), 0.015, id="so many that it would take too long"),
        pytest.param([f"192.0.2.{index}" for index in range(99)], 0.0, id="addresses have no CAA"),
    ],
)
def test_many_names_of_one_zone_are_spread(given: list[str], seconds: float) -> None:
    assert gap(given, Pacing()) == pytest.approx(seconds)


def test_it_can_be_set() -> None:
    assert gap(names(3), Pacing(above=2, per_second=2.0)) == 0.5
