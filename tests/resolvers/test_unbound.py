"""Asking as the CA does, through libunbound in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import pwd
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from zope.interface.verify import verifyObject

from certbot_caa_guard.caa import Record
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import iterative, libunbound, unbound
from certbot_caa_guard.resolvers.libunbound import Answer, ChildError
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.resolvers.unbound import UnboundResolver, code_of, probable_zone, read
from tests.internet import (
    Exchange,
    Internet,
    Signing,
    ask,
    caa,
    drop,
    ratelimit,
    refused,
    servfail,
    transform,
)

PATIENT = 10.0  # seconds; never reached
SOON = 0.2  # seconds; for what never answers

ISSUE = '0 issue "letsencrypt.org"'
SIX = "2620:fe::9"  # never asked
MANY = 300

ZONES = {
    "example.net": [f"@ CAA {ISSUE}", '*.no CAA 0 issue ";"', f"empty-tag CAA {caa(0, '', '')}"],
    "alias.net": "www CNAME example.net.",
    "fails.net": "",
    "quiet.net": "",
    "slow-child.net": "",
    "many.net": [f'n{number} CAA 0 issue "ca{number}.example"' for number in range(0, MANY, 3)],
    "good.net": f"@ CAA {ISSUE}",
    "expired.net": f"@ CAA {ISSUE}",
    "early.net": "",
    "wrong-ds.net": "",
    "tampered.net": f"@ CAA {ISSUE}",
    "unsigned-record.net": "",
    "no-key.net": "",
    "no-proof.net": "",
    "no-ds.net": "",
    "six.net": "",
    "hosted.net": "",
}

SIGNED = {
    "good.net": Signing.VALID,
    "expired.net": Signing.EXPIRED,
    "early.net": Signing.NOT_YET_VALID,
    "wrong-ds.net": Signing.WRONG_DS,
    "tampered.net": Signing.VALID,
    "unsigned-record.net": Signing.VALID,
    "no-key.net": Signing.VALID,
}


def _tamper(_query: dns.message.Message, _reply: dns.message.Message, wire: bytes) -> bytes:
    return wire.replace(b"letsencrypt.org", b"letsencrypt.com")


def _without_nsec(
    _query: dns.message.Message, reply: dns.message.Message, _wire: bytes
) -> dns.message.Message:
    nsec = dns.rdatatype.NSEC
    reply.authority = [one for one in reply.authority if nsec not in (one.rdtype, one.covers)]
    return reply


def _at_ipv6(
    _query: dns.message.Message, reply: dns.message.Message, _wire: bytes
) -> dns.message.Message:
    """A referral to a server that has an IPv6 address only."""
    reply.additional = [dns.rrset.from_text("ns.six.net.", 60, "IN", "AAAA", SIX)]
    reply.authority = [dns.rrset.from_text("six.net.", 60, "IN", "NS", "ns.six.net.")]
    return reply


def _at_another(
    _query: dns.message.Message, reply: dns.message.Message, _wire: bytes
) -> dns.message.Message:
    """A referral to a server in another zone, whose address is to be looked up there."""
    reply.additional = []
    reply.authority = [dns.rrset.from_text("hosted.net.", 60, "IN", "NS", "ns.six.net.")]
    return reply


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    directory = tmp_path_factory.mktemp("internet")
    with Internet(
        directory, ZONES, signed=SIGNED, bare=["many.net"], dead=["dead.net"], silent=["mute.net"]
    ) as internet:
        internet.servers.script(servfail, below="fails.net")
        internet.servers.script(drop, below="quiet.net")
        internet.servers.script(transform(_tamper), owner="tampered.net", qtype="CAA")
        internet.servers.script(servfail, owner="no-key.net", qtype="DNSKEY")
        internet.tlds.script(servfail, owner="no-ds.net", qtype="DS")
        for owner in ("no-proof.net", "no-ds.net"):
            # Below, too: the address of its name server may be asked for, and that referral
            # must not bring the proof in by the back door.
            internet.tlds.script(transform(_without_nsec), below=owner)
        internet.tlds.script(transform(_at_ipv6), below="six.net")
        internet.tlds.script(transform(_at_another), below="hosted.net")
        internet.publish("unsigned-record.net", "CAA", ISSUE)
        hints = f". 3600 NS a.root-servers.\na.root-servers. 3600 A {internet.root}\n"
        (directory / "hints").write_text(hints)
        (directory / "empty").write_text("; no anchor\n")
        yield internet
        assert internet.errors == []


@pytest.fixture
def resolver(internet: Internet) -> Iterator[UnboundResolver]:
    resolver = make(internet)
    gc.collect()
    before = open_files()
    yield resolver
    pid = resolver.pid
    resolver.close()
    resolver.close()
    # What an earlier test left may have been closed meanwhile.
    assert open_files() <= before
    assert pid is None or not Path(f"/proc/{pid}").exists(), "reaped, not a zombie"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def make(internet: Internet, **options: object) -> UnboundResolver:
    return UnboundResolver(
        **{
            "root_hints": str(internet.directory / "hints"),
            "trust_anchor": str(internet.trust_anchor),
            "extra": {"outgoing-interface:": internet.block.address(100)},
            **options,
        }
    )


def look_up(resolver: UnboundResolver, owner: str, timeout: float = PATIENT) -> Lookup:
    return asyncio.run(resolver.lookup(owner, timeout))


def look_up_many(resolver: UnboundResolver, number: int) -> list[Lookup]:
    async def together() -> list[Lookup]:
        owners = [f"n{one}.many.net" for one in range(number)]
        return await asyncio.gather(*(resolver.lookup(owner, PATIENT) for owner in owners))

    return asyncio.run(together())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]


def pid_of(resolver: UnboundResolver) -> int:
    assert resolver.pid is not None
    return resolver.pid


def test_is_a_public_resolver_that_asks_no_other() -> None:
    resolver = unbound.unbound(Spec("unbound", "unbound"))
    assert verifyObject(IResolver, resolver)
    assert resolver.perspective.public
    assert resolver.perspective.addresses == frozenset()
    assert resolver.perspective.name == "unbound"
    assert resolver.pid is None, "nothing is started before the first question"


def test_spec_says_where_the_root_is(internet: Internet) -> None:
    spec = Spec(
        "unbound",
        "unbound",
        root_hints=str(internet.directory / "hints"),
        trust_anchor=str(internet.trust_anchor),
    )
    resolver = unbound.unbound(spec)
    try:
        assert look_up(resolver, "good.net").outcome is Outcome.RECORDS
    finally:
        resolver.close()


class TestAnswers:
    def test_records(self, resolver: UnboundResolver) -> None:
        lookup = look_up(resolver, "example.net")
        assert lookup.outcome is Outcome.RECORDS
        assert lookup.records == (Record(0, b"issue", b"letsencrypt.org"),)
        assert 0 < lookup.seconds < PATIENT

    def test_records_of_a_signed_zone(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "good.net").records == (Record(0, b"issue", b"letsencrypt.org"),)

    def test_records_of_an_alias(self, resolver: UnboundResolver) -> None:
        lookup = look_up(resolver, "www.alias.net")
        assert lookup.records[0].value == b"letsencrypt.org"
        assert lookup.alias_of == "example.net"

    def test_a_record_with_an_empty_tag_is_a_record(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "empty-tag.example.net").records == (Record(0, b"", b""),)

    def test_no_records_name_the_zone(self, resolver: UnboundResolver) -> None:
        for owner, zone in (("www.example.net", "example.net"), ("www.good.net", "good.net")):
            lookup = look_up(resolver, owner)
            assert (lookup.outcome, lookup.zone) == (Outcome.NOTHING, zone)

    def test_no_such_name(self, resolver: UnboundResolver) -> None:
        lookup = look_up(resolver, "missing.many.net")
        assert (lookup.outcome, lookup.zone) == (Outcome.NXDOMAIN, "many.net")
        assert look_up(resolver, "missing-tld").outcome is Outcome.NXDOMAIN

    def test_failing_servers(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "fails.net").outcome is Outcome.SERVFAIL

    def test_unreachable_servers(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "dead.net").outcome is Outcome.SERVFAIL

    @pytest.mark.parametrize("owner", ["quiet.net", "mute.net"])
    def test_silent_servers(self, resolver: UnboundResolver, owner: str) -> None:
        lookup = look_up(resolver, owner, SOON)
        assert lookup.outcome is Outcome.TIMEOUT
        assert lookup.seconds >= SOON * 0.9

    @pytest.mark.parametrize("owner", ["ü.net", "a" * 64 + ".net", "a..net", 60 * "abcde." + "net"])
    def test_what_is_no_name(self, resolver: UnboundResolver, owner: str) -> None:
        assert look_up(resolver, owner).outcome is Outcome.NETWORK
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS, "it still works"

    def test_root_hints_may_have_what_is_special_elsewhere(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "www.test").outcome is Outcome.NXDOMAIN
        assert look_up(resolver, "www.test").zone == "", "the root said so"

    def test_stub_zones(self, internet: Internet) -> None:
        stubs = {"example.net": [internet.servers.address]}
        resolver = make(internet, root_hints=None, stub_zones=stubs, trust_anchor=None)
        try:
            # Validation needs the root, which cannot be had from here.
            assert look_up(resolver, "example.net", SOON).outcome is not Outcome.NETWORK
        finally:
            resolver.close()

    def test_name_servers_at_special_addresses_are_not_asked(self, internet: Internet) -> None:
        resolver = make(internet, allow_localhost=False)
        try:
            assert look_up(resolver, "example.net").outcome is Outcome.SERVFAIL
        finally:
            resolver.close()

    def test_nothing_is_validated_without_an_anchor(self, internet: Internet) -> None:
        resolver = make(internet, trust_anchor=str(internet.directory / "empty"))
        try:
            assert look_up(resolver, "expired.net").outcome is Outcome.RECORDS
            assert asyncio.run(resolver.is_usable(PATIENT))
        finally:
            resolver.close()


class TestBogus:
    @pytest.mark.parametrize(
        ("owner", "code"),
        [
            ("expired.net", 7),
            ("www.expired.net", 7),
            ("early.net", 8),
            ("wrong-ds.net", 9),
            ("tampered.net", 6),
            ("unsigned-record.net", 10),
            ("no-key.net", 9),
            ("no-proof.net", 12),
            ("no-ds.net", 23),
        ],
    )
    def test_says_what_the_daemon_says(self, internet: Internet, owner: str, code: int) -> None:
        resolver = make(internet)
        try:
            lookup = look_up(resolver, owner)
        finally:
            resolver.close()
        internet.forget()
        reply = ask(internet.resolver, owner, "CAA")
        (daemon,) = (one for one in reply.options if isinstance(one, dns.edns.EDEOption))
        assert lookup.outcome is Outcome.BOGUS
        assert lookup.is_dnssec_failure
        assert lookup.records == ()
        assert lookup.extended_error == ExtendedError(daemon.code, daemon.text or "")
        assert daemon.code == code
        assert (daemon.text or "").startswith(f"validation failure <{owner}. CAA IN>: ")

    def test_says_so_again(self, resolver: UnboundResolver) -> None:
        errors = [look_up(resolver, "expired.net").extended_error for _ in range(2)]
        assert [error and error.code for error in errors] == [7, 7]

    @pytest.mark.parametrize(
        ("why", "code"),
        [
            ("", 6),
            ("signature crypto failed from 192.0.2.1", 6),
            ("signature inception after expiration", 8),
            ("signatures from unknown keys", 9),
            ("DNSKEY RRset did not match DS RRset by name", 9),
            ("signature missing", 10),
            ("no signatures with algorithm ED448", 6),
            ("dnskey without ZSK flag", 11),
            ("no signatures over NSEC3s", 12),
            ("unsupported algorithm by crypto library", 1),
            ("no DS but also no proof of that", 6),
            ("SERVFAIL no DS for DS a.example. while building chain of trust", 23),
            ("DS hash mismatches key while building chain of trust", 9),
        ],
    )
    def test_code_of_a_reason(self, why: str, code: int) -> None:
        assert code_of(f"validation failure <a.example. CAA IN>: {why}") == code

    def test_bogus_comes_before_the_packet(self) -> None:
        answer = Answer(0, b"\0" * 12, havedata=True, secure=False, bogus=True, why="signature x")
        assert read("a.example", answer, 1.0).outcome is Outcome.BOGUS

    @pytest.mark.parametrize("packet", [b"", b"\0" * 3, b"\0\0\x80\0\0\1" + b"\0" * 6])
    def test_a_broken_packet_is_malformed(self, packet: bytes) -> None:
        answer = Answer(0, packet, havedata=True, secure=False, bogus=False, why="")
        assert read("a.example", answer, 1.0).outcome is Outcome.MALFORMED


class TestManners:
    @pytest.mark.parametrize(
        ("owner", "zone"),
        [
            ("net", "net"),
            ("example.net", "example.net"),
            ("a.b.example.net", "example.net"),
            ("co.uk", "co.uk"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("www.hs-ulm.de", "hs-ulm.de"),
        ],
    )
    def test_names_are_counted_by_the_zone_they_are_probably_in(
        self, owner: str, zone: str
    ) -> None:
        assert probable_zone(owner) == zone

    def test_the_user_may_say_how_many_lookups_a_second(self) -> None:
        resolver = unbound.unbound(Spec("unbound", "unbound", rate=7))
        assert resolver._gate._all.allowance.per_second == 7

    def test_a_zone_is_asked_so_much_at_a_time(
        self, internet: Internet, resolver: UnboundResolver
    ) -> None:
        under_way, most = 0, 0

        async def watch(exchange: Exchange) -> bytes:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                await asyncio.sleep(0.01)
                return await exchange.answer()
            finally:
                under_way -= 1

        rule = internet.servers.script(watch, below="many.net", qtype="CAA")
        look_up_many(resolver, 60)
        rule.remove()
        assert 10 < most <= 20

    def test_a_zone_that_begins_to_refuse_is_asked_more_slowly(
        self, internet: Internet, resolver: UnboundResolver
    ) -> None:
        rule = internet.servers.script(ratelimit(50, refused), below="many.net", qtype="CAA")
        lookups = look_up_many(resolver, 100)
        rule.remove()
        # All at once, 50 of them would fail.
        assert sum(lookup.failed for lookup in lookups) < 40

    def test_what_takes_long_does_not_hold_up_the_rest_of_its_zone(
        self, resolver: UnboundResolver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unbound, "_SOON", 0.01)

        async def scenario() -> None:
            owners = [f"n{number}.quiet.net" for number in range(60)]
            waiting = [asyncio.ensure_future(resolver.lookup(one, PATIENT)) for one in owners]
            while len(resolver._child._pending) < 60:
                assert not any(one.done() for one in waiting)
                await asyncio.sleep(0.01)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        asyncio.run(scenario())


class TestManyAtOnce:
    def test_hundreds_of_lookups_and_each_gets_its_own_answer(
        self, resolver: UnboundResolver
    ) -> None:
        async def scenario() -> list[Lookup]:
            owners = [f"n{number}.many.net" for number in range(MANY)]
            owners += ["fails.net", "dead.net", "expired.net", "good.net"]
            return await asyncio.gather(*(resolver.lookup(owner, PATIENT) for owner in owners))

        lookups = asyncio.run(scenario())
        for number, lookup in enumerate(lookups[:MANY]):
            assert lookup.owner == f"n{number}.many.net"
            values = [record.value for record in lookup.records]
            assert values == ([] if number % 3 else [f"ca{number}.example".encode()])
            assert lookup.outcome is (Outcome.NXDOMAIN if number % 3 else Outcome.RECORDS)
        assert [lookup.outcome for lookup in lookups[MANY:]] == [
            Outcome.SERVFAIL,
            Outcome.SERVFAIL,
            Outcome.BOGUS,
            Outcome.RECORDS,
        ]

    def test_silent_zones_do_not_hold_up_others(self, resolver: UnboundResolver) -> None:
        async def scenario() -> Lookup:
            waiting = [
                asyncio.ensure_future(resolver.lookup(f"n{number}.quiet.net", PATIENT))
                for number in range(90)
            ]
            lookup = await resolver.lookup("example.net", PATIENT)
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return lookup

        assert asyncio.run(scenario()).outcome is Outcome.RECORDS

    def test_an_answer_that_comes_too_late_is_dropped(
        self, internet: Internet, resolver: UnboundResolver
    ) -> None:
        rule = internet.servers.script(drop, owner="slow-child.net", times=1)
        assert look_up(resolver, "slow-child.net", 0.001).outcome is Outcome.TIMEOUT
        rule.remove()
        assert look_up(resolver, "slow-child.net").outcome is Outcome.NOTHING

    def test_one_loop_after_another(self, resolver: UnboundResolver) -> None:
        loop = asyncio.new_event_loop()
        try:
            lookup = loop.run_until_complete(resolver.lookup("example.net", PATIENT))
        finally:
            loop.close()
        assert lookup.outcome is Outcome.RECORDS
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS

    def test_in_a_thread(self, internet: Internet) -> None:
        lookups: list[Lookup] = []

        def work() -> None:
            resolver = make(internet)
            lookups.append(look_up(resolver, "example.net"))
            resolver.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert lookups[0].outcome is Outcome.RECORDS


class TestUsable:
    def test_when_the_root_and_its_keys_are_resolved(self, resolver: UnboundResolver) -> None:
        assert asyncio.run(resolver.is_usable(PATIENT))

    def test_not_without_a_root(self, internet: Internet, tmp_path: Path) -> None:
        hints = f". 3600 NS a.root-servers.\na.root-servers. 3600 A {internet.block.address(5)}\n"
        (tmp_path / "hints").write_text(hints)
        resolver = make(internet, root_hints=str(tmp_path / "hints"))
        try:
            assert not asyncio.run(resolver.is_usable(SOON))
        finally:
            resolver.close()

    def test_not_with_the_keys_of_another_root(self, internet: Internet, tmp_path: Path) -> None:
        (tmp_path / "public").write_text(libunbound.ROOT_ANCHORS)
        resolver = make(internet, trust_anchor=str(tmp_path / "public"))
        try:
            assert not asyncio.run(resolver.is_usable(PATIENT))
        finally:
            resolver.close()

    def test_a_private_root_cannot_have_the_public_keys(self, internet: Internet) -> None:
        resolver = make(internet, trust_anchor=None)
        try:
            assert asyncio.run(resolver.is_usable(PATIENT))
        finally:
            resolver.close()

    @pytest.mark.parametrize("what", ["root_hints", "trust_anchor"])
    def test_not_with_files_that_say_nothing(
        self, internet: Internet, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("nonsense nonsense nonsense\n")
        resolver = make(internet, **{what: str(tmp_path / "file")})
        try:
            assert not asyncio.run(resolver.is_usable(PATIENT))
            assert look_up(resolver, "example.net").outcome is Outcome.NETWORK
        finally:
            resolver.close()
        (told,) = warnings(caplog)
        assert told.startswith("libunbound cannot start ('question: ")
        assert f"'{tmp_path}/file'" in told

    @pytest.mark.parametrize("what", ["root_hints", "trust_anchor"])
    def test_a_file_that_cannot_be_read_is_said_at_once(
        self, internet: Internet, tmp_path: Path, what: str
    ) -> None:
        with pytest.raises(ResolverError, match="cannot be read: No such file"):
            make(internet, **{what: str(tmp_path / "missing")})
        (tmp_path / "long").write_text(" " * (1 << 21))
        with pytest.raises(ResolverError, match="longer than 1 MiB"):
            make(internet, **{what: str(tmp_path / "long")})

    def test_not_with_an_option_that_is_none(self, internet: Internet) -> None:
        resolver = make(internet, extra={"no-such-option:": "yes"})
        try:
            assert not asyncio.run(resolver.is_usable(PATIENT))
        finally:
            resolver.close()

    def test_not_without_the_library(
        self,
        monkeypatch: pytest.MonkeyPatch,
        resolver: UnboundResolver,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert unbound.is_installed()
        monkeypatch.setattr(libunbound, "LIBRARY", "libmissing.so.8")
        assert not unbound.is_installed()
        lone = UnboundResolver()
        assert not asyncio.run(lone.is_usable(PATIENT))
        assert "cannot start ('libmissing.so.8: cannot open shared" in warnings(caplog)[0]
        assert not asyncio.run(resolver.is_usable(PATIENT))
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK

    def test_not_after_close(
        self, resolver: UnboundResolver, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS
        resolver.close()
        assert not asyncio.run(resolver.is_usable(PATIENT))
        assert warnings(caplog) == []
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK


class TestProcess:
    def test_killed_in_mid_flight(self, resolver: UnboundResolver) -> None:
        async def scenario() -> list[Lookup]:
            waiting = [
                asyncio.ensure_future(resolver.lookup(f"n{number}.quiet.net", PATIENT))
                for number in range(50)
            ]
            await resolver.lookup("example.net", PATIENT)
            os.kill(pid_of(resolver), signal.SIGKILL)
            return await asyncio.gather(*waiting)

        lookups = asyncio.run(scenario())
        assert {lookup.outcome for lookup in lookups} == {Outcome.NETWORK}
        assert not asyncio.run(resolver.is_usable(PATIENT))
        assert resolver.pid is None

    def test_closed_in_mid_flight(self, resolver: UnboundResolver) -> None:
        async def scenario() -> Lookup:
            waiting = asyncio.ensure_future(resolver.lookup("quiet.net", PATIENT))
            await resolver.lookup("example.net", PATIENT)
            resolver.close()
            return await waiting

        assert asyncio.run(scenario()).outcome is Outcome.NETWORK

    def test_closed_after_its_loop(self, resolver: UnboundResolver) -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(resolver.lookup("example.net", PATIENT))
        loop.close()
        resolver.close()
        assert resolver.pid is None

    def test_hangs(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS
        os.kill(pid_of(resolver), signal.SIGSTOP)

        async def scenario() -> list[Lookup]:
            owners = [f"n{number}.{'many.' * 40}net" for number in range(90)]
            return await asyncio.gather(*(resolver.lookup(owner, SOON) for owner in owners))

        assert {lookup.outcome for lookup in asyncio.run(scenario())} == {Outcome.TIMEOUT}
        assert not asyncio.run(resolver.is_usable(SOON))

    def test_hangs_while_more_is_asked_than_a_pipe_holds(self, resolver: UnboundResolver) -> None:
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS
        child = resolver._child
        os.kill(pid_of(resolver), signal.SIGSTOP)

        async def scenario() -> list[object]:
            asked = [
                asyncio.ensure_future(child.ask(f"n{number}.{'x.' * 110}many.net", 257))
                for number in range(1000)
            ]
            await asyncio.sleep(0)
            assert child._outgoing, "the pipe is full"
            os.kill(pid_of(resolver), signal.SIGCONT)
            return list(await asyncio.gather(*asked))

        assert len(asyncio.run(scenario())) == 1000

    def test_takes_no_more_when_too_much_is_waiting(
        self, monkeypatch: pytest.MonkeyPatch, resolver: UnboundResolver
    ) -> None:
        monkeypatch.setattr(libunbound, "_MOST_WAITING", -1)
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK

    def test_is_nobody_if_we_are_root(self, resolver: UnboundResolver) -> None:
        look_up(resolver, "example.net")
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{resolver.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
        assert status["Uid"].split() == [str(user)] * 4
        assert status["NoNewPrivs"] == "1"
        if os.geteuid() == 0:
            assert status["Groups"].split() == []
            assert int(status["CapEff"], 16) == 0

    def test_is_limited(self, resolver: UnboundResolver) -> None:
        look_up(resolver, "example.net")
        limits = {
            line[:25].strip(): line[26:].split()[:2]
            for line in Path(f"/proc/{resolver.pid}/limits").read_text().splitlines()
        }
        assert limits["Max core file size"] == ["0", "0"]
        assert limits["Max file size"] == ["0", "0"]
        assert limits["Max processes"] == ["0", "0"]
        assert limits["Max address space"] == [str(1 << 30)] * 2
        assert int(limits["Max open files"][0]) <= 4096

    def test_knows_nothing_of_our_environment(
        self, monkeypatch: pytest.MonkeyPatch, resolver: UnboundResolver
    ) -> None:
        monkeypatch.setenv("API_TOKEN", "secret")
        look_up(resolver, "example.net")
        assert b"secret" not in Path(f"/proc/{resolver.pid}/environ").read_bytes()

    def test_is_not_started_without_python(
        self, monkeypatch: pytest.MonkeyPatch, resolver: UnboundResolver
    ) -> None:
        monkeypatch.setattr("sys.executable", "/nonexistent/python")
        assert not unbound.is_installed()
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK


def test_addresses_families_are_those_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def families(ip4: bool, ip6: bool, special_addresses: bool = False) -> dict[str, str]:
        routes = {socket.AF_INET: ip4, socket.AF_INET6: ip6}
        monkeypatch.setattr(libunbound, "_has_route", routes.__getitem__)
        return dict(libunbound._families(special_addresses))

    assert families(True, True) == {"do-ip4:": "yes", "do-ip6:": "yes"}
    assert families(True, False) == {"do-ip4:": "yes", "do-ip6:": "no"}
    assert families(False, True) == {"do-ip4:": "no", "do-ip6:": "yes"}
    assert families(False, False) == {"do-ip4:": "yes", "do-ip6:": "no"}
    assert families(False, True, special_addresses=True)["do-ip4:"] == "yes"


class TestOneFamily:
    """On a machine that has no way out by IPv6."""

    @pytest.fixture(autouse=True)
    def routes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(libunbound, "_has_route", socket.AF_INET.__eq__)

    @pytest.mark.parametrize(
        ("owner", "outcome"),
        [
            ("example.net", Outcome.RECORDS),
            ("six.net", Outcome.NETWORK),
            ("hosted.net", Outcome.NETWORK),
            ("fails.net", Outcome.SERVFAIL),
        ],
    )
    def test_servers_without_an_ipv4_address_are_out_of_reach_and_not_at_fault(
        self, internet: Internet, owner: str, outcome: Outcome
    ) -> None:
        with closing(make(internet, trust_anchor=None)) as resolver:
            assert look_up(resolver, owner).outcome is outcome

    def test_silence_is_silence(self, internet: Internet) -> None:
        with closing(make(internet, trust_anchor=None)) as resolver:
            assert look_up(resolver, "quiet.net", SOON).outcome is Outcome.TIMEOUT

    def test_root_hints_that_only_libunbound_understands_will_do(
        self, internet: Internet, tmp_path: Path
    ) -> None:
        hints = internet.hints(tmp_path / "hints")
        hints.write_text(hints.read_text() + "; für uns\n", encoding="utf-8")
        with closing(make(internet, root_hints=str(hints), trust_anchor=None)) as resolver:
            assert look_up(resolver, "fails.net").outcome is Outcome.SERVFAIL

    @pytest.mark.parametrize("stubs", [False, True])
    def test_else_nobody_walks_after_it(
        self, internet: Internet, monkeypatch: pytest.MonkeyPatch, stubs: bool
    ) -> None:
        """Where there are both families, or zones of which a walk knows nothing."""
        monkeypatch.setattr(f"{iterative.__name__}.IterativeResolver", pytest.fail)
        more: dict[str, object] = {"stub_zones": {"example.org": [internet.root]}}
        if not stubs:
            monkeypatch.setattr(libunbound, "_has_route", lambda _family: True)
            more = {}
        with closing(make(internet, trust_anchor=None, **more)) as resolver:
            assert look_up(resolver, "fails.net").outcome is Outcome.SERVFAIL


@pytest.mark.parametrize("error", [ChildError("x"), asyncio.TimeoutError()])
def test_no_failure_is_raised(
    monkeypatch: pytest.MonkeyPatch, resolver: UnboundResolver, error: Exception
) -> None:
    async def fail(_name: str, _type: int) -> Answer:
        raise error

    monkeypatch.setattr(resolver._child, "ask", fail)
    assert look_up(resolver, "example.net").outcome in {Outcome.NETWORK, Outcome.TIMEOUT}
    assert not asyncio.run(resolver.is_usable(PATIENT))
