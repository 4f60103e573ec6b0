"""What an issuance hangs on."""

from __future__ import annotations

import pytest

from certbot_caa_guard.exposure import Exposure, exposure
from certbot_caa_guard.names import parse

CUT = 'www.shop.example.net. CAA 0 issue "letsencrypt.org"'


@pytest.mark.parametrize(
    ("found_at", "expected"),
    [
        pytest.param(
            None,
            Exposure(("www.shop.example.net", "shop.example.net", "example.net", "net"), True, CUT),
            id="no records anywhere",
        ),
        pytest.param(
            "shop.example.net",
            Exposure(("www.shop.example.net", "shop.example.net"), False, CUT),
            id="records above the name",
        ),
        pytest.param(
            "www.shop.example.net",
            Exposure(("www.shop.example.net",), False, None),
            id="records at the name",
        ),
    ],
)
def test_it_ends_where_the_relevant_set_stands(found_at: str | None, expected: Exposure) -> None:
    identifier = parse("*.www.shop.example.net")
    issuers = ["letsencrypt.org", "second.example"]
    assert exposure(identifier, found_at, issuers, is_alias=False) == expected


def test_beside_an_alias_no_record_can_stand() -> None:
    exposed = exposure(parse("www.example.net"), None, ["letsencrypt.org"], is_alias=True)
    assert exposed == Exposure(("www.example.net", "example.net", "net"), True, None)


def test_without_an_issuer_no_record_can_be_named() -> None:
    assert exposure(parse("example.net"), None, [], is_alias=False).cut is None
