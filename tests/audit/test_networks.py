"""Faults that no case of the data file has, at servers that can be asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from certbot_caa_guard.audit.auditor import Auditor
from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding, find
from certbot_caa_guard.audit.matrix import Matrix
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.names import parse
from tests.audit.laboratories import audit_all
from tests.fakes import FakeResolver
from tests.internet import (
    Answer,
    Internet,
    Signing,
    drop,
    ratelimit,
    servfail,
    transform,
)

FAILS, ON_1_18, MAY, SLOW, FINE = Severity
BIG = [f'@ CAA 0 issue "ca{number:03}.example; p={"x" * 60}"' for number in range(40)]
ZONES = {
    # Delegations that are wrong; 53 and 54 are nobody's addresses.
    "net": [
        "private NS ns.elsewhere.net.",
        "ns.elsewhere A 10.0.0.53",
        "glueless NS ns.glueless.net.",
        "two NS other.two.net.",
        "other.two A 10.0.0.54",
    ],
    "two.net": ["@ NS ns", "@ NS here.two.net.", "here A 10.0.0.55"],
    "big.net": BIG,
    "burst.net": [],
    "exists.net": ["www A 192.0.2.80"],
    "random.net": [],
    "deep.net": [f"{'a.' * 30}x A 192.0.2.80"],
    "silent.net": [],
    "fine.net": ["www A 192.0.2.80"],
}
SIGNED = {
    "future.org": Signing.NOT_YET_VALID,
    "wrongds.org": Signing.WRONG_DS,
    "noproof.org": Signing.VALID,
    "nokeys.org": Signing.VALID,
    "unsigned.org": Signing.VALID,
    "good.org": Signing.VALID,
}
DEEP = f"{'a.' * 30}x.deep.net"
NAMES = [
    "www.private.net", "www.glueless.net", "www.two.net", "big.net", "www.burst.net",
    "www.exists.net", "www.random.net", DEEP, "www.silent.net", "www.fine.net",
    *(f"www.{zone}" for zone in SIGNED),
]  # fmt: skip


def nxdomain_to_caa(
    _query: dns.message.Message, response: dns.message.Message, _wire: bytes
) -> Answer:
    response.set_rcode(dns.rcode.NXDOMAIN)
    return response


def without(*types: str):  # type: ignore[no-untyped-def]
    """An answer without records of these types, and without signatures of them."""
    unwanted = {dns.rdatatype.from_text(text) for text in types}

    def change(_query: dns.message.Message, response: dns.message.Message, _wire: bytes) -> Answer:
        for section in (response.answer, response.authority):
            section[:] = [
                one for one in section if not unwanted.intersection({one.rdtype, one.covers})
            ]
        return response

    return transform(change)


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {**ZONES, **dict.fromkeys(SIGNED, "www A 192.0.2.80")}
    directory = tmp_path_factory.mktemp("internet")
    with Internet(directory, zones, signed=SIGNED) as internet:
        script = internet.servers.script
        internet.servers.seed(7)
        script(drop, below="big.net", transport="tcp")
        script(transform(nxdomain_to_caa), owner="www.exists.net", qtype="CAA")
        script(servfail, below="random.net", qtype="CAA", probability=0.5)
        script(drop, below="silent.net")
        script(without("NSEC"), below="noproof.org", qtype="CAA")
        script(without("DNSKEY"), below="nokeys.org", qtype="DNSKEY")
        script(without("RRSIG"), below="unsigned.org", qtype="CAA")
        yield internet
        assert not internet.errors


@pytest.fixture(scope="module")
def matrices(internet: Internet) -> dict[str, Matrix]:
    return asyncio.run(audit_all(internet, internet.directory, NAMES, signed=True))


def told(matrices: dict[str, Matrix], name: str) -> list[tuple[str, Severity]]:
    return [(one.code, one.severity) for one in find(matrices[name])]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.private.net", [("PrivateAddressNS", FAILS)]),
        ("www.glueless.net", [("MissingGlueForNSName", FAILS)]),
        (
            "www.two.net",
            [("PrivateAddressNS", MAY), ("NSNameNotInChild", FINE), ("NSNameNotInParent", FINE)],
        ),
        ("big.net", [("ServerUnresponsiveTCP", FAILS)]),
        ("www.exists.net", [("InconsistentNXDOMAIN", FINE)]),
        ("www.silent.net", [("ServerUnresponsiveUDP", FAILS)]),
        (DEEP, []),
        ("www.fine.net", []),
        ("www.future.org", [("InceptionInTheFuture", FAILS)]),
        ("www.wrongds.org", [("NoSEP", FAILS)]),
        ("www.noproof.org", [("MissingNSECForNODATA", FAILS)]),
        ("www.nokeys.org", [("UnableToRetrieveDNSSECRecords", FAILS)]),
        ("www.unsigned.org", [("MissingRRSIG", FAILS)]),
        ("www.good.org", []),
    ],
)
def test_each_network_has_its_findings(
    matrices: dict[str, Matrix], name: str, expected: list[tuple[str, Severity]]
) -> None:
    assert told(matrices, name) == expected


def test_who_fails_at_random_fails_at_times(matrices: dict[str, Matrix]) -> None:
    assert ("IntermittentFailure", MAY) in told(matrices, "www.random.net")


def test_only_servers_with_private_addresses_are_told_of(matrices: dict[str, Matrix]) -> None:
    found = {one.code: one for one in find(matrices["www.two.net"])}
    assert found["PrivateAddressNS"].servers == (
        "here.two.net (10.0.0.55)",
        "other.two.net (10.0.0.54)",
    )
    assert found["NSNameNotInParent"].servers == ("here.two.net (10.0.0.55)",)


@pytest.mark.parametrize("name", [DEEP, "www.random.net", "www.silent.net", "www.good.org"])
def test_no_server_gets_more_than_forty_questions_and_nobody_waits_for_long(
    internet: Internet, name: str
) -> None:
    auditor = Auditor(internet.hints(internet.directory / "hints"), signed_root=True)
    internet.servers.forget()
    internet.tlds.forget()
    began = time.monotonic()
    asyncio.run(auditor.audit(parse(name)))
    # 12 s, on a machine that has nothing else to do.
    assert time.monotonic() - began < 16.0
    assert 0 < internet.servers.questions.total() <= 40
    assert 0 < internet.tlds.questions.total() <= 40


def audited(internet: Internet, name: str, **options: object) -> tuple[Finding, ...]:
    hints = internet.hints(internet.directory / "hints")
    auditor = Auditor(hints, **options)  # type: ignore[arg-type]
    return find(asyncio.run(auditor.audit(parse(name))))


def test_a_limit_of_rates_is_found_by_a_burst_only(internet: Internet) -> None:
    rule = internet.servers.script(ratelimit(60), below="burst.net")
    try:
        assert audited(internet, "www.burst.net", signed_root=False) == ()
        (finding,) = audited(internet, "www.burst.net", signed_root=False, with_burst=True)
        assert (finding.code, finding.severity) == ("RateLimited", MAY)
    finally:
        rule.remove()


def test_a_validating_resolver_is_heard(internet: Internet) -> None:
    why = Lookup("www.fine.net", Outcome.BOGUS, extended_error=ExtendedError(6, "wrong"))
    resolver = FakeResolver(answers={"www.fine.net": why})
    (finding,) = audited(internet, "www.fine.net", signed_root=False, validating=resolver)
    assert (finding.code, finding.evidence) == ("Bogus", "wrong")
