"""certbot's other verbs and options do with the guard what they do without it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.e2e.certbot import Certbot
from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import OTHER_CA, domains
from tests.e2e.test_renewal import mend

Start = Callable[..., Bench]

GOOD = {"good.net", "www.good.net"}
ALL = domains("good.net", "denied.net", "www.good.net")
NEWER = ("4.0.0", "newest")


def certificate(certbot: Certbot, lineage: str) -> x509.Certificate:
    path = certbot.config / "live" / lineage / "cert.pem"
    return x509.load_pem_x509_certificate(path.read_bytes())


def key(certbot: Certbot, lineage: str) -> bytes:
    return (certbot.config / "live" / lineage / "privkey.pem").read_bytes()


def is_held(certbot: Certbot, lineage: str, name: str = "denied.net") -> bool:
    return f"held = {name} denied " in certbot.renewal_conf(lineage)


def test_options_of_an_issuance_go_with_a_split(start: Start, version: str) -> None:
    """One row an option: the certificate is as ordered, and the held name is remembered."""
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    certbot, ca = bench.certbot, bench.ca
    ca.profiles = ("short", "long")
    rows: list[tuple[list[str], Callable[[str, str], Any]]] = [
        (
            ["--key-type", "rsa", "--rsa-key-size", "2048"],
            lambda name, _: isinstance(certificate(certbot, name).public_key(), rsa.RSAPublicKey),
        ),
        (
            ["--key-type", "ecdsa", "--elliptic-curve", "secp384r1", "--must-staple"],
            lambda name, _: (
                _curve(certbot, name) == "secp384r1"
                and "must_staple = True" in certbot.renewal_conf(name)
            ),
        ),
        (
            ["--allow-subset-of-names"],
            lambda _, output: output.count("--allow-subset-of-names is switched off") == 1,
        ),
    ]
    if version in NEWER:
        rows.append((["--required-profile", "short"], lambda *_: ca.profiles_ordered == ["short"]))
    for number, (options, holds) in enumerate(rows):
        name = f"row{number}"
        run = certbot.run("certonly", *certbot.guard, "--cert-name", name, *options, *ALL)
        assert run.status == 0, (options, run.output)
        assert certbot.names(name) == GOOD, options
        assert is_held(certbot, name), options
        assert holds(name, run.output), (options, run.output)


def _curve(certbot: Certbot, lineage: str) -> str:
    public = certificate(certbot, lineage).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public.curve.name


def test_a_lineage_lives_through_certbots_verbs(start: Start, version: str) -> None:
    """In the order in which a person may use them; what is held stays so until it is mended."""
    bench = start({"good.net": [], "denied.net": OTHER_CA, "more.net": []})
    certbot, ca = bench.certbot, bench.ca
    run = certbot.run("certonly", *certbot.guard, "--reuse-key", *ALL)
    assert run.status == 0, run.output
    first = key(certbot, "good.net")

    conf = certbot.renewal_conf("good.net")
    run = certbot.run("renew", "--dry-run", "--server", ca.directory_url)
    assert run.status == 0, run.output
    assert "this is a dry run" in run.output
    assert certbot.renewal_conf("good.net") == conf

    if version != "2.1.0":
        run = certbot.run("reconfigure", "--cert-name", "good.net", "--deploy-hook", "true")
        assert run.status == 0, run.output
        assert "renew_hook = true" in certbot.renewal_conf("good.net")
        assert "caa_guard_enabled = True" in certbot.renewal_conf("good.net")
        assert is_held(certbot, "good.net")

    more = [*ALL, *domains("more.net")]
    run = certbot.run("certonly", *certbot.guard, "--reuse-key", "--expand", *more)
    assert run.status == 0, run.output
    assert certbot.names("good.net") == GOOD | {"more.net"}
    assert is_held(certbot, "good.net")
    assert key(certbot, "good.net") == first

    serial = certbot.serial("good.net")
    run = certbot.run("certonly", *certbot.guard, "--force-renewal", *more)
    assert run.status == 0, run.output
    assert certbot.serial("good.net") != serial
    assert certbot.names("good.net") == GOOD | {"more.net"}

    serial = certbot.serial("good.net")
    run = certbot.run("certonly", *certbot.guard, "--duplicate", *ALL)
    assert run.status == 0, run.output
    assert certbot.names("good.net-0001") == GOOD
    assert is_held(certbot, "good.net-0001")
    assert certbot.serial("good.net") == serial

    mend(bench)
    run = certbot.run("renew", "--force-renewal", "--cert-name", "good.net")
    assert run.status == 0, run.output
    assert certbot.names("good.net") == GOOD | {"more.net", "denied.net"}
    assert "[caa_guard]" not in certbot.renewal_conf("good.net")
    assert is_held(certbot, "good.net-0001")

    run = certbot.run("delete", "--cert-name", "good.net-0001")
    assert run.status == 0, run.output
    shown = certbot.console("status", "--json")
    assert shown.status == 0
    assert [one["lineage"] for one in json.loads(shown.output)] == ["good.net"]


def test_a_changed_list_of_names_means_what_the_user_says(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    certbot = bench.certbot
    named = ["--cert-name", "mine", "--renew-with-new-domains"]
    run = certbot.run("certonly", *certbot.guard, *named, *ALL)
    assert run.status == 0, run.output
    run = certbot.run("certonly", *certbot.guard, *named, *domains("good.net", "denied.net"))
    assert run.status == 0, run.output
    assert certbot.names("mine") == {"good.net"}
    assert is_held(certbot, "mine")
    run = certbot.run("certonly", *certbot.guard, *named, *domains("www.good.net"))
    assert run.status == 0, run.output
    assert certbot.names("mine") == {"www.good.net"}
    assert "[caa_guard]" not in certbot.renewal_conf("mine")


@pytest.mark.parametrize("version", ["2.1.0", "newest"], indirect=True)
def test_a_wildcard_is_not_lost_to_allow_subset_of_names(start: Start) -> None:
    """certbot alone would renew without it, in silence."""
    bench = start({"good.net": []})
    certbot = bench.certbot
    names = domains("good.net", "*.good.net")
    run = certbot.run(
        "certonly", *certbot.guard, "--reuse-key", *names, challenge=certbot.manual_dns
    )
    assert run.status == 0, run.output
    first = key(certbot, "good.net")
    run = certbot.run("renew", "--force-renewal", "--allow-subset-of-names")
    assert run.status == 0, run.output
    assert certbot.names("good.net") == {"good.net", "*.good.net"}
    assert key(certbot, "good.net") == first


@pytest.mark.parametrize("version", ["newest"], indirect=True)
def test_accounturi_is_judged_for_the_account_that_orders(start: Start) -> None:
    bench = start({"good.net": [], "mine.net": []})
    certbot = bench.certbot
    run = certbot.run("certonly", *certbot.guard, *domains("good.net"))
    assert run.status == 0, run.output
    (account,) = certbot.config.glob("accounts/*/dir/*/regr.json")
    uri = json.loads(account.read_text())["uri"]
    bench.internet.publish("mine.net", "CAA", f'0 issue "letsencrypt.org; accounturi={uri}"')
    other = Certbot("newest", certbot.folder.parent / "other", bench.ca, bench.internet)
    both = domains("mine.net", "good.net")
    run = other.run("certonly", *other.guard, *both)
    assert run.status == 0, run.output
    assert other.names("mine.net") == {"good.net"}
    assert "It names another ACME account" in run.output
    run = other.run("certonly", *other.guard, "--dry-run", "--cert-name", "dry", *both)
    assert run.status == 0, run.output
    assert "CAA is judged for the account https://" in run.output
    run = certbot.run("certonly", *certbot.guard, "--cert-name", "mine.net", *both)
    assert run.status == 0, run.output
    assert certbot.names("mine.net") == {"mine.net", "good.net"}


@pytest.mark.parametrize("version", ["newest"], indirect=True)
def test_a_renewal_that_the_ca_asks_for_puts_a_held_name_back(start: Start) -> None:
    """By ACME Renewal Information (RFC 9773), long before the certificate's end."""
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    certbot = bench.certbot
    now = datetime.datetime.now(datetime.timezone.utc)
    past, future = (
        tuple((now + datetime.timedelta(days=days + more)).isoformat() for more in (0, 1))
        for days in (-2, 60)
    )
    bench.ca.renewal_window = (future[0], future[1])
    run = certbot.run("certonly", *certbot.guard, *ALL)
    assert run.status == 0, run.output
    mend(bench)
    run = certbot.run("renew")
    assert (run.status, certbot.names("good.net")) == (0, GOOD), run.output
    bench.ca.renewal_window = (past[0], past[1])
    _forget_renewal_info(certbot)
    run = certbot.run("renew")
    assert run.status == 0, run.output
    assert certbot.names("good.net") == GOOD | {"denied.net"}


def _forget_renewal_info(certbot: Certbot) -> None:
    """certbot asks again only after hours."""
    conf = certbot.config / "renewal" / "good.net.conf"
    kept, _, _ = conf.read_text().partition("[acme_renewal_info]")
    guarded = "[caa_guard]" + conf.read_text().partition("[caa_guard]")[2]
    conf.write_text(kept if "[caa_guard]" in kept else kept + guarded)


@pytest.mark.parametrize("version", ["newest"], indirect=True)
def test_an_ip_address_passes_untouched(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    certbot = bench.certbot
    web = bench.internet.web
    run = certbot.run(
        "certonly", *certbot.guard, "--ip-address", web, *domains("good.net", "denied.net")
    )
    assert run.status == 0, run.output
    found = certificate(certbot, "good.net").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(ip) for ip in found.value.get_values_for_type(x509.IPAddress)] == [web]
    assert certbot.names("good.net") == {"good.net"}
    assert is_held(certbot, "good.net")
