"""Whether it is the CA that has a problem."""

from __future__ import annotations

import pytest

from certbot_caa_guard.trouble import Troubles


@pytest.mark.parametrize(
    ("first", "second", "are_the_cas"),
    [
        pytest.param("a.net", "b.org", True, id="unrelated zones"),
        pytest.param("a.net", "www.a.net", False, id="the same zone"),
        pytest.param("net", "net", True, id="a TLD, twice"),
        pytest.param("net", "org", True, id="two TLDs"),
        pytest.param("a.co.uk", "b.co.uk", False, id="perhaps related"),
    ],
)
def test_two_failures_tell(first: str, second: str, are_the_cas: bool) -> None:
    troubles = Troubles()
    troubles.note("one", [first])
    troubles.note("two", [second])
    assert troubles.are_the_cas is are_the_cas


def test_one_issuance_alone_tells_nothing() -> None:
    troubles = Troubles()
    for owner in ("a.net", "b.org", "com"):
        troubles.note("one", [owner])
    assert not troubles.are_the_cas


def test_failures_of_which_nothing_is_known_tell_nothing() -> None:
    troubles = Troubles()
    troubles.note("one", [])
    troubles.note("two", ["a.net"])
    assert not troubles.are_the_cas


def test_what_succeeded_after_all_does_not_count() -> None:
    troubles = Troubles()
    troubles.note("one", ["a.net"])
    troubles.note("two", ["b.org"])
    troubles.over("one")
    assert not troubles.are_the_cas
