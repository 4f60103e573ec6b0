"""Reading a DNS answer to a CAA question from the wire (RFC 1035 section 4).

dnspython refuses a whole message for one CAA record with an empty tag, which a CA merely takes
for an unknown one; so the sections are walked here, and RDATA is left to
:func:`certbot_caa_guard.caa.parse_rdata`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from certbot_caa_guard import caa
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.resolvers import labels

_TYPE_CNAME = 5
_TYPE_SOA = 6
_TYPE_OPT = 41
_TYPE_CAA = 257
_NAMED = frozenset({_TYPE_CNAME, _TYPE_SOA})
_OPTION_EXTENDED_ERROR = 15  # RFC 8914 section 2
_LONGEST_EXTRA_TEXT = 4_096  # octets; all that fits into an answer over UDP, and more
_FLAG_QR = 0x8000
_FLAG_TC = 0x0200
_MOST_RECORDS = 4_000  # more than fit into 64 KiB

# RCODEs: RFC 1035 section 4.1.1, and RFC 2136 section 2.2 for the last.
_NOERROR = 0
_OUTCOMES: dict[int, Outcome] = {
    1: Outcome.FORMERR,
    2: Outcome.SERVFAIL,
    3: Outcome.NXDOMAIN,
    4: Outcome.NOTIMP,
    5: Outcome.REFUSED,
    9: Outcome.NOTAUTH,
}


# The header from the flags on (RFC 1035 section 4.1.1) of an answer without an answer: nothing, or
# NXDOMAIN, with at most one record each in the authority and the additional section.
_NEGATIVE: dict[bytes, Outcome] = {
    bytes([0x80 | authoritative | desired, high | rcode, 0, 1, 0, 0, 0, authority, 0, additional]):
    outcome
    for authoritative in (0, 4)
    for desired in (0, 1)
    for high in range(0, 0x100, 0x10)
    for rcode, outcome in ((0, Outcome.NOTHING), (3, Outcome.NXDOMAIN))
    for authority in (0, 1)
    for additional in (0, 1)
}  # fmt: skip
_SOA = b"\x00\x06"
_OPT = b"\x00\x00\x29"  # with its owner, the root
_POINTER = 0xC0  # to one of the first 256 octets


class WireError(ValueError):
    """A message that is no answer to our question."""


@dataclass(frozen=True, slots=True)
class _ResourceRecord:
    """A record.

    :ivar name: its owner, for the types where that matters.
    :ivar start: where its RDATA starts in the message, as names in it may point back.
    """

    name: str
    type: int
    ttl: int
    rdata: bytes
    start: int


def answers(query: bytes, message: bytes) -> bool:
    """Tell whether *message* is an answer to *query*: its ID, and its question if it has one."""
    if len(message) < 12 or message[:2] != query[:2]:
        return False
    flags, questions = struct.unpack("!HH", message[2:6])
    if not flags & _FLAG_QR:
        return False
    question = query[12 : labels.end_of(query, 12) + 4]
    return questions == 0 or message[12 : 12 + len(question)].lower() == question.lower()


def is_truncated(message: bytes) -> bool:
    """Tell whether the TC bit is set: ask again over TCP (RFC 7766 section 5)."""
    return bool(struct.unpack("!H", message[2:4])[0] & _FLAG_TC)


def response_code(message: bytes) -> int:
    """The RCODE of *message*, without the bits that EDNS adds."""
    return message[3] & 0x0F


def has_answer(message: bytes) -> bool:
    """Tell whether *message* is a success with records in its answer section."""
    return response_code(message) == _NOERROR and message[6:8] != b"\0\0"


def read(owner: str, message: bytes, seconds: float) -> Lookup:
    """Read an answer as the outcome of the lookup for *owner*."""
    try:
        return _read(owner, message, seconds)
    except (WireError, labels.LabelError, caa.MalformedRdataError, struct.error, IndexError):
        return Lookup(owner, Outcome.MALFORMED, seconds=seconds)


def read_matched(owner: str, message: bytes, end: int, seconds: float) -> Lookup:
    """The same for a message whose question is known to be that for *owner*.

    It takes a fraction of the time for the answer that nearly all names get: an SOA whose owner
    points into the question, an OPT without options, or both, and nothing else.

    :param end: where the question section ends.
    """
    outcome = _NEGATIVE.get(message[2:12])
    if outcome is None:
        return read(owner, message, seconds)
    zone = None
    position = end
    try:
        if message[9]:
            # Where the text has a dot, the wire has the length of the label behind it.
            start = message[end + 1] - 12
            is_label = not start or (start > 0 and owner[start - 1] == ".")
            if message[end] != _POINTER or message[end + 2 : end + 4] != _SOA or not is_label:
                return read(owner, message, seconds)
            zone = owner[start:]
            position += 12 + (message[end + 10] << 8 | message[end + 11])
    except IndexError:
        return read(owner, message, seconds)
    rest = message[position:]
    is_whole = _is_without_options(rest) if message[11] else position == len(message)
    if not is_whole:
        return read(owner, message, seconds)
    return Lookup(owner, outcome, (), None, zone, seconds)


@lru_cache(maxsize=64)
def _is_without_options(record: bytes) -> bool:
    """Whether *record* is an OPT without options or bits of the RCODE (RFC 6891 section 6.1)."""
    plain = record[:3] == _OPT and record[5:6] == b"\0" and record[9:] == b"\0\0"
    return plain and len(record) == 11


def _read(owner: str, message: bytes, seconds: float) -> Lookup:
    rcode = response_code(message)
    records: list[caa.Record] = []
    aliases: dict[str, str] = {}
    zone = None
    extended_error = None
    for section, record in _records(message):
        if record.type == _TYPE_CAA and section == "answer":
            records.append(caa.parse_rdata(record.rdata))
        elif record.type == _TYPE_CNAME and section == "answer":
            # With a DNAME there is one, too (RFC 6672 section 3.1).
            aliases[record.name] = _text(labels.read(message, record.start))
        elif record.type == _TYPE_SOA and section == "authority":
            zone = record.name
        elif record.type == _TYPE_OPT:
            rcode |= (record.ttl >> 24) << 4
            extended_error = _extended_error(record.rdata)
    if is_truncated(message):
        return Lookup(owner, Outcome.TRUNCATED, seconds=seconds)
    if rcode == _NOERROR:
        outcome = Outcome.RECORDS if records else Outcome.NOTHING
    else:
        outcome = _OUTCOMES.get(rcode, Outcome.OTHER_RCODE)
    kept = tuple(records) if outcome is Outcome.RECORDS else ()
    alias_of = _end_of_aliases(owner, aliases) if aliases else None
    return Lookup(owner, outcome, kept, extended_error, zone, seconds, alias_of)


def _end_of_aliases(owner: str, aliases: Mapping[str, str]) -> str | None:
    """Where the chain that begins at *owner* ends; None where none begins there."""
    name = aliases.get(owner)
    for _ in aliases:  # or a circle would have no end
        name = aliases.get(name, name) if name is not None else None
    return name


def _records(message: bytes) -> Iterator[tuple[str, _ResourceRecord]]:
    questions, answer, authority, additional = struct.unpack("!HHHH", message[4:12])
    if answer + authority + additional > _MOST_RECORDS:
        raise WireError("more records than a message can hold")
    position = 12
    for _ in range(questions):
        position = labels.end_of(message, position) + 4
    sections = (("answer", answer), ("authority", authority), ("additional", additional))
    for section, count in sections:
        for _ in range(count):
            owner = position
            position = labels.end_of(message, position)
            kind, _class, ttl, length = struct.unpack("!HHIH", message[position : position + 10])
            position += 10
            rdata = message[position : position + length]
            if len(rdata) < length:
                raise WireError("a record is cut off")
            position += length
            # The owners of others are of no use, and reading names is the dearest part.
            name = _text(labels.read(message, owner)) if kind in _NAMED else ""
            yield section, _ResourceRecord(name, kind, ttl, rdata, position - length)


def _extended_error(options: bytes) -> ExtendedError | None:
    position = 0
    while position + 4 <= len(options):
        code, length = struct.unpack("!HH", options[position : position + 4])
        data = options[position + 4 : position + 4 + length]
        if code == _OPTION_EXTENDED_ERROR and len(data) >= 2:
            text = data[2 : 2 + _LONGEST_EXTRA_TEXT].decode("utf-8", "replace")
            return ExtendedError(int.from_bytes(data[:2], "big"), text)
        position += 4 + length
    return None


def _text(name: tuple[bytes, ...]) -> str:
    """The name without a final dot, octets outside ASCII replaced."""
    return b".".join(name).decode("ascii", "replace")
