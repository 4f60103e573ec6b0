"""From faults of servers to findings: grouped, weighed by what the CA gets to, and told."""

from __future__ import annotations

import pytest

from certbot_caa_guard.audit.catalogue import KINDS, Severity, rank
from certbot_caa_guard.audit.findings import Finding, explains, find, main
from certbot_caa_guard.audit.matrix import Chain, NameServer, listed
from certbot_caa_guard.audit.questions import Probe
from certbot_caa_guard.resolvers.iterative.addresses import Reach
from certbot_caa_guard.resolvers.iterative.message import CAA
from tests.audit.builder import (
    SHOP,
    WWW,
    Behaviour,
    always,
    answer,
    caa,
    cname,
    good,
    matrix,
    name,
    nameserver,
    nothing,
    rcode,
    server,
    silence,
    to_caa,
    zone,
)

FAILS, ON_1_18, MAY, SLOW, FINE = Severity
BAD = to_caa(rcode("SERVFAIL"))
OWNERS = (WWW, SHOP, "example")


def told(*behaviours: Behaviour) -> list[tuple[str, Severity]]:
    return [(one.code, one.severity) for one in find(matrix(zone(*behaviours)))]


def test_where_all_is_well_nothing_is_found() -> None:
    assert find(matrix(zone(good, good))) == ()
    assert main(()) is None
    assert not explains((), ())


def test_a_fault_of_all_servers_fails_and_names_all() -> None:
    (finding,) = find(matrix(zone(BAD, BAD)))
    assert (finding.code, finding.severity) == ("InvalidRcode", FAILS)
    assert finding.servers == (str(server(1)), str(server(2)))
    assert finding.owner == WWW


def test_a_fault_of_some_servers_may_fail_and_names_those() -> None:
    (finding,) = find(matrix(zone(good, BAD, good)))
    assert (finding.severity, finding.servers, finding.of) == (MAY, (str(server(2)),), 3)
    assert "1 of 3 servers" in finding.evidence


def test_different_faults_of_all_servers_fail_together() -> None:
    assert told(BAD, always(silence())) == [
        ("ServerUnresponsiveUDP", FAILS),
        ("InvalidRcode", FAILS),
    ]


def test_a_server_without_address_serves_nobody() -> None:
    lost = nameserver("ns.lost.example")
    (finding,) = find(matrix(zone(servers=(lost,))))
    assert (finding.code, finding.severity) == ("NoAddressForNSName", FAILS)
    assert finding.servers == ("ns.lost.example",)


def test_beside_a_server_that_serves_one_without_address_may_fail() -> None:
    held = zone(good)
    both = zone(good, servers=(*held.servers, nameserver("ns.lost.example")))
    (finding,) = find(matrix(both))
    assert (finding.severity, finding.servers) == (MAY, ("ns.lost.example",))


@pytest.mark.parametrize(
    "other",
    [
        nameserver("ns.six.example", {"2620:fe::9": Reach.NO_ROUTE}),
        nameserver("ns.hoster.example", lookup_out_of_reach=True),
    ],
)
def test_beside_a_server_that_only_others_can_ask_a_bad_one_may_fail(other: NameServer) -> None:
    held = zone(BAD)
    (finding,) = find(matrix(zone(BAD, servers=(*held.servers, other))))
    assert (finding.severity, finding.servers) == (MAY, (str(server(1)),))


def test_the_worst_is_told_first() -> None:
    empty = to_caa(nothing())
    assert told(empty, BAD) == [("MissingSOAForNODATA", ON_1_18), ("InvalidRcode", MAY)]


def test_above_a_record_the_ca_never_gets() -> None:
    held = zone(to_caa(answer(caa(WWW)), WWW), owners=(WWW,))
    tld = zone(BAD, owners=("example",), name=name("example"))
    findings = find(matrix(tld, held))
    assert [(one.code, one.severity) for one in findings] == [("InvalidRcode", FINE)]
    assert main(findings) is None
    assert not explains(findings, OWNERS)


def test_a_record_that_only_some_servers_have_ends_no_climb() -> None:
    held = zone(to_caa(answer(caa(WWW)), WWW), good, owners=(WWW,))
    tld = zone(BAD, owners=("example",), name=name("example"))
    codes = {one.code: one.severity for one in find(matrix(tld, held))}
    assert codes == {"InvalidRcode": FAILS, "InconsistentCAA": MAY}


@pytest.mark.parametrize(("failed", "explained"), [(["example"], True), ([WWW], False)])
def test_what_servers_of_a_tld_do_explains_no_failure_below_it(
    failed: list[str], explained: bool
) -> None:
    found = Finding("InvalidRcode", MAY, "example", "example", ("ns.example",), 2, "REFUSED to CAA")
    assert explains([found], failed) is explained


def test_records_that_only_some_servers_have_make_no_lookup_fail() -> None:
    held = zone(to_caa(answer(caa(WWW)), WWW), good, owners=(WWW,))
    findings = find(matrix(held))
    assert [(one.code, one.severity) for one in findings] == [("InconsistentCAA", MAY)]
    assert not explains(findings, OWNERS)


def test_a_fault_at_a_name_that_counts_outweighs_one_at_a_name_that_does_not() -> None:
    def behave(probe: Probe):  # type: ignore[no-untyped-def]
        if probe.type == CAA and probe.owner == name(SHOP):
            return rcode("SERVFAIL")
        return to_caa(answer(caa(WWW)), WWW)(probe)

    findings = find(matrix(zone(behave, good)))
    by_code = {one.code: one for one in findings}
    assert by_code["InvalidRcode"].severity is MAY
    assert by_code["InvalidRcode"].servers == (str(server(1)),)
    (alone,) = find(matrix(zone(behave)))
    assert alone.severity is FINE


def test_a_fault_of_an_aliases_target_counts() -> None:
    held = zone(to_caa(answer(cname(WWW, "cdn.example")), WWW), owners=(WWW,))
    target = zone(BAD, owners=("cdn.example",), name=name("cdn.example"))
    chains = {name(WWW): Chain((name(WWW), name("cdn.example")))}
    (finding,) = find(matrix(held, target, chains=chains))
    assert (finding.severity, finding.zone) == (FAILS, "cdn.example")


def test_a_fault_of_an_alias_on_the_way_to_the_target_counts() -> None:
    held = zone(to_caa(answer(cname(WWW, "a.cdn.example")), WWW), owners=(WWW,))
    between = zone(BAD, owners=("a.cdn.example",), name=name("cdn.example"))
    chains = {name(WWW): Chain((name(WWW), name("a.cdn.example"), name("b.host.example")))}
    (finding,) = find(matrix(held, between, chains=chains))
    assert (finding.severity, finding.zone) == (FAILS, "cdn.example")


def test_an_alias_loop_is_told_of_its_zone() -> None:
    held = zone(to_caa(answer(cname(WWW, WWW)), WWW))
    chains = {name(WWW): Chain((name(WWW), name(WWW)), loops=True)}
    (finding,) = find(matrix(held, chains=chains))
    assert (finding.code, finding.severity, finding.owner) == ("AliasLoop", FAILS, WWW)


def test_a_missing_top_level_domain_is_nobodys_fault() -> None:
    (finding,) = find(matrix(identifier="www.shop.exampel", no_tld=True))
    assert (finding.code, finding.severity, finding.servers) == ("NoSuchTLD", FAILS, ())
    assert finding.line.startswith("NoSuchTLD: exampel: ")
    assert "(the zone exampel)" in finding.ticket


def test_a_finding_is_plain_data() -> None:
    (finding,) = find(matrix(zone(BAD)))
    document = finding.as_json()
    assert {"code", "servers", "mend"} <= document.keys()
    assert document["severity"] == "fails"
    assert document["servers"] == ["ns1.shop.example (192.0.2.1)"]


def test_a_ticket_says_who_what_and_why_to_whoever_runs_the_server() -> None:
    (finding,) = find(matrix(zone(BAD)))
    for part in (SHOP, "192.0.2.1", "SERVFAIL to CAA", "RFC 8659", "no certificate", finding.mend):
        assert part in finding.ticket


@pytest.mark.parametrize("severity", Severity)
def test_each_severity_has_its_effect_in_a_ticket(severity: Severity) -> None:
    assert "Effect: " in Finding("Timeout", severity, SHOP, None, (), 1, "").ticket


@pytest.mark.parametrize("code", KINDS)
def test_each_kind_says_what_where_it_is_written_and_the_mend(code: str) -> None:
    kind = KINDS[code]
    assert "RFC" in kind.source
    assert kind.mend.endswith(".")
    assert 1 <= kind.mend.count(". ") + 1 <= 2
    assert rank(code) >= 0


def test_an_address_is_listed_once_whatever_names_it_has() -> None:
    one, other = server(1), server(2)
    alias = type(one)("also.example", one.address)
    assert listed([one, alias, other]) == ("also.example (192.0.2.1)", str(other))
