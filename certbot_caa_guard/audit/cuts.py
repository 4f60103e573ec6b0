"""Zone cuts: what a server of a zone says of a name that may be a zone of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dns.rcode

from certbot_caa_guard.audit.matrix import MOST_ALIASES, Answer
from certbot_caa_guard.resolvers.iterative.finding import addresses
from certbot_caa_guard.resolvers.iterative.message import (
    CNAME,
    DNAME,
    NS,
    Name,
    Record,
    Reply,
    is_at_or_below,
    is_below,
)

_MOST_SERVERS = 20  # of one zone; more are cut
_MOST_ADDRESSES = 8  # of one server


@dataclass(frozen=True)
class Cut:
    """A delegation (RFC 1034 section 4.2.1).

    :ivar servers: the names of the servers.
    :ivar glue: the addresses that came along.
    :ivar from_above: whether the zone above said so, and not the zone itself on a server that
        has both.
    """

    zone: Name
    servers: tuple[Name, ...]
    glue: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)
    from_above: bool = True


def is_useful(answer: Answer) -> bool:
    """Whether an answer to a question for NS records settles whether there is a cut."""
    reply = answer.reply
    if reply is None or reply.truncated:
        return False
    return reply.rcode in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}


def cut(reply: Reply, name: Name, zone: Name) -> Cut | None:
    """The zone at *name*, according to a server of *zone*; None if there is none."""
    own = _servers(reply.answer, name)
    below = _servers(reply.authority, name)
    if own:
        return Cut(name, own, _glue(reply, own, zone), from_above=False)
    if below and is_below(name, zone):
        return Cut(name, below, _glue(reply, below, zone))
    return None


def apex_servers(answers: Iterable[Answer], zone: Name) -> tuple[Name, ...]:
    """The servers that a zone itself names, all its servers' answers put together."""
    named: dict[Name, None] = {}
    for answer in answers:
        if answer.reply is not None:
            named.update(dict.fromkeys(_servers(answer.reply.answer, zone)))
    return tuple(named)[:_MOST_SERVERS]


def follow(reply: Reply, name: Name) -> tuple[Name, ...]:
    """The names that the aliases in an answer lead through, *name* first.

    It ends with a name that has no alias there, or that was met before.
    """
    met = [name]
    while len(met) <= MOST_ALIASES + 1 and (target := _target(reply.answer, met[-1])) is not None:
        met.append(target)
        if target in met[:-1]:
            break
    return tuple(met)


def _target(answer: Iterable[Record], name: Name) -> Name | None:
    """Where *name* leads: RFC 1034 section 3.6.2 for CNAME, RFC 6672 section 2.2 for DNAME."""
    for record in answer:
        if record.type == DNAME and is_below(name, record.owner):
            return name[: len(name) - len(record.owner)] + record.target
        if record.type == CNAME and record.owner == name:
            return record.target
    return None


def _servers(records: Iterable[Record], name: Name) -> tuple[Name, ...]:
    named = [one.target for one in records if one.type == NS and one.owner == name]
    return tuple(dict.fromkeys(named))[:_MOST_SERVERS]


def _glue(reply: Reply, servers: Iterable[Name], zone: Name) -> dict[Name, tuple[str, ...]]:
    """The addresses that came along, of such servers as servers of *zone* can know them of."""
    glue: dict[Name, tuple[str, ...]] = {}
    for server in servers:
        held = [one for one in reply.additional if one.owner == server]
        if is_at_or_below(server, zone) and (found := addresses(held)):
            glue[server] = tuple(found[:_MOST_ADDRESSES])
    return glue
