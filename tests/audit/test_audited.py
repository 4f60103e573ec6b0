"""An audit as a whole, as data."""

from __future__ import annotations

import json

from certbot_caa_guard import caa as records
from certbot_caa_guard.audit.audited import audited, situation
from certbot_caa_guard.audit.matrix import Chain
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
    silence,
    to_caa,
    zone,
)

REQUESTER = records.Requester(frozenset({"letsencrypt.org"}), None, frozenset({"http-01"}))


def test_a_situation_is_what_the_servers_say() -> None:
    told = situation(matrix(zone(good, to_caa(answer(caa(WWW)), WWW))))
    assert (told.zone, told.found_at, told.aliases) == (SHOP, WWW, {})


def test_an_alias_has_the_records_of_its_target() -> None:
    held = zone(to_caa(answer(cname(WWW, "cdn.example")), WWW), owners=(WWW,))
    target = zone(
        to_caa(answer(caa("cdn.example"))), owners=("cdn.example",), name=name("cdn.example")
    )
    chains = {name(WWW): Chain((name(WWW), name("cdn.example")))}
    told = situation(matrix(held, target, chains=chains))
    assert (told.found_at, told.aliases) == (WWW, {WWW: "cdn.example"})


def test_where_no_zone_was_found_none_is_known() -> None:
    assert situation(matrix()).zone is None


def test_all_of_an_audit_is_json() -> None:
    done = audited(matrix(zone(to_caa(rcode("SERVFAIL")), to_caa(silence()))), REQUESTER)
    assert done.main is done.findings[0]
    document = json.loads(json.dumps(done.as_json()))
    assert document["identifier"] == WWW
    assert [one["code"] for one in document["findings"]] == ["InvalidRcode", "Timeout"]
    assert document["advice"]["at"] == WWW
    assert document["exposure"]["tld"] is True
    server = document["matrix"][0]["servers"][0]
    assert server["answers"][f"{WWW} CAA plain"]["rcode"] == "SERVFAIL"


def test_of_a_zone_without_a_server_that_could_be_asked_nothing_is_known() -> None:
    far = nameserver("ns.other.example", {"2001:db8::1": Reach.NO_ROUTE})
    done = audited(matrix(zone(servers=(far,))), REQUESTER)
    assert (done.findings, done.unasked) == ((), (SHOP,))
    assert audited(matrix(), REQUESTER).unasked == ("example",)


def test_of_a_zone_whose_servers_have_no_address_enough_is_known() -> None:
    done = audited(matrix(zone(servers=(nameserver("ns.other.example"),))), REQUESTER)
    assert done.unasked == ()
