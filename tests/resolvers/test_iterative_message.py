"""Questions and answers on the wire, whoever wrote them."""

from __future__ import annotations

import random
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from certbot_caa_guard.resolvers.iterative.message import (
    AAAA,
    CAA,
    CNAME,
    DNAME,
    NS,
    A,
    Echo,
    MessageError,
    Name,
    Question,
    Record,
    Reply,
    decode,
    encode,
    is_at_or_below,
    is_below,
    mixed_case,
    name_from_text,
    name_to_text,
)

WWW = (b"www", b"example", b"net")
QUERY = encode(Question(WWW, CAA), 0x1234, edns=True)


def answer_to(query: bytes, *records: str, section: str = "answer") -> bytes:
    """What a server would send, with one more section filled."""
    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.flags |= dns.flags.AA
    for text in records:
        owner, rtype, rdata = text.split(None, 2)
        getattr(reply, section).append(dns.rrset.from_text(owner, 300, "IN", rtype, rdata))
    return reply.to_wire()


class TestQuestions:
    def test_is_what_the_ca_would_ask(self) -> None:
        message = dns.message.from_wire(QUERY)
        assert message.id == 0x1234
        assert message.flags == 0, "no recursion desired, and no checking disabled"
        assert message.question[0].to_text() == "www.example.net. IN CAA"
        assert (message.edns, message.payload, message.ednsflags) == (0, 1232, 0)

    def test_does_without_edns(self) -> None:
        message = dns.message.from_wire(encode(Question(WWW, CAA), 1, edns=False))
        assert message.edns == -1

    def test_may_be_about_the_root(self) -> None:
        message = dns.message.from_wire(encode(Question((), NS), 1, edns=True))
        assert message.question[0].to_text() == ". IN NS"

    def test_mixed_case_changes_letters_only_and_by_chance(self) -> None:
        name = (b"w1-w", b"example", b"net")
        seen = {mixed_case(name, random.Random(seed)) for seed in range(50)}
        assert len(seen) > 40
        assert {tuple(label.lower() for label in one) for one in seen} == {name}


class TestNames:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("www.example.net", WWW),
            ("WWW.Example.net.", WWW),
            ("", ()),
            (".", ()),
            ("_x.a-b", (b"_x", b"a-b")),
        ],
    )
    def test_are_read(self, text: str, name: Name) -> None:
        assert name_from_text(text) == name

    @pytest.mark.parametrize("text", ["a..b", ".a", "é.net", "a" * 64, ".".join(["a" * 60] * 5)])
    def test_are_refused(self, text: str) -> None:
        with pytest.raises(MessageError):
            name_from_text(text)

    def test_are_written(self) -> None:
        assert name_to_text(WWW) == "www.example.net"
        assert name_to_text(()) == ""
        assert name_to_text((b"\xff\x00", b"net")) == "\ufffd\x00.net"

    @pytest.mark.parametrize(
        ("name", "ancestor", "at_or_below", "below"),
        [
            (WWW, (b"example", b"net"), True, True),
            (WWW, WWW, True, False),
            (WWW, (), True, True),
            ((), (), True, False),
            ((b"net",), WWW, False, False),
            ((b"a", b"xexample", b"net"), (b"example", b"net"), False, False),
        ],
    )
    def test_stand_below_others(
        self, name: Name, ancestor: Name, at_or_below: bool, below: bool
    ) -> None:
        assert is_at_or_below(name, ancestor) is at_or_below
        assert is_below(name, ancestor) is below


class TestReading:
    def test_an_answer(self) -> None:
        reply = decode(QUERY, answer_to(QUERY, 'WWW.example.net. CAA 0 issue ";"'))
        record = Record(WWW, CAA, 300, b"\0\5issue;")
        assert reply == Reply(Echo.SAME, dns.rcode.NOERROR, answer=(record,))

    @pytest.mark.parametrize(
        ("text", "rtype", "target"),
        [
            ("www.example.net. CNAME b.Example.net.", CNAME, (b"b", b"example", b"net")),
            ("example.net. DNAME example.org.", DNAME, (b"example", b"org")),
            ("example.net. NS .", NS, ()),
        ],
    )
    def test_names_in_rdata(self, text: str, rtype: int, target: Name) -> None:
        (record,) = decode(QUERY, answer_to(QUERY, text, section="authority")).authority
        assert (record.type, record.target) == (rtype, target)

    def test_addresses_and_what_no_walk_needs(self) -> None:
        wire = answer_to(
            QUERY,
            "a.example.net. A 9.9.9.9",
            "a.example.net. TXT nothing",
            "a.example.net. AAAA 2620:fe::9",
            section="additional",
        )
        assert [one.type for one in decode(QUERY, wire).additional] == [A, AAAA]

    def test_flags(self) -> None:
        message = dns.message.from_wire(answer_to(QUERY))
        message.flags = dns.flags.QR | dns.flags.RA
        message.set_rcode(dns.rcode.BADVERS)
        reply = decode(QUERY, message.to_wire())
        assert reply == Reply(Echo.SAME, dns.rcode.BADVERS, authoritative=False, recursive=True)

    def test_what_is_truncated_is_not_read(self) -> None:
        wire = bytearray(answer_to(QUERY, 'www.example.net. CAA 0 issue ";"'))
        wire[2] |= 0x02
        assert decode(QUERY, bytes(wire[:-20])) == Reply(Echo.SAME, 0, truncated=True)

    def test_what_became_of_the_question(self) -> None:
        mixed = encode(Question((b"WwW", b"eXample", b"net"), CAA), 1, edns=False)
        assert decode(mixed, answer_to(mixed)).echo is Echo.SAME
        assert decode(mixed, answer_to(QUERY)).echo is Echo.CASE_LOST
        header = struct.pack("!HHHHHH", 1, 0x8005, 0, 0, 0, 0)
        assert decode(mixed, header) == Reply(Echo.MISSING, 5, authoritative=False)

    def test_other_classes_do_not_count(self) -> None:
        wire = answer_to(QUERY, 'www.example.net. CAA 0 issue ";"')
        place = wire.index(struct.pack("!HHI", CAA, 1, 300))
        chaos = wire[: place + 2] + b"\0\3" + wire[place + 4 :]
        assert decode(QUERY, chaos).answer == ()


class TestHostileMessages:
    HEADER = struct.pack("!HHHHHH", 0x1234, 0x8400, 0, 1, 0, 0)
    FIXED = struct.pack("!HHIH", A, 1, 0, 4) + bytes(4)

    @pytest.mark.parametrize(
        "rest",
        [
            b"",
            b"\xc0\x0c" + FIXED,  # itself
            b"\xc0\x20" + FIXED,  # forward
            b"\x41a\0" + FIXED,  # a label of another type
            b"\x01a" * 128 + b"\0" + FIXED,
            b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 3 + b"\0" + FIXED,
            b"\0" + struct.pack("!HHIH", A, 1, 0, 5) + bytes(4),
            b"\0" + struct.pack("!HHIH", NS, 1, 0, 3) + b"\0\0\0",
            b"\0" + struct.pack("!HHIH", NS, 1, 0, 2) + b"\1a",
        ],
    )
    def test_are_refused(self, rest: bytes) -> None:
        with pytest.raises(MessageError):
            decode(QUERY, self.HEADER + rest)

    def test_a_ladder_of_pointers_is_not_climbed_far(self) -> None:
        # The ladder is hidden in the RDATA of a record of no interest.
        start = 12 + 1 + 10
        rungs = [struct.pack("!H", 0xC000 | (start + 2 * step)) for step in range(200)]
        ladder = b"\0\0" + b"".join(rungs)
        hidden = b"\0" + struct.pack("!HHIH", 16, 1, 0, len(ladder)) + ladder
        header = struct.pack("!HHHHHH", 0x1234, 0x8400, 0, 2, 0, 0)
        with pytest.raises(MessageError, match="lead nowhere"):
            decode(QUERY, header + hidden + rungs[-1] + self.FIXED)
        assert len(decode(QUERY, header + hidden + rungs[100] + self.FIXED).answer) == 1

    @pytest.mark.parametrize(
        "counts", [(2, 0, 0, 0), (0, 65535, 65535, 65535)], ids=["questions", "records"]
    )
    def test_counts_that_no_message_has(self, counts: tuple[int, int, int, int]) -> None:
        with pytest.raises(MessageError, match="more in it"):
            decode(QUERY, struct.pack("!HHHHHH", 0x1234, 0x8400, *counts) + QUERY[12:])

    def test_noise_is_read_or_refused(self) -> None:
        dice = random.Random(8659)
        whole = answer_to(
            QUERY,
            "www.example.net. CNAME a.example.net.",
            'a.example.net. CAA 0 issue ";"',
            "example.net. NS ns.example.net.",
            "ns.example.net. A 9.9.9.9",
        )
        for _ in range(5_000):
            message = bytearray(whole)
            for _ in range(dice.randrange(1, 6)):
                message[dice.randrange(2, len(message))] = dice.randrange(256)
            del message[dice.randrange(12, len(message) + 1) :]
            try:
                reply = decode(QUERY, bytes(message))
            except MessageError:
                continue
            assert isinstance(reply, Reply)
