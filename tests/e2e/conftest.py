"""A whole bench for each test: an internet, a CA on it, and a certbot of each version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.ca import CA
from tests.e2e.certbot import VERSIONS, Certbot, program
from tests.internet import Internet

Zones = Mapping[str, str | Sequence[str]]


class Bench:
    """What one test has to itself."""

    def __init__(self, internet: Internet, ca: CA, certbot: Certbot) -> None:
        self.internet = internet
        self.ca = ca
        self.certbot = certbot


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each supported certbot in turn."""
    wanted = str(request.param)
    if not program(wanted).exists():
        pytest.fail(f"certbot {wanted} is not set up: run tools/setup")
    return wanted


@pytest.fixture
def start(version: str, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Start a bench with the zones that a test needs."""
    with contextlib.ExitStack() as stack:

        def start(zones: Zones, *, certificate_seconds: int | None = None, **more: Any) -> Bench:
            internet = stack.enter_context(Internet(tmp_path / "internet", zones, **more))
            ca = stack.enter_context(
                CA(
                    tmp_path / "ca",
                    address=internet.block.address(200),
                    web=internet.web,
                    resolver=internet.ca_resolver,
                    certificate_seconds=certificate_seconds,
                )
            )
            return Bench(internet, ca, Certbot(version, tmp_path / "certbot", ca, internet))

        yield start
