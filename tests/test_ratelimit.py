"""Which limit was met, by whom and until when is read off the CA's text."""

from __future__ import annotations

import datetime

import pytest

from certbot_caa_guard import ratelimit
from certbot_caa_guard.ratelimit import Limit, RateLimit

_SEE = "https://letsencrypt.org/docs/rate-limits/"


def _utc(*when: int) -> datetime.datetime:
    return datetime.datetime(*when, tzinfo=datetime.timezone.utc)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "too many new orders (300) from this account in the last 3h0m0s, retry after "
            f"2026-08-05 10:11:12 UTC: see {_SEE}#new-orders-per-account",
            RateLimit(
                Limit.NEW_ORDERS,
                until=_utc(2026, 8, 5, 10, 11, 12),
                url=f"{_SEE}#new-orders-per-account",
            ),
            id="new orders",
        ),
        pytest.param(
            f"Error creating new order :: too many new orders recently: see {_SEE}",
            RateLimit(Limit.NEW_ORDERS, url=_SEE),
            id="new orders, before 2024",
        ),
        pytest.param(
            'too many failed authorizations (5) for "*.A.example" in the last 1h0m0s, retry after '
            f"2026-08-21 06:27:45 UTC: see {_SEE}#authorization-failures-per-identifier",
            RateLimit(
                Limit.FAILED_AUTHORIZATIONS,
                ("*.a.example",),
                _utc(2026, 8, 21, 6, 27, 45),
                f"{_SEE}#authorization-failures-per-identifier",
            ),
            id="failed authorizations",
        ),
        pytest.param(
            "Error creating new order :: too many failed authorizations recently: see "
            "https://letsencrypt.org/docs/failed-validation-limit/",
            RateLimit(
                Limit.FAILED_AUTHORIZATIONS,
                url="https://letsencrypt.org/docs/failed-validation-limit/",
            ),
            id="failed authorizations, before 2024",
        ),
        pytest.param(
            "Error creating new authz :: Too many invalid authorizations recently.",
            RateLimit(Limit.FAILED_AUTHORIZATIONS),
            id="failed authorizations, in 2017",
        ),
        pytest.param(
            "Error creating new authz :: too many currently pending authorizations",
            RateLimit(Limit.PENDING_AUTHORIZATIONS),
            id="pending authorizations",
        ),
        pytest.param(
            'too many certificates (50) already issued for "a.example" in the last 168h0m0s, '
            f"retry after 2026-08-05 10:11:12 UTC: see {_SEE}",
            RateLimit(
                Limit.CERTIFICATES_PER_DOMAIN, ("a.example",), _utc(2026, 8, 5, 10, 11, 12), _SEE
            ),
            id="certificates per domain",
        ),
        pytest.param(
            'too many certificates already issued for "a.example". Retry after '
            f"2023-11-15T22:00:00+01:00: see {_SEE}",
            RateLimit(Limit.CERTIFICATES_PER_DOMAIN, ("a.example",), _utc(2023, 11, 15, 21), _SEE),
            id="certificates per domain, in 2023",
        ),
        pytest.param(
            f"too many certificates already issued for: a.example: see {_SEE}",
            RateLimit(Limit.CERTIFICATES_PER_DOMAIN, ("a.example",), url=_SEE),
            id="certificates per domain, long ago",
        ),
        pytest.param(
            "too many certificates (5) already issued for this exact set of identifiers in the "
            f"last 168h0m0s, retry after 2026-02-04 15:12:13 UTC: see {_SEE}",
            RateLimit(Limit.DUPLICATE_CERTIFICATES, until=_utc(2026, 2, 4, 15, 12, 13), url=_SEE),
            id="duplicate certificates",
        ),
        pytest.param(
            "too many certificates (5) already issued for this exact set of domains in the last "
            f"168 hours: a.example,b.example, retry after 2024-02-04T15:12:13Z: see {_SEE}",
            RateLimit(
                Limit.DUPLICATE_CERTIFICATES,
                ("a.example", "b.example"),
                _utc(2024, 2, 4, 15, 12, 13),
                _SEE,
            ),
            id="duplicate certificates, before 2024",
        ),
        pytest.param(
            "too many certificates already issued for exact set of domains: a.example b.example: "
            f"see {_SEE}",
            RateLimit(Limit.DUPLICATE_CERTIFICATES, ("a.example", "b.example"), url=_SEE),
            id="duplicate certificates, long ago",
        ),
        pytest.param(
            "too many registrations (10) from this IP address in the last 3h0m0s, retry after "
            "2026-08-05 10:11:12.5 UTC",
            RateLimit(Limit.NEW_ACCOUNTS, until=_utc(2026, 8, 5, 10, 11, 12)),
            id="new accounts",
        ),
        pytest.param(
            "Your account is temporarily prevented from requesting certificates for a.example, "
            "*.b.example and possibly others. Please visit: https://p.example/unpause?jwt=a.b-c_d",
            RateLimit(
                Limit.PAUSED,
                ("a.example", "*.b.example"),
                url="https://p.example/unpause?jwt=a.b-c_d",
            ),
            id="paused",
        ),
        pytest.param("Service busy; retry later.", RateLimit(Limit.REQUESTS), id="busy"),
        pytest.param(
            "Slow down, retry after 2026-08-05 10:11:12 UTC (see https://ca.example/limits)",
            RateLimit(
                Limit.OTHER, until=_utc(2026, 8, 5, 10, 11, 12), url="https://ca.example/limits"
            ),
            id="another CA's",
        ),
        pytest.param("", RateLimit(Limit.OTHER), id="no words"),
    ],
)
def test_a_text_tells_the_limit_the_names_the_time_and_the_place(
    text: str, expected: RateLimit
) -> None:
    assert ratelimit.read(text) == expected
    assert ratelimit.find(text) == (None if expected.limit is Limit.OTHER else expected)


@pytest.mark.parametrize(
    "when",
    [
        "2026-13-05 10:11:12 UTC",
        "2026-08-05 25:11:12 UTC",
        "0001-01-01 00:00:00+23:59",
        "9999-12-31 23:59:59-23:59",
        "2026-08-05 10:11:12 CET",
        "2026-08-05 10:11:12+99:99",
        "\u0662026-08-05 10:11:12 UTC",
        "3600",
    ],
)
def test_what_is_no_time_is_not_made_into_one(when: str) -> None:
    assert ratelimit.read(f"retry after {when}").until is None


def test_no_more_names_are_read_than_an_order_can_have() -> None:
    names = ", ".join(f"n{number}.example" for number in range(2_000))
    detail = f"Your account is temporarily prevented from requesting certificates for {names} and"
    assert len(ratelimit.read(f"{detail} possibly others.").names) == 1_000
