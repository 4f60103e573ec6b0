"""Signatures and proofs of absence are held against the zone's keys and the DS above."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certbot_caa_guard.audit import dnssec
from certbot_caa_guard.audit.matrix import Answer, Heard
from certbot_caa_guard.audit.questions import AS_CA, DNSKEY, DO, Probe
from certbot_caa_guard.resolvers.iterative.message import CAA, SOA, Echo, Reply
from tests.audit.builder import NOW, SHOP, WWW, name, nothing, server, silence, zone

ORIGIN = dns.name.from_text(SHOP)
OWNER = dns.name.from_text(WWW)
DAY = 86_400
ALGORITHM = dns.dnssec.ECDSAP256SHA256


def rrset(owner: dns.name.Name | str, kind: str, *texts: str) -> dns.rrset.RRset:
    owner = dns.name.from_text(owner) if isinstance(owner, str) else owner
    return dns.rrset.from_text(owner, 60, "IN", kind, *texts)


SOA_RECORD = rrset(ORIGIN, "SOA", "ns. h. 1 2 3 4 5")
CAA_RECORD = rrset(OWNER, "CAA", '0 issue "letsencrypt.org"')


@dataclass
class Signer:
    """A key, and what it signs."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    inception: float = NOW - DAY
    expiration: float = NOW + DAY

    @property
    def dnskey(self) -> dns.rrset.RRset:
        rdata = dns.dnssec.make_dnskey(self.key.public_key(), ALGORITHM, 257)
        return dns.rrset.from_rdata(ORIGIN, 60, rdata)

    @property
    def ds(self) -> bytes:
        wire = dns.dnssec.make_ds(ORIGIN, self.dnskey[0], "SHA256").to_wire()
        assert wire is not None
        return wire

    def sign(self, signed: dns.rrset.RRset) -> list[dns.rrset.RRset]:
        signature = dns.dnssec.sign(
            signed, self.key, ORIGIN, self.dnskey[0],
            inception=int(self.inception), expiration=int(self.expiration),
        )  # fmt: skip
        return [signed, dns.rrset.from_rdata(signed.name, 60, signature)]


SIGNER = Signer()


def message(
    answer: list[dns.rrset.RRset], authority: list[dns.rrset.RRset], code: str = "NOERROR"
) -> Answer:
    built = dns.message.make_response(dns.message.make_query(WWW, "CAA"))
    built.flags |= dns.flags.AA
    built.set_rcode(dns.rcode.from_text(code))
    built.answer += answer
    built.authority += authority
    return Answer(Heard.ANSWER, 0.01, Reply(Echo.SAME, int(built.rcode())), built.to_wire())


def records(signer: Signer = SIGNER) -> Answer:
    return message(signer.sign(CAA_RECORD), [])


def empty(*proofs: dns.rrset.RRset, code: str = "NOERROR", signer: Signer = SIGNER) -> Answer:
    authority = signer.sign(SOA_RECORD)
    for proof in proofs:
        authority += signer.sign(proof)
    return message([], authority, code)


def nsec(owner: str, after: str, types: str = "A RRSIG NSEC") -> dns.rrset.RRset:
    return rrset(owner, "NSEC", f"{after}. {types}")


def nsec3(
    owner: str, types: str = "A RRSIG", *, before: int = 0, after: int = 1, iterations: int = 0
) -> dns.rrset.RRset:
    """Stands at the hash of *owner* less *before*, and spans up to it plus *after*."""
    hashed = int.from_bytes(base64.b32hexdecode(dns.dnssec.nsec3_hash(owner, None, 0, 1)), "big")

    def text(number: int) -> str:
        return base64.b32hexencode((number % (1 << 160)).to_bytes(20, "big")).decode().lower()

    rdata = f"1 0 {iterations} - {text(hashed + after)} {types}"
    return rrset(f"{text(hashed - before)}.{SHOP}", "NSEC3", rdata)


def faults(
    about: Answer | None = None,
    keys: Answer | None = None,
    ds: tuple[bytes, ...] | None = None,
    soa: Answer | None = None,
) -> list[tuple[str, str]]:
    """What is found when CAA is answered so, and the DNSKEY and SOA questions so."""
    given = {
        DNSKEY: keys or message(SIGNER.sign(SIGNER.dnskey), []),
        SOA: soa or message(SIGNER.sign(SOA_RECORD), []),
        CAA: about or records(),
    }

    def behave(probe: Probe) -> Answer:
        return given.get(probe.type, silence()) if probe.manner in {DO, AS_CA} else silence()

    held = zone(behave, owners=(WWW,), ds=(SIGNER.ds,) if ds is None else ds)
    return [(one.code, one.evidence) for one in dnssec.of_server(held, server(1), NOW)]


def codes(*given: Any, **more: Any) -> list[str]:
    return [code for code, _ in faults(*given, **more)]


ABSENT = nsec("shop.example", "zzz.shop.example")
PARENT = dns.rrset.from_text(dns.name.from_text("example"), 60, "IN", "SOA", "ns. h. 1 2 3 4 5")
DEEPER = rrset("www.shop.example", "SOA", "ns. h. 1 2 3 4 5")
OTHER = Signer()


def signed_as(owner: str, given: dns.rrset.RRset) -> list[dns.rrset.RRset]:
    """Signed by another zone."""
    signed = OTHER.sign(given)
    signed[1] = dns.rrset.from_rdata(
        signed[1].name, 60, signed[1][0].replace(signer=dns.name.from_text(owner))
    )
    return signed


CASES: dict[str, tuple[Callable[[], Answer], list[str]]] = {
    "records": (records, []),
    "wrong": (lambda: records(OTHER), ["SignatureInvalid"]),
    "expired": (
        lambda: records(Signer(SIGNER.key, NOW - 9 * DAY, NOW - 2 * DAY)),
        ["ExpirationInThePast"],
    ),
    "not yet": (
        lambda: records(Signer(SIGNER.key, NOW + 3600, NOW + DAY)),
        ["InceptionInTheFuture"],
    ),
    "unsigned": (lambda: message([CAA_RECORD], []), ["MissingRRSIG"]),
    "no proof": (empty, ["MissingNSECForNODATA"]),
    "no proof of NXDOMAIN": (lambda: empty(code="NXDOMAIN"), ["MissingNSECForNXDOMAIN"]),
    "NSEC spans": (lambda: empty(ABSENT), []),
    "NSEC at the name": (lambda: empty(nsec(WWW, "zzz.shop.example")), []),
    "NSEC with CAA": (lambda: empty(nsec(WWW, "zzz.shop.example", "A CAA")), ["InvalidNSEC"]),
    "NSEC that is last": (lambda: empty(nsec("mail.shop.example", SHOP)), []),
    "NSEC elsewhere": (lambda: empty(nsec("a.shop.example", "b.shop.example")), ["InvalidNSEC"]),
    "NSEC behind": (lambda: empty(nsec("x.shop.example", "y.shop.example")), ["InvalidNSEC"]),
    "NSEC3 at the name": (lambda: empty(nsec3(WWW)), []),
    "NSEC3 with CAA": (lambda: empty(nsec3(WWW, "A CAA")), ["InvalidNSEC"]),
    "NSEC3 spans": (lambda: empty(nsec3(WWW, before=5)), []),
    "NSEC3 that is last": (lambda: empty(nsec3(WWW, before=5, after=-6)), []),
    "NSEC3 above": (lambda: empty(nsec3(SHOP)), []),
    "NSEC3 elsewhere": (lambda: empty(nsec3("x.test")), ["InvalidNSEC"]),
    "NSEC3 with many iterations": (lambda: empty(nsec3("x.test", iterations=999)), []),
    "a wrong SOA": (lambda: empty(ABSENT, signer=OTHER), ["SignatureInvalid"]),
    "an alias": (
        lambda: message(SIGNER.sign(rrset(OWNER, "CNAME", "x.other.test.")), []),
        [],
    ),
    "an alias by DNAME": (
        lambda: message(
            [*SIGNER.sign(rrset(ORIGIN, "DNAME", "o.test.")), rrset(OWNER, "CNAME", "www.o.test.")],
            [],
        ),
        [],
    ),
    "records of the zone above": (lambda: message([], [PARENT, ABSENT]), ["MissingRRSIG"]),
    "a deeper zone": (lambda: message([], signed_as(WWW, DEEPER)), []),
    "its own NS": (
        lambda: message(SIGNER.sign(CAA_RECORD), [rrset(ORIGIN, "NS", "ns.shop.example.")]),
        ["MissingRRSIG"],
    ),
    "a delegation": (
        lambda: message(SIGNER.sign(CAA_RECORD), [rrset(OWNER, "NS", "ns.shop.example.")]),
        [],
    ),
    "an error": (lambda: message([], [], "SERVFAIL"), []),
    "silence": (silence, []),
    "truncated": (lambda: nothing(truncated=True), []),
    "unreadable by dnspython": (lambda: Answer(Heard.ANSWER, 0.1, Reply(Echo.SAME, 0), b"x"), []),
}


@pytest.mark.parametrize("case", CASES)
def test_each_answer_has_its_fault(case: str) -> None:
    made, expected = CASES[case]
    assert codes(made()) == expected


def test_a_zone_without_keys_is_told_of() -> None:
    assert codes(keys=message([], [])) == ["UnableToRetrieveDNSSECRecords"]


@pytest.mark.parametrize(
    "ds", [OTHER.ds, SIGNER.ds[:4] + bytes(32)], ids=["of another key", "wrong digest"]
)
def test_a_key_that_does_not_fit_the_ds_is_told_of(ds: bytes) -> None:
    assert codes(ds=(ds,)) == ["NoSEP"]


def test_a_ds_beside_one_that_nobody_understands_is_enough() -> None:
    assert codes(ds=(SIGNER.ds[:3] + b"\xc8" + bytes(32), SIGNER.ds)) == []


def test_where_no_ds_is_understood_the_zone_counts_as_unsigned() -> None:
    assert codes(message([CAA_RECORD], []), ds=(SIGNER.ds[:3] + b"\xc8" + bytes(32),)) == []
    assert codes(message([CAA_RECORD], []), ds=()) == []


@pytest.mark.parametrize("algorithm", [5, 7, 12, 200])
def test_where_the_algorithm_may_be_unknown_nothing_is_told(algorithm: int) -> None:
    ds = SIGNER.ds[:2] + bytes([algorithm]) + SIGNER.ds[3:]
    assert codes(message([CAA_RECORD], []), ds=(ds,)) == []


def test_keys_that_are_wrongly_signed_are_told_of() -> None:
    forged = [SIGNER.dnskey, OTHER.sign(SIGNER.dnskey)[1]]
    assert codes(keys=message(forged, [])) == ["SignatureInvalid"]


def test_where_the_keys_are_not_known_nothing_is() -> None:
    assert codes(message([CAA_RECORD], []), keys=silence()) == []


def test_a_broken_proof_is_told_with_whether_records_are_right() -> None:
    def evidence(**more: Any) -> str:
        return faults(empty(), **more)[0][1]

    assert "signatures of records are right" in evidence()
    assert "are right" not in evidence(soa=silence())
    assert "are right" not in evidence(soa=message([], []))
    assert "are right" not in evidence(soa=message(OTHER.sign(SOA_RECORD), []))


def test_names_are_those_of_the_zone() -> None:
    assert name(SHOP) == tuple(ORIGIN.labels[:-1])
    assert dns.rdatatype.CAA == CAA
