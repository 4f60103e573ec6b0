"""The zones and servers of tests/data/dns-cases.json, rebuilt, the broken ones too.

::

    with Laboratory(tmp_path) as internet:
        ask(internet.resolver, "www.capsrefuse.lab", "CAA")        # SERVFAIL

The ``server`` member of a case says how its zone's server behaves. `BEHAVIOURS` has a function
for each, which scripts the bench to behave so for one zone, and the zone's records where the data
file has none. `Laboratory` applies them all.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

from tests.internet import (
    SILENT,
    Action,
    Answer,
    FaultyServer,
    Internet,
    Question,
    Rcode,
    Signing,
    caa,
    delay,
    drop,
    formerr,
    notimp,
    refused,
    servfail,
    transform,
)

DATA = Path(__file__).parents[1] / "data" / "dns-cases.json"
LETSENCRYPT = '0 issue "letsencrypt.org"'
NEWLINE_AFTER = b"letsencrypt.org\n"
COMPLIANT = "compliant"

# A host number in the internet's block at which nothing listens.
NOBODY = 101

Script = Callable[[Internet, str], object]


@dataclass(frozen=True)
class Behaviour:
    """How a server behaves for one zone.

    `script(internet, zone)` makes it so; `records` are the zone's, where the data has none.
    """

    script: Script
    records: tuple[str, ...] = ()


BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(server: str, *records: str) -> Callable[[Script], Script]:
    """Register a script under the name that the cases have for it."""

    def register(script: Script) -> Script:
        BEHAVIOURS[server] = Behaviour(script, records)
        return script

    return register


def cases() -> list[dict[str, Any]]:
    """The cases: identifier, method, account_uri, zone, server, and what each resolver gave."""
    return list(json.loads(DATA.read_text(encoding="utf-8"))["cases"])


# Signed zones, and how; `bogus_signatures` breaks those of bogus.lab. Not in Laboratory(signed={}).
SIGNED: Mapping[str, Signing] = {
    "signed.lab": Signing.VALID,
    "bogus.lab": Signing.VALID,
    "expired.lab": Signing.EXPIRED,
}

# In the place of a delegation that the tree of zones would make: records of the zone lab.
_DELEGATIONS = (
    "half NS ns2.half.lab.",
    "ns2.half A {silent}",
    "nons NS does-not-exist.lab.",
    "dead NS ns.dead.lab.",
    "ns.dead A {nobody}",
)
_NOT_SERVED = {"nons.lab", "dead.lab", "example.gonetld"}


class Laboratory(Internet):
    """An internet with all zones of the cases, each behaving as its case says.

    With `signed` zones (`SIGNED` is how they are in the cases) the resolvers validate. Without,
    those zones are like any other.
    """

    def __init__(
        self,
        directory: Path,
        *,
        signed: Mapping[str, Signing] | None = None,
        resolver_options: str = "",
    ) -> None:
        zones = _zones()
        super().__init__(
            directory,
            zones,
            bare=zones.keys(),
            signed=signed or {},
            resolver_options=resolver_options,
        )

    def __enter__(self) -> Laboratory:
        super().__enter__()
        try:
            for zone, server in _servers().items():
                BEHAVIOURS[server].script(self, zone)
            if "bogus.lab" in self._signed:
                bogus_signatures(self, "bogus.lab")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _name_addresses(self) -> None:
        """Fill in the addresses that depend on the block."""
        super()._name_addresses()
        address = self.block.address
        places = {"silent": address(SILENT), "nobody": address(NOBODY)}
        records = [line.format(**places) for line in _DELEGATIONS]
        self._zones = {**self._zones, "lab": records}


def _servers() -> dict[str, str]:
    """Each zone that is not just compliant, and how it behaves."""
    found = {case["zone"]: case["server"] for case in cases() if case["server"] != COMPLIANT}
    return found | {"servfail.lab": "SERVFAIL to CAA"}  # the target of an alias


def _zones() -> dict[str, Sequence[str]]:
    held = json.loads(DATA.read_text(encoding="utf-8"))["zones"]
    zones: dict[str, Sequence[str]] = {
        zone: [f"{owner} {record}" for owner, record in records] for zone, records in held.items()
    }
    broken = {zone: BEHAVIOURS[server].records for zone, server in _servers().items()}
    return {**zones, **{zone: held for zone, held in broken.items() if zone not in _NOT_SERVED}}


def _on_caa(action: Action) -> Script:
    """Do this with every CAA question in the zone."""
    return lambda internet, zone: _server(internet).script(action, below=zone, qtype="CAA")


def _on_all(action: Action, *, edns: bool | None = None, mixed_case: bool | None = None) -> Script:
    """Do this with every question in the zone that meets the conditions."""
    return lambda internet, zone: _server(internet).script(
        action, below=zone, edns=edns, mixed_case=mixed_case
    )


def _server(internet: Internet) -> FaultyServer:
    return internet.servers


# --- What a record can say, or a delegation ------------------------------------------------------


@behaviour("tag ISSUE upper case", '@ CAA 0 ISSUE "letsencrypt.org"')
@behaviour("issuer followed by newline byte", f"@ CAA {caa(0, 'issue', NEWLINE_AFTER)}")
@behaviour("TLD does not exist")
@behaviour("NS name does not exist")
@behaviour("nothing listens (ICMP)")
@behaviour("one of two NS drops everything", f"@ CAA {LETSENCRYPT}")
def as_it_is(_internet: Internet, _zone: str) -> None:
    """Nothing to script: the records, or the delegation, are what is special."""


@behaviour("CAA RR with empty tag")
def caa_with_empty_tag(internet: Internet, zone: str) -> None:
    internet.publish(f"www.{zone}", "CAA", caa(0, "", "letsencrypt.org"))


@behaviour("CAA RR with bad tag length")
def caa_with_bad_tag_length(internet: Internet, zone: str) -> None:
    internet.publish(f"www.{zone}", "CAA", r"\# 7 00ff6973737565")


# --- Rcodes and silence ---------------------------------------------------------------------------

behaviour("SERVFAIL to CAA")(_on_caa(servfail))
behaviour("REFUSED to CAA")(_on_caa(refused))
behaviour("NOTIMP to CAA")(_on_caa(notimp))
behaviour("FORMERR to CAA")(_on_caa(formerr))
behaviour("NOTAUTH to CAA")(_on_caa(Rcode(dns.rcode.NOTAUTH)))
behaviour("drops CAA queries")(_on_caa(drop))
behaviour("CAA answered after 1.2 s")(_on_caa(delay(1.2)))
behaviour("CAA answered after 3 s")(_on_caa(delay(3)))
behaviour("CAA answered after 8 s")(_on_caa(delay(8)))
behaviour("drops EDNS queries")(_on_all(drop, edns=True))
behaviour("drops mixed-case questions")(_on_all(drop, mixed_case=True))
behaviour("REFUSED to mixed case")(_on_all(refused, mixed_case=True))
behaviour("delegated to a server that REFUSEs")(_on_all(refused))


@behaviour("TLD CAA SERVFAIL, no CAA below")
@behaviour("TLD CAA SERVFAIL, zone allows", f"@ CAA {LETSENCRYPT}")
def servfail_of_tld(internet: Internet, zone: str) -> None:
    internet.tlds.script(servfail, owner=zone.rpartition(".")[2], qtype="CAA")


# --- Negative answers that are not by the book ----------------------------------------------------


def _negative(
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    authority: str = "",
    *,
    aa: bool = True,
) -> Script:
    """Answer CAA questions with nothing but one record in the authority section, if that."""

    def script(internet: Internet, zone: str) -> None:
        def change(
            query: dns.message.Message, _response: dns.message.Message, _wire: bytes
        ) -> Answer:
            reply = dns.message.make_response(query)
            reply.set_rcode(rcode)
            reply.flags |= dns.flags.AA if aa else 0
            if authority:
                owner, rtype, rdata = authority.format(zone=f"{zone}.").split(None, 2)
                reply.authority.append(dns.rrset.from_text(owner, 60, "IN", rtype, rdata))
            return reply

        _on_caa(transform(change))(internet, zone)

    return script


_SOA = "SOA ns.lab. hostmaster.lab. 1 3600 600 86400 60"

behaviour("NXDOMAIN, no SOA, AA")(_negative(dns.rcode.NXDOMAIN))
behaviour("NXDOMAIN, no SOA, no AA")(_negative(dns.rcode.NXDOMAIN, aa=False))
behaviour("NOERROR empty, AA, no SOA")(_negative())
behaviour("NODATA with NS instead of SOA, AA")(_negative(authority="{zone} NS ns.{zone}"))
behaviour("same, no AA")(_negative(authority="{zone} NS ns.{zone}", aa=False))
behaviour("NODATA with SOA, AA clear")(_negative(authority="{zone} " + _SOA, aa=False))
behaviour("NODATA with an unrelated SOA")(_negative(authority="unrelated.example. " + _SOA))
behaviour("NODATA with the parent's SOA")(_negative(authority="lab. " + _SOA))
behaviour("upward referral")(_negative(authority=". NS a.root-servers.", aa=False))


# --- Answers that are not by the book -------------------------------------------------------------


@behaviour("answer with AA clear", f"www CAA {LETSENCRYPT}")
def answer_with_aa_clear(internet: Internet, zone: str) -> None:
    def change(_query: dns.message.Message, _response: dns.message.Message, wire: bytes) -> Answer:
        return wire[:2] + bytes([wire[2] & ~0x04]) + wire[3:]

    _on_caa(transform(change))(internet, zone)


@behaviour("no question section")
def no_question_section(internet: Internet, zone: str) -> None:
    def change(_query: dns.message.Message, response: dns.message.Message, _wire: bytes) -> Answer:
        response.question.clear()
        return response

    _on_caa(transform(change))(internet, zone)


@behaviour("question case not preserved")
def question_case_not_preserved(internet: Internet, zone: str) -> None:
    def change(_query: dns.message.Message, _response: dns.message.Message, wire: bytes) -> Answer:
        end = _end_of_question(wire)
        return wire[:12] + wire[12:end].lower() + wire[end:]

    _on_all(transform(change))(internet, zone)


@behaviour("owner name in lower case, question ok", f"www CAA {LETSENCRYPT}")
def owner_name_in_lower_case(internet: Internet, zone: str) -> None:
    def change(query: dns.message.Message, response: dns.message.Message, wire: bytes) -> Answer:
        if not response.answer:
            return wire
        owner = _wire(query.question[0].name.canonicalize())
        (record,) = response.answer[0]
        rdata = _wire(record)
        fixed = struct.pack("!HHIH", dns.rdatatype.CAA, 1, 60, len(rdata))
        header = wire[:4] + struct.pack("!HHHH", 1, 1, 0, 0)
        return header + wire[12 : _end_of_question(wire)] + owner + fixed + rdata

    _on_caa(transform(change))(internet, zone)


def bogus_signatures(internet: Internet, zone: str) -> None:
    """Break the signatures of everything but the keys, so that those are trusted."""

    def change(query: dns.message.Message, response: dns.message.Message, wire: bytes) -> Answer:
        if query.question[0].rdtype == dns.rdatatype.DNSKEY:
            return wire
        for section in (response.answer, response.authority):
            section[:] = [_without_signature(rrset) for rrset in section]
        return response

    _on_all(transform(change))(internet, zone)


def _without_signature(rrset: dns.rrset.RRset) -> dns.rrset.RRset:
    if rrset.rdtype != dns.rdatatype.RRSIG:
        return rrset
    zeroed = [one.replace(signature=bytes(len(one.signature))) for one in rrset]
    return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, zeroed)


def _end_of_question(wire: bytes) -> int:
    question = Question.parse(bytes([*wire[:2], 0, 0, *wire[4:]]), "", "udp")
    return 12 + len(_wire(question.owner)) + 4


def _wire(thing: dns.name.Name | dns.rdata.Rdata) -> bytes:
    wire = thing.to_wire()
    assert wire is not None
    return wire
