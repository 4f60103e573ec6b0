"""What an answer means to one who asked the servers of a zone.

The rules are those by which Unbound takes, discards and scrubs answers, for it is behind the
CA: they are wider than RFC 1034 section 5.3.3 and RFC 2308 in what they take for "no data", and
as strict about what a server may say of other zones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

import dns.rcode

from certbot_caa_guard.resolvers.iterative.memory import Delegation
from certbot_caa_guard.resolvers.iterative.message import (
    AAAA,
    CNAME,
    DNAME,
    NS,
    SOA,
    A,
    Name,
    Question,
    Record,
    Reply,
    is_at_or_below,
    is_below,
    is_name,
)

_RCODE_OF_HEADER = 0x0F

_MOST_SERVERS = 20  # of one zone; a referral with more is cut
_MOST_GLUE = 8  # addresses of one server


@dataclass(frozen=True, slots=True)
class Found:
    """Records of the type asked for.

    :ivar zone: the zone that the name asked for is in.
    """

    zone: Name
    rdatas: tuple[bytes, ...]
    ttl: float


@dataclass(frozen=True, slots=True)
class Alias:
    """The name is an alias; what *target* has must be asked for anew."""

    zone: Name
    target: Name


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such record (RFC 2308 section 2), or no such name.

    :ivar empty: the answer said so only by saying nothing that counts.
    """

    zone: Name
    nxdomain: bool = False
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Referral:
    """The name is in a zone further down (RFC 1034 section 4.3.1)."""

    delegation: Delegation


@dataclass(frozen=True, slots=True)
class Useless:
    """Nothing that helps.

    :ivar lame: the server does not know the zone at all, so that asking again is in vain.
    """

    lame: bool = False


Finding = Found | Alias | Absent | Referral | Useless


def is_lame_recursion(reply: Reply, finding: Finding) -> bool:
    """Whether *finding* comes from a recursive server's cache: used only for want of better."""
    return (
        reply.recursive and not reply.authoritative and isinstance(finding, (Found, Alias, Absent))
    )


def examine(reply: Reply, question: Question, zone: Name) -> Finding:
    """Say what *reply* means, when *question* was put to a server of *zone*."""
    # Unbound looks at no bits that EDNS adds (RFC 6891 section 6.1.3): with BADVERS all is well.
    rcode = reply.rcode & _RCODE_OF_HEADER
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Useless()
    # What a server says of names outside the zone it was asked for counts for nothing.
    answer = [record for record in reply.answer if is_at_or_below(record.owner, zone)]
    authority = [
        record for record in reply.authority if is_at_or_below(question.name, record.owner)
    ]
    actual = _actual_zone(authority, zone)
    first = next((one for one in answer if _bears_on(one, question)), None)
    if first is not None and first.type == question.type:
        found = [one for one in answer if one.owner == first.owner and one.type == first.type]
        # Not authoritative and with a delegation: what the parent's side holds, such as glue.
        referral = None if reply.authoritative else _referral(reply, authority, zone)
        rdatas = tuple(one.rdata for one in found)
        return referral or Found(actual, rdatas, min(one.ttl for one in found))
    if first is not None:
        # Even with NXDOMAIN, or more of what the target has: Unbound asks for it anew.
        target = _target(question.name, first)
        return Alias(actual, target) if is_name(target) else Useless()
    if rcode == dns.rcode.NXDOMAIN:
        return Absent(actual, nxdomain=True)
    return _without_answer(reply, authority, zone, actual)


def _without_answer(reply: Reply, authority: Iterable[Record], zone: Name, actual: Name) -> Finding:
    if any(one.type == SOA and is_at_or_below(one.owner, zone) for one in authority):
        return Absent(actual)
    for record in authority:
        if record.type != NS:
            continue
        # An NS record of the zone itself stands where the SOA should; if not authoritative, it may
        # be all that the server knows of the zone.
        if record.owner == zone:
            return Absent(actual, empty=not reply.authoritative)
        # Upwards: the server has never heard of the zone.
        if is_below(zone, record.owner):
            return Useless(lame=True)
        return _referral(reply, authority, zone) or Useless()
    return Absent(actual, empty=True)


def _actual_zone(authority: Iterable[Record], zone: Name) -> Name:
    """The zone that the answer is from: *zone*, or one below that the server has as well."""
    owners = [one.owner for one in authority if one.type in {SOA, NS}]
    return max((one for one in owners if is_below(one, zone)), key=len, default=zone)


def _bears_on(record: Record, question: Question) -> bool:
    """Whether a record is what was asked for, or says that the name is an alias."""
    if record.type == DNAME:
        return is_below(question.name, record.owner)
    return record.owner == question.name and record.type in {question.type, CNAME}


def _target(name: Name, alias: Record) -> Name:
    """What *name* is an alias of.

    RFC 1034 section 3.6.2 for CNAME.  A DNAME is applied here (RFC 6672 section 2.2), whatever
    CNAME a server has made of it.
    """
    above = name[: len(name) - len(alias.owner)] if alias.type == DNAME else ()
    return above + alias.target


def _referral(reply: Reply, authority: Iterable[Record], zone: Name) -> Referral | None:
    """The delegation in an answer: to a zone strictly below ours (RFC 2181 section 5.4.1)."""
    below = [one for one in authority if one.type == NS and is_below(one.owner, zone)]
    if not below:
        return None
    child = max((one.owner for one in below), key=len)
    records = [one for one in below if one.owner == child]
    servers = tuple(dict.fromkeys(one.target for one in records))[:_MOST_SERVERS]
    glue: dict[Name, list[str]] = {}
    for record in reply.additional:
        # Only of what lies in the referring zone can its servers know addresses.
        if record.owner in servers and is_at_or_below(record.owner, zone):
            glue.setdefault(record.owner, []).extend(addresses([record]))
    known = {name: tuple(held[:_MOST_GLUE]) for name, held in glue.items() if held}
    return Referral(Delegation(child, servers, known, min(one.ttl for one in records)))


def addresses(records: Iterable[Record]) -> list[str]:
    """The addresses in A (RFC 1035 section 3.4.1) and AAAA records (RFC 3596 section 2.2)."""
    return [
        text
        for one in records
        if one.type in {A, AAAA}
        if (text := address_text(one.type, one.rdata)) is not None
    ]


def address_text(kind: int, rdata: bytes) -> str | None:
    """The address in the RDATA of an A or AAAA record, or None if it has the wrong length."""
    if len(rdata) != (4 if kind == A else 16):
        return None
    return str(ipaddress.ip_address(rdata))
