"""Installers get the names that are in the certificate, and no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import OTHER_CA, domains
from tests.e2e.webserver import Apache, Nginx, WebServer

Start = Callable[..., Bench]

NAMES = domains("denied.net", "good.net", "www.good.net")
SITES = [["good.net", "www.good.net"], ["denied.net"]]
CASES = [
    pytest.param(Nginx, ["--redirect", "--hsts"], id="nginx"),
    pytest.param(Apache, ["--redirect", "--auto-hsts"], id="apache"),
]


@pytest.mark.parametrize(("kind", "enhancements"), CASES)
def test_a_held_names_site_is_left_as_it_is(
    start: Start, kind: type[WebServer], enhancements: list[str]
) -> None:
    """Neither the certificate nor an enhancement goes there, nor when the run is repeated."""
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    certbot = bench.certbot
    folder = certbot.folder.parent / "web"
    with kind(folder, bench.internet.web, bench.ca.http_port, SITES) as server:
        denied, good = server.site("denied.net"), server.site("good.net")
        # certbot's auto-hsts refuses a site that has it.
        for options in (enhancements, []):
            run = certbot.run(
                "run",
                *certbot.guard,
                *NAMES,
                *options,
                "--keep-until-expiring",
                challenge=server.arguments,
            )
            assert run.status == 0, run.output
            assert certbot.names("denied.net") == {"good.net", "www.good.net"}
            assert server.site("denied.net") == denied
            assert f"{certbot.config}/live/denied.net/" in server.site("good.net")
            assert server.site("good.net") != good
            assert "https://denied.net" not in run.output
        assert bench.ca.spent.certificates == 1
