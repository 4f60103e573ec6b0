"""Matrices made by hand: servers as functions from a probe to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dns.flags
import dns.message
import dns.rcode

from certbot_caa_guard.audit.matrix import Answer, Heard, Matrix, NameServer, Server, Zone
from certbot_caa_guard.audit.questions import Probe, probes
from certbot_caa_guard.names import parse
from certbot_caa_guard.resolvers.iterative.addresses import Reach
from certbot_caa_guard.resolvers.iterative.message import (
    CAA,
    CNAME,
    NS,
    SOA,
    Echo,
    Name,
    Record,
    Reply,
    name_from_text,
)

Behaviour = Callable[[Probe], Answer]

SHOP = "shop.example"
WWW = "www.shop.example"
ABSENT = "caa-guard-0.shop.example"
NOW = 1_800_000_000.0
# Somebody else was reached over UDP and TCP.
REACHED = frozenset({((), 4, False), ((), 4, True)})


def name(text: str) -> Name:
    return name_from_text(text)


def record(owner: str, kind: int, rdata: bytes = b"", target: str = "") -> Record:
    return Record(name(owner), kind, 60, rdata, name(target))


def soa(owner: str = SHOP) -> Record:
    return record(owner, SOA)


def ns(owner: str, target: str = "ns.other.example") -> Record:
    return record(owner, NS, target=target)


def cname(owner: str, target: str) -> Record:
    return record(owner, CNAME, target=target)


def caa(owner: str, value: bytes = b"letsencrypt.org", tag: bytes = b"issue") -> Record:
    return record(owner, CAA, bytes([0, len(tag)]) + tag + value)


def heard(reply: Reply, seconds: float = 0.01) -> Answer:
    return Answer(Heard.ANSWER, seconds, reply)


def silence(seconds: float = 2.5) -> Answer:
    return Answer(Heard.SILENCE, seconds)


UNREADABLE = Answer(Heard.UNREADABLE, 0.01)


def rcode(text: str) -> Answer:
    return heard(Reply(Echo.SAME, int(dns.rcode.from_text(text))))


def answer(*records: Record, **changes: Any) -> Answer:
    return heard(replace(Reply(Echo.SAME, 0, answer=records), **changes))


def nothing(*authority: Record, **changes: Any) -> Answer:
    return heard(replace(Reply(Echo.SAME, 0, authority=authority), **changes))


def good(probe: Probe) -> Answer:
    """A server that has the zone, and no CAA records in it."""
    if (probe.owner, probe.type) == (name(SHOP), SOA):
        return answer(soa())
    if (probe.owner, probe.type) == (name(SHOP), NS):
        return answer(ns(SHOP, "ns1.shop.example"))
    return nothing(soa())


def only(condition: Callable[[Probe], bool], then: Answer, other: Behaviour = good) -> Behaviour:
    """A server that answers some questions like this, and the others as it should."""
    return lambda probe: then if condition(probe) else other(probe)


def to_caa(then: Answer, owner: str | None = None) -> Behaviour:
    wanted = None if owner is None else name(owner)
    return only(lambda probe: probe.type == CAA and wanted in {None, probe.owner}, then)


def always(then: Answer) -> Behaviour:
    return lambda _probe: then


def server(number: int) -> Server:
    return Server(f"ns{number}.{SHOP}", f"192.0.2.{number}")


def zone(*behaviours: Behaviour, owners: tuple[str, ...] = (WWW, SHOP), **changes: Any) -> Zone:
    """A zone whose servers, ns1 and so on, behave so."""
    asked = tuple(map(name, owners))
    answers = {
        (server(number), probe): behaviour(probe)
        for number, behaviour in enumerate(behaviours, 1)
        for probe in probes(name(SHOP), asked, name(ABSENT), signed=True)
    }
    named = tuple(
        NameServer(
            name(server(number).name), by_parent=True, by_zone=True,
            addresses=((server(number).address, Reach.OPEN),),
        )
        for number, _ in enumerate(behaviours, 1)
    )  # fmt: skip
    return replace(Zone(name(SHOP), asked, name(ABSENT), named, answers=answers), **changes)


def matrix(*zones: Zone, identifier: str = WWW, **changes: Any) -> Matrix:
    return replace(Matrix(parse(identifier), zones, reached=REACHED, now=NOW), **changes)


def nameserver(
    text: str, addresses: Mapping[str, Reach] | None = None, **changes: Any
) -> NameServer:
    held = tuple((addresses or {}).items())
    return replace(NameServer(name(text), by_parent=True, by_zone=True, addresses=held), **changes)
