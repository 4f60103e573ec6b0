"""Which server is asked first."""

from __future__ import annotations

import pytest

from certbot_caa_guard.resolvers.plain.servers import Servers

ONE, TWO, THREE = ("192.0.2.1", 53), ("192.0.2.2", 53), ("192.0.2.3", 53)


def test_at_first_it_is_the_first() -> None:
    servers = Servers([ONE, TWO])
    assert servers[servers.first] == ONE
    assert len(servers) == 2


@pytest.mark.parametrize(
    ("happened", "first"),
    [
        pytest.param("....", 1, id="it leaves four in a row unanswered"),
        pytest.param("...", 0, id="three may be for their names"),
        pytest.param("...!...", 0, id="it answers in between"),
        pytest.param("....----", 1, id="the second answers nothing else"),
        pytest.param("....xxxx", 2, id="the second is silent too"),
        pytest.param("..xxxx..", 1, id="what others do is not counted"),
        pytest.param("...-.", 1, id="nor does it help"),
    ],
)
def test_one_that_does_not_answer_any_more_is_not_the_first(happened: str, first: int) -> None:
    """``.`` and ``!`` are silence and an answer of the first, ``x`` and ``-`` of the second."""
    servers = Servers([ONE, TWO, THREE])
    for one in happened:
        place = 0 if one in ".!" else 1
        if one in ".x":
            servers.unanswered(place)
        else:
            servers.answered(place)
    assert servers.first == first


def test_after_the_last_comes_the_first() -> None:
    servers = Servers([ONE, TWO, THREE])
    assert [servers.after(place) for place in range(3)] == [1, 2, 0]


def test_a_single_one_is_always_the_first() -> None:
    servers = Servers([ONE])
    for _ in range(10):
        servers.unanswered(0)
    assert servers.first == 0
