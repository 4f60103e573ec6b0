"""What is wrong with how a zone is delegated, and among its servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certbot_caa_guard.audit import delegation
from certbot_caa_guard.audit.faults import Fault
from certbot_caa_guard.audit.matrix import Chain, NameServer
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.resolvers.iterative.addresses import Reach
from tests.audit.builder import (
    SHOP,
    WWW,
    answer,
    caa,
    cname,
    good,
    matrix,
    name,
    nameserver,
    rcode,
    server,
    to_caa,
    zone,
)

AT = {"192.0.2.9": Reach.OPEN}

NAME_SERVERS = {
    "fine": (nameserver("ns.other.example", AT), []),
    "inside, without glue": (nameserver("ns.shop.example"), ["MissingGlueForNSName"]),
    "inside, named by the zone only": (
        nameserver("ns.shop.example", by_parent=False),
        ["NoAddressForNSName", "NSNameNotInParent"],
    ),
    "outside, without address": (nameserver("ns.other.example"), ["NoAddressForNSName"]),
    "outside, lookup failed": (
        nameserver("ns.other.example", lookup_failed=True),
        ["ErrorResolvingNSName"],
    ),
    "outside, and no way to who knows its address": (
        nameserver("ns.other.example", lookup_out_of_reach=True),
        [],
    ),
    "private": (
        nameserver("ns.other.example", {"10.0.0.1": Reach.SPECIAL, "192.0.2.9": Reach.OPEN}),
        ["PrivateAddressNS"],
    ),
    "no route to it": (nameserver("ns.other.example", {"2001:db8::1": Reach.NO_ROUTE}), []),
    "named above only": (nameserver("ns.other.example", AT, by_zone=False), ["NSNameNotInChild"]),
    "named by the zone only": (
        nameserver("ns.other.example", AT, by_parent=False),
        ["NSNameNotInParent"],
    ),
}


@pytest.mark.parametrize("case", NAME_SERVERS)
def test_each_name_server_has_its_faults(case: str) -> None:
    one, expected = NAME_SERVERS[case]
    usual = nameserver("ns1.shop.example", {"192.0.2.1": Reach.OPEN})
    found = list(delegation.of_name_servers(zone(good, servers=(usual, one))))
    assert [fault.code for fault in found] == expected
    assert {fault.server.name for fault in found} <= {".".join(map(bytes.decode, one.name))}


def test_a_zone_of_which_only_one_side_is_known_disagrees_with_nobody() -> None:
    servers: tuple[NameServer, ...] = (nameserver("a.example", AT, by_zone=False),)
    assert list(delegation.of_name_servers(zone(good, servers=servers))) == []


def chained(*names: str, loops: bool = False) -> list[str]:
    held = zone(good)
    chains = {name(names[0]): Chain(tuple(map(name, names)), loops=loops)}
    found = delegation.of_aliases(matrix(held, chains=chains))
    return [fault.code for _, fault in found]


def test_an_alias_that_leads_somewhere_is_no_fault() -> None:
    assert chained(WWW, "other.example") == []


def test_a_loop_is_a_fault() -> None:
    assert chained(WWW, "other.example", WWW, loops=True) == ["AliasLoop"]


def test_more_than_eleven_aliases_are_a_fault() -> None:
    names = [WWW, *(f"a{number}.example" for number in range(12))]
    assert chained(*names) == ["AliasChainTooLong"]
    assert chained(*names[:-1]) == []


def test_an_alias_in_a_zone_that_was_not_seen_is_no_fault() -> None:
    assert chained("www.other.example", "x.example", "www.other.example", loops=True) == []


def test_of_servers_with_different_records_the_fewer_are_told_of() -> None:
    allows, denies = to_caa(answer(caa(WWW))), to_caa(answer(caa(WWW, b"other.example")))
    found = list(delegation.of_disagreement(zone(allows, denies, allows, owners=(WWW,))))
    assert [(fault.code, fault.server) for fault in found] == [("InconsistentCAA", server(2))]


def test_of_two_servers_with_different_records_both_are_told_of() -> None:
    found = delegation.of_disagreement(zone(to_caa(answer(caa(WWW))), good, owners=(WWW,)))
    assert [fault.server for fault in found] == [server(1), server(2)]


def test_who_failed_or_knows_an_alias_only_disagrees_with_nobody() -> None:
    failing, alias = to_caa(rcode("SERVFAIL")), to_caa(answer(cname(WWW, "x.example")))
    assert list(delegation.of_disagreement(zone(good, failing, alias))) == []


def test_lost_questions_of_a_burst_are_a_fault() -> None:
    held = zone(good, good, burst={server(1): (30, 100), server(2): (0, 100)})
    assert [fault.server for fault in delegation.of_bursts(held)] == [server(1)]


BOGUS = Lookup(WWW, Outcome.BOGUS, extended_error=ExtendedError(6, "wrong, from 192.0.2.2"))


def validated(lookup: Lookup, *known: Fault) -> list[tuple[str, str]]:
    held = zone(good, good)
    found = delegation.of_validation(held, matrix(held, validated={WWW: lookup}), known)
    return [(fault.code, fault.server.address) for fault in found]


def test_what_a_validating_resolver_finds_bogus_is_a_fault_of_whom_it_names() -> None:
    assert validated(BOGUS) == [("Bogus", "192.0.2.2")]


def test_what_a_validating_resolver_finds_bogus_is_a_fault_of_all_if_it_names_none() -> None:
    assert validated(replace(BOGUS, extended_error=None)) == [
        ("Bogus", "192.0.2.1"),
        ("Bogus", "192.0.2.2"),
    ]


def test_what_is_known_to_be_bogus_is_not_told_twice() -> None:
    assert validated(BOGUS, Fault.of("SignatureInvalid", server(1), name(SHOP), "")) == []


def test_what_validates_is_no_fault() -> None:
    assert validated(Lookup(WWW, Outcome.NOTHING)) == []
