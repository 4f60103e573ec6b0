"""A permanent problem is never tried again: it costs what it costs certbot alone, once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ca import Mode
from tests.e2e.certbot import VERSIONS
from tests.simulation.world import World

_FINALIZING = "Error finalizing order :: rechecking caa: "
_DENIED = "While processing CAA for {name}: CAA record for {name} prevents issuance"
_BOGUS = (
    "While processing CAA for {name}: DNS problem: looking up CAA for {name}: "
    "DNSSEC: Signature Expired: validation failure"
)
_NO_TLD = (
    "While processing CAA for {name}: DNS problem: NXDOMAIN looking up CAA for net - "
    "check that a DNS record exists for this domain"
)

# Where, the type and the status there, and what the CA says.
_PROBLEMS = [
    ("finalize", "caa", 403, _FINALIZING + _DENIED),
    ("finalize", "caa", 403, _FINALIZING + _BOGUS),
    ("finalize", "caa", 403, _FINALIZING + _NO_TLD),
    ("issuance", "caa", 403, _FINALIZING + _DENIED),
    ("validation", "caa", 403, _DENIED),
    ("validation", "caa", 403, "During secondary validation: " + _DENIED),
    ("validation", "dns", 400, _BOGUS),
    ("validation", "dns", 400, _NO_TLD),
]
_CASES = [(*case, VERSIONS[number % len(VERSIONS)]) for number, case in enumerate(_PROBLEMS)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.mark.parametrize(("place", "kind", "status", "detail", "version"), _CASES)
def test_a_permanent_problem_costs_one_try(
    world: World, place: str, kind: str, status: int, detail: str, version: str
) -> None:
    certbot = world.certbot(version)
    name = f"{certbot.folder.name}.shop.net"
    world.begin_again()
    world.ca.mode, world.ca.stale = Mode.A, False
    detail = detail.format(name=name)
    problem = {"type": f"urn:ietf:params:acme:error:{kind}", "status": status, "detail": detail}
    world.ca.inject(problem, place)
    run = certbot.run("certonly", *certbot.guard, "-d", name)
    assert run.status == 1
    assert world.ca.spent.orders == 1
    assert world.ca.spent.finalizations <= 1
    assert world.ca.spent.failed_authorizations <= 1
    assert world.ca.spent.certificates == 0
    assert world.clock.skipped < 60, "it polls, but does not wait"
