"""What is wrong with the signatures of a zone, by its DS records and its keys (RFC 4035)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from certbot_caa_guard.audit.faults import Fault
from certbot_caa_guard.audit.matrix import Answer, Server, Zone
from certbot_caa_guard.audit.questions import AS_CA, DNSKEY, DO, TCP
from certbot_caa_guard.resolvers.iterative.message import CAA, SOA, Name

_DIGESTS = {1: "sha1", 2: "sha256", 4: "sha384"}
# Those that validators everywhere know (RFC 8624 section 3.1).  SHA-1 is switched off on some
# systems, and then we cannot tell what is wrong with a signature.
_ALGORITHMS = {8, 10, 13, 14, 15, 16}
_NEGATIVE = {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
# More than this would take long to hash (RFC 9276 section 3.2).
_MOST_ITERATIONS = 500

Keys = dict[dns.name.Name, Any]  # what dns.dnssec takes


@dataclass(frozen=True)
class _Flaw:
    code: str
    evidence: str


def of_server(zone: Zone, server: Server, now: float) -> Iterator[Fault]:
    """The faults in what *server* sends of a signed zone.

    :param now: in seconds since 1970.
    """
    if not _is_checkable(zone):
        return
    found = _keys(zone, server, now)
    if isinstance(found, _Flaw):
        yield Fault.of(found.code, server, None, found.evidence)
        return
    if found is None:
        return
    for owner in zone.owners:
        answer = _answer_about(zone, server, owner)
        flaw = _flaw_of(answer, owner, zone, found, now)
        if flaw is None:
            continue
        evidence = flaw.evidence
        if "NSEC" in flaw.code and _is_right(zone, server, found, now):
            evidence += "; the signatures of records are right"
        yield Fault.of(flaw.code, server, owner, evidence)


def _is_checkable(zone: Zone) -> bool:
    """Whether a validator would use any DS record; if it cannot, the zone counts as unsigned.

    RFC 4035 section 5.2.
    """
    return any(
        ds.digest_type in _DIGESTS and ds.algorithm in _ALGORITHMS for ds in map(_ds, zone.ds)
    )


def _ds(rdata: bytes) -> Any:
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, rdata, 0, len(rdata))


def _keys(zone: Zone, server: Server, now: float) -> Keys | _Flaw | None:
    """The keys of the zone, held against the DS records; None when there is no telling."""
    answer = zone.answer(server, zone.name, DNSKEY, DO)
    message = _parsed(answer)
    if message is None:
        return None
    origin = _name(zone.name)
    rrset = _get(message.answer, origin, dns.rdatatype.DNSKEY)
    if rrset is None:
        return _Flaw("UnableToRetrieveDNSSECRecords", f"no DNSKEY records of {zone}")
    fitting = [key for key in rrset if any(_fits(origin, key, _ds(ds)) for ds in zone.ds)]
    if not fitting:
        return _Flaw("NoSEP", f"no DNSKEY of {zone} fits its DS")
    trusted = dns.rrset.from_rdata_list(origin, rrset.ttl, fitting)
    return _signature_flaw(message.answer, rrset, {origin: trusted}, now) or {origin: rrset}


def _fits(origin: dns.name.Name, key: Any, ds: Any) -> bool:
    if ds.digest_type not in _DIGESTS or ds.key_tag != dns.dnssec.key_id(key):
        return False
    # RFC 4034 section 5.1.4; dnspython's own function refuses SHA-1, which validators take.
    digest = hashlib.new(_DIGESTS[ds.digest_type])
    digest.update(origin.to_digestable())
    digest.update(key.to_wire())
    return bool(digest.digest() == ds.digest)


def _answer_about(zone: Zone, server: Server, owner: Name) -> Answer:
    for manner in (DO, AS_CA, TCP):
        answer = zone.answer(server, owner, CAA, manner)
        if answer.reply is not None and not answer.reply.truncated:
            break
    return answer


def _flaw_of(answer: Answer, owner: Name, zone: Zone, keys: Keys, now: float) -> _Flaw | None:
    """What a validator would say of an answer; None as well when there is none to judge."""
    message = _parsed(answer)
    if message is None or message.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return None
    origin = _name(zone.name)
    sections = [*message.answer, *message.authority]
    for rrset in sections:
        if _is_to_be_signed(rrset, sections, origin, message) and (
            flaw := _signature_flaw(sections, rrset, keys, now)
        ):
            return flaw
    if message.answer or any(_is_deeper(rrset, origin) for rrset in message.authority):
        return None
    return _proof_flaw(message, _name(owner), origin)


def _is_to_be_signed(
    rrset: dns.rrset.RRset,
    sections: Iterable[dns.rrset.RRset],
    origin: dns.name.Name,
    message: dns.message.Message,
) -> bool:
    """Whether the zone must have signed *rrset*: not what others did, nor a CNAME of a DNAME."""
    if rrset.rdtype == dns.rdatatype.RRSIG or not rrset.name.is_subdomain(origin):
        return False
    if rrset.rdtype == dns.rdatatype.NS and rrset in message.authority:
        return rrset.name == origin and bool(message.flags & dns.flags.AA)
    if any(
        one.rdtype == dns.rdatatype.DNAME and rrset.name.is_subdomain(one.name)
        for one in message.answer
    ):
        return rrset.rdtype == dns.rdatatype.DNAME
    signatures = _signatures(sections, rrset)
    return signatures is None or any(one.signer == origin for one in signatures)


def _is_deeper(rrset: dns.rrset.RRset, origin: dns.name.Name) -> bool:
    """Whether this is of a zone further down, which another key signs."""
    return (
        rrset.rdtype == dns.rdatatype.SOA
        and rrset.name != origin
        and rrset.name.is_subdomain(origin)
    )


def _signature_flaw(
    sections: Iterable[dns.rrset.RRset], rrset: dns.rrset.RRset, keys: Keys, now: float
) -> _Flaw | None:
    what = f"{dns.rdatatype.to_text(rrset.rdtype)} of {rrset.name}"
    signatures = _signatures(sections, rrset)
    if signatures is None:
        return _Flaw("MissingRRSIG", f"no signature of {what}")
    try:
        dns.dnssec.validate(rrset, signatures, keys, now=now)
    except (dns.exception.DNSException, ValueError):
        latest, earliest = _validity(signatures)
        if latest < now:
            return _Flaw(
                "ExpirationInThePast",
                f"the signature of {what} expired {_ago(now - latest)} ago",
            )
        if earliest > now:
            return _Flaw(
                "InceptionInTheFuture",
                f"the signature of {what} is valid only in {_ago(earliest - now)}",
            )
        return _Flaw("SignatureInvalid", f"the signature of {what} is wrong")
    return None


def _validity(signatures: dns.rrset.RRset) -> tuple[float, float]:
    """When the last of them expires, and when the first becomes valid."""
    return (
        max(float(one.expiration) for one in signatures),
        min(float(one.inception) for one in signatures),
    )


def _ago(seconds: float) -> str:
    return f"{seconds / 86400:.0f} d" if seconds >= 86400 else f"{seconds / 3600:.1f} h"


def _proof_flaw(
    message: dns.message.Message, owner: dns.name.Name, origin: dns.name.Name
) -> _Flaw | None:
    """What a proof of absence lacks (RFC 4035 section 5.4, RFC 5155 section 8)."""
    proofs = [rrset for rrset in message.authority if rrset.rdtype in _NEGATIVE]
    missing_name = message.rcode() == dns.rcode.NXDOMAIN
    if not proofs:
        code = "MissingNSECForNXDOMAIN" if missing_name else "MissingNSECForNODATA"
        return _Flaw(code, f"no NSEC or NSEC3 in the answer to CAA for {owner}")
    covered = any(
        _covers_hashed(proof, owner, origin)
        if proof.rdtype == dns.rdatatype.NSEC3
        else _covers(proof, owner)
        for proof in proofs
    )
    if covered:
        return None
    return _Flaw("InvalidNSEC", f"NSEC or NSEC3 that do not tell of CAA at {owner}")


def _covers(proof: dns.rrset.RRset, owner: dns.name.Name) -> bool:
    """Whether an NSEC stands at *owner* without CAA, or spans it (RFC 4034 section 4)."""
    nsec: Any = proof[0]
    if proof.name == owner:
        return not _has_caa(nsec)
    after = nsec.next
    if proof.name < owner:
        # The last NSEC of a zone leads back to its apex.
        return bool(owner < after or after <= proof.name)
    return False


def _covers_hashed(proof: dns.rrset.RRset, owner: dns.name.Name, origin: dns.name.Name) -> bool:
    """The same for NSEC3: at *owner*, or spanning it or a name above (RFC 5155 section 8)."""
    nsec3: Any = proof[0]
    if nsec3.iterations > _MOST_ITERATIONS:
        return True
    at = proof.name.labels[0].decode("ascii", "replace").upper()
    after = base64.b32hexencode(nsec3.next).decode("ascii").rstrip("=")
    for depth in range(len(owner.labels) - len(origin.labels) + 1):
        name = dns.name.Name(owner.labels[depth:])
        hashed = dns.dnssec.nsec3_hash(name, nsec3.salt, nsec3.iterations, nsec3.algorithm).upper()
        if hashed == at:
            return depth > 0 or not _has_caa(nsec3)
        if at < hashed < after or (after <= at and (hashed > at or hashed < after)):
            return True
    return False


def _has_caa(proof: Any) -> bool:
    """Whether the types that an NSEC or NSEC3 names include CAA: 257, bit 1 of window 1."""
    return any(window == 1 and bitmap[0] & 0x40 for window, bitmap in proof.windows)


def _is_right(zone: Zone, server: Server, keys: Keys, now: float) -> bool:
    """Whether the signature of a record that exists is right: that of the zone's SOA."""
    message = _parsed(zone.answer(server, zone.name, SOA, DO))
    if message is None:
        return False
    rrset = _get(message.answer, _name(zone.name), dns.rdatatype.SOA)
    return rrset is not None and _signature_flaw(message.answer, rrset, keys, now) is None


def _parsed(answer: Answer) -> dns.message.Message | None:
    """The whole message; None when there is none that dnspython can read."""
    if answer.reply is None or answer.reply.truncated:
        return None
    try:
        return dns.message.from_wire(answer.wire)
    except (dns.exception.DNSException, ValueError):
        return None


def _get(
    section: Iterable[dns.rrset.RRset], name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    return next((one for one in section if one.name == name and one.rdtype == kind), None)


def _signatures(
    sections: Iterable[dns.rrset.RRset], rrset: dns.rrset.RRset
) -> dns.rrset.RRset | None:
    return next(
        (
            one
            for one in sections
            if one.rdtype == dns.rdatatype.RRSIG
            and one.name == rrset.name
            and one.covers == rrset.rdtype
        ),
        None,
    )


def _name(name: Name) -> dns.name.Name:
    return dns.name.Name((*name, b""))
