"""Reading answers from the wire."""

from __future__ import annotations

import struct

import dns.edns
import dns.message
import dns.rcode
import pytest

from certbot_caa_guard.caa import Record
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.resolvers import wire
from tests.resolvers.responder import raw_reply, record, reply

OWNER = "www.example.net"
QUERY = dns.message.make_query(OWNER, "CAA", use_edns=0).to_wire()
ISSUE = b"\x00\x05issueca.example"
SOA = bytes(2) + struct.pack("!IIIII", 1, 2, 3, 4, 5)


def read(message: bytes) -> Lookup:
    return wire.read(OWNER, message, 0.5)


def soa(owner: bytes) -> bytes:
    return record(SOA, kind=6, owner=owner)


def test_records_are_read() -> None:
    found = read(reply(QUERY, answer=[f'{OWNER}. CAA 128 issue "ca.example"']))
    assert found.records == (Record(128, b"issue", b"ca.example"),)


def test_records_make_the_outcome() -> None:
    assert read(reply(QUERY, answer=[f'{OWNER}. CAA 0 issue ";"'])).outcome is Outcome.RECORDS


def test_records_of_an_alias_count_whatever_their_owner() -> None:
    message = reply(QUERY, answer=[f"{OWNER}. CNAME x.example.", 'x.example. CAA 0 issue ";"'])
    assert read(message).records == (Record(0, b"issue", b";"),)


@pytest.mark.parametrize(
    ("answer", "alias_of"),
    [
        pytest.param([f"{OWNER}. CNAME X.example.", 'x.example. CAA 0 issue ";"'], "x.example",
                     id="with records"),
        pytest.param([f"{OWNER}. CNAME x.example."], "x.example", id="without"),
        pytest.param([f"{OWNER}. CNAME x.example.", "x.example. CNAME y.example."], "y.example",
                     id="of an alias"),
        pytest.param(["x.example. CNAME y.example.", f"{OWNER}. CNAME x.example."], "y.example",
                     id="of an alias, in any order"),
        pytest.param(["example.net. DNAME x.example.", f"{OWNER}. CNAME www.x.example."],
                     "www.x.example", id="made of a DNAME"),
        pytest.param([f"{OWNER}. CNAME {OWNER}."], OWNER, id="in a circle"),
        pytest.param(["x.example. CNAME y.example."], None, id="of another name"),
        pytest.param([f'{OWNER}. CAA 0 issue ";"'], None, id="none"),
    ],
)  # fmt: skip
def test_an_alias_leads_to_the_end_of_its_chain(answer: list[str], alias_of: str | None) -> None:
    message = reply(QUERY, answer=answer)
    assert read(message).alias_of == alias_of
    assert wire.read_matched(OWNER, message, len(QUERY) - 11, 0.5) == read(message)


def test_an_alias_outside_the_answer_section_is_none() -> None:
    assert read(reply(QUERY, authority=[f"{OWNER}. CNAME x.example."])).alias_of is None


def test_an_alias_that_leads_to_no_name_is_malformed() -> None:
    message = raw_reply(QUERY, answers=[record(b"\xc0\xff", kind=5)])
    assert read(message).outcome is Outcome.MALFORMED


def test_no_answer_records_are_nothing() -> None:
    assert read(reply(QUERY)).outcome is Outcome.NOTHING


def test_caa_records_outside_the_answer_section_do_not_count() -> None:
    message = reply(QUERY, authority=[f'{OWNER}. CAA 0 issue ";"'])
    assert read(message).outcome is Outcome.NOTHING


def test_the_owner_and_the_time_are_those_of_the_lookup() -> None:
    found = read(reply(QUERY))
    assert (found.owner, found.seconds) == (OWNER, 0.5)


def test_the_zone_is_the_owner_of_the_soa() -> None:
    message = reply(QUERY, authority=["Example.NET. SOA . . 1 2 3 4 5"])
    assert read(message).zone == "example.net"


def test_an_soa_in_the_answer_section_tells_nothing() -> None:
    assert read(reply(QUERY, answer=["example.net. SOA . . 1 2 3 4 5"])).zone is None


def test_octets_outside_ascii_in_a_zone_name_are_replaced() -> None:
    found = read(raw_reply(QUERY, authority=[soa(b"\x02\xffx\x00")]))
    assert found.zone == "\ufffdx"


@pytest.mark.parametrize(
    ("rcode", "outcome"),
    [
        (dns.rcode.NXDOMAIN, Outcome.NXDOMAIN),
        (dns.rcode.SERVFAIL, Outcome.SERVFAIL),
        (dns.rcode.REFUSED, Outcome.REFUSED),
        (dns.rcode.FORMERR, Outcome.FORMERR),
        (dns.rcode.NOTIMP, Outcome.NOTIMP),
        (dns.rcode.NOTAUTH, Outcome.NOTAUTH),
        (dns.rcode.YXDOMAIN, Outcome.OTHER_RCODE),
        (dns.rcode.BADVERS, Outcome.OTHER_RCODE),  # its upper bits stand in the OPT record
    ],
)
def test_the_rcode_makes_the_outcome(rcode: int, outcome: Outcome) -> None:
    assert read(reply(QUERY, rcode=rcode)).outcome is outcome


def test_records_beside_an_error_do_not_count() -> None:
    message = reply(QUERY, answer=[f'{OWNER}. CAA 0 issue ";"'], rcode=dns.rcode.SERVFAIL)
    assert read(message).records == ()


def test_a_truncated_answer_is_no_answer() -> None:
    message = reply(QUERY, answer=[f'{OWNER}. CAA 0 issue ";"'], truncated=True)
    assert read(message) == Lookup(OWNER, Outcome.TRUNCATED, seconds=0.5)


def test_the_extended_error_is_read() -> None:
    option = dns.edns.EDEOption(6, "no signature")
    found = read(reply(QUERY, rcode=dns.rcode.SERVFAIL, extended=option))
    assert found.extended_error == ExtendedError(6, "no signature")


def test_an_extended_error_is_found_behind_other_options() -> None:
    options = struct.pack("!HH", 10, 3) + b"abc" + struct.pack("!HHH", 15, 2, 22)
    message = raw_reply(QUERY, authority=[record(options, kind=41, owner=b"\0")])
    assert read(message).extended_error == ExtendedError(22)


@pytest.mark.parametrize(
    "options",
    [b"", b"\x00\x0f", struct.pack("!HH", 15, 1) + b"x", struct.pack("!HH", 10, 500) + b"abc"],
    ids=["none", "cut off", "too short", "longer than the record"],
)
def test_options_without_a_whole_extended_error_tell_nothing(options: bytes) -> None:
    message = raw_reply(QUERY, authority=[record(options, kind=41, owner=b"\0")])
    assert read(message).extended_error is None


def test_text_of_an_extended_error_that_is_not_utf8_is_replaced() -> None:
    options = struct.pack("!HHH", 15, 3, 6) + b"\xff"
    message = raw_reply(QUERY, authority=[record(options, kind=41, owner=b"\0")])
    assert read(message).extended_error == ExtendedError(6, "\ufffd")


def test_no_more_of_an_extended_error_is_kept_than_anybody_has_to_say() -> None:
    option = dns.edns.EDEOption(6, "no signature " * 5_000)
    found = read(reply(QUERY, rcode=dns.rcode.SERVFAIL, extended=option)).extended_error
    assert found is not None
    assert found.text == ("no signature " * 5_000)[:4_096]


def test_a_record_with_an_empty_tag_is_a_record() -> None:
    found = read(raw_reply(QUERY, answers=[record(b"\x80\x00value"), record(ISSUE)]))
    assert found.records == (Record(128, b"", b"value"), Record(0, b"issue", b"ca.example"))


MALFORMED = {
    "a tag beyond its RDATA": raw_reply(QUERY, answers=[record(ISSUE), record(b"\x00\x0aissue")]),
    "a record that is cut off": raw_reply(QUERY, answers=[record(ISSUE)])[:-1],
    "a record without RDATA": raw_reply(QUERY, answers=[b"\xc0\x0c\x01\x01"]),
    "fewer records than counted": raw_reply(QUERY, answers=[b""]),
    "a label of a strange type": raw_reply(QUERY, answers=[record(ISSUE, owner=b"\x40x\x00")]),
    "a name without an end": raw_reply(QUERY, answers=[b"\x3f"]),
    "more records than fit": QUERY[:2] + b"\x81\x80\x00\x00\xff\xff\x00\x00\x00\x00",
    "a pointer to itself": raw_reply(
        QUERY, authority=[soa(struct.pack("!H", 0xC000 | (len(raw_reply(QUERY)))))]
    ),
    "a pointer forwards": raw_reply(QUERY, authority=[soa(b"\xff\xff")]),
    "half a pointer": raw_reply(QUERY, authority=[b"\xc0"]),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_answer_is_an_outcome(message: bytes) -> None:
    assert read(message) == Lookup(OWNER, Outcome.MALFORMED, seconds=0.5)


def test_a_compressed_name_is_followed_back() -> None:
    # "example.net" stands four octets into the question's name: 3www
    found = read(raw_reply(QUERY, authority=[soa(struct.pack("!H", 0xC000 | 16))]))
    assert found.zone == "example.net"


def test_a_name_with_labels_before_its_pointer_is_followed() -> None:
    found = read(raw_reply(QUERY, authority=[soa(b"\x03sub" + struct.pack("!H", 0xC000 | 16))]))
    assert found.zone == "sub.example.net"


def test_pointers_that_go_round_are_noticed() -> None:
    """The first points back to labels that lead to the first again."""
    start = len(raw_reply(QUERY))
    labels = record(b"\x01a" + struct.pack("!H", 0xC000 | (start + 12)), kind=16)
    message = raw_reply(QUERY, authority=[labels, soa(struct.pack("!H", 0xC000 | (start + 12)))])
    assert read(message).outcome is Outcome.MALFORMED


def test_an_answer_without_its_question_is_read() -> None:
    message = QUERY[:2] + b"\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00" + record(ISSUE, owner=b"\0")
    assert read(message).outcome is Outcome.RECORDS


@pytest.mark.parametrize("size", [0, 3, 11])
def test_a_message_shorter_than_a_header_is_no_answer(size: int) -> None:
    assert not wire.answers(QUERY, reply(QUERY)[:size])


def test_an_answer_is_one() -> None:
    assert wire.answers(QUERY, reply(QUERY))


def test_an_answer_may_write_the_question_in_other_letters() -> None:
    message = reply(QUERY)
    assert wire.answers(QUERY, message[:12] + message[12:].upper())


def test_an_answer_may_lack_the_question() -> None:
    assert wire.answers(QUERY, QUERY[:2] + b"\x81\x82" + bytes(8))


def test_another_id_is_no_answer() -> None:
    other = bytes([QUERY[0] ^ 1]) + reply(QUERY)[1:]
    assert not wire.answers(QUERY, other)


def test_another_question_is_no_answer() -> None:
    other = dns.message.make_query("other.example", "CAA", use_edns=0)
    other.id = int.from_bytes(QUERY[:2], "big")
    assert not wire.answers(QUERY, reply(other.to_wire()))


def test_a_question_is_no_answer() -> None:
    assert not wire.answers(QUERY, QUERY)


def test_the_tc_bit_is_seen() -> None:
    assert wire.is_truncated(reply(QUERY, truncated=True))


def test_no_tc_bit_is_seen_where_there_is_none() -> None:
    assert not wire.is_truncated(reply(QUERY))


def test_negative_answers_are_read_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the properties would compare nothing."""
    monkeypatch.setattr(wire, "read", None)
    name = b"\x03wWw\x07example\x03Net\x00\x01\x01\x00\x01"
    soa = b"\xc0\x10\x00\x06\x00\x01\0\0\0\x3c\0\4abcd"
    message = b"id\x81\x83\0\1\0\0\0\1\0\1" + name + soa + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    assert wire.read_matched(OWNER, message, 12 + len(name), 0.5) == Lookup(
        OWNER, Outcome.NXDOMAIN, zone="example.net", seconds=0.5
    )
