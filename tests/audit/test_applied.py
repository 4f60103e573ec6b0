"""Who does as advised, to the letter, gets past the CA's own check."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dns.rdatatype
import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.audit.advice import Advice
from certbot_caa_guard.audit.audited import audited
from tests.audit.laboratories import audit
from tests.ca.caa import Applicant
from tests.ca.lookups import Resolver
from tests.internet import Internet, ask, refused, servfail
from tests.internet.records import parse_records, rdata_from_text

ACCOUNT = "https://ca.example/acct/1"
PATIENCE = 10.0

ZONES = {
    # The TLD fails for CAA.
    "child.badtld": ["@ A 192.0.2.1"],
    "denying.badtld": ['@ CAA 0 issue "other.example"', '@ CAA 0 iodef "mailto:x@other.example"'],
    # The zone above fails for CAA, and is not the user's.
    "provider.net": ["@ A 192.0.2.1"],
    "customer.provider.net": ["@ A 192.0.2.1", "www CNAME @"],
    # Nothing fails, but the records deny.
    "wild.net": ['@ CAA 0 issue "letsencrypt.org"', '@ CAA 0 issuewild "other.example"'],
    "method.net": ['@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01"'],
}

# The name, and whether something fails on its way; else its records deny.
NAMES = {
    "www.child.badtld": True,
    "*.child.badtld": True,
    "child.badtld": True,
    "www.denying.badtld": False,
    "shop.customer.provider.net": True,
    "www.customer.provider.net": True,
    "customer.provider.net": True,
    "*.wild.net": False,
    "www.method.net": False,
}


@pytest.fixture
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with Internet(tmp_path_factory.mktemp("internet"), ZONES, bare=ZONES) as internet:
        internet.tlds.script(servfail, owner="badtld", qtype="CAA")
        internet.servers.script(refused, owner="provider.net", qtype="CAA")
        yield internet


def advised(internet: Internet) -> dict[str, tuple[Advice, bool]]:
    """The advice for each name, and whether its audit found something that matters."""
    matrices = audit(internet, internet.directory, list(NAMES))
    requester = caa.Requester(frozenset({"letsencrypt.org"}), ACCOUNT, frozenset({"http-01"}))
    done = {name: audited(matrix, requester) for name, matrix in matrices.items()}
    return {name: (one.advice, one.main is not None) for name, one in done.items()}


def publish(internet: Internet, records: list[str]) -> None:
    """Add each record to the zone that it belongs to, and let NSD load these zones."""
    servers = {zone.rstrip("."): nsd for nsd in internet.nsds for zone in nsd.zones}
    by_zone: dict[str, list[str]] = {}
    for record in records:
        by_zone.setdefault(_zone_of(record.split()[0]), []).append(record)
    for zone, wanted in by_zone.items():
        servers[zone].add(f"{zone}.", map(str, parse_records(wanted)))
    deadline = time.monotonic() + PATIENCE
    for zone, wanted in by_zone.items():
        while not all(_is_there(servers[zone].address, record) for record in wanted):
            assert time.monotonic() < deadline, "NSD did not load what was published"


def _zone_of(owner: str) -> str:
    """The lowest zone that a name is in."""
    return max((zone for zone in ZONES if f".{owner}".endswith(f".{zone}.")), key=len)


def _is_there(address: str, record: str) -> bool:
    parsed = parse_records([record])[0]
    answer = ask(address, parsed.owner, "CAA")
    held = [one.to_wire() for rrset in answer.answer for one in rrset]
    return rdata_from_text(dns.rdatatype.CAA, parsed.rdata).to_wire() in held


def test_the_ca_permits_what_it_did_not_once_the_advice_is_followed(internet: Internet) -> None:
    applicants = [Applicant(name, ACCOUNT, "http-01") for name in NAMES]
    with Resolver(internet.ca_resolver, PATIENCE) as resolver:
        before = {one.identifier: resolver.check_caa(one) for one in applicants}
        assert all(before.values()), before
        told = advised(internet)
        for name, fails in NAMES.items():
            advice, matters = told[name]
            assert (matters, advice.denied) == (fails, not fails), name
            assert advice.helps is (True if fails else None), name
        new = [record for advice, _ in told.values() for record in advice.new]
        publish(internet, list(dict.fromkeys(new)))
        internet.forget()
        after = {one.identifier: resolver.check_caa(one) for one in applicants}
    assert not any(after.values()), after
