"""From the records and failures that a perspective saw follows what the CA will say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard import caa, names, prediction, problem, verdict
from certbot_caa_guard.caa import Record, Requester
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.verdict import Determination, Perspective

_PERSPECTIVE = Perspective("unbound", public=True)
_HINT = " - the domain's nameservers may be malfunctioning"
_LETS_ENCRYPT = Requester(frozenset({"letsencrypt.org"}), None, frozenset({"http-01"}))
_OTHER = (Record(0, b"issue", b"ca.test"),)


def _determine(
    identifier: str, lookups: Mapping[str, Lookup], requester: Requester = _LETS_ENCRYPT
) -> Determination:
    return verdict.determine(
        names.parse(identifier),
        lookups,
        perspective=_PERSPECTIVE,
        requester=requester,
        round=1,
        at=0.0,
    )


def _problem(identifier: str, *seen: Lookup) -> dict[str, str] | None:
    """What the CA says where it sees *seen* and no records elsewhere."""
    parsed = names.parse(identifier)
    lookups = {owner: Lookup(owner, Outcome.NOTHING) for owner in parsed.owners}
    lookups.update({lookup.owner: lookup for lookup in seen})
    return prediction.ca_problem(parsed, _determine(identifier, lookups))


def _detail(identifier: str, *seen: Lookup) -> str:
    document = _problem(identifier, *seen)
    assert document is not None
    return document["detail"]


class _Zone:
    """The records of a small internet, looked up as the CA's resolver does it.

    It is the resolver that follows aliases; the CA takes what CAA records the answer holds.
    """

    def __init__(self) -> None:
        self._records: dict[str, list[Record]] = {}
        self._aliases: dict[str, str] = {}
        self._subtree_aliases: dict[str, str] = {}

    def caa(self, owner: str, *records: Record) -> None:
        self._records.setdefault(owner, []).extend(records)

    def cname(self, owner: str, target: str) -> None:
        self._aliases[owner] = target

    def dname(self, owner: str, target: str) -> None:
        self._subtree_aliases[owner] = target

    def lookup(self, owner: str) -> Lookup:
        records = tuple(self._records.get(self._target(owner), ()))
        return Lookup(owner, Outcome.RECORDS if records else Outcome.NOTHING, records)

    def _target(self, owner: str) -> str:
        if owner in self._aliases:
            return self._target(self._aliases[owner])
        for above, target in self._subtree_aliases.items():
            if owner.endswith("." + above):
                return self._target(owner.removesuffix(above) + target)
        return owner

    def determine(self, identifier: str, requester: Requester = _LETS_ENCRYPT) -> Determination:
        owners = names.parse(identifier).owners
        return _determine(identifier, {owner: self.lookup(owner) for owner in owners}, requester)


# Record sets that Boulder's own code has judged

_POLICY_CASES: Sequence[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "policy-cases.json").read_text(encoding="utf-8")
)["cases"]


def _zone_of(rrs: Sequence[tuple[str, str, str]]) -> _Zone:
    zone = _Zone()
    for owner, kind, data in rrs:
        if kind == "CAA":
            zone.caa(owner.rstrip("."), caa.parse_rdata(bytes.fromhex(data)))
        elif kind == "CNAME":
            zone.cname(owner.rstrip("."), data.rstrip("."))
    return zone


@pytest.mark.parametrize(
    "case", _POLICY_CASES, ids=lambda case: f"{case['id']}-{case['identifier']}"
)
def test_a_set_of_records_is_judged_as_boulder_judges_it(case: Mapping[str, Any]) -> None:
    """The verdict, the name that the records stand at, and the CA's words.

    Some of the cases went past the part of Boulder that makes an ordered identifier lower case;
    there the words have it as it came, but no CA's problem ever does.
    """
    requester = Requester(
        frozenset({"letsencrypt.org"}), case["account_uri"], frozenset({case["method"]})
    )
    made = _zone_of(case["rrs"]).determine(case["identifier"], requester)
    document = prediction.ca_problem(names.parse(case["identifier"]), made)
    assert (made.result.value, made.found_at, document and document["detail"]) == (
        case["verdict"],
        case["found_at"],
        _as_ordered(case.get("detail"), case["identifier"]),
    )


def _as_ordered(detail: str | None, identifier: str) -> str | None:
    return detail and detail.replace(f" {identifier}: ", f" {identifier.lower()}: ")


def test_the_cases_have_what_they_are_there_for() -> None:
    """Both verdicts, wildcards, aliases, and records at a name, above it and nowhere."""
    found = {case["found_at"] == case["identifier"].removeprefix("*.") for case in _POLICY_CASES}
    assert found == {True, False}
    assert {case["verdict"] for case in _POLICY_CASES} == {"permitted", "denied"}
    assert any(case["identifier"].startswith("*.") for case in _POLICY_CASES)
    assert {kind for case in _POLICY_CASES for _, kind, _ in case["rrs"]} == {"CAA", "A", "CNAME"}
    assert len(_POLICY_CASES) == 2_000


# The CAA test suite: no CA but its own may issue for any of its names


def _caa_test_suite() -> _Zone:
    own = Record(0, b"issue", b"caatestsuite.com")
    dummy = Record(0, b"caatestsuitedummyproperty", b"test")
    basic = "basic.caatestsuite.com"
    zone = _Zone()
    zone.caa(f"empty.{basic}", Record(0, b"issue", b";"))
    zone.caa(f"deny.{basic}", own)
    zone.caa(f"uppercase-deny.{basic}", Record(0, b"ISSUE", b"caatestsuite.com"))
    zone.caa(f"mixedcase-deny.{basic}", Record(0, b"IsSuE", b"caatestsuite.com"))
    zone.caa(f"big.{basic}", *[dummy] * 500, own, *[dummy] * 500)
    zone.caa(f"critical1.{basic}", Record(128, b"caatestsuitedummyproperty", b"test"))
    zone.caa(f"critical2.{basic}", Record(130, b"caatestsuitedummyproperty", b"test"))
    zone.caa(f"deny-wild.{basic}", Record(0, b"issuewild", b"caatestsuite.com"))
    zone.cname(f"cname-deny.{basic}", f"deny.{basic}")
    zone.cname(f"cname-cname-deny.{basic}", f"cname-deny.{basic}")
    zone.caa(f"permit.{basic}", Record(0, b"dummy", b"dummy"))
    zone.caa(f"deny.permit.{basic}", own)
    zone.dname(f"dname-permit.deny.{basic}", f"permit.{basic}")
    zone.cname(f"cname-permit-sub.deny.{basic}", f"sub.permit.{basic}")
    zone.caa("xss.caatestsuite.com", Record(0, b"issue", b"<script>alert('Wheeeeee')</script>"))
    return zone


@pytest.mark.parametrize(
    ("identifier", "found_at"),
    [
        pytest.param("empty.basic", "empty.basic", id="issue nobody"),
        pytest.param("deny.basic", "deny.basic", id="issue another CA"),
        pytest.param("uppercase-deny.basic", "uppercase-deny.basic", id="ISSUE"),
        pytest.param("mixedcase-deny.basic", "mixedcase-deny.basic", id="IsSuE"),
        pytest.param("big.basic", "big.basic", id="1001 records"),
        pytest.param("critical1.basic", "critical1.basic", id="critical, unknown"),
        pytest.param("critical2.basic", "critical2.basic", id="with a reserved flag"),
        pytest.param("sub1.deny.basic", "deny.basic", id="one label up"),
        pytest.param("sub2.sub1.deny.basic", "deny.basic", id="two labels up"),
        pytest.param("*.deny.basic", "deny.basic", id="issue covers wildcards"),
        pytest.param("*.deny-wild.basic", "deny-wild.basic", id="issuewild"),
        pytest.param("cname-deny.basic", "cname-deny.basic", id="at an alias's target"),
        pytest.param("cname-cname-deny.basic", "cname-cname-deny.basic", id="two aliases on"),
        pytest.param("sub1.cname-deny.basic", "cname-deny.basic", id="at a parent's target"),
        pytest.param("deny.permit.basic", "deny.permit.basic", id="below a permission"),
        pytest.param(
            "cname-permit-sub.deny.basic", "deny.basic", id="the target's parents do not count"
        ),
        pytest.param("dname-permit.deny.basic", "deny.basic", id="nor does a DNAME for its owner"),
        pytest.param("xss", "xss", id="markup"),
    ],
)
def test_the_caa_test_suite_is_refused(identifier: str, found_at: str) -> None:
    made = _caa_test_suite().determine(f"{identifier}.caatestsuite.com")
    assert (made.result.value, made.found_at) == ("denied", f"{found_at}.caatestsuite.com")


@pytest.mark.parametrize(
    "identifier", ["permit.basic", "sub.permit.basic", "deny-wild.basic", "sub1.deny-wild.basic"]
)
def test_the_caa_test_suite_is_not_refused_where_it_does_not_say_so(identifier: str) -> None:
    made = _caa_test_suite().determine(f"{identifier}.caatestsuite.com")
    assert made.result.value == "permitted"


def test_the_caa_test_suites_own_ca_is_permitted() -> None:
    """So that the refusals above are for the right reason."""
    own = Requester(frozenset({"caatestsuite.com"}), None, frozenset({"http-01"}))
    made = _caa_test_suite().determine("sub1.cname-deny.basic.caatestsuite.com", own)
    assert made.result.value == "permitted"


# The words


def test_where_the_ca_permits_it_says_nothing() -> None:
    assert _problem("www.example.net") is None


def test_a_permission_by_records_has_no_problem_either() -> None:
    records = (Record(0, b"issue", b"letsencrypt.org"),)
    assert _problem("example.net", Lookup("example.net", Outcome.RECORDS, records)) is None


@pytest.mark.parametrize("identifier", ["www.example.net", "*.www.example.net"])
def test_a_denial_is_of_type_caa_and_names_the_owner_of_the_records(identifier: str) -> None:
    assert _problem(identifier, Lookup("example.net", Outcome.RECORDS, _OTHER)) == {
        "type": "urn:ietf:params:acme:error:caa",
        "detail": f"While processing CAA for {identifier}: "
        "CAA record for example.net prevents issuance",
    }


def test_a_failure_is_of_type_dns_and_names_the_owner_that_failed() -> None:
    assert _problem("*.www.example.net", Lookup("example.net", Outcome.SERVFAIL)) == {
        "type": "urn:ietf:params:acme:error:dns",
        "detail": "While processing CAA for *.www.example.net: "
        f"DNS problem: SERVFAIL looking up CAA for example.net{_HINT}",
    }


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.SERVFAIL, f"SERVFAIL looking up CAA for net{_HINT}"),
        (
            Outcome.NXDOMAIN,
            "NXDOMAIN looking up CAA for net - check that a DNS record exists for this domain",
        ),
        (Outcome.REFUSED, "REFUSED looking up CAA for net"),
        (Outcome.FORMERR, "FORMERR looking up CAA for net"),
        (Outcome.NOTIMP, "NOTIMP looking up CAA for net"),
        (Outcome.NOTAUTH, "NOTAUTH looking up CAA for net"),
        (Outcome.OTHER_RCODE, f"SERVFAIL looking up CAA for net{_HINT}"),
        (Outcome.BOGUS, "looking up CAA for net: DNSSEC: Bogus"),
        (Outcome.TIMEOUT, "query timed out looking up CAA for net"),
        (Outcome.NETWORK, "networking error looking up CAA for net"),
        (Outcome.TRUNCATED, "response was truncated looking up CAA for net"),
        (Outcome.MALFORMED, "server failure at resolver looking up CAA for net"),
    ],
    ids=lambda value: value.value if isinstance(value, Outcome) else "",
)
def test_every_failure_has_the_cas_word(outcome: Outcome, words: str) -> None:
    expected = f"While processing CAA for www.example.net: DNS problem: {words}"
    assert _detail("www.example.net", Lookup("net", outcome)) == expected


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "Other"),
        (1, "DNSSEC: Unsupported DNSKEY Algorithm"),
        (2, "DNSSEC: Unsupported DS Digest Type"),
        (3, "Stale Answer"),
        (4, "Forged Answer"),
        (5, "DNSSEC: Indeterminate"),
        (6, "DNSSEC: Bogus"),
        (7, "DNSSEC: Signature Expired"),
        (8, "DNSSEC: Signature Not Yet Valid"),
        (9, "DNSSEC: DNSKEY Missing"),
        (10, "DNSSEC: RRSIGs Missing"),
        (11, "DNSSEC: No Zone Key Bit Set"),
        (12, "DNSSEC: NSEC Missing"),
        (13, "Cached Error"),
        (14, "Not Ready"),
        (15, "Blocked"),
        (16, "Censored"),
        (17, "Filtered"),
        (18, "Prohibited"),
        (19, "Stale NXDOMAIN Answer"),
        (20, "Not Authoritative"),
        (21, "Not Supported"),
        (22, "No Reachable Authority"),
        (23, "Network Error between Resolver and Authority"),
        (24, "Invalid Data"),
        (25, "Unknown Extended DNS Error code 25"),
        (65535, "Unknown Extended DNS Error code 65535"),
    ],
)
@pytest.mark.parametrize(
    ("text", "extra"), [("", ""), ("from 192.0.2.1", ": from 192.0.2.1")], ids=["bare", "with text"]
)
def test_an_extended_error_takes_the_place_of_word_and_hint(
    code: int, words: str, text: str, extra: str
) -> None:
    lookup = Lookup("net", Outcome.SERVFAIL, extended_error=ExtendedError(code, text))
    expected = (
        f"While processing CAA for a.net: DNS problem: looking up CAA for net: {words}{extra}"
    )
    assert _detail("a.net", lookup) == expected


def test_what_our_own_validator_adds_is_said() -> None:
    lookup = Lookup("a.net", Outcome.BOGUS, extended_error=ExtendedError(7, "last week"))
    assert _detail("a.net", lookup).endswith("CAA for a.net: DNSSEC: Signature Expired: last week")


# Prediction and reading are inverse to each other

_FAILURES = [
    Outcome.SERVFAIL,
    Outcome.REFUSED,
    Outcome.FORMERR,
    Outcome.NOTIMP,
    Outcome.NOTAUTH,
    Outcome.OTHER_RCODE,
    Outcome.TIMEOUT,
    Outcome.NETWORK,
    Outcome.TRUNCATED,
    Outcome.MALFORMED,
    Outcome.BOGUS,
]


def _read_back(identifier: str, lookup: Lookup) -> Reading:
    document = _problem(identifier, lookup)
    assert document is not None
    (reading,) = problem.read(document)
    return reading


@pytest.mark.parametrize(
    ("identifier", "owner"),
    [
        pytest.param("www.example.net", "www.example.net", id="the name"),
        pytest.param("www.example.net", "net", id="the TLD"),
        pytest.param("*.example.net", "example.net", id="a wildcard's base"),
        pytest.param("_x.xn--bcher-kva.example", "xn--bcher-kva.example", id="odd letters"),
    ],
)
@pytest.mark.parametrize("outcome", _FAILURES, ids=lambda outcome: outcome.value)
def test_a_predicted_failure_is_read_back(outcome: Outcome, identifier: str, owner: str) -> None:
    lookup = Lookup(owner, outcome)
    reading = _read_back(identifier, lookup)
    meaning = Meaning.DNSSEC if lookup.is_dnssec_failure else Meaning.TRANSIENT
    assert (reading.meaning, reading.identifier, reading.owner) == (meaning, identifier, owner)


@pytest.mark.parametrize("code", [*range(26), 49152])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no text"),
        pytest.param("validation failure <a. CAA IN>: key - DNSSEC: x\n\x1b[2J", id="odd text"),
        pytest.param(
            ", While processing CAA for b.net: CAA record for b.net prevents issuance", id="a trap"
        ),
    ],
)
def test_a_predicted_extended_error_is_read_back(code: int, text: str) -> None:
    lookup = Lookup("a.net", Outcome.SERVFAIL, extended_error=ExtendedError(code, text))
    reading = _read_back("*.a.net", lookup)
    meaning = Meaning.DNSSEC if lookup.is_dnssec_failure else Meaning.TRANSIENT
    assert (reading.meaning, reading.identifier, reading.owner) == (meaning, "*.a.net", "a.net")


@pytest.mark.parametrize(
    ("identifier", "owner"),
    [
        pytest.param("www.example.net", "www.example.net", id="at the name"),
        pytest.param("www.example.net", "net", id="at the TLD"),
        pytest.param("*.www.example.net", "example.net", id="a wildcard, at a parent"),
    ],
)
def test_a_predicted_denial_is_read_back(identifier: str, owner: str) -> None:
    reading = _read_back(identifier, Lookup(owner, Outcome.RECORDS, _OTHER))
    assert reading == Reading(Meaning.DENIED, identifier, owner, at=At.AUTHORIZATION)


def test_a_predicted_missing_tld_is_read_back_as_permanent() -> None:
    reading = _read_back("www.gonetld", Lookup("gonetld", Outcome.NXDOMAIN))
    assert (reading.owner, reading.is_permanent) == ("gonetld", True)
