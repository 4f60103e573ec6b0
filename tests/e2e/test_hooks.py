"""What docs/hooks.md says of hooks, with each certbot."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.certbot import program
from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import OTHER_CA, domains

Start = Callable[..., Bench]


def test_hooks_are_told_what_came_of_a_renewal_and_may_ask_the_guard(
    start: Start, version: str
) -> None:
    bench = start({"good.net": [], "back.net": OTHER_CA, "denied.net": OTHER_CA})
    certbot = bench.certbot
    run = certbot.run("certonly", *certbot.guard, *domains("good.net", "back.net", "denied.net"))
    assert run.status == 0, run.output
    bench.internet.publish("back.net", "CAA", '0 issue "letsencrypt.org"')
    guard = f"{program(version).with_name('certbot-caa-guard')} status --quiet"
    guard += f" --config-dir {certbot.config}"
    seen = certbot.folder / "seen"
    echo = "echo $RENEWED_DOMAINS / $FAILED_DOMAINS"
    run = certbot.run(
        "renew",
        "--force-renewal",
        "--pre-hook",
        f"{guard} --check || true",
        "--deploy-hook",
        f"{echo} > {seen}-deploy",
        "--post-hook",
        f"{echo} > {seen}-post; {guard} || true",
    )
    assert run.status == 0, run.output
    renewed = "back.net", "good.net"
    deployed, _, failed = (certbot.folder / "seen-deploy").read_text().partition("/")
    assert (tuple(sorted(deployed.split())), failed.strip()) == (renewed, "")
    posted, _, failed = (certbot.folder / "seen-post").read_text().partition("/")
    assert (tuple(sorted(posted.split())), failed.strip()) == (renewed, "")
    assert "now: back.net: permitted" in run.output, run.output
    assert "good.net: 2 of 3 wanted names in the certificate" in run.output
    assert "reported error code" not in run.output
