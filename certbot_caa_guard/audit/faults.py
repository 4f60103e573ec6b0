"""What one server does wrong, read from its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dns.rcode

from certbot_caa_guard import caa
from certbot_caa_guard.audit.catalogue import KINDS, Severity
from certbot_caa_guard.audit.matrix import Answer, Heard, Server, Zone
from certbot_caa_guard.audit.questions import (
    AGAIN,
    AS_CA,
    DO,
    EDNS,
    LARGE,
    MIXED,
    OVER_UDP,
    PLAIN,
    SMALL,
    TCP,
    Manner,
)
from certbot_caa_guard.resolvers.iterative.message import (
    CAA,
    CNAME,
    DNAME,
    NS,
    SOA,
    A,
    Echo,
    Name,
    Reply,
    is_at_or_below,
    is_below,
    name_to_text,
)

# The answers that best tell what the CA gets, the first that there is.
_TELLING = (AS_CA, *AGAIN, DO, EDNS, PLAIN, MIXED, LARGE, SMALL, TCP)

# Seconds; what the CA's resolver made of servers as slow as that is in tests/data/dns-cases.json.
_SLOW, _SLOWER, _TOO_SLOW = 1.0, 4.0, 6.4

_WITH_EDNS = frozenset({EDNS, SMALL, LARGE, DO, AS_CA})
_WITH_DO = frozenset({DO, AS_CA})
_WITH_MIXED_CASE = frozenset({MIXED, AS_CA})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one server.

    :ivar owner: the name asked about; None where it concerns the whole zone.
    :ivar evidence: what was seen, in one line.
    :ivar severity: what the CA does when all servers have it.
    """

    code: str
    server: Server
    owner: Name | None
    evidence: str
    severity: Severity

    @classmethod
    def of(
        cls,
        code: str,
        server: Server,
        owner: Name | None,
        evidence: str,
        severity: Severity | None = None,
    ) -> Fault:
        """A fault with the usual severity of its kind, unless it has another."""
        return cls(code, server, owner, evidence, severity or KINDS[code].severity)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an answer to a CAA question is of no use to the CA."""

    code: str
    evidence: str
    rcode: int | None = None


def of_server(
    zone: Zone, server: Server, reached: frozenset[tuple[Name, int, bool]]
) -> Iterator[Fault]:
    """The faults of *server* in *zone*.

    :param reached: who answered anything: zone, IP version, whether over TCP.  Silence tells
        of the server only where, in the same way, others could be reached.
    """
    if _is_silent(zone, server):
        if _others_reached(zone, server, reached, tcp=False):
            yield Fault.of("ServerUnresponsiveUDP", server, None, "no answer to any question")
        return
    if (why := _lame(zone, server)) is not None:
        yield Fault.of("ServerNotAuthoritative", server, None, why)
        return
    for owner in zone.owners:
        told = _told(zone, server, owner)
        yield from _failing(told, server, owner)
        yield from _contents(zone, server, owner)
        yield from _slow(told, server, owner)
        yield from _case_lost(told, server, owner)
    if _others_reached(zone, server, reached, tcp=True):
        yield from _without_tcp(zone, server)


def trouble(answer: Answer, owner: Name, zone: Name) -> Trouble | None:
    """Why the CA cannot use *answer* to its question about *owner*; None if it can."""
    name = name_to_text(owner)
    if answer.heard is Heard.SILENCE:
        return Trouble("Timeout", f"no answer to CAA for {name} in {answer.seconds:.1f} s")
    reply = answer.reply
    if reply is None:
        return Trouble("MalformedResponse", f"an unreadable answer to CAA for {name}")
    if reply.rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        text = rcode_text(reply.rcode)
        return Trouble("InvalidRcode", f"{text} to CAA for {name}", reply.rcode)
    if reply.echo is Echo.MISSING:
        return Trouble("MissingQuestion", f"no question in the answer to CAA for {name}")
    if is_upward_referral(reply, zone):
        return Trouble("UpwardReferral", f"a referral upwards in answer to CAA for {name}")
    if any(_is_malformed(rdata) for rdata in caa_rdata(reply)):
        return Trouble("MalformedCAA", f"a CAA record with a wrong length at {name}")
    return None


def telling(zone: Zone, server: Server, owner: Name) -> Reply | None:
    """The answer to the CA's question that the CA would use, if *server* gave any."""
    for manner in _TELLING:
        answer = zone.answer(server, owner, CAA, manner)
        reply = answer.reply
        if reply is not None and not reply.truncated and trouble(answer, owner, zone.name) is None:
            return reply
    return None


def rcode_text(rcode: int) -> str:
    """``REFUSED`` and the like."""
    return dns.rcode.to_text(dns.rcode.Rcode.make(rcode))


def caa_rdata(reply: Reply) -> tuple[bytes, ...]:
    """The RDATA of the CAA records in an answer, whatever their owner."""
    return tuple(record.rdata for record in reply.answer if record.type == CAA)


def is_alias(reply: Reply) -> bool:
    """Whether the answer leads elsewhere."""
    return any(record.type in {CNAME, DNAME} for record in reply.answer)


def is_upward_referral(reply: Reply, zone: Name) -> bool:
    """Whether a server of *zone* points to the servers of a zone above instead of answering."""
    if reply.answer or any(record.type == SOA for record in reply.authority):
        return False
    named = [record.owner for record in reply.authority if record.type == NS]
    return any(is_below(zone, owner) for owner in named)


def _is_malformed(rdata: bytes) -> bool:
    try:
        caa.parse_rdata(rdata)
    except caa.MalformedRdataError:
        return True
    return False


def _is_silent(zone: Zone, server: Server) -> bool:
    """Whether nothing that was asked over UDP was answered."""
    heard = {
        answer.heard
        for (asked, probe), answer in zone.answers.items()
        if asked == server and not probe.manner.tcp
    }
    return Heard.SILENCE in heard and heard <= {Heard.SILENCE, Heard.NOT_ASKED}


def _others_reached(
    zone: Zone, server: Server, reached: frozenset[tuple[Name, int, bool]], *, tcp: bool
) -> bool:
    return any(
        other != zone.name and version == server.version and over_tcp is tcp
        for other, version, over_tcp in reached
    )


def _lame(zone: Zone, server: Server) -> str | None:
    """How it shows that the server does not know the zone at all, if it does."""
    soa = zone.answer(server, zone.name, SOA, PLAIN).reply
    if soa is None or telling(zone, server, zone.owners[0]) is not None:
        return None
    if is_upward_referral(soa, zone.name):
        return f"a referral upwards to any question about {zone}"
    if soa.rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return f"{rcode_text(soa.rcode)} to any question about {zone}"
    return None


def _told(zone: Zone, server: Server, owner: Name) -> dict[Manner, tuple[Answer, Trouble | None]]:
    """What came of the CAA question in each manner that can be told from."""
    told: dict[Manner, tuple[Answer, Trouble | None]] = {}
    slowest = zone.answer(server, owner, CAA, PLAIN)
    for manner in (*OVER_UDP, *AGAIN, TCP):
        answer = zone.answer(server, owner, CAA, manner)
        too_short = slowest.heard is Heard.ANSWER and answer.seconds < 2 * slowest.seconds
        if answer.heard is Heard.NOT_ASKED or (answer.heard is Heard.SILENCE and too_short):
            continue
        told[manner] = answer, trouble(answer, owner, zone.name)
    return told


def _failing(
    told: Mapping[Manner, tuple[Answer, Trouble | None]], server: Server, owner: Name
) -> Iterator[Fault]:
    """What about the way of asking makes the difference between use and none."""
    known = [manner for manner in OVER_UDP if manner in told]
    troubles = {manner: found for manner in known if (found := told[manner][1]) is not None}
    bad = frozenset(troubles)
    if not bad:
        return
    first = next(iter(troubles.values()))
    if len(bad) == len(known):
        yield Fault.of(first.code, server, owner, first.evidence)
        return

    def is_all(manners: frozenset[Manner]) -> bool:
        return bad == manners.intersection(known)

    if is_all(_WITH_EDNS):
        # Unbound asks again without EDNS after these two only (RFC 6891 section 7).
        spared = {dns.rcode.FORMERR, dns.rcode.NOTIMP}
        fine = all(one.rcode in spared for one in troubles.values())
        yield Fault.of(
            "ResponseErrorWithEDNS", server, owner, f"{first.evidence} with EDNS, not without",
            Severity.FINE if fine else None,
        )  # fmt: skip
    elif is_all(_WITH_DO) and DO in bad:
        evidence = f"{first.evidence} with the DO bit, not without"
        yield Fault.of("ResponseErrorWithEDNSFlag", server, owner, evidence)
    elif is_all(_WITH_MIXED_CASE):
        # After silence Unbound asks in lower case in the end, often too late for the CA.
        silent = all(one.code == "Timeout" for one in troubles.values())
        yield Fault.of(
            "ResponseErrorWithMixedCase", server, owner,
            f"{first.evidence} in mixed case, not in lower case",
            Severity.MAY_FAIL if silent else None,
        )  # fmt: skip
    elif bad <= {SMALL, LARGE, PLAIN} and len(bad) == 1:
        evidence = f"{first.evidence} ({', '.join(map(str, bad))})"
        code = "IntermittentFailure" if PLAIN in bad else "ResponseErrorWithEDNS"
        yield Fault.of(code, server, owner, evidence, Severity.FINE)
    else:
        evidence = f"{first.evidence}, in {len(bad)} of {len(known)} tries"
        yield Fault.of("IntermittentFailure", server, owner, evidence)


def _contents(zone: Zone, server: Server, owner: Name) -> Iterator[Fault]:
    reply = telling(zone, server, owner)
    if reply is None:
        return
    name = name_to_text(owner)
    if any(not caa.parse_rdata(rdata).tag for rdata in caa_rdata(reply)):
        yield Fault.of("EmptyCAATag", server, owner, f"a CAA record without a tag at {name}")
    if is_alias(reply):
        return
    if reply.rcode == dns.rcode.NXDOMAIN:
        yield from _nxdomain(zone, server, owner, reply)
    elif not caa_rdata(reply):
        yield from _nodata(zone, server, owner, reply)
    elif not reply.authoritative:
        evidence = f"an answer to CAA for {name} without AA"
        yield Fault.of("NotAuthoritative", server, owner, evidence)


def _nodata(zone: Zone, server: Server, owner: Name, reply: Reply) -> Iterator[Fault]:
    """RFC 2308 section 2.2, and what Unbound makes of less.

    Who sends nothing that belongs to the zone sends nothing, to Unbound; 1.18 throws that away.
    """
    where = f"in the empty answer to CAA for {name_to_text(owner)}"
    soas = [record.owner for record in reply.authority if record.type == SOA]
    if soas:
        if not any(_is_zone_of(soa, owner, zone.name) for soa in soas):
            evidence = f"the SOA of {name_to_text(soas[0]) or '.'} {where}"
            yield Fault.of("SOAOwnerNotZoneForNODATA", server, owner, evidence)
        elif not reply.authoritative:
            yield Fault.of("NotAuthoritative", server, owner, f"no AA {where}")
        return
    names_itself = any(
        record.type == NS and record.owner == zone.name for record in reply.authority
    )
    taken = names_itself and reply.authoritative
    yield Fault.of(
        "MissingSOAForNODATA", server, owner, f"no SOA {where}", Severity.FINE if taken else None
    )


def _nxdomain(zone: Zone, server: Server, owner: Name, reply: Reply) -> Iterator[Fault]:
    name = name_to_text(owner)
    other = zone.answer(server, owner, A, PLAIN).reply
    if other is not None and other.rcode == dns.rcode.NOERROR and not other.truncated:
        evidence = f"NXDOMAIN to CAA for {name}, NOERROR to A"
        yield Fault.of("InconsistentNXDOMAIN", server, owner, evidence)
    soas = [record.owner for record in reply.authority if record.type == SOA]
    if not soas:
        evidence = f"NXDOMAIN to CAA for {name} without an SOA"
        yield Fault.of("MissingSOAForNXDOMAIN", server, owner, evidence)
    elif not any(_is_zone_of(soa, owner, zone.name) for soa in soas):
        evidence = f"NXDOMAIN to CAA for {name} with the SOA of {name_to_text(soas[0]) or '.'}"
        yield Fault.of("SOAOwnerNotZoneForNXDOMAIN", server, owner, evidence)


def _is_zone_of(soa: Name, owner: Name, zone: Name) -> bool:
    """Whether an SOA is of the zone asked, or of one below that the server has as well."""
    return is_at_or_below(soa, zone) and is_at_or_below(owner, soa)


def _slow(
    told: Mapping[Manner, tuple[Answer, Trouble | None]], server: Server, owner: Name
) -> Iterator[Fault]:
    """Slow is who is never quick: one late answer may be the network's, or our own."""
    times = [
        answer.seconds
        for manner, (answer, _) in told.items()
        if answer.heard is Heard.ANSWER and not manner.tcp
    ]
    quickest = min(times, default=0.0)
    if quickest < _SLOW:
        return
    severity = Severity.SLOW
    if quickest >= _SLOWER:
        severity = Severity.FAILS if quickest >= _TOO_SLOW else Severity.MAY_FAIL
    evidence = f"an answer to CAA for {name_to_text(owner)} after {quickest:.1f} s"
    yield Fault.of("SlowResponse", server, owner, evidence, severity)


def _case_lost(
    told: Mapping[Manner, tuple[Answer, Trouble | None]], server: Server, owner: Name
) -> Iterator[Fault]:
    replies = [answer.reply for answer, found in told.values() if found is None]
    if any(reply is not None and reply.echo is Echo.CASE_LOST for reply in replies):
        evidence = f"the question about {name_to_text(owner)} comes back in lower case"
        yield Fault.of("CasePreservationError", server, owner, evidence)


def _without_tcp(zone: Zone, server: Server) -> Iterator[Fault]:
    """TCP is needed for what UDP cannot hold (RFC 7766 section 5)."""
    owner = zone.owners[0]
    answer = zone.answer(server, owner, CAA, TCP)
    over_udp = zone.answer(server, owner, CAA, AS_CA)
    # Who says nothing, or not in time, over UDP either has another trouble.
    if answer.heard is not Heard.SILENCE or answer.seconds < 2 * over_udp.seconds:
        return
    as_ca = over_udp.reply
    needed = as_ca is not None and as_ca.truncated
    evidence = "no answer over TCP" + (", and UDP cannot hold the answer" if needed else "")
    yield Fault.of(
        "ServerUnresponsiveTCP", server, owner if needed else None, evidence,
        Severity.FAILS if needed else None,
    )  # fmt: skip
