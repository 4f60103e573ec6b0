"""One question to a recursive resolver on the wire, and which messages answer it.

Against answers forged from aside, an answer must come to the right port from the right address
(the sockets are connected), with our random ID, and with our question in our random mixture of
upper and lower case (draft-vixie-dnsext-dns0x20).
"""

from __future__ import annotations

import enum
from functools import lru_cache

from certbot_caa_guard.resolvers import labels

TYPE_NS = 2
TYPE_CAA = 257

# Recursion desired, one question; without and with an OPT record (RFC 6891 section 6.1.2) that
# offers 1232 octets.
_PLAIN = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
_EDNS = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
_OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
_CLASS_IN = b"\x00\x01"

# Type and class as they end an entry of the question section.
_KINDS = {kind: kind.to_bytes(2, "big") + _CLASS_IN for kind in (TYPE_NS, TYPE_CAA)}

_RESPONSE = 0x80
_TRUNCATED = 0x02
_FORMERR, _SERVFAIL, _NOTIMP, _REFUSED = 1, 2, 4, 5
# What a server may say without repeating the question, as it may not have understood it.
_WITHOUT_QUESTION = frozenset({_FORMERR, _SERVFAIL, _NOTIMP, _REFUSED})

_CASE = bytes(0x20 if chr(octet).isalpha() and octet < 0x80 else 0 for octet in range(256))
_LENGTHS = {length: bytes([length]) for length in range(1, labels.LONGEST_LABEL + 1)}


class Match(enum.Enum):
    """How a message relates to a question with the same ID."""

    ANSWER = "answer"
    OTHER_CASE = "the question, but not in our mixture of cases"
    NONE = "not an answer to it"


def encode(name: str) -> bytes:
    """A domain name on the wire, without compression.

    :param name: in lower case, without a final dot; ``.`` is the root.
    :raises labels.LabelError: when no message can hold it.
    """
    if name == ".":
        return b"\0"
    if len(name) > labels.LONGEST_NAME - 2:
        raise labels.LabelError("a name that no message can hold")
    return _encode(name)


def _encode(name: str) -> bytes:
    label, dot, parent = name.partition(".")
    try:
        length = _LENGTHS[len(label)]
        return length + label.encode("ascii") + (_encode_parent(parent) if dot else b"\0")
    except (KeyError, UnicodeEncodeError) as error:
        raise labels.LabelError("a label that no message can hold") from error


# Thousands of names share a few parents.
_encode_parent = lru_cache(maxsize=10_000)(_encode)


def mix_case(name: bytes, noise: bytes) -> bytes:
    """The same name, each of its letters turned to upper case by chance.

    A length octet is below 64, so it is never taken for a letter; nor are the types and the class
    that we ask for.

    :param name: encoded, in lower case; or several entries of question sections.
    :param noise: as many octets as *name* has.
    """
    turned = int.from_bytes(name.translate(_CASE), "big") & int.from_bytes(noise, "big")
    return (int.from_bytes(name, "big") ^ turned).to_bytes(len(name), "big")


def ask_for(name: bytes, kind: int) -> bytes:
    """The entry of the question section for an encoded name."""
    return name + _KINDS[kind]


def around(*, edns: bool) -> tuple[bytes, bytes]:
    """What stands before and behind the entry of the question section, but for the ID."""
    return (_EDNS, _OPT) if edns else (_PLAIN, b"")


def query(identifier: bytes, asked: bytes, *, edns: bool = True) -> bytes:
    """The whole message with the entry *asked* of the question section."""
    before, after = around(edns=edns)
    return identifier + before + asked + after


def match(message: bytes, asked: bytes) -> Match:
    """Say whether *message*, whose ID is right, answers the question *asked*."""
    if len(message) < 12 or not message[2] & _RESPONSE:
        return Match.NONE
    if message[4:6] == b"\0\0":
        may_be_silent = message[3] & 0x0F in _WITHOUT_QUESTION
        return Match.ANSWER if may_be_silent else Match.NONE
    if message[4:6] != b"\0\1":
        return Match.NONE
    entry = message[12 : 12 + len(asked)]
    if entry == asked:
        return Match.ANSWER
    return Match.OTHER_CASE if entry.lower() == asked.lower() else Match.NONE


def is_truncated(message: bytes) -> bool:
    """Whether it is to be asked for again over TCP (RFC 7766 section 5)."""
    return bool(message[2] & _TRUNCATED)


def is_failure(message: bytes) -> bool:
    """Whether another server may do better (RFC 1034 section 5.3.3, step 4d)."""
    return message[3] & 0x0F in {_SERVFAIL, _REFUSED}


def is_refusal(message: bytes) -> bool:
    """Whether the server does not want to answer: this question, or now."""
    return message[3] & 0x0F == _REFUSED


def is_ignorant_of_edns(message: bytes) -> bool:
    """Whether EDNS may be what the server did not understand (RFC 6891 section 7)."""
    return message[3] & 0x0F in {_FORMERR, _NOTIMP}
