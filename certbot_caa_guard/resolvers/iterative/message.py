"""Questions to authoritative servers, and their answers, on the wire (RFC 1035 section 4).

dnspython refuses a whole message for one CAA record with an empty tag, and it would read far
more of each message than a walk needs; so messages are read here.  Nothing in a message makes
this raise anything but `MessageError`, and the work is bounded by the message's size.
"""

from __future__ import annotations

import enum
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import dns.flags
import dns.rdataclass
import dns.rdatatype

from certbot_caa_guard.resolvers import labels

# Labels from left to right, without the root's; in lower case, unless it says otherwise.
Name = tuple[bytes, ...]

A = int(dns.rdatatype.A)
NS = int(dns.rdatatype.NS)
CNAME = int(dns.rdatatype.CNAME)
SOA = int(dns.rdatatype.SOA)
AAAA = int(dns.rdatatype.AAAA)
DNAME = int(dns.rdatatype.DNAME)
OPT = int(dns.rdatatype.OPT)
DS = int(dns.rdatatype.DS)
CAA = int(dns.rdatatype.CAA)

EDNS_SIZE = 1232

_IN = int(dns.rdataclass.IN)
_MOST_RECORDS = 4_000  # more than fit into 64 KiB

_WITH_TARGET = frozenset({NS, CNAME, DNAME})
_WANTED = _WITH_TARGET | {A, AAAA, SOA, DS, CAA}

_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")


class MessageError(ValueError):
    """Octets that are no DNS message, or a text that is no domain name."""


class Echo(enum.Enum):
    """What became of the question in the answer."""

    SAME = enum.auto()
    CASE_LOST = enum.auto()
    MISSING = enum.auto()


@dataclass(frozen=True, slots=True)
class Question:
    """A name and a type; the class is always IN."""

    name: Name
    type: int


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record (RFC 1035 section 3.2.1).

    :ivar target: the name in the RDATA of NS, CNAME and DNAME, else the root.
    """

    owner: Name
    type: int
    ttl: int
    rdata: bytes
    target: Name = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as far as a walk needs it: other types than its own are left out.

    :ivar rcode: with the bits that EDNS adds.
    :ivar authoritative: the AA bit.
    :ivar recursive: the RA bit.
    :ivar truncated: the TC bit; then nothing else of the message has been read.
    """

    echo: Echo
    rcode: int
    authoritative: bool = True
    recursive: bool = False
    truncated: bool = False
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


def name_from_text(text: str) -> Name:
    """Read a name that has no escapes; a final dot may be there or not.

    :raises MessageError: when it cannot be a domain name (RFC 1035 section 2.3.4).
    """
    stripped = text.removesuffix(".").lower()
    name = tuple(stripped.encode("ascii", "replace").split(b".")) if stripped else ()
    if not stripped.isascii() or not is_name(name):
        raise MessageError("not a domain name")
    return name


def name_to_text(name: Name) -> str:
    """The name without a final dot, octets outside ASCII replaced."""
    return b".".join(name).decode("ascii", "replace")


def is_name(name: Name) -> bool:
    """Tell whether labels make a domain name (RFC 1035 section 2.3.4)."""
    sizes = [len(label) for label in name]
    return all(0 < size <= labels.LONGEST_LABEL for size in sizes) and (
        sum(sizes) + len(sizes) + 1 <= labels.LONGEST_NAME
    )


def is_at_or_below(name: Name, ancestor: Name) -> bool:
    """Tell whether *name* is *ancestor* or stands below it."""
    return not ancestor or name[-len(ancestor) :] == ancestor


def is_below(name: Name, ancestor: Name) -> bool:
    """Tell whether *name* stands strictly below *ancestor*."""
    return len(name) > len(ancestor) and is_at_or_below(name, ancestor)


def mixed_case(name: Name, dice: random.Random) -> Name:
    """The same name with the case of each letter left to chance (draft-vixie-dnsext-dns0x20)."""
    return tuple(_mix(label, dice) for label in name)


def encode(
    question: Question,
    identity: int,
    *,
    edns: bool,
    size: int = EDNS_SIZE,
    dnssec: bool = False,
) -> bytes:
    """A question for an authoritative server: no recursion desired.

    :param edns: whether there is an OPT record (RFC 6891).
    :param size: the UDP payload size in it.
    :param dnssec: whether its DO bit is set (RFC 3225).
    """
    header = _HEADER.pack(identity, 0, 1, 0, 0, 1 if edns else 0)
    name = b"".join(bytes([len(label)]) + label for label in question.name)
    body = name + b"\0" + struct.pack("!HH", question.type, _IN)
    flags = int(dns.flags.DO) if dnssec else 0
    return header + body + (b"\0" + _FIXED.pack(OPT, size, flags, 0) if edns else b"")


def decode(query: bytes, message: bytes) -> Reply:
    """Read *message*, which is known to have the ID of *query* and no other question.

    :raises MessageError: when it cannot be read.
    """
    try:
        return _decode(query, message)
    except labels.LabelError as error:
        raise MessageError(str(error)) from error
    except (IndexError, struct.error) as error:
        raise MessageError("the message is cut off") from error


def _decode(query: bytes, message: bytes) -> Reply:
    _, flags, questions, *_ = _HEADER.unpack_from(message)
    rcode = flags & 0x0F
    echo = _echo(query, message) if questions else Echo.MISSING
    truncated = bool(flags & dns.flags.TC)
    sections: dict[int, list[Record]] = {0: [], 1: [], 2: []}
    if not truncated:
        for section, record in _records(message):
            if record.type == OPT:
                rcode |= (record.ttl >> 24) << 4
            else:
                sections[section].append(record)
    return Reply(
        echo,
        rcode,
        authoritative=bool(flags & dns.flags.AA),
        recursive=bool(flags & dns.flags.RA),
        truncated=truncated,
        answer=tuple(sections[0]),
        authority=tuple(sections[1]),
        additional=tuple(sections[2]),
    )


def _echo(query: bytes, message: bytes) -> Echo:
    end = labels.end_of(query, _HEADER.size)
    return Echo.SAME if query[_HEADER.size : end] == message[_HEADER.size : end] else Echo.CASE_LOST


def _records(message: bytes) -> Iterator[tuple[int, Record]]:
    """The records that a walk needs, each with the number of its section."""
    _, _, questions, *counts = _HEADER.unpack_from(message)
    if questions > 1 or sum(counts) > _MOST_RECORDS:
        raise MessageError("more in it than a message can hold")
    position = _HEADER.size
    if questions:
        position = labels.end_of(message, position) + 4
    for section, count in enumerate(counts):
        for _ in range(count):
            start = position
            position = labels.end_of(message, start)
            kind, rclass, ttl, length = _FIXED.unpack_from(message, position)
            position += _FIXED.size + length
            if position > len(message):
                raise MessageError("a record is cut off")
            if kind == OPT:
                yield section, Record((), OPT, ttl, b"")
            elif kind in _WANTED and rclass == _IN:
                yield section, _record(message, start, kind, ttl, position - length, position)


def _record(message: bytes, start: int, kind: int, ttl: int, rdata: int, end: int) -> Record:
    owner = labels.read(message, start)
    target: Name = ()
    if kind in _WITH_TARGET:
        if labels.end_of(message, rdata) != end:
            raise MessageError("RDATA that is not one name")
        target = labels.read(message, rdata)
    return Record(owner, kind, ttl, message[rdata:end], target)


def _mix(label: bytes, dice: random.Random) -> bytes:
    bits = dice.getrandbits(len(label))
    return bytes(
        octet - 0x20 if 0x61 <= octet <= 0x7A and bits >> place & 1 else octet
        for place, octet in enumerate(label)
    )
