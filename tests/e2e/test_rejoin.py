"""What is held comes back without waiting for the renewal, or is let go."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.test_renewal import mend, with_held_name

Start = Callable[..., Bench]

ALL = {"good.net", "www.good.net", "denied.net"}


@pytest.mark.parametrize("version", ["2.1.0", "newest"], indirect=True)
def test_rejoin_renews_what_passes_now_and_only_once_a_day(start: Start) -> None:
    bench = with_held_name(start)
    certbot = bench.certbot
    status = certbot.console("status")
    assert status.status == 1
    assert "good.net: 2 of 3 wanted names in the certificate" in status.output
    assert "held: denied.net: denied since" in status.output

    run = certbot.console("rejoin")
    assert (run.status, bench.ca.spent.orders) == (1, 0)
    assert "CAA record for denied.net prevents issuance" in run.output

    mend(bench)
    run = certbot.console("rejoin", "--dry-run")
    assert (run.status, bench.ca.spent.orders) == (1, 0)
    assert "would be renewed, to put denied.net back" in run.output
    with (certbot.config / ".certbot.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        run = certbot.console("rejoin")
    assert (run.status, bench.ca.spent.orders) == (3, 0)
    assert "another certbot is running" in run.output

    run = certbot.console("rejoin", "--json")
    assert run.status == 0, run.output
    assert [(one["action"], one["back"]) for one in json.loads(run.output)] == [
        ("rejoined", ["denied.net"])
    ]
    assert certbot.names("good.net") == ALL
    assert "[caa_guard]" not in certbot.renewal_conf("good.net")
    assert certbot.console("rejoin", "-q").output == ""
    assert certbot.console("status").status == 0


@pytest.mark.parametrize("version", ["newest"], indirect=True)
def test_a_name_that_passes_caa_but_does_not_come_back_costs_one_try_a_day(start: Start) -> None:
    bench = with_held_name(start)
    mend(bench)
    bench.internet.publish("denied.net", "A", bench.internet.block.address(251))
    run = bench.certbot.console("rejoin")
    assert run.status == 1
    assert "the renewal did not put everything back" in run.output
    orders = bench.ca.spent.orders
    run = bench.certbot.console("rejoin")
    assert run.status == 1
    assert "it was tried less than a day ago" in run.output
    assert bench.ca.spent.orders == orders


@pytest.mark.parametrize("version", ["newest"], indirect=True)
def test_a_forgotten_name_does_not_come_back(start: Start) -> None:
    bench = with_held_name(start)
    mend(bench)
    run = bench.certbot.console("forget", "other.net")
    assert (run.status, "held are denied.net" in run.output) == (2, True)
    run = bench.certbot.console("forget", "denied.net")
    assert run.status == 0, run.output
    assert "good.net neither wants nor holds it any more" in run.output
    run = bench.certbot.run("renew", "--force-renewal")
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == ALL - {"denied.net"}
