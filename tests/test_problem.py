"""A CA's problem is read by its text: who failed, where, and what it means."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard import problem
from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.ratelimit import Limit, RateLimit

_DATA = Path(__file__).parent / "data"
_CAA = "urn:ietf:params:acme:error:caa"
_DNS = "urn:ietf:params:acme:error:dns"
_RATE_LIMITED = "urn:ietf:params:acme:error:rateLimited"

_FINALIZE = "Error finalizing order :: "
_RECHECK = "Error finalizing order :: rechecking caa: "
_SECONDARY = "During secondary validation: "
_HINTS = {
    "SERVFAIL": " - the domain's nameservers may be malfunctioning",
    "NXDOMAIN": " - check that a DNS record exists for this domain",
}

_NOT_CAA = (Reading(Meaning.NOT_CAA),)


def _document(detail: str, kind: str = _CAA, identifier: str | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {"type": kind, "status": 403, "detail": detail}
    if identifier is not None:
        document["identifier"] = {"type": "dns", "value": identifier}
    return document


def _read(detail: str, *, identifier: str | None = None) -> tuple[Reading, ...]:
    return problem.read(_document(detail), identifier=identifier)


def _denies(identifier: str, owner: str) -> str:
    return f"While processing CAA for {identifier}: CAA record for {owner} prevents issuance"


def _fails(identifier: str, owner: str, error: str = "SERVFAIL") -> str:
    hint = _HINTS.get(error, "")
    what = f"DNS problem: {error} looking up CAA for {owner}{hint}"
    return f"While processing CAA for {identifier}: {what}"


def _fails_with_extended_error(identifier: str, owner: str, error: str) -> str:
    return (
        f"While processing CAA for {identifier}: DNS problem: looking up CAA for {owner}: {error}"
    )


def _aggregate(identifier: str, more: int, subproblems: Iterable[object] = ()) -> dict[str, Any]:
    document = _document(
        f'{_FINALIZE}Rechecking CAA for "{identifier}" and {more} more identifiers failed. '
        "Refer to sub-problems for more information"
    )
    document["subproblems"] = list(subproblems)
    return document


def _denied(identifier: str | None, owner: str, at: At = At.FINALIZE) -> Reading:
    return Reading(Meaning.DENIED, identifier, owner, at=at)


def _failed(
    identifier: str | None, owner: str, error: str = "SERVFAIL", at: At = At.FINALIZE
) -> Reading:
    return Reading(Meaning.TRANSIENT, identifier, owner, error, at=at)


def _limited(identifier: str | None = None, limit: Limit = Limit.OTHER) -> Reading:
    return Reading(Meaning.RATE_LIMITED, identifier, limit=RateLimit(limit))


# What Boulder's own code wrote

_FINALIZE_CASES = {
    case["note"]: case
    for case in json.loads((_DATA / "finalize-problems.json").read_text(encoding="utf-8"))["cases"]
}
_BOGUS_DETAIL = (
    "DNSSEC: Bogus: validation failure <www.bogus.lab. CAA IN>: signature crypto failed from "
    "127.0.2.12 for <bogus.lab. SOA IN>"
)


def _deny_lab_and_more(others: int) -> tuple[Reading, ...]:
    """What is left of several failures once the order has lost the subproblems."""
    return (Reading(Meaning.TRANSIENT, "www.deny.lab", at=At.FINALIZE, others=others),)


_FINALIZE_READINGS: dict[str, tuple[tuple[Reading, ...], tuple[Reading, ...]]] = {
    "single deny": ((_denied("www.deny.lab", "deny.lab"),),) * 2,
    "single deny wildcard": ((_denied("*.deny.lab", "deny.lab"),),) * 2,
    "single SERVFAIL": ((_failed("www.servfail.lab", "www.servfail.lab"),),) * 2,
    "single TLD NXDOMAIN": ((_failed("www.example.gonetld", "gonetld", "NXDOMAIN"),),) * 2,
    "several: deny, wildcard servfail, bogus": (
        (
            _denied("www.deny.lab", "deny.lab"),
            Reading(
                Meaning.DNSSEC, "www.bogus.lab", "www.bogus.lab", _BOGUS_DETAIL, at=At.FINALIZE
            ),
            _failed("*.servfail.lab", "servfail.lab"),
        ),
        _deny_lab_and_more(2),
    ),
    "timeout + deny": (
        (
            _denied("www.deny.lab", "deny.lab"),
            _failed("www.drop.lab", "www.drop.lab", "query timed out"),
        ),
        _deny_lab_and_more(1),
    ),
}


@pytest.mark.parametrize("note", _FINALIZE_CASES)
def test_the_answer_to_finalize_is_read_identifier_by_identifier(note: str) -> None:
    assert problem.read(_FINALIZE_CASES[note]["body"]) == _FINALIZE_READINGS[note][0]


@pytest.mark.parametrize("note", _FINALIZE_CASES)
def test_the_error_of_the_order_is_read_as_far_as_it_goes(note: str) -> None:
    assert problem.read(_FINALIZE_CASES[note]["order_error"]) == _FINALIZE_READINGS[note][1]


def _authorization_details() -> list[Any]:
    cases = json.loads((_DATA / "dns-cases.json").read_text(encoding="utf-8"))["cases"]
    return [
        pytest.param(
            case["identifier"], answer["verdict"], answer["detail"], id=f"{case['case']}-{resolver}"
        )
        for case in cases
        for resolver, answer in case["resolvers"].items()
        if "detail" in answer
    ]


@pytest.mark.parametrize(("identifier", "verdict", "detail"), _authorization_details())
def test_what_boulder_said_of_a_broken_internet_is_read(
    identifier: str, verdict: str, detail: str
) -> None:
    """Denials as denials, failures as failures, and DNSSEC failures as such."""
    (reading,) = problem.read(_document(detail, _DNS))
    failure = Meaning.DNSSEC if "DNSSEC: " in detail else Meaning.TRANSIENT
    meaning = Meaning.DENIED if verdict == "denied" else failure
    assert (reading.meaning, reading.identifier, reading.at, reading.secondary) == (
        meaning,
        identifier,
        At.AUTHORIZATION,
        False,
    )
    assert f" for {reading.owner}" in detail


# The building blocks


@pytest.mark.parametrize("identifier", ["www.example.net", "*.example.net"])
@pytest.mark.parametrize(
    ("prefix", "at"),
    [
        pytest.param("", At.AUTHORIZATION, id="authorization"),
        pytest.param(_RECHECK, At.FINALIZE, id="finalize"),
        pytest.param(_FINALIZE, At.FINALIZE, id="finalize, before August 2024"),
        pytest.param(_FINALIZE + "Rechecking CAA: ", At.FINALIZE, id="finalize, long ago"),
        pytest.param(
            "Error creating new cert :: Rechecking CAA: ", At.FINALIZE, id="ACME version 1"
        ),
        pytest.param("rechecking caa: ", At.FINALIZE, id="finalize, without its first prefix"),
    ],
)
@pytest.mark.parametrize("secondary", [False, True], ids=["primary", "secondary"])
def test_the_prefixes_tell_the_step_and_the_perspective(
    prefix: str, at: At, secondary: bool, identifier: str
) -> None:
    detail = prefix + _SECONDARY * secondary + _denies(identifier, "example.net")
    expected = Reading(Meaning.DENIED, identifier, "example.net", secondary=secondary, at=at)
    assert _read(detail) == (expected,)


@pytest.mark.parametrize(
    "error",
    [
        "SERVFAIL",
        "NXDOMAIN",
        "REFUSED",
        "FORMERR",
        "NOTIMP",
        "NOTAUTH",
        "query timed out",
        "query timed out (and was canceled)",
        "networking error",
        "server failure at resolver",
        "response was truncated",
    ],
)
@pytest.mark.parametrize("prefix", ["", _SECONDARY, _RECHECK, _RECHECK + _SECONDARY])
def test_a_failed_lookup_is_transient_and_names_its_owner_and_error(
    prefix: str, error: str
) -> None:
    (reading,) = _read(prefix + _fails("*.www.example.net", "example.net", error))
    assert (reading.meaning, reading.identifier, reading.owner, reading.error) == (
        Meaning.TRANSIENT,
        "*.www.example.net",
        "example.net",
        error,
    )
    assert reading.secondary is (_SECONDARY in prefix)


@pytest.mark.parametrize(
    "error",
    [
        "DNSSEC: Bogus",
        "DNSSEC: Signature Expired",
        "DNSSEC: Signature Not Yet Valid",
        "DNSSEC: DNSKEY Missing",
        "DNSSEC: RRSIGs Missing",
        "DNSSEC: NSEC Missing",
        "DNSSEC: Indeterminate",
        "DNSSEC: Unsupported DNSKEY Algorithm",
        "DNSSEC: Unsupported DS Digest Type",
        "DNSSEC: No Zone Key Bit Set",
    ],
)
@pytest.mark.parametrize("extra", ["", ": validation failure <a. CAA IN>: no keys - at all\n"])
def test_a_dnssec_failure_is_told_by_the_extended_error(error: str, extra: str) -> None:
    detail = _RECHECK + _fails_with_extended_error("www.example.net", "example.net", error + extra)
    expected = Reading(
        Meaning.DNSSEC, "www.example.net", "example.net", error + extra, at=At.FINALIZE
    )
    assert _read(detail) == (expected,)


@pytest.mark.parametrize(
    "error",
    [
        "Other",
        "Stale Answer",
        "Forged Answer",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error between Resolver and Authority",
        "Invalid Data",
        "Unknown Extended DNS Error code 4711",
        "Other: not a DNSSEC: failure",
        "DNSSEC is what this error is called after",
    ],
)
def test_any_other_extended_error_is_transient(error: str) -> None:
    detail = _fails_with_extended_error("www.example.net", "net", error)
    assert _read(detail) == (_failed("www.example.net", "net", error, At.AUTHORIZATION),)


def test_an_empty_extended_error_is_read() -> None:
    detail = _fails_with_extended_error("a.example", "example", "")
    assert _read(detail) == (_failed("a.example", "example", "", At.AUTHORIZATION),)


@pytest.mark.parametrize(
    ("detail", "reading"),
    [
        pytest.param(
            "DNS problem: SERVFAIL looking up CAA for example.net",
            _failed(None, "example.net", at=At.AUTHORIZATION),
            id="a failure",
        ),
        pytest.param(
            "CAA record for example.net prevents issuance",
            _denied(None, "example.net", At.AUTHORIZATION),
            id="a denial",
        ),
        pytest.param(
            "CAA check for example.net failed",
            _denied(None, "example.net", At.AUTHORIZATION),
            id="a denial, in 2016",
        ),
        pytest.param(
            "SERVFAIL looking up CAA for example.net",
            _failed(None, "example.net", at=At.AUTHORIZATION),
            id="a failure that Cloudflare tells of",
        ),
        pytest.param(
            "CAA record does not include ssl.com which is required to issue the certificate",
            Reading(Meaning.DENIED, at=At.AUTHORIZATION),
            id="a denial of SSL.com",
        ),
        pytest.param(
            "MPIC failed.. CAA record does not include ssl.com which is required to issue the "
            "certificate. If you need assistance, please contact support@ssl.com",
            Reading(Meaning.DENIED, secondary=True, at=At.AUTHORIZATION),
            id="a denial of SSL.com's remote perspectives",
        ),
    ],
)
def test_texts_that_name_no_identifier_are_read_all_the_same(detail: str, reading: Reading) -> None:
    assert _read(detail) == (reading,)


@pytest.mark.parametrize(
    "what",
    [
        "Secondary validation RPC failed",
        "Secondary validation RPC canceled",
        "validation failed but the problem is unavailable",
    ],
)
def test_whatever_happens_while_caa_is_rechecked_is_about_caa(what: str) -> None:
    expected = Reading(Meaning.TRANSIENT, None, None, what, secondary=True, at=At.FINALIZE)
    assert _read(_RECHECK + _SECONDARY + what) == (expected,)


def test_trouble_while_caa_is_rechecked_keeps_the_identifier() -> None:
    detail = _RECHECK + "While processing CAA for a.example: something new"
    expected = Reading(Meaning.TRANSIENT, "a.example", None, "something new", at=At.FINALIZE)
    assert _read(detail) == (expected,)


@pytest.mark.parametrize(
    ("reading", "permanent"),
    [
        pytest.param(_denied("a.example", "a.example"), True, id="a denial"),
        pytest.param(
            Reading(Meaning.DNSSEC, "a.example", "a.example"), True, id="a DNSSEC failure"
        ),
        pytest.param(
            Reading(Meaning.DNSSEC, "a.example", "example"), False, id="a DNSSEC failure of the TLD"
        ),
        pytest.param(
            Reading(Meaning.DNSSEC, "a.example"), False, id="a DNSSEC failure that may be the TLD's"
        ),
        pytest.param(_failed("a.gonetld", "gonetld", "NXDOMAIN"), True, id="a missing TLD"),
        pytest.param(
            Reading(Meaning.TRANSIENT, "a.example", error="NXDOMAIN"),
            False,
            id="NXDOMAIN somewhere",
        ),
        pytest.param(
            _failed("a.example", "a.example", "NXDOMAIN"), False, id="a name that is missing"
        ),
        pytest.param(_failed("a.example", "a.example"), False, id="a SERVFAIL"),
        pytest.param(_failed("a.example", "a.example", "query timed out"), False, id="a timeout"),
        pytest.param(
            Reading(Meaning.TRANSIENT, "a.example", others=2), False, id="several, not said why"
        ),
        pytest.param(Reading(Meaning.RATE_LIMITED), False, id="a rate limit"),
        pytest.param(Reading(Meaning.NOT_CAA), False, id="not about CAA"),
        pytest.param(Reading(Meaning.NOT_CAA, error="NXDOMAIN"), False, id="nor its NXDOMAIN"),
    ],
)
def test_what_only_a_change_of_dns_can_mend_is_permanent(reading: Reading, permanent: bool) -> None:
    assert reading.is_permanent is permanent


def test_a_denial_that_names_nothing_is_the_identifiers_that_it_was_found_at() -> None:
    detail = "CAA record does not include ssl.com which is required to issue the certificate"
    expected = Reading(Meaning.DENIED, "*.a.example", at=At.AUTHORIZATION)
    assert _read(detail, identifier="*.a.example") == (expected,)


# Several identifiers


def test_a_head_that_has_lost_its_quotation_marks_is_read() -> None:
    """As Plesk shows it."""
    detail = (
        f"{_FINALIZE}Rechecking CAA for www.a.example and 10 more identifiers failed. Refer to "
        "sub-problems for more information"
    )
    assert _read(detail) == (
        Reading(Meaning.TRANSIENT, "www.a.example", at=At.FINALIZE, others=10),
    )


def _sub(detail: str, identifier: str | None = None) -> dict[str, Any]:
    return _document(_RECHECK + detail, identifier=identifier)


_A = _sub(_denies("a.example", "a.example"), "a.example")
_B = _sub(_fails("b.example", "b.example"), "b.example")
_READ_A = _denied("a.example", "a.example")
_READ_B = _failed("b.example", "b.example")


def _with_others(reading: Reading, others: int) -> Reading:
    return Reading(
        reading.meaning,
        reading.identifier,
        reading.owner,
        reading.error,
        at=reading.at,
        others=others,
    )


_LOST_X = Reading(Meaning.TRANSIENT, "x.example", at=At.FINALIZE)


@pytest.mark.parametrize(
    ("document", "readings"),
    [
        pytest.param(
            _aggregate("b.example", 1, [_A, _B]), [_READ_A, _READ_B], id="as it should be"
        ),
        pytest.param(_aggregate("a.example", 1, [_A, _B, _A]), [_READ_A, _READ_B], id="repeated"),
        pytest.param(
            _aggregate("a.example", 4, [_A, _B]),
            [_with_others(_READ_A, 3), _READ_B],
            id="cut short",
        ),
        pytest.param(
            _aggregate("x.example", 2, [_A, _B]),
            [_READ_A, _READ_B, _LOST_X],
            id="the head's is cut",
        ),
        pytest.param(
            _aggregate("x.example", 5, [_A]),
            [_READ_A, _with_others(_LOST_X, 4)],
            id="the head's is cut, and others",
        ),
        pytest.param(
            _aggregate("a.example", 0, [_A, _B]), [_READ_A, _READ_B], id="more than the head counts"
        ),
        pytest.param(_aggregate("x.example", 7), [_with_others(_LOST_X, 7)], id="all are missing"),
        pytest.param(
            {**_document("Several things went wrong"), "subproblems": [_A, _B]},
            [_READ_A, _READ_B],
            id="a head that says nothing of CAA",
        ),
        pytest.param(
            {**_B, "subproblems": [_A]}, [_READ_A, _READ_B], id="a head that is one of its own"
        ),
        pytest.param(
            _aggregate("a.example", 1, [_A, _document("Something else", "malformed", "c.example")]),
            [_READ_A, *_NOT_CAA],
            id="one of them not about CAA",
        ),
        pytest.param(
            _aggregate("x.example", 1, [_document("Something else"), {}]),
            [_with_others(_LOST_X, 1)],
            id="none of them about CAA: the head is",
        ),
        pytest.param(
            {**_document("Several things went wrong"), "subproblems": [_document("Else"), {}]},
            _NOT_CAA,
            id="nothing about CAA anywhere",
        ),
        pytest.param(
            {**_document("too many", _RATE_LIMITED), "subproblems": [_document("Else", "x")]},
            [_limited()],
            id="a rate limit with details",
        ),
        pytest.param(
            {
                **_document("too many", _RATE_LIMITED),
                "subproblems": [_document("too many", _RATE_LIMITED, "a.example")],
            },
            [_limited("a.example")],
            id="a rate limit on one identifier",
        ),
    ],
)
def test_subproblems_give_a_reading_each_and_the_head_what_they_lack(
    document: dict[str, Any], readings: Iterable[Reading]
) -> None:
    assert problem.read(document) == tuple(readings)


def test_subproblems_without_an_identifier_are_read_by_their_text() -> None:
    document = _aggregate(
        "a.example", 1, [_sub(_denies("a.example", "a.example")), _sub(_fails("*.b.test", "test"))]
    )
    assert problem.read(document) == (_READ_A, _failed("*.b.test", "test"))


def test_of_two_subproblems_for_one_identifier_the_first_counts() -> None:
    other = _sub(_fails("a.example", "example"), "a.example")
    assert problem.read(_aggregate("a.example", 0, [_A, other])) == (_READ_A,)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("SERVFAIL looking up CAA for b.example", "SERVFAIL", id="no hint"),
        pytest.param(
            "SERVFAIL looking up CAA for b.example - the domain's nameservers, a.o., malfunction",
            "SERVFAIL",
            id="commas in the hint",
        ),
        pytest.param("query timed out looking up CAA for b.example", "query timed out", id="words"),
    ],
)
def test_the_list_of_long_ago_is_taken_apart(text: str, error: str) -> None:
    detail = (
        f"{_FINALIZE}Rechecking CAA: While processing CAA for b.example: DNS problem: {text}, "
        f"{_denies('a.example', 'a.example')}, {_denies('*.c.example', 'example')}"
    )
    assert _read(detail) == (
        _failed("b.example", "b.example", error),
        _READ_A,
        _denied("*.c.example", "example"),
    )


def test_a_name_twice_in_the_list_of_long_ago_gives_one_reading() -> None:
    denial = _denies("a.example", "a.example")
    assert _read(f"Rechecking CAA: {denial}, {denial}") == (_READ_A,)


# What outranks what


@pytest.mark.parametrize(
    ("member", "known", "identifier"),
    [
        pytest.param(None, None, "text.example", id="the text, where there is nothing else"),
        pytest.param(None, "known.example", "known.example", id="what is known outranks it"),
        pytest.param("own.example", None, "own.example", id="the member outranks it"),
        pytest.param("own.example", "known.example", "own.example", id="the member outranks both"),
    ],
)
@pytest.mark.parametrize(
    "detail",
    [
        pytest.param(_denies("text.example", "example"), id="denial"),
        pytest.param(_fails("text.example", "example"), id="failure"),
        pytest.param(_RECHECK + "While processing CAA for text.example: else", id="something else"),
        pytest.param(_aggregate("text.example", 3)["detail"], id="several"),
    ],
)
def test_the_identifier_member_outranks_what_is_known_and_that_the_text(
    detail: str, member: str | None, known: str | None, identifier: str
) -> None:
    readings = problem.read(_document(detail, identifier=member), identifier=known)
    assert [reading.identifier for reading in readings] == [identifier]


def test_where_the_identifier_is_known_a_list_of_long_ago_says_nothing_of_others() -> None:
    detail = f"Rechecking CAA: {_denies('a.example', 'example')}, {_denies('b.example', 'b')}"
    expected = (_denied("known.example", "example"),)
    assert _read(detail, identifier="known.example") == expected


@pytest.mark.parametrize(
    ("member", "known", "identifier"),
    [
        pytest.param(None, "known.example", "known.example", id="the caller's"),
        pytest.param("head.example", "known.example", "head.example", id="the head's own"),
    ],
)
def test_a_subproblem_is_about_what_its_problem_is_about(
    member: str | None, known: str, identifier: str
) -> None:
    document = _document("Something", identifier=member)
    document["subproblems"] = [_document(_denies("text.example", "example"))]
    expected = _denied(identifier, "example", At.AUTHORIZATION)
    assert problem.read(document, identifier=known) == (expected,)


def test_a_subproblems_own_identifier_outranks_that_of_its_problem() -> None:
    document = _document("Something", identifier="head.example")
    document["subproblems"] = [_A]
    assert problem.read(document, identifier="known.example") == (_READ_A,)


@pytest.mark.parametrize("prefix", ["", _RECHECK, _FINALIZE])
def test_a_resolvers_text_cannot_accuse_another_identifier(prefix: str) -> None:
    """It ends the detail, and the servers of a zone may have a say in it."""
    error = f"Other: x, {_denies('victim.example', 'victim.example')}"
    (reading,) = _read(prefix + _fails_with_extended_error("a.example", "a.example", error))
    assert (reading.meaning, reading.identifier) == (Meaning.TRANSIENT, "a.example")


# What is not about CAA


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        pytest.param("unauthorized", "Invalid response from http://a.example/: 404", id="http-01"),
        pytest.param(
            "dns",
            "DNS problem: NXDOMAIN looking up A for a.example - check that a DNS record exists for "
            "this domain; DNS problem: NXDOMAIN looking up AAAA for a.example - check that a DNS "
            "record exists for this domain",
            id="a failed lookup of an address",
        ),
        pytest.param(
            "dns", "DNS problem: SERVFAIL looking up TXT for _acme-challenge.a.example", id="dns-01"
        ),
        pytest.param("dns", "During secondary validation: DNS problem: query timed out", id="MPIC"),
        pytest.param("serverInternal", "Error finalizing order", id="an internal failure"),
        pytest.param("serverInternal", "Could not communicate with VA", id="no VA"),
        pytest.param(
            "serverInternal",
            "During secondary validation: Secondary validation RPC failed",
            id="RPC",
        ),
        pytest.param(
            "serverInternal",
            "Insufficient remote perspectives: need at least 3",
            id="too few perspectives",
        ),
        pytest.param("orderNotReady", "Order's status is not 'ready'", id="another status"),
        pytest.param("badCSR", "Error finalizing order :: CSR is bad", id="a bad CSR"),
        pytest.param(
            "rejectedIdentifier",
            "Cannot issue for 'a': Domain name needs at least one dot",
            id="name",
        ),
        pytest.param("conflict", "cannot indicate an order replaces certificate", id="ARI"),
        pytest.param("compound", "There were 2 problems", id="another CA's sum"),
        pytest.param("malformed", "", id="no words"),
        pytest.param(
            "caa", "CAA record for a.example prevents issuance, they say", id="almost a denial"
        ),
    ],
)
def test_other_problems_are_not_about_caa(kind: str, detail: str) -> None:
    document = _document(detail, f"urn:ietf:params:acme:error:{kind}")
    assert problem.read(document, identifier="a.example") == _NOT_CAA


@pytest.mark.parametrize(
    "detail",
    [
        pytest.param(
            "too many new orders (300) from this account in the last 3h0m0s, retry after "
            "2026-08-07 00:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account",
            id="new orders",
        ),
        pytest.param(
            'too many failed authorizations (5) for "a.example" in the last 1h0m0s, retry after '
            "2026-08-07 00:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/"
            "#authorization-failures-per-identifier-per-account",
            id="failed authorizations",
        ),
        pytest.param(
            "Your account is temporarily prevented from requesting certificates for a.example and "
            "possibly others. Please visit: https://example/",
            id="paused",
        ),
        pytest.param(
            'too many certificates (50) already issued for "example" in the last 168h0m0s',
            id="certificates per domain",
        ),
        pytest.param(
            "too many certificates (5) already issued for this exact set of identifiers",
            id="certificates per set of names",
        ),
        pytest.param(_denies("a.example", "a.example"), id="whatever the words"),
        pytest.param("", id="no words"),
    ],
)
@pytest.mark.parametrize("kind", [_RATE_LIMITED, "urn:acme:error:rateLimited"])
def test_a_rate_limit_is_told_by_its_type(kind: str, detail: str) -> None:
    (reading,) = problem.read(_document(detail, kind))
    assert reading.meaning is Meaning.RATE_LIMITED
    assert reading.limit is not None


def test_a_limit_on_one_identifier_is_its_reading() -> None:
    detail = 'too many failed authorizations (5) for "*.a.example" in the last 1h0m0s'
    limit = RateLimit(Limit.FAILED_AUTHORIZATIONS, ("*.a.example",))
    assert problem.read(_document(detail, _RATE_LIMITED)) == (
        Reading(Meaning.RATE_LIMITED, "*.a.example", limit=limit),
    )


def test_a_pause_gives_a_reading_for_each_identifier_that_it_names() -> None:
    detail = (
        "Your account is temporarily prevented from requesting certificates for a.example, "
        "*.b.example and possibly others. Please visit: https://portal.example/unpause?jwt=a.b.c"
    )
    names = ("a.example", "*.b.example")
    limit = RateLimit(Limit.PAUSED, names, url="https://portal.example/unpause?jwt=a.b.c")
    assert problem.read(_document(detail, _RATE_LIMITED)) == tuple(
        Reading(Meaning.RATE_LIMITED, name, limit=limit) for name in names
    )


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        pytest.param({"status": 429}, Limit.OTHER, id="429 whatever the type"),
        pytest.param({"status": 429, "detail": "too many new orders"}, Limit.NEW_ORDERS, id="429"),
        pytest.param(
            {"status": 503, "detail": "Service busy; retry later."}, Limit.REQUESTS, id="busy"
        ),
        pytest.param({"status": 503}, None, id="503 for whatever reason"),
        pytest.param({"status": 400, "detail": "too many new orders"}, None, id="another type"),
        pytest.param({"type": "", "detail": "too many new orders"}, Limit.NEW_ORDERS, id="a text"),
        pytest.param({"type": "", "detail": "Service down"}, None, id="another text"),
    ],
)
def test_a_rate_limit_is_told_by_its_status_or_else_by_its_text(
    members: dict[str, object], limit: Limit | None
) -> None:
    document = {"type": "urn:ietf:params:acme:error:serverInternal", "detail": "No.", **members}
    assert problem.read(document) == (_NOT_CAA if limit is None else (_limited(limit=limit),))


def test_a_lookup_that_was_rate_limited_is_no_limit_of_the_ca() -> None:
    """What a resolver says of its failure may be anything."""
    detail = _fails_with_extended_error("a.example", "a.example", "Prohibited: too many requests")
    (reading,) = problem.read({"detail": detail})
    assert reading.meaning is Meaning.TRANSIENT


def test_a_rate_limit_found_in_an_authorization_is_on_its_identifier() -> None:
    document = _document("too many", _RATE_LIMITED)
    assert problem.read(document, identifier="a.example") == (_limited("a.example"),)


@pytest.mark.parametrize(
    "kind", ["rateLimited", "urn:ietf:params:acme:error:rateLimited2", "x" + _RATE_LIMITED]
)
def test_a_type_that_only_resembles_a_rate_limit_is_none(kind: str) -> None:
    assert problem.read(_document("too many", kind)) == _NOT_CAA


# Hostile documents

_WRONG: list[Any] = [None, True, 0, -1.5, "", "text", [], [None], {}, {"value": 1}, [[[]]]]


@pytest.mark.parametrize("wrong", _WRONG, ids=repr)
@pytest.mark.parametrize("member", ["type", "detail", "identifier", "subproblems", "status"])
def test_a_member_of_the_wrong_type_counts_as_missing(member: str, wrong: object) -> None:
    document = {**_document(_denies("a.example", "a.example")), member: wrong}
    expected = (
        _NOT_CAA if member == "detail" else (_denied("a.example", "a.example", At.AUTHORIZATION),)
    )
    assert problem.read(document) == expected


@pytest.mark.parametrize("wrong", _WRONG, ids=repr)
def test_a_subproblem_of_the_wrong_type_is_passed_over(wrong: object) -> None:
    head = {**_aggregate("a.example", 0), "subproblems": [wrong, _A]}
    readings = [one for one in problem.read(head) if one.meaning is not Meaning.NOT_CAA]
    assert readings == [_READ_A]


@pytest.mark.parametrize("wrong", [None, True, 7, [], {}, ""], ids=repr)
def test_an_identifier_whose_value_is_no_name_is_none(wrong: object) -> None:
    document = {**_document(_denies("a.example", "example")), "identifier": {"value": wrong}}
    assert problem.read(document) == (_denied("a.example", "example", At.AUTHORIZATION),)


def test_an_empty_document_is_not_about_caa() -> None:
    assert problem.read({}) == _NOT_CAA


def test_of_endless_subproblems_the_first_thousand_are_read() -> None:
    many = [_sub(_denies(f"n{n}.example", "example"), f"n{n}.example") for n in range(5_000)]
    readings = problem.read(_aggregate("n0.example", 4_999, many))
    assert len(readings) == 1_000
    assert (readings[0].others, readings[-1].identifier) == (4_000, "n999.example")


_MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "detail",
    [
        pytest.param("a" * _MEGABYTE, id="a letter"),
        pytest.param(" " * _MEGABYTE, id="a blank"),
        pytest.param("\x00\x1b[2J" * _MEGABYTE, id="control characters"),
        pytest.param("\ud800" * _MEGABYTE, id="lone surrogates"),
        pytest.param("While processing CAA for " + "a" * _MEGABYTE, id="an endless identifier"),
        pytest.param("While processing CAA for " + "a:" * _MEGABYTE, id="and colons in it"),
        pytest.param("While processing CAA for a: " * 40_000, id="the same again and again"),
        pytest.param("DNS problem: " + " looking up CAA for " * 50_000, id="the middle of a text"),
        pytest.param("DNS problem: x looking up CAA for " + "a - " * 250_000, id="endless hints"),
        pytest.param("DNS problem: looking up CAA for " + ": " * 500_000, id="endless errors"),
        pytest.param("Rechecking CAA: " + ", While processing CAA for " * 40_000, id="a list"),
        pytest.param('Rechecking CAA for "' + "a" * _MEGABYTE, id="an endless name in quotes"),
        pytest.param('Rechecking CAA for "a" and ' + "9" * _MEGABYTE, id="an endless number"),
        pytest.param("Error finalizing order :: " * 40_000, id="an endless prefix"),
    ],
)
def test_a_huge_text_is_read_as_far_as_anyone_would(detail: str) -> None:
    """Neither raises nor dawdles; what comes out is bounded."""
    document = _document(detail)
    document["subproblems"] = [_document(detail)] * 20
    for reading in problem.read(document):
        assert len(reading.identifier or "") <= 16 * 1024
        assert len(reading.owner or "") <= 16 * 1024
        assert len(reading.error or "") <= 16 * 1024


def test_a_huge_identifier_is_cut() -> None:
    (reading,) = problem.read(_document(_denies("a", "b"), identifier="a" * _MEGABYTE))
    assert reading.identifier == "a" * 16 * 1024


def test_a_huge_type_is_no_rate_limit() -> None:
    assert problem.read(_document("too many", _RATE_LIMITED * 40_000)) == _NOT_CAA


def test_a_text_that_is_too_long_to_be_the_cas_is_cut() -> None:
    detail = _fails_with_extended_error("a.example", "a.example", "Other: " + "x" * _MEGABYTE)
    (reading,) = _read(detail)
    assert reading.identifier == "a.example"
    assert len(reading.error or "") < 16 * 1024


def test_a_document_nested_without_end_is_read_one_level_deep() -> None:
    nested: dict[str, Any] = {}
    for _ in range(10_000):
        nested = {"subproblems": [nested]}
    assert problem.read(nested) == _NOT_CAA
