"""A CA says its CAA domain names and what time it is, or it does not."""

from __future__ import annotations

import pytest

from certbot_caa_guard import directory

_SOMEBODY = "https://ca.example/directory"


@pytest.mark.parametrize(
    ("identities", "url", "issuers"),
    [
        pytest.param(
            ["a.example", "B.example"], _SOMEBODY, ("a.example", "B.example"), id="it says"
        ),
        pytest.param(("a.example",), _SOMEBODY, ("a.example",), id="as acme gives it"),
        pytest.param([], _SOMEBODY, (), id="it says none"),
        pytest.param(None, _SOMEBODY, (), id="it does not"),
        pytest.param(
            None,
            "https://acme-staging-v02.api.letsencrypt.org/acme/new-nonce",
            ("letsencrypt.org",),
            id="it need not",
        ),
        pytest.param(None, "https://notletsencrypt.org/", (), id="a name like it"),
        pytest.param(None, "nonsense", (), id="no URL"),
    ],
)
def test_the_issuers_are_those_in_the_directory(
    identities: object, url: str, issuers: tuple[str, ...]
) -> None:
    assert directory.issuers(identities, url) == issuers


@pytest.mark.parametrize(
    "identities",
    [
        pytest.param("ca.example", id="a text, whose letters are none"),
        pytest.param(5, id="a number"),
        pytest.param({"ca.example": 1}, id="an object"),
        pytest.param(["ca.example", 5], id="with a number"),
        pytest.param(["ca.example", "ca.example\x1b]0;title\x07"], id="with control characters"),
        pytest.param(["ca.example\n"], id="with a line's end"),
        pytest.param(["*.ca.example"], id="a wildcard"),
        pytest.param(["ca.example."], id="with a final dot, which no record matches"),
        pytest.param(["x" * 100_000], id="too long"),
        pytest.param([f"ca{number}.example" for number in range(101)], id="too many"),
    ],
)
def test_what_is_no_list_of_domain_names_says_nothing_at_all(identities: object) -> None:
    """A part of it would deny what the CA permits by the rest."""
    assert directory.issuers(identities, _SOMEBODY) == ()


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:18:40 GMT", -60.0),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_clock_is_compared_with_the_date_of_an_answer(
    date: str | None, skew: float | None
) -> None:
    assert directory.clock_skew(date, now=1060.0) == skew
