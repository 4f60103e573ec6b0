"""What one server does wrong is read from its answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certbot_caa_guard.audit import faults
from certbot_caa_guard.audit.catalogue import KINDS, Severity
from certbot_caa_guard.audit.questions import (
    AGAIN,
    AS_CA,
    DO,
    EDNS,
    LARGE,
    MIXED,
    PLAIN,
    SMALL,
    TCP,
    Manner,
    Probe,
)
from certbot_caa_guard.resolvers.iterative.message import CAA, DNAME, SOA, A, Echo
from tests.audit.builder import (
    REACHED,
    SHOP,
    UNREADABLE,
    WWW,
    Behaviour,
    always,
    answer,
    caa,
    cname,
    good,
    heard,
    name,
    nothing,
    ns,
    only,
    rcode,
    record,
    server,
    silence,
    soa,
    to_caa,
    zone,
)

FAILS, ON_1_18, MAY, SLOW, FINE = Severity
NX = 3


def by(*manners: Manner) -> Behaviour:
    """Silent to CAA in these manners."""
    return only(lambda probe: probe.type == CAA and probe.manner in manners, silence())


def refusing(*manners: Manner, code: str = "REFUSED") -> Behaviour:
    return only(lambda probe: probe.type == CAA and probe.manner in manners, rcode(code))


def late(seconds: float) -> Behaviour:
    return to_caa(heard(nothing(soa()).reply, seconds))  # type: ignore[arg-type]


def truncated(over_tcp: Behaviour) -> Behaviour:
    def behave(probe: Probe):  # type: ignore[no-untyped-def]
        if probe.type != CAA:
            return good(probe)
        return over_tcp(probe) if probe.manner.tcp else nothing(truncated=True)

    return behave


WITH_EDNS = (EDNS, SMALL, LARGE, DO, AS_CA)

CASES = {
    "all is well": (good, []),
    "there are records": (to_caa(answer(caa(WWW))), []),
    "an alias": (to_caa(answer(cname(WWW, "other.example"))), []),
    "an alias by DNAME to nowhere": (
        to_caa(answer(record(SHOP, DNAME, target="o.example"), rcode=NX, authority=(soa("o.e"),))),
        [],
    ),
    "a deeper zone at the same server": (to_caa(nothing(soa(WWW)), WWW), []),
    "silent": (always(silence()), [("ServerUnresponsiveUDP", FAILS)]),
    "silent over UDP only": (
        only(lambda probe: not probe.manner.tcp, silence()),
        [("ServerUnresponsiveUDP", FAILS)],
    ),
    "lame": (always(rcode("REFUSED")), [("ServerNotAuthoritative", FAILS)]),
    "lame and upwards": (always(nothing(ns("example"))), [("ServerNotAuthoritative", FAILS)]),
    "refuses SOA only": (only(lambda probe: probe.type == SOA, rcode("REFUSED")), []),
    "silent about CAA": (to_caa(silence()), [("Timeout", FAILS)]),
    "silent about CAA, and the SOA is empty": (
        only(lambda probe: probe.type == SOA, nothing(soa()), to_caa(silence())),
        [("Timeout", FAILS)],
    ),
    "SERVFAIL to CAA": (to_caa(rcode("SERVFAIL")), [("InvalidRcode", FAILS)]),
    "SERVFAIL to CAA at the apex": (to_caa(rcode("SERVFAIL"), SHOP), [("InvalidRcode", FAILS)]),
    "unreadable": (to_caa(UNREADABLE), [("MalformedResponse", FAILS)]),
    "no question": (to_caa(nothing(soa(), echo=Echo.MISSING)), [("MissingQuestion", FAILS)]),
    "upwards": (to_caa(nothing(ns("example"))), [("UpwardReferral", FAILS)]),
    "RDATA cut off": (
        to_caa(answer(record(WWW, CAA, b"\x00\xffissue"))),
        [("MalformedCAA", FAILS)],
    ),
    "an empty tag": (to_caa(answer(caa(WWW, tag=b""))), [("EmptyCAATag", FINE)]),
    "drops EDNS": (by(*WITH_EDNS), [("ResponseErrorWithEDNS", FAILS)]),
    "FORMERR to EDNS": (
        refusing(*WITH_EDNS, code="FORMERR"),
        [("ResponseErrorWithEDNS", FINE)],
    ),
    "SERVFAIL to EDNS": (
        refusing(*WITH_EDNS, code="SERVFAIL"),
        [("ResponseErrorWithEDNS", FAILS)],
    ),
    "drops DO": (by(DO, AS_CA), [("ResponseErrorWithEDNSFlag", FAILS)]),
    "drops mixed case": (by(MIXED, AS_CA), [("ResponseErrorWithMixedCase", MAY)]),
    "refuses mixed case": (refusing(MIXED, AS_CA), [("ResponseErrorWithMixedCase", FAILS)]),
    "drops large buffers": (by(LARGE), [("ResponseErrorWithEDNS", FINE)]),
    "drops plain questions": (by(PLAIN), [("IntermittentFailure", FINE)]),
    "fails at random": (refusing(MIXED, EDNS), [("IntermittentFailure", MAY)]),
    "fails as the CA asks": (refusing(AS_CA), [("IntermittentFailure", MAY)]),
    "loses case": (to_caa(nothing(soa(), echo=Echo.CASE_LOST)), [("CasePreservationError", FINE)]),
    "no AA with records": (
        to_caa(answer(caa(WWW), authoritative=False)),
        [("NotAuthoritative", FINE)],
    ),
    "no AA with an SOA": (
        to_caa(nothing(soa(), authoritative=False)),
        [("NotAuthoritative", FINE)],
    ),
    "nothing at all": (to_caa(nothing()), [("MissingSOAForNODATA", ON_1_18)]),
    "NS in place of SOA": (to_caa(nothing(ns(SHOP))), [("MissingSOAForNODATA", FINE)]),
    "NS in place of SOA, no AA": (
        to_caa(nothing(ns(SHOP), authoritative=False)),
        [("MissingSOAForNODATA", ON_1_18)],
    ),
    "the SOA of the parent": (
        to_caa(nothing(soa("example"))),
        [("SOAOwnerNotZoneForNODATA", ON_1_18)],
    ),
    "the SOA of the root": (to_caa(nothing(soa("."))), [("SOAOwnerNotZoneForNODATA", ON_1_18)]),
    "NXDOMAIN": (
        only(lambda probe: probe.owner == name(WWW), nothing(soa(), rcode=NX)),
        [],
    ),
    "NXDOMAIN to CAA only": (
        to_caa(nothing(soa(), rcode=NX), WWW),
        [("InconsistentNXDOMAIN", FINE)],
    ),
    "NXDOMAIN without SOA": (
        only(lambda probe: probe.owner == name(WWW), nothing(rcode=NX)),
        [("MissingSOAForNXDOMAIN", FINE)],
    ),
    "NXDOMAIN with another SOA": (
        only(lambda probe: probe.owner == name(WWW), nothing(soa("."), rcode=NX)),
        [("SOAOwnerNotZoneForNXDOMAIN", FINE)],
    ),
    "A is truncated": (
        only(
            lambda probe: probe.type == A,
            nothing(truncated=True),
            to_caa(nothing(soa(), rcode=NX), WWW),
        ),
        [],
    ),
    "late": (late(1.2), [("SlowResponse", SLOW)]),
    "later": (late(5.0), [("SlowResponse", MAY)]),
    "too late": (late(8.0), [("SlowResponse", FAILS)]),
    "late, so that short patience tells nothing": (
        only(
            lambda probe: probe.manner not in {PLAIN, AS_CA} and probe.type == CAA,
            silence(),
            late(3.0),
        ),
        [("SlowResponse", SLOW)],
    ),
    "no TCP": (only(lambda probe: probe.manner.tcp, silence()), [("ServerUnresponsiveTCP", FINE)]),
    "truncated, and TCP works": (truncated(always(answer(caa(WWW)))), []),
    "truncated, and no TCP": (truncated(always(silence())), [("ServerUnresponsiveTCP", FAILS)]),
}


def found(behaviour: Behaviour, reached=REACHED):  # type: ignore[no-untyped-def]
    return list(faults.of_server(zone(behaviour), server(1), reached))


@pytest.mark.parametrize("case", CASES)
def test_each_behaviour_has_its_fault(case: str) -> None:
    behaviour, expected = CASES[case]
    seen = {(fault.code, fault.severity) for fault in found(behaviour)}
    assert seen == set(expected)


@pytest.mark.parametrize("case", CASES)
def test_a_fault_names_its_server_and_says_what_was_seen(case: str) -> None:
    for fault in found(CASES[case][0]):
        assert fault.server == server(1)
        assert fault.code in KINDS
        assert fault.evidence


def test_silence_is_our_own_trouble_where_nobody_else_was_reached() -> None:
    own = frozenset({(name(SHOP), 4, False), ((), 6, False), ((), 4, True)})
    assert found(always(silence()), own) == []


def test_no_tcp_is_our_own_trouble_where_nobody_else_was_reached_by_it() -> None:
    udp = frozenset({((), 4, False)})
    assert found(only(lambda probe: probe.manner.tcp, silence()), udp) == []


def test_a_server_of_which_nothing_is_known_has_no_fault() -> None:
    assert found(always(faults.Answer(faults.Heard.NOT_ASKED))) == []
    assert list(faults.of_server(zone(), server(1), REACHED)) == []


def test_who_was_slow_once_and_quick_when_asked_again_is_not_slow() -> None:
    held = zone(late(1.2), owners=(WWW,))
    again = {(server(1), Probe(name(WWW), CAA, AGAIN[0])): good(Probe(name(WWW), CAA, AGAIN[0]))}
    quick = replace(held, answers={**held.answers, **again})
    assert [one.code for one in faults.of_server(held, server(1), REACHED)] == ["SlowResponse"]
    assert list(faults.of_server(quick, server(1), REACHED)) == []


def test_the_answer_over_tcp_tells_where_udp_is_too_small() -> None:
    held = zone(truncated(always(answer(caa(WWW)))))
    reply = faults.telling(held, server(1), name(WWW))
    assert reply is not None
    assert faults.caa_rdata(reply)
    assert held.answer(server(1), name(WWW), CAA, TCP).reply is reply
