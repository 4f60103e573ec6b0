"""What comes after the first certificate: renewals, and the same command again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import OTHER_CA, domains

Start = Callable[..., Bench]


def with_held_name(start: Start) -> Bench:
    """A certificate for good.net and www.good.net, from which denied.net is held."""
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    run = bench.certbot.run("certonly", *bench.certbot.guard, *_all_three())
    assert run.status == 0, run.output
    bench.ca.reset()
    return bench


def mend(bench: Bench) -> None:
    """Let denied.net permit the CA from now on."""
    bench.internet.publish("denied.net", "CAA", '0 issue "letsencrypt.org"')


def test_renew_puts_a_held_name_back(start: Start) -> None:
    """The flags come from the renewal configuration: ``certbot renew`` is all a timer runs."""
    bench = with_held_name(start)
    mend(bench)
    seen = bench.certbot.folder / "renewed"
    run = bench.certbot.run(
        "renew", "--force-renewal", "--deploy-hook", f"sh -c 'echo $RENEWED_DOMAINS > {seen}'"
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "www.good.net", "denied.net"}
    assert "back in the certificate: denied.net" in run.output
    assert "[caa_guard]" not in bench.certbot.renewal_conf("good.net")
    assert "caa_guard_enabled = True" in bench.certbot.renewal_conf("good.net")
    assert set(seen.read_text().split()) == {"good.net", "www.good.net", "denied.net"}


def test_renew_leaves_a_name_held_that_still_fails(start: Start) -> None:
    bench = with_held_name(start)
    before = bench.certbot.renewal_conf("good.net").partition("[caa_guard]")[2]
    run = bench.certbot.run("renew", "--force-renewal")
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "www.good.net"}
    assert bench.certbot.renewal_conf("good.net").partition("[caa_guard]")[2] == before


def test_a_name_that_comes_back_but_fails_does_not_cost_the_others_their_renewal(
    start: Start,
) -> None:
    bench = with_held_name(start)
    mend(bench)
    bench.internet.publish("denied.net", "A", bench.internet.block.address(251))
    run = bench.certbot.run("renew", "--force-renewal")
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "www.good.net"}
    assert "held = denied.net " in bench.certbot.renewal_conf("good.net")


@pytest.mark.parametrize(
    "flags",
    [[], ["--cert-name", "good.net"], ["--expand"], ["--keep-until-expiring"]],
    ids=["alone", "cert-name", "expand", "keep-until-expiring"],
)
def test_the_same_command_again_does_nothing_while_nothing_is_due(
    start: Start, flags: list[str]
) -> None:
    bench = with_held_name(start)
    serial = bench.certbot.serial("good.net")
    for _ in range(2):
        run = bench.certbot.run("certonly", *bench.certbot.guard, *flags, *_all_three())
        assert run.status == 0, run.output
        assert "still held: denied.net" in run.output
    assert bench.ca.spent.orders == 0
    assert bench.certbot.serial("good.net") == serial


def test_a_name_that_the_certificate_covers_is_not_dropped_while_it_can_wait(
    start: Start,
) -> None:
    """Its owner refused: no order could change that, so none is placed."""
    bench = start({"good.net": [], "later.net": []})
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "later.net"))
    assert run.status == 0, run.output
    serial = bench.certbot.serial("good.net")
    bench.ca.reset()
    bench.internet.publish("later.net", "CAA", '0 issue "other-ca.example"')
    run = bench.certbot.run("renew", "--force-renewal")
    assert run.status == 1
    assert "later.net: denied, not ordered: " in run.output
    assert "this renewal is put off: later.net would fail" in run.output
    assert bench.ca.orders == []
    assert bench.certbot.serial("good.net") == serial
    assert "[caa_guard]" not in bench.certbot.renewal_conf("good.net")


def test_a_simulated_renewal_writes_nothing(start: Start) -> None:
    bench = with_held_name(start)
    mend(bench)
    before = bench.certbot.renewal_conf("good.net")
    state = sorted(bench.certbot.config.glob("caa-guard/**/*"))
    run = bench.certbot.run("renew", "--dry-run", "--server", bench.ca.directory_url)
    assert run.status == 0, run.output
    assert bench.certbot.renewal_conf("good.net") == before
    assert sorted(bench.certbot.config.glob("caa-guard/**/*")) == state


def test_quiet_renewals_say_only_what_changed(start: Start) -> None:
    bench = with_held_name(start)
    run = bench.certbot.run("renew", "--force-renewal", "--quiet")
    assert (run.status, run.output) == (0, "")
    mend(bench)
    run = bench.certbot.run("renew", "--force-renewal", "--quiet")
    assert (run.status, run.output) == (0, "CAA guard: back in the certificate: denied.net.\n")


def test_options_of_the_renewal_configuration_can_be_switched_off(start: Start) -> None:
    bench = with_held_name(start)
    run = bench.certbot.run("renew", "--force-renewal", "--no-caa-guard")
    assert run.status == 0, run.output
    assert "CAA guard" not in run.output
    assert "held = denied.net" in bench.certbot.renewal_conf("good.net")


def _all_three() -> list[str]:
    return domains("good.net", "denied.net", "www.good.net")
