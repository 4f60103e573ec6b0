"""A CA says its CAA domain names and what time it is, or it does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from certbot_caa_guard import directory

_SOMEBODY = "https://ca.example/directory"


@pytest.mark.parametrize(
    ("meta", "url", "issuers"),
    [
        pytest.param(
            SimpleNamespace(caa_identities=["a.example", "b.example"]),
            _SOMEBODY,
            ("a.example", "b.example"),
            id="it says",
        ),
        pytest.param(SimpleNamespace(caa_identities=None), _SOMEBODY, (), id="it does not"),
        pytest.param(None, _SOMEBODY, (), id="it says nothing"),
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
    meta: object, url: str, issuers: tuple[str, ...]
) -> None:
    assert directory.issuers(meta, url) == issuers


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
