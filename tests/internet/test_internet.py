"""The bench itself: what it promises to the tests that use it."""

from __future__ import annotations

import json
import math
import random
import socket
import urllib.error
import urllib.request
from pathlib import Path

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from tests.internet import (
    DaemonError,
    Internet,
    MissingProgramError,
    Nsd,
    Question,
    Signing,
    ask,
    caa,
    drop,
    pass_on,
    ratelimit,
    refused,
    servfail,
    transform,
)
from tests.internet.addresses import Block
from tests.internet.daemon import find_program
from tests.internet.records import parse_records
from tests.internet.rules import Condition, Rule

LETSENCRYPT = '0 issue "letsencrypt.org"'
ZONES = {"example.net": f"@ CAA {LETSENCRYPT}"}


def rdatas(answer: dns.message.Message) -> set[str]:
    """The answer section as texts."""
    return {rdata.to_text() for rrset in answer.answer for rdata in rrset}


def rcode(address: str, owner: str, qtype: str = "CAA") -> str:
    return dns.rcode.to_text(ask(address, owner, qtype).rcode())


def wire_answer(address: str, owner: str) -> bytes:
    """For what dnspython refuses to parse, such as a hyphen in a tag."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.sendto(dns.message.make_query(owner, "CAA").to_wire(), (address, 53))
        return udp.recv(4096)


def post(url: str, record: dict[str, str]) -> int:
    """What a certbot hook would do with curl."""
    request = urllib.request.Request(url, json.dumps(record).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as response:
        return int(response.status)


class TestResolution:
    def test_each_resolver_finds_records_from_the_root_down(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            for resolver in (internet.resolver, internet.second_resolver, internet.ca_resolver):
                assert rdatas(ask(resolver, "example.net", "CAA")) == {LETSENCRYPT}
                assert rdatas(ask(resolver, "www.example.net", "A")) == {internet.web}
                assert rcode(resolver, "net") == "NOERROR"
                assert rcode(resolver, "nothing") == "NXDOMAIN"
            assert internet.servers.questions["example.net", "CAA"] == 3
            assert internet.errors == []

    def test_zones_inside_zones_are_delegated(self, tmp_path: Path) -> None:
        zones = {
            "example.net": "",
            "sub.example.net": f"@ CAA {LETSENCRYPT}",
            "x.y.sub.example.net": '@ CAA 0 issue ";"',
            "example.co.uk": f"@ CAA {LETSENCRYPT}",
            "net": '@ CAA 0 issue "registry.example"',
        }
        with Internet(tmp_path, zones, bare=["sub.example.net"]) as internet:
            resolver = internet.resolver
            assert rdatas(ask(resolver, "sub.example.net", "CAA")) == {LETSENCRYPT}
            assert rdatas(ask(resolver, "x.y.sub.example.net", "CAA")) == {'0 issue ";"'}
            assert rdatas(ask(resolver, "example.co.uk", "CAA")) == {LETSENCRYPT}
            assert rdatas(ask(resolver, "net", "CAA")) == {'0 issue "registry.example"'}
            assert rcode(resolver, "missing.sub.example.net") == "NXDOMAIN"
            assert rcode(resolver, "missing.example.net") == "NOERROR"

    def test_a_name_with_caa_has_an_address_too(self, tmp_path: Path) -> None:
        with Internet(tmp_path, {"example.net": f"b CAA {LETSENCRYPT}"}) as internet:
            assert rdatas(ask(internet.resolver, "b.example.net", "A")) == {internet.web}

    def test_tags_and_values_may_be_any_bytes(self, tmp_path: Path) -> None:
        records = ['@ CAA 128 FooBar "x; y"', f"b CAA {caa(0, 'a-b', bytes([0, 255]))}"]
        with Internet(tmp_path, {"example.net": records}) as internet:
            assert rdatas(ask(internet.resolver, "example.net", "CAA")) == {'128 FooBar "x; y"'}
            assert b"\x03a-b\x00\xff" in wire_answer(internet.resolver, "b.example.net")

    def test_a_large_answer_comes_by_tcp(self, tmp_path: Path) -> None:
        records = [f'@ CAA 0 issue "{number:03}.{"x" * 100}.example"' for number in range(40)]
        with Internet(tmp_path, {"example.net": records}) as internet:
            server = internet.servers.address
            assert len(rdatas(ask(server, "example.net", "CAA"))) == 40
            assert len(rdatas(ask(internet.resolver, "example.net", "CAA"))) == 40

    def test_signatures_are_validated(self, tmp_path: Path) -> None:
        zones = {"good.net": f"@ CAA {LETSENCRYPT}", "old.net": "", "plain.net": ""}
        signed = {"good.net": Signing.VALID, "old.net": Signing.EXPIRED}
        with Internet(tmp_path, zones, signed=signed) as internet:
            answer = ask(internet.resolver, "good.net", "CAA")
            assert rdatas(answer) == {LETSENCRYPT}
            failure = ask(internet.resolver, "old.net", "CAA")
            assert failure.rcode() == dns.rcode.SERVFAIL
            codes = [o.code for o in failure.options if isinstance(o, dns.edns.EDEOption)]
            assert codes == [dns.edns.EDECode.SIGNATURE_EXPIRED]
            assert rcode(internet.resolver, "plain.net") == "NOERROR"

    def test_two_internets_do_not_see_each_other(self, tmp_path: Path) -> None:
        other = {"example.net": '@ CAA 0 issue "other.example"'}
        with Internet(tmp_path / "1", ZONES) as one, Internet(tmp_path / "2", other) as two:
            assert rdatas(ask(one.resolver, "example.net", "CAA")) == {LETSENCRYPT}
            assert rdatas(ask(two.resolver, "example.net", "CAA")) == {'0 issue "other.example"'}
            assert one.block.address(1) != two.block.address(1)


class TestFailures:
    def test_one_lookup_of_a_tld_fails_and_the_next_is_fine(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            rule = internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
            assert rcode(internet.resolver, "net") == "SERVFAIL"
            assert rcode(internet.second_resolver, "net") == "NOERROR"
            assert rcode(internet.resolver, "net") == "SERVFAIL", "kept for 5 s"
            internet.forget()
            assert rcode(internet.resolver, "net") == "NOERROR"
            assert (rule.lookups_hit, rule.hits) == (1, 5)

    def test_unbound_gets_over_four_failures(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            rule = internet.tlds.script(servfail, owner="net", qtype="CAA", times=4)
            assert rcode(internet.resolver, "net") == "NOERROR"
            assert rule.hits == 4

    def test_a_rule_for_one_source_fails_one_resolver(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            rule = internet.servers.script(
                refused, below="example.net", source=internet.second_resolver
            )
            assert rcode(internet.resolver, "example.net") == "NOERROR"
            assert rcode(internet.second_resolver, "example.net") == "SERVFAIL"
            assert rcode(internet.ca_resolver, "example.net") == "NOERROR"
            rule.remove()
            internet.forget()
            assert rcode(internet.second_resolver, "example.net") == "NOERROR"

    def test_a_dead_zone_fails_at_once_and_a_silent_one_does_not_answer(
        self, tmp_path: Path
    ) -> None:
        with Internet(tmp_path, ZONES, dead=["dead.net"], silent=["silent.net"]) as internet:
            assert rcode(internet.resolver, "dead.net") == "SERVFAIL"
            with pytest.raises(dns.exception.Timeout):
                ask(internet.resolver, "silent.net", "CAA", timeout=0.5)

    def test_a_transform_may_return_a_message_or_bytes_or_nothing(self, tmp_path: Path) -> None:
        def without_soa(
            _query: dns.message.Message, response: dns.message.Message, _wire: bytes
        ) -> dns.message.Message:
            response.authority.clear()
            response.flags &= ~dns.flags.AA
            return response

        with Internet(tmp_path, ZONES) as internet:
            address, script = internet.servers.address, internet.servers.script
            script(transform(without_soa), owner="a.example.net")
            script(transform(lambda _q, _r, wire: wire[:3] + b"\x05" + wire[4:]), qtype="TXT")
            script(transform(lambda *_: None), owner="c.example.net")
            bare = ask(address, "a.example.net", "CAA")
            assert (bare.authority, bare.flags & dns.flags.AA) == ([], 0)
            assert rcode(address, "example.net", "TXT") == "REFUSED"
            with pytest.raises(dns.exception.Timeout):
                ask(address, "c.example.net", "CAA", timeout=0.1)
            assert internet.errors == []

    def test_an_exception_in_a_transform_is_kept_and_the_server_lives(self, tmp_path: Path) -> None:
        def broken(*_: object) -> bytes:
            raise LookupError("on purpose")

        with Internet(tmp_path, ZONES) as internet:
            internet.servers.script(transform(broken), times=1)
            assert rcode(internet.servers.address, "example.net") == "SERVFAIL"
            assert rcode(internet.servers.address, "example.net") == "NOERROR"
            assert [str(error) for error in internet.errors] == ["on purpose"]

    def test_a_rate_limit_drops_what_is_above_it(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            limit = ratelimit(2, clock=lambda: 0.0)
            internet.servers.script(limit)
            for _ in range(2):
                assert rcode(internet.servers.address, "example.net") == "NOERROR"
            with pytest.raises(dns.exception.Timeout):
                ask(internet.servers.address, "example.net", "CAA", timeout=0.1)
            assert limit.beyond == 1


class TestOverlay:
    def test_records_come_and_go_by_http(self, tmp_path: Path) -> None:
        owner = "_acme-challenge.b.example.net"
        with Internet(tmp_path, ZONES, bare=["example.net"]) as internet:
            assert rcode(internet.resolver, owner, "TXT") == "NXDOMAIN"
            for text in ("one", "two"):
                record = {"owner": owner, "type": "TXT", "text": text}
                assert post(f"{internet.control}/publish", record) == 204
            assert rdatas(ask(internet.resolver, owner, "TXT")) == {'"one"', '"two"'}
            assert rcode(internet.resolver, "b.example.net", "TXT") == "NOERROR"
            record = {"owner": owner, "type": "TXT", "text": "one"}
            assert post(f"{internet.control}/withdraw", record) == 204
            assert rdatas(ask(internet.resolver, owner, "TXT")) == {'"two"'}
            assert post(f"{internet.control}/withdraw", {"owner": owner, "type": "TXT"}) == 204
            assert rcode(internet.resolver, owner, "TXT") == "NXDOMAIN"

    def test_an_unusable_record_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            record = {"owner": "a.nowhere", "type": "TXT", "text": "x"}
            with pytest.raises(urllib.error.HTTPError) as caught:
                post(f"{internet.control}/publish", record)
            with caught.value as answer:
                assert answer.code == 400
                assert b"no such TLD" in answer.read()

    def test_published_caa_replaces_the_zones_own(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            internet.publish("example.net", "CAA", '0 issue "other.example"')
            internet.publish("b.example.net", "CAA", caa(0, "Issue", ";"))
            internet.publish("net", "CAA", '0 issue ";"')
            resolver = internet.resolver
            assert rdatas(ask(resolver, "example.net", "CAA")) == {'0 issue "other.example"'}
            assert rdatas(ask(resolver, "b.example.net", "CAA")) == {'0 Issue ";"'}
            assert rdatas(ask(resolver, "b.example.net", "A")) == {internet.web}
            assert rdatas(ask(resolver, "net", "CAA")) == {'0 issue ";"'}
            internet.withdraw("example.net", "CAA")
            assert rdatas(ask(resolver, "example.net", "CAA")) == {LETSENCRYPT}

    def test_a_published_alias_is_followed(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            internet.publish("alias.example.net", "CNAME", "example.net.")
            answer = ask(internet.resolver, "alias.example.net", "CAA")
            assert rdatas(answer) == {"example.net.", LETSENCRYPT}


class TestStarting:
    def test_a_zone_that_nsd_refuses_is_shown(self, tmp_path: Path) -> None:
        with Block() as block:
            nsd = Nsd(block.address(1), {"example.net": "nonsense"}, tmp_path)
            with pytest.raises(DaemonError, match=r"(?s)did not load the zone.*0\.zone"), nsd:
                pass

    def test_a_missing_program_names_its_package(self) -> None:
        with pytest.raises(MissingProgramError, match="Debian package: some-package"):
            find_program("no-such-program", "some-package")

    def test_contradictions_are_refused(self, tmp_path: Path) -> None:
        with (
            pytest.raises(ValueError, match=r"both served and unreachable: example\.net"),
            Internet(tmp_path, ZONES, dead=["example.net"]),
        ):
            pass


def question(owner: str = "net", source: str = "127.0.0.1") -> Question:
    return Question.parse(dns.message.make_query(owner, "CAA").to_wire(), source, "udp")


class TestRules:
    def test_a_lookup_ends_two_seconds_after_its_last_question(self) -> None:
        rule = Rule(servfail, Condition(), lookups=1)
        claims = [rule.claims(question(), now, random.Random()) for now in (0, 1.5, 3.0, 5.1)]
        assert claims == [True, True, True, False]

    def test_a_dropped_lookup_waits_longer(self) -> None:
        rule = Rule(drop, Condition(), lookups=1)
        claims = [rule.claims(question(), now, random.Random()) for now in (0, 10, 29, 50)]
        assert claims == [True, True, True, False]

    def test_another_source_or_name_is_another_lookup(self) -> None:
        rule = Rule(servfail, Condition(), lookups=2)
        asked = [question(), question(source="127.0.0.2"), question("org"), question()]
        assert [rule.claims(q, 0, random.Random()) for q in asked] == [True, True, False, True]

    def test_chance_is_decided_once_for_a_lookup(self) -> None:
        rule = Rule(servfail, Condition(), lookups=math.inf, probability=0.5)
        dice = random.Random(1)
        for number in range(100):
            now = number * 10.0
            assert len({rule.claims(question(), now + i / 10, dice) for i in range(5)}) == 1
        assert 30 < rule.lookups_hit < 70

    def test_a_rule_with_dice_of_its_own_does_not_mind_what_others_throw(self) -> None:
        def claims(others: int) -> list[bool]:
            rule = Rule(servfail, Condition(), probability=0.5, dice=random.Random(7))
            return [rule.claims(question(), 0, random.Random(others)) for _ in range(20)]

        assert claims(1) == claims(2)
        assert len(set(claims(1))) == 2

    def test_a_rule_applies_only_when_it_shall(self) -> None:
        now = 0.0
        rule = Rule(servfail, Condition(), when=lambda: now < 60)
        assert rule.claims(question(), now, random.Random())
        now = 60.0
        assert not rule.claims(question(), now, random.Random())

    def test_rules_used_up_step_aside(self, tmp_path: Path) -> None:
        with Internet(tmp_path, ZONES) as internet:
            for action in (pass_on, servfail, refused):
                internet.servers.script(action, owner="example.net", times=1)
            seen = [rcode(internet.servers.address, "example.net") for _ in range(4)]
            assert seen == ["NOERROR", "SERVFAIL", "REFUSED", "NOERROR"]

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            (Condition(), True),
            (Condition(owner=dns.name.from_text("A.example.NET")), True),
            (Condition(owner=dns.name.from_text("example.net")), False),
            (Condition(below=dns.name.from_text("example.net")), True),
            (Condition(below=dns.name.from_text("example.org")), False),
            (Condition(qtype=dns.rdatatype.A), False),
            (Condition(source="127.0.0.2"), False),
            (Condition(transport="tcp"), False),
            (Condition(edns=True), False),
            (Condition(mixed_case=True), True),
        ],
    )
    def test_conditions(self, condition: Condition, holds: bool) -> None:
        assert condition.holds(question("a.Example.net")) is holds


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("@ A 127.0.0.1", "@ 60 IN A 127.0.0.1"),
        ("www 5 IN A\t127.0.0.1", "www 5 IN A 127.0.0.1"),
        (" in 5 TXT x y", "@ 5 IN TXT x y"),
        ('@ CAA 0 issue ";"', r"@ 60 IN TYPE257 \# 8 000569737375653b"),
        (r"@ CAA \# 1 00", r"@ 60 IN TYPE257 \# 1 00"),
    ],
)
def test_record_lines(line: str, expected: str) -> None:
    assert [str(record) for record in parse_records(line)] == [expected]
