"""A question on the wire, and what answers it."""

from __future__ import annotations

import itertools

import dns.message
import pytest

from certbot_caa_guard.resolvers.labels import LabelError
from certbot_caa_guard.resolvers.plain import question
from certbot_caa_guard.resolvers.plain.question import (
    Match,
    ask_for,
    encode,
    match,
    mix_case,
)

NAME = encode("www.example.net")
ASKED = ask_for(mix_case(NAME, b"\xaa\x55" * 8 + b"\xaa"), question.TYPE_CAA)
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"


def answer(flags: bytes = b"\x81\x80", count: bytes = b"\0\1", asked: bytes = ASKED) -> bytes:
    return b"id" + flags + count + bytes(6) + asked


def test_a_query_is_what_dnspython_reads() -> None:
    message = dns.message.from_wire(question.query(b"\x12\x34", ask_for(NAME, question.TYPE_CAA)))
    assert message.id == 0x1234
    assert message.question[0].to_text() == "www.example.net. IN CAA"
    assert (message.edns, message.payload, message.flags) == (0, 1232, 0x0100)


def test_a_query_without_edns_too() -> None:
    wire = question.query(b"id", ask_for(encode("."), question.TYPE_NS), edns=False)
    message = dns.message.from_wire(wire)
    assert (message.question[0].to_text(), message.edns) == (". IN NS", -1)


@pytest.mark.parametrize(
    "name", ["", "a..b", "a" * 64 + ".net", ".".join(["a" * 60] * 5), "é.net", "net."]
)
def test_a_name_that_no_message_can_hold_is_an_error(name: str) -> None:
    with pytest.raises(LabelError):
        encode(name)


def test_only_letters_are_turned_to_upper_case() -> None:
    name = encode("a-1_z.xn--0az9")
    assert mix_case(name, b"\xff" * len(name)) == b"\x05A-1_Z\x08XN--0AZ9\0"
    assert mix_case(name, bytes(len(name))) == name


def test_each_letter_is_turned_by_its_own_chance() -> None:
    noises = [bytes([0, *bits, 0]) for bits in itertools.product((0, 32), repeat=2)]
    mixed = {mix_case(encode("ab"), noise) for noise in noises}
    assert mixed == {b"\x02ab\0", b"\x02Ab\0", b"\x02aB\0", b"\x02AB\0"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (answer(), Match.ANSWER),
        (answer(flags=b"\x81\x82"), Match.ANSWER),
        (answer(flags=b"\x01\x00"), Match.NONE),
        (answer(asked=ASKED.swapcase()), Match.OTHER_CASE),
        (answer(asked=ASKED.lower()), Match.OTHER_CASE),
        (answer(asked=ask_for(encode("www.example.org"), question.TYPE_CAA)), Match.NONE),
        (answer(asked=ASKED[:-4] + b"\x00\x01\x00\x01"), Match.NONE),
        (answer(asked=ASKED[:-2] + b"\x00\x03"), Match.NONE),
        (answer(asked=ASKED[:-1]), Match.NONE),
        (answer(count=b"\0\2"), Match.NONE),
        (answer(count=b"\0\0", asked=b""), Match.NONE),
        (answer(count=b"\0\0", asked=b"", flags=b"\x81\x83"), Match.NONE),
        (answer(count=b"\0\0", asked=b"", flags=b"\x81\x81"), Match.ANSWER),
        (answer(count=b"\0\0", asked=b"", flags=b"\x81\x85"), Match.ANSWER),
        (b"id\x81\x80\0\1", Match.NONE),
        (b"", Match.NONE),
    ],
)  # fmt: skip
def test_what_answers_a_question(message: bytes, expected: Match) -> None:
    assert match(message, ASKED) is expected


@pytest.mark.parametrize(
    ("flags", "truncated", "failure", "ignorant"),
    [
        (b"\x81\x80", False, False, False),
        (b"\x81\x83", False, False, False),
        (b"\x83\x80", True, False, False),
        (b"\x81\x82", False, True, False),
        (b"\x81\x85", False, True, False),
        (b"\x81\x81", False, False, True),
        (b"\x81\x84", False, False, True),
        (b"\x81\x89", False, False, False),
    ],
)
def test_what_an_answer_calls_for(
    flags: bytes, truncated: bool, failure: bool, ignorant: bool
) -> None:
    message = answer(flags)
    assert question.is_truncated(message) is truncated
    assert question.is_failure(message) is failure
    assert question.is_ignorant_of_edns(message) is ignorant
