"""What is asked of each server of a zone, and how."""

from __future__ import annotations

from dataclasses import dataclass

import dns.rdatatype

from certbot_caa_guard.resolvers.iterative.message import CAA, EDNS_SIZE, NS, SOA, A, Name

DNSKEY = int(dns.rdatatype.DNSKEY)

MOST_QUESTIONS = 40  # to one server in the audit of one name


@dataclass(frozen=True, slots=True)
class Manner:
    """A way to put a question.

    :ivar size: the UDP payload size in the OPT record (RFC 6891); None for no such record.
    :ivar dnssec: whether the DO bit is set (RFC 3225).
    :ivar mixed: whether the name is in mixed case.
    """

    name: str
    size: int | None = None
    dnssec: bool = False
    mixed: bool = False
    tcp: bool = False

    def __str__(self) -> str:
        return self.name


PLAIN = Manner("plain")
EDNS = Manner("edns", EDNS_SIZE)
SMALL = Manner("small-buffer", 512)
LARGE = Manner("large-buffer", 4096)
DO = Manner("do", EDNS_SIZE, dnssec=True)
MIXED = Manner("mixed-case", mixed=True)
# Unbound with the CA's settings asks so.
AS_CA = Manner("as-the-ca", EDNS_SIZE, dnssec=True, mixed=True)
TCP = Manner("tcp", EDNS_SIZE, dnssec=True, tcp=True)
# Once more as the CA, when less is under way: was that slowness ours?
AGAIN = tuple(Manner(f"again-{number}", EDNS_SIZE, dnssec=True, mixed=True) for number in (1, 2, 3))

OVER_UDP = (PLAIN, EDNS, SMALL, LARGE, DO, MIXED, AS_CA)
# As slow as the CA would suffer it, so that slow is not taken for silent.
PATIENT = (PLAIN, AS_CA)


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to a server: a name, a type, and the manner of asking."""

    owner: Name
    type: int
    manner: Manner

    def __str__(self) -> str:
        kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.type))
        return f"{b'.'.join(self.owner).decode('ascii', 'replace')} {kind} {self.manner}"


def probes(zone: Name, owners: tuple[Name, ...], absent: Name, *, signed: bool) -> list[Probe]:
    """What to ask a server of *zone*, the most telling first.

    :param owners: the names in it that the CA asks about, the one that matters most first.
    :param absent: a name in the zone that nobody can have.
    :param signed: whether the zone above says that this one is signed.
    """
    first, *others = owners
    asked = [Probe(first, CAA, manner) for manner in PATIENT]
    asked += [Probe(zone, SOA, PLAIN), Probe(zone, NS, PLAIN)]
    asked += [Probe(first, CAA, manner) for manner in OVER_UDP if manner not in PATIENT]
    asked += [Probe(first, CAA, TCP), Probe(first, A, PLAIN), Probe(absent, CAA, DO)]
    if signed:
        asked += [Probe(zone, DNSKEY, DO), Probe(zone, SOA, DO)]
    for manner in (AS_CA, PLAIN, EDNS, DO, MIXED):
        asked += [Probe(owner, CAA, manner) for owner in others]
    return asked
