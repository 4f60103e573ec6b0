"""Where the CA's lookup goes by an alias, the audit goes too, whatever zone the target is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.audit.audited import Audited, audited
from tests.audit.laboratories import audit
from tests.internet import Internet, refused

REQUESTER = caa.Requester(frozenset({"letsencrypt.org"}), None, caa.ACME_METHODS)

ZONES = {
    "shop.net": 'other CAA 0 issue "other.example"\nbad A 192.0.2.1\nhere CNAME bad',
    "dev.shop.net": "www CNAME other.shop.net.\nbad CNAME bad.shop.net.\nup CNAME shop.net.",
    "cdn.org": "fine A 192.0.2.1\nbad A 192.0.2.1",
    "deep.cdn.org": 'other CAA 0 issue "other.example"\nfine A 192.0.2.1',
    "two.net": "a.www CNAME fine.deep.cdn.org.\nwww CNAME other.deep.cdn.org.\n"
    "a.bad CNAME fine.cdn.org.\nbad CNAME bad.cdn.org.",
}
BAD = ("bad.shop.net", "bad.cdn.org")

# The name, whether its records deny, and the name at which a lookup fails.
NAMES = {
    "www.dev.shop.net": (True, None),
    "bad.dev.shop.net": (False, "bad.shop.net"),
    "up.dev.shop.net": (False, None),
    "here.shop.net": (False, "bad.shop.net"),
    "a.www.two.net": (True, None),
    "a.bad.two.net": (False, "bad.cdn.org"),
}


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Audited]:
    directory: Path = tmp_path_factory.mktemp("internet")
    with Internet(directory, ZONES) as internet:
        for owner in BAD:
            internet.servers.script(refused, owner=owner, qtype="CAA")
        matrices = audit(internet, directory, NAMES)
    return {name: audited(matrix, REQUESTER) for name, matrix in matrices.items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_servers_of_a_target_are_asked_about_it(name: str, audits: dict[str, Audited]) -> None:
    done = audits[name]
    assert (done.advice.denied, done.main.owner if done.main else None) == NAMES[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_zone_is_there_once_and_its_servers_with_it(
    name: str, audits: dict[str, Audited]
) -> None:
    zones = audits[name].matrix.zones
    assert len({zone.name for zone in zones}) == len(zones)
    assert [len(zone.asked) for zone in zones] == [1] * len(zones)
    assert all(len(set(zone.owners)) == len(zone.owners) for zone in zones)
