"""Asking a recursive resolver."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import dns.edns
import dns.rcode
import pytest

from certbot_caa_guard.caa import Record
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.resolvers import stub
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.plain import engine, window
from certbot_caa_guard.resolvers.spec import parse
from certbot_caa_guard.resolvers.stub import StubResolver
from certbot_caa_guard.verdict import Perspective
from tests.internet import Internet, servfail
from tests.resolvers.responder import Answering, Question, Responder, raw_reply, record, reply

OWNER = "www.example.net"
RECORD = f'{OWNER}. CAA 0 issue "letsencrypt.org"'
ISSUE = (Record(0, b"issue", b"letsencrypt.org"),)

PATIENT = 10.0  # seconds; never reached
SOON = 0.15  # seconds; for what never answers


@pytest.fixture(autouse=True)
def _resend_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LOCAL", replace(window.LOCAL, resend=0.01))
    monkeypatch.setattr(engine, "_TICK", 0.005)


def permits(question: Question) -> list[bytes]:
    return [reply(question, answer=[RECORD])]


def fails(rcode: int) -> Answering:
    return lambda question: [reply(question, rcode=rcode)]


def says_nothing(_question: Question) -> list[bytes]:
    return []


def ask(
    *answering: Answering, timeout: float = PATIENT, tcp_only: bool = False, owner: str = OWNER
) -> tuple[Lookup, list[Responder]]:
    """One lookup through a resolver that has these servers."""

    async def scenario() -> tuple[Lookup, list[Responder]]:
        responders = [Responder(one) for one in answering]
        for responder in responders:
            await responder.__aenter__()
        try:
            resolver = resolver_at(*responders, tcp_only=tcp_only)
            return await resolver.lookup(owner, timeout), responders
        finally:
            for responder in responders:
                await responder.__aexit__(None, None, None)

    return asyncio.run(scenario())


def resolver_at(*responders: Responder, tcp_only: bool = False) -> StubResolver:
    servers = [("127.0.0.1", responder.port) for responder in responders]
    perspective = Perspective("test", public=True)
    return StubResolver(perspective, servers, tcp_only=tcp_only)


def is_usable(answering: Answering, *, timeout: float = PATIENT) -> bool:
    async def scenario() -> bool:
        async with Responder(answering) as responder:
            return await resolver_at(responder).is_usable(timeout)

    return asyncio.run(scenario())


def test_the_records_come_back() -> None:
    found, _ = ask(permits)
    assert (found.outcome, found.records) == (Outcome.RECORDS, ISSUE)


def test_the_question_is_for_caa_at_the_owner_with_recursion() -> None:
    _, (responder,) = ask(permits)
    message = responder.questions[0].message
    (entry,) = message.question
    assert entry.to_text().lower() == f"{OWNER}. IN CAA".lower()
    assert message.flags & 0x0100


def test_the_question_offers_edns_with_1232_octets() -> None:
    _, (responder,) = ask(permits)
    assert responder.questions[0].message.payload == 1232


def test_a_lookup_tells_how_long_it_took() -> None:
    found, _ = ask(permits)
    assert 0 < found.seconds < PATIENT


def test_a_lost_datagram_is_sent_again() -> None:
    found, (responder,) = ask(lambda q: permits(q) if q.number == 1 else [])
    assert (found.outcome, len(responder.questions)) == (Outcome.RECORDS, 2)


def test_the_same_question_is_sent_again() -> None:
    _, (responder,) = ask(lambda q: permits(q) if q.number == 2 else [])
    assert len({question.wire for question in responder.questions}) == 1


def test_a_question_is_sent_five_times_at_most() -> None:
    _, (responder,) = ask(says_nothing, timeout=0.6)
    assert len(responder.questions) == 5


def test_an_answer_with_another_id_is_passed_over() -> None:
    def forged_first(question: Question) -> list[bytes]:
        true = reply(question, answer=[RECORD])
        forged = reply(question, answer=[f'{OWNER}. CAA 0 issue "evil.example"'])
        return [bytes([forged[0] ^ 0xFF]) + forged[1:], true]

    found, _ = ask(forged_first)
    assert found.records == ISSUE


@pytest.mark.parametrize(
    "noise", [b"", b"x", b"\0" * 12], ids=["empty", "one octet", "another question"]
)
def test_datagrams_that_are_no_answer_are_passed_over(noise: bytes) -> None:
    found, _ = ask(lambda question: [noise, reply(question, answer=[RECORD])])
    assert found.records == ISSUE


def test_a_second_answer_does_no_harm() -> None:
    found, _ = ask(lambda question: permits(question) * 2)
    assert found.records == ISSUE


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    def long_answer(question: Question) -> list[bytes]:
        if question.transport == "udp":
            return [reply(question, truncated=True)]
        return permits(question)

    found, (responder,) = ask(long_answer)
    assert (found.records, responder.transports) == (ISSUE, ["udp", "tcp"])


def test_an_answer_that_is_truncated_over_tcp_too_is_truncated() -> None:
    found, _ = ask(lambda question: [reply(question, truncated=True)])
    assert found.outcome is Outcome.TRUNCATED


def test_a_thousand_records_come_over_tcp() -> None:
    def long_answer(question: Question) -> list[bytes]:
        if question.transport == "udp":
            return [reply(question, truncated=True)]
        return [
            raw_reply(
                question.wire,
                answers=[record(b"\x00\x05issueca%d.example" % number) for number in range(1000)],
            )
        ]

    found, _ = ask(long_answer)
    assert len(found.records) == 1000


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_a_server_that_does_not_know_edns_is_asked_without(rcode: int) -> None:
    def old_server(question: Question) -> list[bytes]:
        if question.has_edns:
            return [reply(question, rcode=rcode)]
        return permits(question)

    found, (responder,) = ask(old_server)
    assert (found.records, len(responder.questions)) == (ISSUE, 2)


def test_a_server_that_refuses_without_edns_too_has_said_so() -> None:
    found, _ = ask(fails(dns.rcode.FORMERR))
    assert found.outcome is Outcome.FORMERR


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_the_next_server_is_asked_after_a_failure(rcode: int) -> None:
    found, _ = ask(fails(rcode), permits)
    assert found.records == ISSUE


def test_the_next_server_is_asked_after_silence() -> None:
    found, _ = ask(says_nothing, permits, timeout=2 * SOON)
    assert found.records == ISSUE


def test_the_next_server_is_not_asked_after_an_answer() -> None:
    _, (_, second) = ask(permits, permits)
    assert second.questions == []


def test_nxdomain_is_an_answer() -> None:
    found, (_, second) = ask(fails(dns.rcode.NXDOMAIN), permits)
    assert (found.outcome, second.questions) == (Outcome.NXDOMAIN, [])


def test_of_several_failures_the_last_counts() -> None:
    found, _ = ask(fails(dns.rcode.SERVFAIL), fails(dns.rcode.REFUSED))
    assert found.outcome is Outcome.REFUSED


def test_a_failure_counts_more_than_silence_after_it() -> None:
    found, _ = ask(fails(dns.rcode.SERVFAIL), says_nothing, timeout=2 * SOON)
    assert found.outcome is Outcome.SERVFAIL


def test_silence_is_a_timeout() -> None:
    found, _ = ask(says_nothing, timeout=SOON)
    assert found.outcome is Outcome.TIMEOUT


def test_a_timeout_tells_how_long_it_took() -> None:
    found, _ = ask(says_nothing, timeout=SOON)
    assert found.seconds == pytest.approx(SOON, abs=0.1)


def test_the_time_is_shared_among_the_servers() -> None:
    found, _ = ask(says_nothing, says_nothing, says_nothing, timeout=3 * SOON)
    assert found.seconds == pytest.approx(3 * SOON, abs=0.2)


@pytest.mark.parametrize("make", [stub.udp, stub.tcp])
def test_a_closed_port_is_a_network_error(make: Callable[..., StubResolver]) -> None:
    async def scenario() -> Lookup:
        async with Responder(permits) as responder:
            port = responder.port
        scheme = make.__name__
        return await make(parse(f"{scheme}://127.0.0.1:{port}")).lookup(OWNER, PATIENT)

    assert asyncio.run(scenario()).outcome is Outcome.NETWORK


def test_tcp_alone_uses_no_udp() -> None:
    found, (responder,) = ask(permits, tcp_only=True)
    assert (found.records, responder.transports) == (ISSUE, ["tcp"])


def test_a_tcp_connection_that_ends_early_is_a_network_error() -> None:
    found, _ = ask(lambda _question: [b""], tcp_only=True)
    assert found.outcome is Outcome.NETWORK


def test_an_answer_to_something_else_over_tcp_is_a_network_error() -> None:
    found, _ = ask(lambda question: [b"\0\0" + reply(question)[2:]], tcp_only=True)
    assert found.outcome is Outcome.NETWORK


def test_silence_over_tcp_is_a_timeout() -> None:
    async def scenario() -> Lookup:
        accepted: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _r, w: accepted.append(w), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await stub.tcp(parse(f"tcp://127.0.0.1:{port}")).lookup(OWNER, SOON)
        server.close()
        for writer in accepted:
            writer.close()
        await asyncio.sleep(0)
        return found

    assert asyncio.run(scenario()).outcome is Outcome.TIMEOUT


def test_the_extended_error_comes_along() -> None:
    option = dns.edns.EDEOption(7, "expired")
    found, _ = ask(lambda q: [reply(q, rcode=dns.rcode.SERVFAIL, extended=option)])
    assert found.extended_error == ExtendedError(7, "expired")


def test_a_record_with_an_empty_tag_comes_along() -> None:
    found, _ = ask(lambda question: [raw_reply(question.wire, answers=[record(b"\x80\x00")])])
    assert found.records == (Record(128, b"", b""),)


def test_malformed_rdata_is_an_outcome() -> None:
    found, _ = ask(lambda question: [raw_reply(question.wire, answers=[record(b"\x00\x09iss")])])
    assert found.outcome is Outcome.MALFORMED


def test_an_owner_that_no_message_can_hold_is_an_outcome() -> None:
    found, _ = ask(permits, owner="a" * 64 + ".example.net")
    assert found.outcome is Outcome.MALFORMED


def test_many_lookups_at_a_time_get_their_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LOCAL", replace(window.LOCAL, resend=1.0))

    def answering(question: Question) -> list[bytes]:
        owner = question.message.question[0].name.to_text().lower()
        return [reply(question, answer=[f'{owner} CAA 0 issue "{owner}"'])]

    async def scenario() -> Sequence[Lookup]:
        async with Responder(answering) as responder:
            resolver = resolver_at(responder)
            owners = [f"n{number}.example" for number in range(150)]
            return await asyncio.gather(*(resolver.lookup(one, PATIENT) for one in owners))

    for lookup in asyncio.run(scenario()):
        assert lookup.records[0].value.decode() == f"{lookup.owner}."


def test_a_resolver_that_answers_for_the_root_is_usable() -> None:
    assert is_usable(lambda question: [reply(question, answer=[". NS a.root."])])


def test_the_probe_asks_for_the_name_servers_of_the_root() -> None:
    asked: list[str] = []

    def answering(question: Question) -> list[bytes]:
        asked.append(question.message.question[0].to_text())
        return [reply(question)]

    is_usable(answering)
    assert asked == [". IN NS"]


@pytest.mark.parametrize(
    "answering",
    [fails(dns.rcode.NOERROR), fails(dns.rcode.SERVFAIL), fails(dns.rcode.REFUSED), says_nothing],
    ids=["nothing", "servfail", "refused", "silence"],
)
def test_any_other_is_not_usable(answering: Answering) -> None:
    assert not is_usable(answering, timeout=SOON)


def test_nobody_there_is_not_usable() -> None:
    async def scenario() -> bool:
        async with Responder(permits) as responder:
            port = responder.port
        return await stub.udp(parse(f"udp://127.0.0.1:{port}")).is_usable(PATIENT)

    assert not asyncio.run(scenario())


def test_an_ipv6_address_is_asked() -> None:
    async def scenario() -> Lookup:
        return await stub.udp(parse("udp://[::1]:1")).lookup(OWNER, PATIENT)

    assert asyncio.run(scenario()).outcome is Outcome.NETWORK


@pytest.mark.parametrize("make", [stub.udp, stub.tcp])
def test_a_resolver_that_the_user_named_is_a_public_perspective(
    make: Callable[..., StubResolver],
) -> None:
    resolver = make(parse("tcp://192.0.2.1:54"))
    assert resolver.perspective == Perspective(
        "tcp://192.0.2.1:54", public=True, addresses=frozenset({"192.0.2.1#54"})
    )


@pytest.mark.parametrize(
    ("address", "gentle"), [("127.0.0.53", False), ("192.0.2.1", True), ("[::1]", False)]
)
def test_only_resolvers_on_this_machine_are_asked_as_fast_as_they_answer(
    address: str, gentle: bool
) -> None:
    limits = stub.udp(parse(f"udp://{address}"))._engine.limits
    assert (limits.in_flight, limits.per_second) == ((100, 500) if gentle else (1000, None))


def resolv_conf(folder: Path, text: str) -> str:
    path = folder / "resolv.conf"
    path.write_text(text, "ascii")
    return str(path)


def test_resolv_conf_names_the_resolvers(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "search x.example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n")
    resolver = stub.from_resolv_conf(parse("system"), path)
    assert resolver._servers == [("192.0.2.1", 53), ("2001:db8::1", 53)]


def test_the_system_resolver_may_live_in_a_split_horizon(tmp_path: Path) -> None:
    path = resolv_conf(tmp_path, "nameserver 192.0.2.1\n")
    resolver = stub.from_resolv_conf(parse("system"), path)
    assert resolver.perspective == Perspective(
        "system", public=False, addresses=frozenset({"192.0.2.1"})
    )


def test_the_system_resolver_is_the_one_of_etc_resolv_conf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = resolv_conf(tmp_path, "nameserver 192.0.2.9\n")
    monkeypatch.setattr(stub, "_RESOLV_CONF", path)
    assert stub.system(parse("system"))._servers == [("192.0.2.9", 53)]


@pytest.mark.parametrize(
    "text", ["", "search x.example\n", "nameserver resolver.example\n"], ids=repr
)
def test_a_resolv_conf_without_a_resolver_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ResolverError, match="names no resolver"):
        stub.from_resolv_conf(parse("system"), resolv_conf(tmp_path, text))


def test_no_resolv_conf_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResolverError, match="names no resolver"):
        stub.from_resolv_conf(parse("system"), str(tmp_path / "missing"))


def test_a_real_unbound_is_talked_to(tmp_path: Path) -> None:
    """It permits by a CNAME, denies by nothing, and fails when the zone's server does."""

    async def scenario(resolver: StubResolver) -> list[Outcome]:
        owners = ("example.net", "www.example.net", "broken.example.net")
        assert await resolver.is_usable(PATIENT)
        return [(await resolver.lookup(owner, PATIENT)).outcome for owner in owners]

    zones = {"example.net": ['@ CAA 0 issue "letsencrypt.org"', "www A 127.0.0.1"]}
    with Internet(tmp_path, zones) as internet:
        internet.servers.script(servfail, owner="broken.example.net")
        resolver = stub.udp(parse(f"udp://{internet.resolver}"))
        outcomes = asyncio.run(scenario(resolver))
    assert outcomes == [Outcome.RECORDS, Outcome.NOTHING, Outcome.SERVFAIL]


def test_a_probe_of_a_broken_answer_does_not_raise() -> None:
    """An answer of a header only says nothing, whatever it counts."""
    header = struct.pack("!HHHHH", 0x8180, 0, 0, 0, 0)
    assert not is_usable(lambda question: [question.wire[:2] + header], timeout=SOON)


def test_over_tcp_the_rate_is_kept_too() -> None:
    times: list[float] = []

    def answering(question: Question) -> list[bytes]:
        times.append(time.monotonic())
        return [reply(question)]

    async def scenario() -> None:
        async with Responder(answering) as responder:
            servers = [("127.0.0.1", responder.port)]
            perspective = Perspective("test", public=True)
            resolver = StubResolver(perspective, servers, tcp_only=True, rate=3)
            await asyncio.gather(*(resolver.lookup(f"n{n}.net", PATIENT) for n in range(4)))

    asyncio.run(scenario())
    assert times[3] - times[0] > 0.8


def test_what_answered_no_question_is_counted() -> None:
    async def scenario() -> int:
        async with Responder(lambda question: [b"x", *permits(question)]) as responder:
            resolver = resolver_at(responder)
            await resolver.lookup(OWNER, PATIENT)
            return resolver.mismatched

    assert asyncio.run(scenario()) == 1


def test_our_mixture_of_cases_is_not_seen_in_the_resolvers_words() -> None:
    def fails_with_the_name(question: Question) -> list[bytes]:
        name = question.message.question[0].name.to_text()
        extended = dns.edns.EDEOption(9, f"no keys for {name} at Some.Other.Place or {name[4:-1]}.")
        return [reply(question, rcode=dns.rcode.SERVFAIL, extended=extended)]

    found, _ = ask(fails_with_the_name)
    assert found.extended_error == ExtendedError(
        9, "no keys for www.example.net. at Some.Other.Place or example.net."
    )


def test_a_resolver_that_says_one_long_word_keeps_nobody_waiting() -> None:
    said = Lookup(OWNER, Outcome.SERVFAIL, extended_error=ExtendedError(0, "a" * 100_000))
    start = time.process_time()
    assert stub._without_mixed_case(said) == said
    assert time.process_time() - start < 1.0


def test_a_lookup_that_is_given_up_is_not_asked_again() -> None:
    async def scenario() -> int:
        async with Responder(says_nothing) as responder:
            resolver = resolver_at(responder)
            asking = asyncio.ensure_future(resolver.lookup(OWNER, PATIENT))
            while not responder.questions:
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return len(resolver._engine._in_flight)

    assert asyncio.run(scenario()) == 0
