"""Our own walk from the root, as a conversation with real name servers."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from zope.interface.verify import verifyClass, verifyObject

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers.iterative import IterativeResolver, iterative, root
from certbot_caa_guard.resolvers.iterative.exchange import exchange, families
from certbot_caa_guard.resolvers.iterative.message import (
    CAA,
    NS,
    Echo,
    Question,
    Record,
    Reply,
    name_from_text,
)
from certbot_caa_guard.resolvers.iterative.visit import Trouble
from certbot_caa_guard.resolvers.iterative.walk import Ask, Failure
from certbot_caa_guard.resolvers.loader import ResolverError, load
from certbot_caa_guard.resolvers.manners import Manners
from certbot_caa_guard.resolvers.spec import Spec, parse
from certbot_caa_guard.verdict import Perspective
from tests.internet import (
    Action,
    Block,
    Exchange,
    Internet,
    Silence,
    drop,
    ratelimit,
    refused,
    servfail,
)
from tests.resolvers.test_iterative_message import answer_to

T = TypeVar("T")

LETSENCRYPT = '0 issue "letsencrypt.org"'
RECORD = caa.Record(0, b"issue", b"letsencrypt.org")
ZONES = {
    "example.net": [f"@ CAA {LETSENCRYPT}", "alias CNAME www.example.org.", "sub A 9.9.9.9"],
    "example.org": [f"www CAA {LETSENCRYPT}"],
    "deep.sub.example.net": "",
}
PACKAGE = "certbot_caa_guard.resolvers.iterative"
EXCHANGE, RESOLVER = f"{PACKAGE}.exchange", f"{PACKAGE}.resolver"
PERSPECTIVE = Perspective("iterative", public=True)


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    directory = tmp_path_factory.mktemp("internet")
    with Internet(directory, ZONES, bare=ZONES.keys(), dead=["dead.net"]) as running:
        yield running
        assert running.errors == []


@pytest.fixture
def hints(internet: Internet, tmp_path: Path) -> Iterator[Path]:
    for server in (internet.tlds, internet.servers):
        server.forget()
    yield write_hints(tmp_path, internet.root)
    for server in (internet.tlds, internet.servers):
        server.clear()


def write_hints(directory: Path, *addresses: str) -> Path:
    path = directory / "named.root"
    lines = [
        "; hints",
        ".  3600000  NS  A.ROOT.",
        *(f"A.ROOT. 3600000 A {one}" for one in addresses),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def look_up(resolver: IterativeResolver, *owners: str, timeout: float = 10.0) -> list[Lookup]:
    async def together() -> list[Lookup]:
        return await asyncio.gather(*(resolver.lookup(owner, timeout) for owner in owners))

    return asyncio.run(together())


class TestLookups:
    @pytest.mark.parametrize(
        ("owner", "outcome", "zone"),
        [
            ("example.net", Outcome.RECORDS, "example.net"),
            ("sub.example.net", Outcome.NOTHING, "example.net"),
            ("missing.example.net", Outcome.NXDOMAIN, "example.net"),
            ("alias.example.net", Outcome.RECORDS, "example.net"),
            ("deep.sub.example.net", Outcome.NOTHING, "deep.sub.example.net"),
            ("net", Outcome.NOTHING, "net"),
            ("nothing", Outcome.NXDOMAIN, ""),
            ("www.dead.net", Outcome.SERVFAIL, None),
            ("a..b", Outcome.MALFORMED, None),
        ],
    )
    def test_come_to_an_outcome(
        self, hints: Path, owner: str, outcome: Outcome, zone: str | None
    ) -> None:
        resolver = IterativeResolver(PERSPECTIVE, hints)
        (lookup,) = look_up(resolver, owner)
        assert (lookup.owner, lookup.outcome, lookup.zone) == (owner, outcome, zone)
        assert lookup.records == ((RECORD,) if outcome is Outcome.RECORDS else ())
        assert lookup.alias_of == ("www.example.org" if owner.startswith("alias") else None)
        resolver.close()

    def test_ask_what_a_ca_asks(self, internet: Internet, hints: Path) -> None:
        look_up(IterativeResolver(PERSPECTIVE, hints), "www.example.org")
        assert internet.tlds.questions == {("www.example.org", "CAA"): 1}
        assert internet.servers.questions == {("www.example.org", "CAA"): 1}

    def test_ask_in_mixed_case_with_edns(self, internet: Internet, hints: Path) -> None:
        seen: list[tuple[str, int, int]] = []

        async def watch(exchange: Exchange) -> bytes:
            query = exchange.question.message
            seen.append((str(query.question[0].name), query.payload, query.flags))
            return await exchange.answer()

        internet.servers.script(watch)
        resolver = IterativeResolver(PERSPECTIVE, hints, dice=random.Random(1))
        look_up(resolver, "www.example.org")
        ((owner, payload, flags),) = seen
        assert owner != owner.lower() == "www.example.org."
        assert (payload, flags) == (1232, 0)

    def test_too_large_for_udp_come_by_tcp(self, internet: Internet, hints: Path) -> None:
        for number in range(40):
            internet.publish("big.example.net", "CAA", f'0 issue "{number:03}{"x" * 100}.example"')
        (lookup,) = look_up(IterativeResolver(PERSPECTIVE, hints), "big.example.net")
        internet.withdraw("big.example.net", "CAA")
        assert len(lookup.records) == 40

    def test_need_no_more_than_four_failures_to_fail(self, internet: Internet, hints: Path) -> None:
        internet.servers.script(servfail, times=4)
        assert look_up(IterativeResolver(PERSPECTIVE, hints), "example.net")[0].records
        internet.servers.script(servfail, times=5)
        (lookup,) = look_up(IterativeResolver(PERSPECTIVE, hints), "example.net")
        assert lookup.outcome is Outcome.SERVFAIL

    def test_end_in_time(self, internet: Internet, hints: Path) -> None:
        internet.servers.script(drop)
        (lookup,) = look_up(IterativeResolver(PERSPECTIVE, hints), "example.net", timeout=0.3)
        assert lookup.outcome is Outcome.TIMEOUT
        assert 0.29 < lookup.seconds < 3

    def test_end_even_if_their_turn_does_not_come(self, internet: Internet, hints: Path) -> None:
        internet.servers.script(drop)
        manners = Manners(in_flight=1)
        owners = [f"{letter}.example.net" for letter in "abcdef"]
        resolver = IterativeResolver(PERSPECTIVE, hints, manners=manners)
        lookups = look_up(resolver, *owners, timeout=0.2)
        assert {lookup.outcome for lookup in lookups} == {Outcome.TIMEOUT}
        assert max(lookup.seconds for lookup in lookups) < 3

    def test_records_that_are_broken_are_an_error(self, internet: Internet, hints: Path) -> None:
        internet.publish("broken.example.net", "CAA", r"\# 3 00ff69")
        (lookup,) = look_up(IterativeResolver(PERSPECTIVE, hints), "broken.example.net")
        internet.withdraw("broken.example.net", "CAA")
        assert lookup.outcome is Outcome.MALFORMED


class TestSharing:
    def test_a_delegation_is_asked_for_once(self, internet: Internet, hints: Path) -> None:
        owners = [f"n{number}.example.net" for number in range(60)]
        resolver = IterativeResolver(PERSPECTIVE, hints)
        lookups = look_up(resolver, *owners, "example.net", "net")
        assert {lookup.failed for lookup in lookups} == {False}
        asked = [owner for owner, _ in internet.tlds.questions.elements()]
        assert len([owner for owner in asked if owner.endswith("example.net")]) == 1
        assert Counter(asked)["net"] == 1
        assert internet.servers.questions.total() == 61

    def test_who_waits_for_another_in_vain_asks_for_itself(
        self, internet: Internet, hints: Path
    ) -> None:
        internet.tlds.script(drop, below="example.net", times=1)
        owners = [f"n{number}.example.net" for number in range(10)]
        lookups = look_up(IterativeResolver(PERSPECTIVE, hints), *owners)
        assert {lookup.outcome for lookup in lookups} == {Outcome.NXDOMAIN}

    def test_a_resolver_may_be_used_in_one_event_loop_after_another(self, hints: Path) -> None:
        resolver = IterativeResolver(PERSPECTIVE, hints, manners=Manners(lookups=1, in_flight=1))
        for _ in range(3):
            assert len(look_up(resolver, "example.net", "net", "example.org")) == 3

    def test_a_server_is_asked_so_much_at_a_time(self, internet: Internet, hints: Path) -> None:
        under_way, most = 0, 0

        async def watch(exchange: Exchange) -> bytes:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                answer = await exchange.answer()
                await asyncio.sleep(0.01)
                return answer
            finally:
                under_way -= 1

        internet.servers.script(watch)
        manners = Manners(in_flight=3, per_second=None, all_per_second=None)
        resolver = IterativeResolver(PERSPECTIVE, hints, manners=manners)
        look_up(resolver, *(f"n{number}.example.net" for number in range(20)))
        assert most == 3


def test_the_user_may_say_how_many_questions_a_second(hints: Path) -> None:
    resolver = iterative(Spec("iterative", "iterative", root_hints=str(hints), rate=7))
    assert resolver._gate._all.allowance.per_second == 7


class TestSlowingDown:
    """For a server that limits the rate, and may not be asked much faster than it answers."""

    @pytest.mark.parametrize("answer", [refused, drop])
    def test_every_name_gets_its_answer_and_the_server_its_peace(
        self, internet: Internet, hints: Path, answer: Action
    ) -> None:
        limit = ratelimit(50, answer)
        internet.servers.script(limit)
        resolver = IterativeResolver(PERSPECTIVE, hints)
        lookups = look_up(resolver, *(f"n{number}.example.net" for number in range(80)))
        assert Counter(lookup.outcome for lookup in lookups) == {Outcome.NXDOMAIN: 80}
        # Not slowed down for, it would be asked for each of them again and again at once.
        assert limit.beyond < 40

    def test_a_server_with_a_higher_limit_than_the_manners_never_meets_it(
        self, internet: Internet, hints: Path
    ) -> None:
        limit = ratelimit(100, drop)
        internet.servers.script(limit)
        manners = Manners(per_second=60.0, burst=20)
        resolver = IterativeResolver(PERSPECTIVE, hints, manners=manners)
        lookups = look_up(resolver, *(f"n{number}.example.net" for number in range(120)))
        assert {lookup.outcome for lookup in lookups} == {Outcome.NXDOMAIN}
        assert limit.beyond == 0

    def test_a_server_that_fails_from_the_beginning_is_not_waited_for(
        self, internet: Internet, hints: Path
    ) -> None:
        internet.servers.script(refused)
        resolver = IterativeResolver(PERSPECTIVE, hints)
        lookups = look_up(resolver, *(f"n{number}.example.net" for number in range(50)))
        assert {lookup.outcome for lookup in lookups} == {Outcome.SERVFAIL}


class TestUsability:
    def test_with_a_root(self, hints: Path) -> None:
        resolver = IterativeResolver(PERSPECTIVE, hints)
        assert asyncio.run(resolver.is_usable(5.0))

    def test_with_a_silent_root(self, tmp_path: Path) -> None:
        with Block() as block, Silence(block.address(1)):
            resolver = IterativeResolver(PERSPECTIVE, write_hints(tmp_path, block.address(1)))
            assert not asyncio.run(resolver.is_usable(0.2))

    def test_with_a_root_that_never_has_a_turn_for_us(self, tmp_path: Path) -> None:
        async def ask_while_busy(resolver: IterativeResolver) -> bool:
            busy = asyncio.ensure_future(resolver.lookup("example.net", 5.0))
            usable = await resolver.is_usable(0.1)
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            return usable

        with Block() as block, Silence(block.address(1)):
            hints = write_hints(tmp_path, block.address(1))
            resolver = IterativeResolver(PERSPECTIVE, hints, manners=Manners(in_flight=1))
            assert not asyncio.run(ask_while_busy(resolver))

    @pytest.mark.parametrize("address", ["172.18.0.2", "10.0.0.1"])
    def test_with_a_root_in_a_private_network(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
    ) -> None:
        async def answer(ask: Ask, _dice: random.Random) -> Reply:
            assert ask.address == address
            return Reply(Echo.SAME, 0, answer=(Record((), NS, 60, b"", name_from_text("a.root")),))

        monkeypatch.setattr(f"{RESOLVER}.families", lambda _addresses: frozenset({4}))
        monkeypatch.setattr(f"{RESOLVER}.exchange", answer)
        resolver = IterativeResolver(PERSPECTIVE, write_hints(tmp_path, address))
        assert asyncio.run(resolver.is_usable(5.0))

    def test_with_nobody_there(self, tmp_path: Path) -> None:
        with Block() as block:
            resolver = IterativeResolver(PERSPECTIVE, write_hints(tmp_path, block.address(1)))
            assert not asyncio.run(resolver.is_usable(5.0))


class TestMaking:
    def test_it_is_a_resolver(self) -> None:
        resolver = load(parse("iterative"))
        assert verifyClass(IResolver, IterativeResolver)
        assert verifyObject(IResolver, resolver)
        assert resolver.perspective == Perspective("iterative", True, frozenset())

    def test_the_built_in_root_has_13_servers_of_both_families(self) -> None:
        held = root.built_in()
        assert len(held.servers) == len(held.glue) == 13
        assert all(len(addresses) == 2 for addresses in held.glue.values())

    def test_root_hints_may_have_both_families(self, tmp_path: Path) -> None:
        path = tmp_path / "named.root"
        path.write_text(
            ". 3600000 NS a.root.\n. 3600000 NS B.Root.\n. 3600000 NS c.root.\n"
            "a.root. 3600000 A 127.0.0.1\na.root. 3600000 AAAA ::1\nb.root. 3600000 A 127.0.0.2\n",
            encoding="ascii",
        )
        held = root.from_file(path)
        assert held.glue == {
            (b"a", b"root"): ("127.0.0.1", "::1"),
            (b"b", b"root"): ("127.0.0.2",),
        }
        assert len(held.servers) == 3

    @pytest.mark.parametrize(
        "text",
        [
            ". NS a.root.\na.root. A 127.0.0.1\n",
            ". IN NS a.root.\na.root. IN A 127.0.0.1\n",
            "$TTL 60\n. NS a.root.\na.root. A 127.0.0.1\n",
            "$ORIGIN root.\n. 60 NS a\na A 127.0.0.1\n",
        ],
    )
    def test_root_hints_need_no_ttls(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "named.root"
        path.write_text(text, encoding="ascii")
        assert root.from_file(path).glue == {(b"a", b"root"): ("127.0.0.1",)}

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (None, "No such file"),
            ("", "name no server"),
            (". 3600000 NS a.root.", "name no server"),
            ("what is this", "root hints in"),
            ("é", "root hints in"),
        ],
    )
    def test_bad_root_hints_are_refused(
        self, tmp_path: Path, text: str | None, complaint: str
    ) -> None:
        path = tmp_path / "named.root"
        if text is not None:
            path.write_text(text, encoding="utf-8")
        with pytest.raises(ResolverError, match=complaint):
            iterative(Spec("iterative", "iterative", root_hints=str(path)))


ASK = Ask("", Question(name_from_text("www.example.net"), CAA), patience=5.0, mixed=False)
Talk = Callable[[socket.socket], None]


def converse(kind: socket.SocketKind, talk: Talk, patience: float = 5.0) -> object:
    """What our side makes of what `talk` does with the server's socket."""
    with Block() as block, socket.socket(socket.AF_INET, kind) as server:
        if kind is socket.SOCK_STREAM:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((block.address(1), 53))
        server.settimeout(10)
        if kind is socket.SOCK_STREAM:
            server.listen()
        thread = threading.Thread(target=talk, args=(server,))
        thread.start()
        tcp = kind is socket.SOCK_STREAM
        question = Ask(block.address(1), ASK.question, patience, mixed=False, tcp=tcp)
        result = run(exchange(question, random.SystemRandom()))
        thread.join()
    return result


def run(work: Awaitable[T]) -> T:
    async def wait() -> T:
        return await work

    return asyncio.run(wait())


class TestExchanges:
    def test_forged_answers_are_not_heard(self) -> None:
        def talk(server: socket.socket) -> None:
            query, client = server.recvfrom(4096)
            right = answer_to(query, f"www.example.net. CAA {LETSENCRYPT}")
            server.sendto(b"", client)
            server.sendto(bytes([right[0] ^ 1]) + right[1:], client)  # another ID
            server.sendto(query, client)  # not an answer
            server.sendto(right.replace(b"\3www", b"\3wwx"), client)  # another question
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((server.getsockname()[0], 0))
                other.sendto(answer_to(query), client)  # from another port
            server.sendto(right, client)

        result = converse(socket.SOCK_DGRAM, talk)
        assert not isinstance(result, Failure)
        assert [one.type for one in getattr(result, "answer", ())] == [CAA]

    def test_ids_and_ports_are_new_each_time(self) -> None:
        seen: list[tuple[bytes, object]] = []

        def talk(server: socket.socket) -> None:
            query, client = server.recvfrom(4096)
            seen.append((query[:2], client[1]))
            server.sendto(answer_to(query), client)

        for _ in range(4):
            converse(socket.SOCK_DGRAM, talk)
        assert len({identity for identity, _ in seen}) > 1
        assert len({port for _, port in seen}) > 1

    def test_garbage_is_an_error(self) -> None:
        def talk(server: socket.socket) -> None:
            query, client = server.recvfrom(4096)
            server.sendto(answer_to(query, f"a. CAA {LETSENCRYPT}")[:-5], client)

        assert converse(socket.SOCK_DGRAM, talk) == Failure(Trouble.ERROR)

    def test_silence_is_not_waited_for_longer_than_said(self) -> None:
        result = converse(socket.SOCK_DGRAM, lambda _server: None, patience=0.05)
        assert result == Failure(Trouble.SILENT)

    @pytest.mark.parametrize("tcp", [False, True])
    def test_a_closed_port_is_silence_for_good(self, tcp: bool) -> None:
        with Block() as block:
            question = Ask(block.address(1), ASK.question, 5.0, tcp=tcp)
            result = run(exchange(question, random.SystemRandom()))
        assert result == Failure(Trouble.SILENT, for_good=True)

    @pytest.mark.parametrize("tcp", [False, True])
    def test_what_this_machine_cannot_do_is_our_trouble(
        self, monkeypatch: pytest.MonkeyPatch, tcp: bool
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(f"{EXCHANGE}._socket", refuse)
        question = Ask("9.9.9.9", ASK.question, 5.0, tcp=tcp)
        result = run(exchange(question, random.SystemRandom()))
        assert result == Failure(Trouble.LOCAL, for_good=True)

    @pytest.mark.parametrize(
        ("change", "result"),
        [
            (lambda framed: framed[:-3], Failure(Trouble.ERROR)),
            (lambda framed: framed[:1], Failure(Trouble.ERROR)),
            (lambda framed: framed.replace(b"\3www", b"\3wwx"), Failure(Trouble.ERROR)),
        ],
        ids=["cut off", "cut off at once", "another question"],
    )
    def test_a_bad_answer_over_tcp(self, change: Callable[[bytes], bytes], result: Failure) -> None:
        def talk(server: socket.socket) -> None:
            connection, _ = server.accept()
            with connection:
                answer = answer_to(connection.recv(4096)[2:])
                connection.sendall(change(len(answer).to_bytes(2, "big") + answer))

        assert converse(socket.SOCK_STREAM, talk) == result


class TestFamilies:
    def test_are_those_with_a_route(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Unrouted(socket.socket):
            def connect(self, _address: object) -> None:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")

        def open_socket(address: str, _kind: socket.SocketKind) -> socket.socket:
            kind = Unrouted if ":" in address else socket.socket
            return kind(socket.AF_INET, socket.SOCK_DGRAM)

        monkeypatch.setattr(f"{EXCHANGE}._socket", open_socket)
        assert families(["127.0.0.1", "2620:fe::9", "127.0.0.2", "2620:fe::10"]) == {4}
        assert families(["2620:fe::9"]) == set()
        assert families([]) == set()

    def test_are_looked_at_again_after_a_while(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A laptop wakes up before its network does."""
        found = [frozenset[int](), frozenset({4})]
        monkeypatch.setattr(f"{RESOLVER}.families", lambda _addresses: found.pop(0))
        now = 0.0
        with Block() as block:
            hints = write_hints(tmp_path, block.address(1))
            resolver = IterativeResolver(PERSPECTIVE, hints, clock=lambda: now)
            outcomes = []
            for moment in (0.0, 9.0, 10.0):
                now = moment
                outcomes.append(look_up(resolver, "example.net")[0].outcome)
        assert outcomes == [Outcome.NETWORK, Outcome.NETWORK, Outcome.TIMEOUT]
