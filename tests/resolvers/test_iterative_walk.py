"""Which question a walk asks next, and what it comes to: without sockets, in a time of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dns.rcode
import pytest

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.iterative.addresses import Reach, Reachability, own_networks
from certbot_caa_guard.resolvers.iterative.memory import Addresses, Bounded, Delegation, Memory
from certbot_caa_guard.resolvers.iterative.message import (
    CAA,
    A,
    Echo,
    Name,
    Question,
    Reply,
    is_at_or_below,
    name_to_text,
)
from certbot_caa_guard.resolvers.iterative.visit import Trouble, Visit
from certbot_caa_guard.resolvers.iterative.walk import Ask, Done, Failure, Walk
from tests.resolvers.test_iterative_finding import CAA_TEXT, RDATA, name, reply

ROOT, TLD, ONE, TWO, OTHER = "9.0.0.1", "9.0.0.2", "9.0.1.1", "9.0.1.2", "9.0.2.1"
SIX = "2620:fe::9"
WWW = "www.example.net"

SILENT = Failure(Trouble.SILENT)
CLOSED = Failure(Trouble.SILENT, for_good=True)
NO_WAY = Failure(Trouble.LOCAL, for_good=True)
SERVFAIL, REFUSED, FORMERR, NOTIMP, NXDOMAIN = (
    reply(rcode=rcode, flags="")
    for rcode in (
        dns.rcode.SERVFAIL,
        dns.rcode.REFUSED,
        dns.rcode.FORMERR,
        dns.rcode.NOTIMP,
        dns.rcode.NXDOMAIN,
    )
)
NODATA = reply(authority=["example.net SOA"])
NODATA_OF_HOSTER = reply(authority=["hoster.net SOA"])
EMPTY = reply()
RECORDS = reply(f"{WWW} {CAA_TEXT}")
FROM_CACHE = reply(f"{WWW} {CAA_TEXT}", flags="ra")
ELSEWHERE = reply("www.example.net CNAME www.example.org")

Answer = Reply | Failure
Server = Answer | Iterable[Answer] | Callable[[Ask], Answer]


def refer(zone: str, **servers: str | None) -> Reply:
    """A referral to servers in the zone itself: ``ns1="9.9.9.9"``; None is without glue."""
    names = {label: f"{label}.{zone}" for label in servers}
    glue = [
        f"{names[label]} {'AAAA' if ':' in address else 'A'} {address}"
        for label, address in servers.items()
        if address is not None
    ]
    authority = [f"{zone} NS {one}" for one in names.values()]
    return reply(authority=authority, additional=glue, flags="")


def with_more(
    server: Server, *, below: str, authority: Sequence[str] = (), additional: Sequence[str] = ()
) -> Callable[[Ask], Answer]:
    """The same server, but with more in its answers to questions for names below *below*."""
    more = reply(authority=authority, additional=additional)

    def answer(ask: Ask) -> Answer:
        assert callable(server)
        given = server(ask)
        assert isinstance(given, Reply)
        if not is_at_or_below(ask.question.name, name(below)):
            return given
        return replace(
            given,
            authority=given.authority + more.authority,
            additional=given.additional + more.additional,
        )

    return answer


@dataclass
class World:
    """Servers by address: one answer, several in turn (the last again and again), or a function.

    A question takes 10 ms, or as long as the patience lasts.
    """

    servers: dict[str, Server]
    families: frozenset[int] = frozenset({4})
    own: frozenset[str] = frozenset()
    memory: Memory = field(
        default_factory=lambda: Memory(Delegation((), (name("a.root"),), {name("a.root"): (ROOT,)}))
    )
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    now: float = 1000.0
    asked: list[Ask] = field(default_factory=list)

    def walk(self, owner: str = WWW, kind: int = CAA, timeout: float = 20.0) -> Walk:
        return Walk(
            Question(name(owner), kind),
            self.memory,
            Reachability(self.families, self.own),
            dice=self.dice,
            deadline=self.now + timeout,
        )

    def look_up(self, owner: str = WWW, timeout: float = 20.0) -> Done:
        walk = self.walk(owner, timeout=timeout)
        while isinstance(ask := walk.next(self.now), Ask):
            self.asked.append(ask)
            answer = self.answer_of(ask.address, ask)
            seconds = ask.patience if answer == SILENT else 0.01
            self.now += seconds
            walk.feed(ask, answer, self.now, seconds)
        return ask

    def answer_of(self, key: str, ask: Ask) -> Answer:
        server = self.servers[key]
        if isinstance(server, (Reply, Failure)):
            return server
        if callable(server):
            return server(ask)
        first, *rest = server
        if rest:
            self.servers[key] = rest
        return first

    @property
    def addresses(self) -> list[str]:
        return [ask.address for ask in self.asked]

    def count(self, *addresses: str) -> int:
        return sum(one in addresses for one in self.addresses)


def world(*servers: Server, **more: Server) -> World:
    """A root and a TLD, and one or two servers of example.net, and what else is given.

    `more` are addresses with underscores: ``_9_0_2_1=REFUSED``.
    """
    glue = dict(zip(("one", "two"), (ONE, TWO), strict=False))
    referral = refer("example.net", **dict(list(glue.items())[: len(servers)]))
    given = {key[1:].replace("_", "."): server for key, server in more.items()}
    return World(
        {
            ROOT: lambda ask: refer(name_to_text(ask.question.name[-1:]), tld=TLD),
            TLD: referral,
            **dict(zip((ONE, TWO), servers, strict=False)),
            **given,
        }
    )


class TestTheWay:
    def test_leads_down_from_the_root_with_the_full_name_at_every_step(self) -> None:
        lab = world(RECORDS)
        assert lab.look_up() == Done(Outcome.RECORDS, (RDATA,), name("example.net"))
        assert lab.addresses == [ROOT, TLD, ONE]
        assert {ask.question for ask in lab.asked} == {Question(name(WWW), CAA)}
        assert all(ask.edns and ask.mixed and not ask.tcp for ask in lab.asked)

    def test_each_question_names_the_cut_that_may_answer_it_for_others(self) -> None:
        lab = world(NODATA)
        lab.look_up("example.net")
        cuts = [
            (name(""), name("net")),
            (name("net"), name("example.net")),
            None,
        ]
        assert [ask.cut for ask in lab.asked] == cuts

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (NODATA, Outcome.NOTHING),
            (NXDOMAIN, Outcome.NXDOMAIN),
            (replace(NXDOMAIN, authoritative=True), Outcome.NXDOMAIN),
            (replace(NODATA, authoritative=False), Outcome.NOTHING),
        ],
    )
    def test_may_end_with_nothing(self, answer: Reply, outcome: Outcome) -> None:
        assert world(answer).look_up() == Done(outcome, zone=name("example.net"))

    def test_is_shorter_for_the_next(self) -> None:
        lab = world(RECORDS)
        lab.look_up()
        lab.asked.clear()
        lab.look_up()
        assert lab.addresses == [ONE]

    def test_is_shortened_while_waiting_for_another(self) -> None:
        lab = world(RECORDS)
        walk = lab.walk()
        first = walk.next(lab.now)
        assert isinstance(first, Ask)
        assert first.address == ROOT
        lab.look_up()
        second = walk.next(lab.now)
        assert isinstance(second, Ask)
        assert second.address == ONE

    def test_is_forgotten_after_a_while(self) -> None:
        lab = world(RECORDS)
        lab.look_up()
        lab.asked.clear()
        lab.now += 61
        lab.look_up()
        assert lab.addresses == [TLD, ONE], "a TLD's delegation is kept longer"

    def test_goes_nowhere_if_fed_before_it_was_asked(self) -> None:
        with pytest.raises(RuntimeError, match="without having been asked"):
            world().walk().feed(Ask(ONE, Question((), A), 1.0), NODATA, 0.0, 0.0)


class TestServersThatFail:
    @pytest.mark.parametrize("failure", [SERVFAIL, REFUSED, Failure(Trouble.ERROR)])
    def test_four_failures_in_a_row_go_unnoticed_and_five_do_not(self, failure: Answer) -> None:
        lab = world([failure] * 4 + [RECORDS])
        assert lab.look_up().outcome is Outcome.RECORDS
        lab = world([failure] * 5 + [RECORDS])
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(ONE) == 5

    @pytest.mark.parametrize("failure", [FORMERR, NOTIMP])
    def test_edns_may_be_to_blame(self, failure: Reply) -> None:
        lab = world(lambda ask: failure if ask.edns else RECORDS)
        assert lab.look_up().outcome is Outcome.RECORDS
        lab = world(failure)
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert [ask.edns for ask in lab.asked[2:]] == [True, False] * 5

    def test_edns_is_not_to_blame_for_silence(self) -> None:
        lab = world(lambda ask: SILENT if ask.edns else RECORDS)
        assert lab.look_up() == Done(Outcome.TIMEOUT)
        assert all(ask.edns for ask in lab.asked)

    def test_the_other_servers_are_asked_first(self) -> None:
        for _ in range(5):
            lab = world(SERVFAIL, SERVFAIL)
            lab.look_up()
            asked = lab.addresses[2:]
            assert len(asked) == 10
            assert all({*pair} == {ONE, TWO} for pair in zip(asked[::2], asked[1::2], strict=True))

    @pytest.mark.parametrize(
        ("failure", "tries"),
        [
            (replace(RECORDS, echo=Echo.MISSING), 5),
            (replace(RECORDS, truncated=True), 10),
            (reply(authority=[". NS a.root"], flags=""), 1),
        ],
        ids=["no question", "truncated, over TCP too", "upward referral"],
    )
    def test_answers_that_are_none(self, failure: Reply, tries: int) -> None:
        lab = world(failure)
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(ONE) == tries

    def test_a_truncated_answer_is_asked_for_over_tcp(self) -> None:
        lab = world(lambda ask: RECORDS if ask.tcp else reply(flags="tc"))
        assert lab.look_up().outcome is Outcome.RECORDS
        assert [ask.tcp for ask in lab.asked[2:]] == [False, True]
        assert lab.asked[-1].patience == 3.0

    def test_an_empty_answer_is_believed_the_second_time(self) -> None:
        assert world([EMPTY, RECORDS]).look_up().outcome is Outcome.RECORDS
        assert world(EMPTY).look_up() == Done(Outcome.NOTHING, zone=name("example.net"))

    def test_a_referral_to_the_zone_itself_is_believed_where_nobody_knows_better(self) -> None:
        """Such is what a server says that knows the zone's servers, but not the zone."""
        lame = reply(authority=["example.net NS one.example.net"], flags="")
        for seed in range(5):
            lab = world(lame, RECORDS)
            lab.dice.seed(seed)
            assert lab.look_up().outcome is Outcome.RECORDS
        assert world(lame).look_up() == Done(Outcome.NOTHING, zone=name("example.net"))

    def test_a_recursive_servers_cache_is_better_than_nothing(self) -> None:
        for _ in range(5):
            lab = world(FROM_CACHE, SERVFAIL)
            assert lab.look_up().outcome is Outcome.RECORDS
            assert lab.count(ONE) == 1
            assert world(FROM_CACHE, NODATA).look_up().outcome is Outcome.NOTHING

    def test_at_most_32_tries_are_made_in_one_zone(self) -> None:
        lab = world()
        lab.servers[TLD] = refer("example.net", **{f"n{n}": f"9.0.3.{n}" for n in range(1, 14)})
        lab.servers |= {f"9.0.3.{n}": SERVFAIL for n in range(1, 14)}
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert len(lab.asked) == 2 + 32

    def test_at_most_100_questions_are_asked(self) -> None:
        lab = world()
        owner = ".".join(["a"] * 60 + ["net"])

        def down(ask: Ask) -> Reply:
            """A delegation to a zone one label further down, for the second question."""
            depth = len(ask.cut[0]) if ask.cut else 0
            return NOTIMP if ask.edns else refer(".".join(["a"] * depth + ["net"]), one=ONE)

        lab.servers = {ROOT: down, ONE: down}
        assert lab.look_up(owner) == Done(Outcome.SERVFAIL)
        assert len(lab.asked) == 100


class TestMixedCase:
    def test_is_given_up_where_it_is_not_kept(self) -> None:
        lab = world(lambda _ask: replace(RECORDS, echo=Echo.CASE_LOST))
        assert lab.look_up().outcome is Outcome.RECORDS
        assert [ask.mixed for ask in lab.asked] == [True, True, True, False]

    def test_is_given_up_for_the_other_servers_of_the_zone_as_well(self) -> None:
        lost = replace(SERVFAIL, echo=Echo.CASE_LOST)
        lab = world(lost, lost)
        lab.look_up()
        assert [ask.mixed for ask in lab.asked[2:]] == [True] + [False] * 10

    def test_is_kept_where_it_is_refused(self) -> None:
        assert world(lambda ask: REFUSED if ask.mixed else RECORDS).look_up() == Done(
            Outcome.SERVFAIL
        )

    def test_is_given_up_after_three_silences(self) -> None:
        lab = world(lambda ask: SILENT if ask.mixed else RECORDS)
        assert lab.look_up().outcome is Outcome.RECORDS
        assert [ask.mixed for ask in lab.asked[2:]] == [True] * 3 + [False]


class TestSilence:
    def test_is_waited_for_twice_as_long_each_time(self) -> None:
        lab = world(SILENT)
        assert lab.look_up() == Done(Outcome.TIMEOUT)
        assert [ask.patience for ask in lab.asked[2:]] == [0.4, 0.8, 1.6, 3.2, 6.4]

    def test_ends_when_the_time_is_over(self) -> None:
        lab = world(SILENT)
        assert lab.look_up(timeout=1.0) == Done(Outcome.TIMEOUT)
        assert [round(ask.patience, 2) for ask in lab.asked[2:]] == [0.4, 0.58]
        assert lab.now == pytest.approx(1001)

    def test_of_one_server_is_no_matter(self) -> None:
        lab = world(SILENT, RECORDS)
        for _ in range(10):
            assert lab.look_up().outcome is Outcome.RECORDS
        assert lab.count(ONE) <= 1, "who was silent is asked last"

    def test_and_failures_come_to_failure(self) -> None:
        assert world(SILENT, REFUSED).look_up() == Done(Outcome.SERVFAIL)

    def test_of_a_closed_port_is_silence_too_but_is_not_waited_for(self) -> None:
        lab = world(CLOSED)
        assert lab.look_up() == Done(Outcome.TIMEOUT)
        assert lab.count(ONE) == 1

    def test_of_a_slow_server_is_expected_next_time(self) -> None:
        lab = world(RECORDS)
        lab.memory.heard(ONE, 1.2)
        lab.look_up()
        assert lab.asked[-1].patience == 2.4

    def test_never_lasts_longer_than_the_ca_would_wait(self) -> None:
        lab = world(SILENT)
        lab.memory.heard(ONE, 3.1)
        lab.look_up(timeout=100)
        assert [ask.patience for ask in lab.asked[2:]] == [3.0, 6.0, 6.4, 6.4, 6.4]

    def test_the_deadline_may_be_moved(self) -> None:
        lab = world(SILENT)
        walk = lab.walk(timeout=1.0)
        walk.deadline += 5
        assert isinstance(walk.next(lab.now + 2), Ask)
        assert walk.next(lab.now + 6) == Done(Outcome.TIMEOUT)
        assert walk.next(lab.now) == Done(Outcome.TIMEOUT)


def chain(length: int, at_a_time: int = 20) -> Callable[[Ask], Reply]:
    """A server for a chain of aliases from n1.example.net, so many in one answer."""

    def answer(ask: Ask) -> Reply:
        first = int(ask.question.name[0][1:])
        last = min(length, first + at_a_time - 1)
        links = [f"n{n}.example.net CNAME n{n + 1}.example.net" for n in range(first, last + 1)]
        end = [f"n{length + 1}.example.net {CAA_TEXT}"] if last == length else []
        return reply(*links, *end)

    return answer


class TestAliases:
    @pytest.mark.parametrize("at_a_time", [1, 4, 20])
    def test_eleven_are_followed_and_twelve_are_not(self, at_a_time: int) -> None:
        done = world(chain(11, at_a_time)).look_up("n1.example.net")
        assert (done.rdatas, done.alias_of) == ((RDATA,), name("n12.example.net"))
        assert world(chain(12, at_a_time)).look_up("n1.example.net") == Done(Outcome.SERVFAIL)

    def test_a_loop_ends(self) -> None:
        lab = world(lambda ask: reply(f"{name_to_text(ask.question.name)} CNAME {WWW}"))
        assert lab.look_up("a.example.net") == Done(Outcome.SERVFAIL)
        assert lab.count(ONE) == 2, "and at once"

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (reply(f"www.example.org {CAA_TEXT}"), Outcome.RECORDS),
            (reply(authority=["example.org SOA"]), Outcome.NOTHING),
            (reply(rcode=dns.rcode.NXDOMAIN), Outcome.NXDOMAIN),
            (SERVFAIL, Outcome.SERVFAIL),
            (SILENT, Outcome.TIMEOUT),
        ],
    )
    def test_lead_into_other_zones(self, answer: Answer, outcome: Outcome) -> None:
        lab = world(ELSEWHERE, _9_0_2_1=answer)
        lab.servers[TLD] = lambda ask: (
            refer("example.org", one=OTHER)
            if ask.question.name[-1] == b"org"
            else refer("example.net", one=ONE)
        )
        done = lab.look_up()
        assert done.outcome is outcome
        if outcome in {Outcome.RECORDS, Outcome.NOTHING, Outcome.NXDOMAIN}:
            assert done.zone == name("example.net"), "the zone of the name that was asked for"
            assert done.alias_of == name("www.example.org")
        assert lab.addresses[:6] == [ROOT, TLD, ONE, ROOT, TLD, OTHER]

    def test_by_dname(self) -> None:
        lab = world(
            lambda ask: (
                reply(f"new.example.net {CAA_TEXT}", f"www.new.example.net {CAA_TEXT}")
                if b"new" in ask.question.name
                else reply("old.example.net DNAME new.example.net")
            )
        )
        assert lab.look_up("www.old.example.net").rdatas == (RDATA,)
        assert lab.count(ONE) == 2


class TestServersWithoutGlue:
    def glueless(self, *, hoster: Server, **servers: str | None) -> World:
        """example.net is served by servers in hoster.net, whose own server is OTHER."""
        lab = world(RECORDS, RECORDS, _9_0_2_1=hoster)
        authority = [f"example.net NS {label}.hoster.net" for label in servers]
        lab.servers[TLD] = lambda ask: (
            reply(
                authority=["hoster.net NS ns.hoster.net"],
                additional=[f"ns.hoster.net A {OTHER}"],
                flags="",
            )
            if ask.question.name[-2:] == name("hoster.net")
            else reply(authority=authority, flags="")
        )
        return lab

    def test_are_looked_up_and_remembered(self) -> None:
        lab = self.glueless(hoster=reply(f"a.hoster.net A {ONE}"), a=None)
        assert lab.look_up().outcome is Outcome.RECORDS
        assert lab.addresses == [ROOT, TLD, TLD, OTHER, ONE]
        assert lab.asked[2].question == Question(name("a.hoster.net"), A)
        lab.asked.clear()
        assert lab.look_up("x.example.net").outcome is not Outcome.TIMEOUT
        assert OTHER not in lab.addresses

    def test_may_be_found_by_another_meanwhile(self) -> None:
        lab = self.glueless(hoster=reply(f"a.hoster.net A {ONE}"), a=None)
        walk = lab.walk()
        for _ in range(2):
            ask = walk.next(lab.now)
            assert isinstance(ask, Ask)
            walk.feed(ask, lab.answer_of(ask.address, ask), lab.now, 0.01)
        waiting = walk.next(lab.now)
        assert isinstance(waiting, Ask)
        assert waiting.question.type == A
        lab.look_up()
        found = walk.next(lab.now)
        assert isinstance(found, Ask)
        assert (found.address, found.question.type) == (ONE, CAA)

    @pytest.mark.parametrize(
        ("hoster", "outcome"),
        [
            (NXDOMAIN, Outcome.SERVFAIL),
            (REFUSED, Outcome.SERVFAIL),
            (SILENT, Outcome.TIMEOUT),
            (reply("a.hoster.net A 10.0.0.1"), Outcome.SERVFAIL),
        ],
        ids=["do not exist", "refused", "silent", "private"],
    )
    def test_may_not_be_found(self, hoster: Answer, outcome: Outcome) -> None:
        assert self.glueless(hoster=hoster, a=None).look_up() == Done(outcome)

    def test_one_that_is_not_found_is_one_less(self) -> None:
        def hoster(ask: Ask) -> Reply:
            return reply(f"b.hoster.net A {ONE}") if ask.question.name[0] == b"b" else NXDOMAIN

        for _ in range(3):
            assert self.glueless(hoster=hoster, a=None, b=None).look_up().rdatas == (RDATA,)

    def test_looking_for_one_does_not_take_all_the_time(self) -> None:
        silent: set[bytes] = set()

        def hoster(ask: Ask) -> Answer:
            label = ask.question.name[0]
            if not silent or label in silent:
                silent.add(label)
                return SILENT
            return reply(f"{label.decode()}.hoster.net A {ONE}")

        lab = self.glueless(hoster=hoster, a=None, b=None)
        assert lab.look_up(timeout=5.0).rdatas == (RDATA,)
        assert len(silent) == 1
        assert lab.now < 1002

    def test_they_may_wait_for_each_other(self) -> None:
        lab = world()
        lab.servers[TLD] = lambda ask: (
            reply(authority=["b.net NS ns.a.net"], flags="")
            if ask.question.name[-2] == b"b"
            else reply(authority=["a.net NS ns.b.net"], flags="")
        )
        assert lab.look_up("www.a.net") == Done(Outcome.SERVFAIL)
        assert len(lab.asked) < 10

    def test_in_their_own_zone_cannot_be_found(self) -> None:
        lab = world()
        lab.servers[TLD] = reply(authority=["example.net NS ns.example.net"], flags="")
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.addresses == [ROOT, TLD]

    @pytest.mark.parametrize("sibling", [REFUSED, SERVFAIL, EMPTY])
    def test_in_their_own_zone_may_be_known_to_the_others(self, sibling: Reply) -> None:
        """One has glue and is no good but for the address of the other."""

        def one(ask: Ask) -> Answer:
            return reply(f"two.example.net A {TWO}") if ask.question.type == A else sibling

        lab = world(one, RECORDS)
        lab.servers[TLD] = refer("example.net", one=ONE, two=None)
        assert lab.look_up().rdatas == (RDATA,)
        assert lab.addresses == [ROOT, TLD, ONE, ONE, TWO]

    def test_in_their_own_zone_are_sought_last(self) -> None:
        lab = self.glueless(hoster=reply(f"a.hoster.net A {ONE}"), a=None)
        lab.servers[TLD] = with_more(
            lab.servers[TLD], authority=["example.net NS two.example.net"], below="example.net"
        )
        assert lab.look_up().rdatas == (RDATA,)
        assert lab.addresses == [ROOT, TLD, TLD, OTHER, ONE]

    def test_in_their_own_zone_are_not_sought_by_way_of_each_other(self) -> None:
        """Or the work would grow with the power of their number."""
        lab = world(REFUSED)
        names = {f"n{number}": None for number in range(4)}
        lab.servers[TLD] = refer("example.net", one=ONE, **names)
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(ONE) == 5 * (1 + len(names)), "for the name, and for each server"
        lab.asked.clear()
        lab.look_up()
        assert lab.count(ONE) == 5, "that they are not to be found is remembered"

    def test_behind_servers_of_another_family_are_our_trouble(self) -> None:
        """Their addresses may be looked up by others."""
        lab = self.glueless(hoster=NXDOMAIN, a=None)
        tld = lab.servers[TLD]
        assert callable(tld)
        hoster = refer("hoster.net", one=SIX)
        lab.servers[TLD] = lambda ask: hoster if ask.question.name[-2] == b"hoster" else tld(ask)
        assert lab.look_up() == Done(Outcome.NETWORK)

    def test_glue_of_another_zone_is_not_taken(self) -> None:
        lab = world()
        lab.servers[TLD] = reply(
            authority=["example.net NS ns.example.org"],
            additional=[f"ns.example.org A {OTHER}"],
            flags="",
        )
        lab.look_up()
        assert OTHER not in lab.addresses

    def test_wrong_glue_is_made_up_for(self) -> None:
        lab = self.glueless(hoster=reply(f"a.hoster.net A {ONE}"), a=None)
        lab.servers[TWO] = CLOSED
        lab.servers[TLD] = with_more(
            lab.servers[TLD], additional=[f"a.hoster.net A {TWO}"], below="example.net"
        )
        assert lab.look_up().rdatas == (RDATA,)
        assert lab.addresses == [ROOT, TLD, TWO, TLD, OTHER, ONE]

    def test_a_chain_of_them_is_not_followed_for_ever(self) -> None:
        def tld(ask: Ask) -> Reply:
            zone = ask.question.name[-2].decode()
            return reply(authority=[f"{zone}.net NS ns.{zone}a.net"], flags="")

        lab = world()
        lab.servers[TLD] = tld
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(TLD) == 5

    def test_a_tangle_of_them_takes_no_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once all its delegations are known, no limit on questions ends the search."""
        visits = []

        def visit(*args: Any) -> Visit:
            visits.append(args)
            return Visit(*args)

        monkeypatch.setattr(f"{Walk.__module__}.Visit", visit)

        def tld(ask: Ask) -> Reply:
            zone = name_to_text(ask.question.name[-2:])
            return reply(authority=[f"{zone} NS ns.z{n}.net" for n in range(20)], flags="")

        lab = world()
        lab.servers[TLD] = tld
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(TLD) == 21
        assert len(visits) < 200

    def test_many_of_them_are_not_all_looked_up(self) -> None:
        lab = self.glueless(hoster=NXDOMAIN, **{f"n{n}": None for n in range(20)})
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert lab.count(OTHER) == 8

    def test_both_families_are_asked_for_where_both_can_be_used(self) -> None:
        six = reply(f"a.hoster.net AAAA {SIX}")
        lab = self.glueless(
            hoster=lambda ask: NODATA_OF_HOSTER if ask.question.type == A else six, a=None
        )
        lab.servers[SIX] = RECORDS
        assert lab.look_up() == Done(Outcome.NETWORK), "it may have an IPv6 address"
        lab.families = frozenset({4, 6})
        lab.now += 100
        assert lab.look_up().rdatas == (RDATA,)
        assert lab.addresses[-1] == SIX


class TestParentSideGlue:
    """The server of example.net is ns.hoster.net, for which the TLD has glue as well."""

    def served(self, by_the_zone: Server, glued: Server = RECORDS) -> World:
        """What hoster.net says of the address of ns.hoster.net, and what is at the glue's."""

        def hoster(ask: Ask) -> Answer:
            zone = name_to_text(ask.question.name[-2:])
            return lab.answer_of("hoster" if zone == "hoster.net" else "glued", ask)

        lab = world(**{f"_{OTHER.replace('.', '_')}": hoster})
        lab.servers |= {"hoster": by_the_zone, "glued": glued}
        lab.servers[TLD] = lambda ask: (
            refer("hoster.net", ns=OTHER)
            if ask.question.name[-2:] == name("hoster.net")
            else reply(authority=["example.net NS ns.hoster.net"], flags="")
        )
        return lab

    @pytest.mark.parametrize(
        "by_the_zone",
        [
            NODATA_OF_HOSTER,
            NXDOMAIN,
            REFUSED,
            SERVFAIL,
            SILENT,
            reply("ns.hoster.net A 10.0.0.1"),
            reply(f"ns.hoster.net A {ONE}"),
        ],
        ids=["nodata", "nxdomain", "refused", "servfail", "silent", "private", "wrong"],
    )
    def test_helps_where_the_zone_itself_does_not(self, by_the_zone: Answer) -> None:
        lab = self.served(by_the_zone)
        lab.servers[ONE] = REFUSED
        assert lab.look_up().rdatas == (RDATA,)
        assert lab.addresses[-1] == OTHER
        lab.asked.clear()
        assert lab.look_up().outcome is Outcome.RECORDS
        assert all(ask.question.type == CAA for ask in lab.asked), "it is remembered"

    def test_is_asked_when_all_else_was_in_vain(self) -> None:
        lab = self.served(reply(f"ns.hoster.net A {ONE}"))
        lab.servers[ONE] = [SERVFAIL] * 4 + [NODATA]
        assert lab.look_up().outcome is Outcome.NOTHING

    def test_may_be_of_no_help(self) -> None:
        lab = self.served(NXDOMAIN, glued=REFUSED)
        assert lab.look_up() == Done(Outcome.SERVFAIL)
        assert len(lab.asked) == 4 + 5


class TestReachability:
    @pytest.mark.parametrize(
        "address",
        ["10.1.2.3", "127.0.0.1", "169.254.1.1", "172.31.0.1", "192.0.2.1", "100.64.0.1",
         "::1", "fd00::1", "fe80::1", "2001:db8::1", "::ffff:9.9.9.9", "224.0.0.1"],
    )  # fmt: skip
    def test_special_addresses_are_never_asked(self, address: str) -> None:
        assert Reachability().of(address) is Reach.SPECIAL
        lab = world()
        lab.servers[TLD] = refer("example.net", one=address)
        assert lab.look_up() == Done(Outcome.SERVFAIL)

    @pytest.mark.parametrize("address", ["127.3.2.1", "172.18.0.2", "10.0.0.1", "::1", "fd00::1"])
    def test_special_addresses_may_be_in_a_dns_of_ones_own(self, address: str) -> None:
        own = own_networks([])
        assert Reachability(own=own).of(address) is Reach.OPEN
        lab = world(**{f"_{address.replace('.', '_')}": RECORDS})
        lab.own, lab.families = own, frozenset({4, 6})
        lab.servers[TLD] = refer("example.net", one=address)
        assert lab.look_up().rdatas == (RDATA,)

    def test_other_special_addresses_may_be_where_the_root_is(self) -> None:
        assert Reachability(own=own_networks([])).of("192.0.2.9") is Reach.SPECIAL
        own = own_networks(["9.9.9.9", "192.0.2.1"])
        assert Reachability(own=own).of("192.0.2.9") is Reach.OPEN
        assert Reachability(own=own).of("198.51.100.1") is Reach.SPECIAL

    def test_a_family_without_a_route_costs_nothing(self) -> None:
        lab = world(RECORDS)
        lab.servers[TLD] = refer("example.net", one=SIX, two=ONE)
        assert lab.look_up().outcome is Outcome.RECORDS
        assert lab.addresses == [ROOT, TLD, ONE]

    def test_a_zone_of_another_family_is_our_trouble(self) -> None:
        lab = world()
        lab.servers[TLD] = refer("example.net", one=SIX)
        assert lab.look_up() == Done(Outcome.NETWORK)

    def test_no_network_is_our_trouble(self) -> None:
        lab = world()
        lab.families = frozenset()
        assert lab.look_up() == Done(Outcome.NETWORK)
        lab = world(NO_WAY)
        assert lab.look_up() == Done(Outcome.NETWORK)


class TestMemory:
    def delegation(self, zone: str, ttl: float = 0.0) -> Delegation:
        return Delegation(name(zone), (name("a.root"),), {}, ttl)

    def memory(self) -> Memory:
        return Memory(self.delegation(""))

    def zone(self, memory: Memory, now: float) -> Name:
        return memory.closest(name(WWW), now).zone

    @pytest.mark.parametrize(
        ("zone", "ttl", "kept"),
        [("net", 0, 5), ("net", 9e9, 3600), ("example.net", 30, 30), ("example.net", 86400, 60)],
    )
    def test_keeps_delegations_for_a_while(self, zone: str, ttl: float, kept: float) -> None:
        memory = self.memory()
        memory.learn_delegation(self.delegation(zone, ttl), 100.0)
        assert self.zone(memory, 99.9 + kept) == name(zone)
        assert self.zone(memory, 100.0 + kept) == ()

    def test_knows_the_glue_on_the_way_to_a_server(self) -> None:
        memory, server = self.memory(), name("ns.example.net")
        for zone, address in (("net", ONE), ("example.net", TWO), ("example.org", OTHER)):
            memory.learn_delegation(replace(self.delegation(zone), glue={server: (address,)}), 0.0)
        assert memory.glue(server, 1.0) == (TWO, ONE)
        assert memory.glue(name("other.example.net"), 1.0) == ()
        assert memory.glue(server, 6.0) == ()

    def test_finds_the_lowest_zone(self) -> None:
        memory = self.memory()
        for zone in ("net", "example.net", "other.net", "a.www.example.net"):
            memory.learn_delegation(self.delegation(zone), 0.0)
        assert self.zone(memory, 1.0) == name("example.net")

    def test_keeps_addresses_for_a_while_and_failures_shorter(self) -> None:
        memory, question = self.memory(), Question(name("ns.net"), A)
        assert memory.addresses(question, 0.0) is None
        memory.learn_addresses(question, Addresses(Outcome.NXDOMAIN), 3600, 0.0)
        assert memory.addresses(question, 4.9) == Addresses(Outcome.NXDOMAIN)
        assert memory.addresses(question, 5.0) is None
        memory.learn_addresses(question, Addresses(Outcome.RECORDS, (ONE,)), 3600, 0.0)
        assert memory.addresses(question, 59.0) == Addresses(Outcome.RECORDS, (ONE,))
        assert memory.addresses(question, 60.0) is None

    def test_knows_who_was_silent_until_heard_of(self) -> None:
        memory = self.memory()
        memory.missed(ONE)
        assert memory.is_silent(ONE)
        memory.heard(ONE, 0.1)
        assert not memory.is_silent(ONE)
        assert memory.patience(ONE) == memory.patience(TWO) == 0.4

    def test_is_bounded(self) -> None:
        held: Bounded[int, str] = Bounded(2)
        for number in (1, 2, 1, 3):
            held.set(number, str(number))
        assert [held.get(number) for number in (1, 2, 3)] == ["1", None, "3"]
