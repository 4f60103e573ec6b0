"""What an answer means to one who asked the servers of a zone."""

from __future__ import annotations

from collections.abc import Sequence

import dns.rcode
import dns.rdata
import dns.rdatatype
import pytest

from certbot_caa_guard.resolvers.iterative.finding import (
    Absent,
    Alias,
    Finding,
    Found,
    Referral,
    Useless,
    address_text,
    examine,
    is_lame_recursion,
)
from certbot_caa_guard.resolvers.iterative.memory import Delegation
from certbot_caa_guard.resolvers.iterative.message import (
    AAAA,
    CAA,
    CNAME,
    DNAME,
    NS,
    A,
    Echo,
    Name,
    Question,
    Record,
    Reply,
    name_from_text,
)

NXDOMAIN, NOERROR = dns.rcode.NXDOMAIN, dns.rcode.NOERROR


def name(text: str) -> Name:
    return name_from_text(text)


def record(text: str, ttl: int = 300) -> Record:
    """A record from ``owner type rdata``; an SOA needs no RDATA."""
    owner, rtype, rdata = (*text.split(None, 2), "")[:3]
    kind = int(dns.rdatatype.from_text(rtype))
    if kind in {NS, CNAME, DNAME}:
        return Record(name(owner), kind, ttl, b"", name(rdata))
    wire = dns.rdata.from_text("IN", rtype, rdata).to_wire() if rdata else b""
    return Record(name(owner), kind, ttl, wire or b"")


def reply(
    *answer: str,
    authority: Sequence[str] = (),
    additional: Sequence[str] = (),
    rcode: int = NOERROR,
    flags: str = "aa",
    echo: Echo = Echo.SAME,
) -> Reply:
    """A server's answer; *flags* are some of ``aa ra tc``."""
    return Reply(
        echo,
        rcode,
        authoritative="aa" in flags,
        recursive="ra" in flags,
        truncated="tc" in flags,
        answer=tuple(map(record, answer)),
        authority=tuple(map(record, authority)),
        additional=tuple(map(record, additional)),
    )


ZONE = name("example.net")
WWW = "www.example.net"
CAA_TEXT = 'CAA 0 issue ";"'
RDATA = b"\0\5issue;"
FOUND = Found(ZONE, (RDATA,), 300)


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        pytest.param(reply(f"{WWW} {CAA_TEXT}"), FOUND, id="records"),
        pytest.param(reply(f"{WWW} {CAA_TEXT}", flags=""), FOUND, id="not authoritative"),
        pytest.param(
            reply(f"{WWW} {CAA_TEXT}", f"x.example.net {CAA_TEXT}"), FOUND, id="and of another name"
        ),
        pytest.param(
            reply(f"{WWW} {CAA_TEXT}", authority=[f"{WWW} NS ns.example.net"]),
            Found(name(WWW), (RDATA,), 300),
            id="from a zone further down that the server has as well",
        ),
        pytest.param(
            reply(f"{WWW} {CAA_TEXT}", authority=[f"{WWW} NS ns.example.net"], flags=""),
            Referral(Delegation(name(WWW), (name("ns.example.net"),), {}, 300)),
            id="of the parent's side of a zone cut",
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.net", f"b.example.net {CAA_TEXT}"),
            Alias(ZONE, name("b.example.net")),
            id="behind an alias",
        ),
        pytest.param(
            reply(f"b.example.net {CAA_TEXT}", f"{WWW} CNAME b.example.net"),
            Alias(ZONE, name("b.example.net")),
            id="behind an alias, but told before it",
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.net", f"{WWW} {CAA_TEXT}"),
            Alias(ZONE, name("b.example.net")),
            id="beside an alias, and after it",
        ),
        pytest.param(
            reply(f"{WWW} {CAA_TEXT}", f"{WWW} CNAME b.example.net"),
            FOUND,
            id="beside an alias, but before it",
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.net", "b.example.net CNAME c.example.net"),
            Alias(ZONE, name("b.example.net")),
            id="an alias of an alias",
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.org", f"b.example.org {CAA_TEXT}"),
            Alias(ZONE, name("b.example.org")),
            id="behind an alias, but of a zone that is none of the server's business",
        ),
        pytest.param(
            reply(f"example.org {CAA_TEXT}"), Absent(ZONE, empty=True), id="of a foreign name only"
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.net", rcode=NXDOMAIN),
            Alias(ZONE, name("b.example.net")),
            id="an alias of what does not exist",
        ),
        pytest.param(
            reply(f"{WWW} CNAME b.example.net", authority=["example.net SOA"]),
            Alias(ZONE, name("b.example.net")),
            id="an alias of what has no CAA",
        ),
        pytest.param(
            reply("example.net DNAME example.org", f"{WWW} CNAME elsewhere.example"),
            Alias(ZONE, name("www.example.org")),
            id="a DNAME, whatever CNAME was made of it",
        ),
        pytest.param(
            reply(f"{WWW} DNAME example.org", authority=["example.net SOA"]),
            Absent(ZONE),
            id="a DNAME says nothing of its own name",
        ),
        pytest.param(
            reply(f"example.net DNAME {'.'.join(['a' * 62] * 4)}"), Useless(), id="too long a name"
        ),
        pytest.param(reply(f"{WWW} CNAME {WWW}"), Alias(ZONE, name(WWW)), id="an alias of itself"),
    ],
)
def test_with_an_answer(given: Reply, finding: Finding) -> None:
    assert examine(given, Question(name(WWW), CAA), ZONE) == finding


@pytest.mark.parametrize(
    ("given", "finding"),
    [
        pytest.param(reply(authority=["example.net SOA"]), Absent(ZONE), id="by the book"),
        pytest.param(reply(authority=["example.net SOA"], flags=""), Absent(ZONE), id="no aa"),
        pytest.param(
            reply(authority=[f"{WWW} SOA"]), Absent(name(WWW)), id="of a zone further down"
        ),
        pytest.param(reply(), Absent(ZONE, empty=True), id="nothing"),
        pytest.param(reply(flags=""), Absent(ZONE, empty=True), id="nothing, no aa"),
        pytest.param(reply(authority=["net SOA"]), Absent(ZONE, empty=True), id="parent's SOA"),
        pytest.param(
            reply(authority=["example.org SOA"]), Absent(ZONE, empty=True), id="foreign SOA"
        ),
        pytest.param(
            reply(authority=["other.example.net SOA"]), Absent(ZONE, empty=True), id="sideways SOA"
        ),
        pytest.param(reply(authority=["example.net NS ns.net"]), Absent(ZONE), id="NS for SOA"),
        pytest.param(
            reply(authority=["example.net NS ns.net"], flags=""),
            Absent(ZONE, empty=True),
            id="same, no aa",
        ),
        pytest.param(reply(rcode=NXDOMAIN), Absent(ZONE, nxdomain=True), id="nxdomain, no SOA"),
        pytest.param(reply(rcode=dns.rcode.BADVERS), Absent(ZONE, empty=True), id="BADVERS"),
        pytest.param(
            reply(rcode=NXDOMAIN, authority=["example.net SOA"], flags=""),
            Absent(ZONE, nxdomain=True),
            id="nxdomain",
        ),
        pytest.param(
            reply(authority=[". NS a.root-servers.net"]), Useless(lame=True), id="upward referral"
        ),
        pytest.param(
            reply(authority=["net NS ns.net"], flags=""), Useless(lame=True), id="to the parent"
        ),
        pytest.param(
            reply(authority=["x.example.net NS ns.net"]),
            Absent(ZONE, empty=True),
            id="a delegation of another name",
        ),
        *(
            pytest.param(reply(rcode=rcode), Useless(), id=rcode.name)
            for rcode in dns.rcode.Rcode
            if rcode & 0x0F not in {NOERROR, NXDOMAIN}
        ),
    ],
)
def test_without_an_answer(given: Reply, finding: Finding) -> None:
    assert examine(given, Question(name(WWW), CAA), ZONE) == finding


class TestReferrals:
    QUESTION = Question(name("a.www.example.net"), CAA)

    def refer(self, given: Reply, zone: Name = ZONE) -> Delegation:
        finding = examine(given, self.QUESTION, zone)
        assert isinstance(finding, Referral)
        return finding.delegation

    def test_glue_is_taken_for_names_in_the_referring_zone(self) -> None:
        given = reply(
            authority=[f"{WWW} NS ns.{WWW}", f"{WWW} NS ns.example.org", f"{WWW} NS b.example.net"],
            additional=[
                f"ns.{WWW} A 9.9.9.9",
                f"ns.{WWW} AAAA 2620:fe::9",
                "ns.example.org A 8.8.8.8",
                "unasked.example.net A 8.8.4.4",
            ],
            flags="",
        )
        delegation = self.refer(given)
        assert delegation.zone == name(WWW)
        assert delegation.servers == tuple(
            map(name, (f"ns.{WWW}", "ns.example.org", "b.example.net"))
        )
        assert delegation.glue == {name(f"ns.{WWW}"): ("9.9.9.9", "2620:fe::9")}

    def test_the_root_may_say_any_address(self) -> None:
        given = reply(authority=["net NS ns.example.org"], additional=["ns.example.org A 8.8.8.8"])
        assert self.refer(given, ()).glue == {name("ns.example.org"): ("8.8.8.8",)}

    def test_the_lowest_zone_counts(self) -> None:
        given = reply(authority=[f"{WWW} NS ns1.net", f"a.{WWW} NS ns2.net"])
        assert self.refer(given).servers == (name("ns2.net"),)

    def test_it_lasts_as_long_as_its_shortest_record(self) -> None:
        given = Reply(
            Echo.SAME, 0, authority=(record(f"{WWW} NS a.net", 60), record(f"{WWW} NS b.net", 20))
        )
        assert self.refer(given).ttl == 20

    def test_sizes_are_bounded(self) -> None:
        given = reply(
            authority=[f"{WWW} NS ns{n}.example.net" for n in range(100)],
            additional=[f"ns0.example.net A 9.9.9.{n}" for n in range(100)],
        )
        delegation = self.refer(given)
        assert len(delegation.servers) == 20
        assert len(delegation.glue[name("ns0.example.net")]) == 8


@pytest.mark.parametrize(
    ("flags", "finding", "lame"),
    [
        ("ra", FOUND, True),
        ("ra", Absent(ZONE), True),
        ("ra aa", FOUND, False),
        ("", FOUND, False),
        ("ra", Useless(), False),
        ("ra", Referral(Delegation((), ())), False),
    ],
)
def test_a_recursive_servers_cache(flags: str, finding: Finding, lame: bool) -> None:
    assert is_lame_recursion(reply(flags=flags), finding) is lame


@pytest.mark.parametrize(
    ("kind", "rdata", "text"),
    [
        (A, b"\x09\x09\x09\x09", "9.9.9.9"),
        (AAAA, bytes.fromhex("262000fe000000000000000000000009"), "2620:fe::9"),
        (A, bytes(16), None),
        (AAAA, bytes(4), None),
        (A, b"", None),
    ],
)
def test_addresses(kind: int, rdata: bytes, text: str | None) -> None:
    assert address_text(kind, rdata) == text
