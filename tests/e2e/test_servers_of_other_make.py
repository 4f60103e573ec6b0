"""Real servers in their default settings, with plain and signed zones, have no fault.

NSD is always there; "make servers" installs the others and runs all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from certbot_caa_guard.audit.findings import find
from tests.audit.laboratories import audit
from tests.audit.makes import MAKES, Served, serve
from tests.internet import Block, Internet, Signing, ask

Running = tuple[Internet, Served]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if make.is_installed else pytest.mark.skip(make.package))
        for name, make in MAKES.items()
    ],
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    directory: Path = tmp_path_factory.mktemp(request.param)
    with Block() as block, serve(request.param, directory / "own", block.address(1)) as served:
        zones = {"lab": served.records()}
        with Internet(directory / "internet", zones, signed={"lab": Signing.VALID}) as internet:
            yield internet, served


def test_no_fault_is_found(running: Running) -> None:
    internet, served = running
    matrices = audit(internet, internet.directory, served.identifiers, signed=True)
    found = {name: find(matrix) for name, matrix in matrices.items()}
    assert {name: findings for name, findings in found.items() if findings} == {}
    for identifier, matrix in matrices.items():
        assert bool(matrix.zones[-1].ds) is identifier.endswith(served.signed)


def test_the_ca_would_find_none_either(running: Running) -> None:
    internet, served = running
    for identifier in served.identifiers:
        answer = ask(internet.resolver, identifier, "CAA")
        assert answer.rcode() in {0, 3}, identifier
