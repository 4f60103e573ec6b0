"""A first certificate: what is split off, what is tried again, and what the CA is spared."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ca import Mode
from tests.e2e.conftest import Bench
from tests.internet import servfail

Start = Callable[..., Bench]

OTHER_CA = '@ CAA 0 issue "other-ca.example"'


def domains(*names: str) -> list[str]:
    return [argument for name in names for argument in ("-d", name)]


def refuse(bench: Bench, name: str) -> None:
    """Let the CA refuse *name* at the next finalize, as if its records had just changed."""
    detail = (
        f"Error finalizing order :: rechecking caa: While processing CAA for {name}: "
        f"CAA record for {name} prevents issuance"
    )
    problem = {"type": "urn:ietf:params:acme:error:caa", "detail": detail, "status": 403}
    bench.ca.inject(problem, "finalize")


def test_a_denied_name_is_split_off_and_remembered(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    run = bench.certbot.run(
        "certonly", *bench.certbot.guard, *domains("denied.net", "good.net", "www.good.net")
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("denied.net") == {"good.net", "www.good.net"}
    assert bench.ca.orders == [("good.net", "www.good.net")]
    assert "CAA record for denied.net prevents issuance" in run.output
    assert "remembered denied.net" in run.output
    conf = bench.certbot.renewal_conf("denied.net")
    assert "wanted = denied.net, good.net, www.good.net" in conf
    assert "held = denied.net denied " in conf
    assert not list(bench.certbot.config.glob("caa-guard/pending/*"))


def test_a_broken_name_is_split_off_once_two_perspectives_agree_that_it_lasts(
    start: Start,
) -> None:
    bench = start({"good.net": []}, dead=["dead.org"])
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "dead.org"))
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net"}
    assert "dead.org: broken:" in run.output
    assert bench.ca.orders == [("good.net",)]


def test_a_name_that_fails_for_one_perspective_only_is_ordered(start: Start) -> None:
    bench = start({"good.net": [], "half.org": []})
    bench.internet.servers.script(
        servfail, below="half.org", qtype="CAA", source=bench.internet.resolver
    )
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "half.org"))
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "half.org"}
    assert "half.org: flaky" in run.output


@pytest.mark.parametrize(("mode", "orders"), [(Mode.A, 1), (Mode.B, 2), (Mode.C, 2)])
def test_a_servfail_of_the_tld_at_finalize_is_outlived(
    start: Start, mode: Mode, orders: int
) -> None:
    bench = start({"good.net": [], "fine.net": [], "good.org": []})
    bench.ca.mode, bench.ca.stale, bench.ca.check_at_authorization = mode, True, False
    bench.internet.tlds.script(
        servfail, owner="net", qtype="CAA", lookups=1, source=bench.internet.ca_resolver
    )
    run = bench.certbot.run(
        "certonly", *bench.certbot.guard, *domains("good.net", "fine.net", "good.org")
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "fine.net", "good.org"}
    assert bench.ca.spent.orders == orders
    assert bench.ca.spent.finalizations == 2
    assert bench.ca.spent.certificates == 1
    assert len(set(bench.ca.csr_hashes)) == 1


def test_a_single_failing_name_at_finalize_comes_without_subproblems(start: Start) -> None:
    bench = start({"good.net": [], "good.org": []})
    bench.ca.stale, bench.ca.check_at_authorization = True, False
    bench.internet.servers.script(
        servfail, below="good.org", qtype="CAA", lookups=1, source=bench.internet.ca_resolver
    )
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "good.org"))
    assert run.status == 0, run.output
    assert "good.org: SERVFAIL looking up CAA for good.org" in run.output
    assert bench.certbot.names("good.net") == {"good.net", "good.org"}
    assert bench.ca.spent.orders == 1


def test_a_servfail_at_authorization_costs_one_retry_and_reuses_what_is_valid(
    start: Start,
) -> None:
    bench = start({"good.net": [], "good.org": []})
    bench.internet.servers.script(
        servfail, below="good.org", qtype="CAA", lookups=1, source=bench.internet.ca_resolver
    )
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "good.org"))
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "good.org"}
    assert bench.ca.spent.orders == 2
    assert bench.ca.spent.failed_authorizations == 1
    assert bench.ca.spent.validations == 2


def test_a_denial_that_only_the_ca_sees_is_split_off_after_its_report(start: Start) -> None:
    bench = start({"good.net": [], "changed.net": []})
    refuse(bench, "changed.net")
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "changed.net"))
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net"}
    assert "held = changed.net denied " in bench.certbot.renewal_conf("good.net")


def test_a_wildcard_and_its_base_name_are_judged_each_by_its_own_records(start: Start) -> None:
    bench = start(
        {
            "good.net": [],
            "wild.org": ['@ CAA 0 issue "letsencrypt.org"', '@ CAA 0 issuewild ";"'],
        }
    )
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        *domains("wild.org", "*.wild.org", "good.net", "*.good.net"),
        challenge=bench.certbot.manual_dns,
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("wild.org") == {"wild.org", "good.net", "*.good.net"}
    assert "held = *.wild.org denied " in bench.certbot.renewal_conf("wild.org")


def test_with_nothing_left_to_order_there_is_one_clear_error_and_no_order(start: Start) -> None:
    bench = start({"denied.net": OTHER_CA})
    hook = bench.certbot.folder / "hook-ran"
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        *domains("denied.net", "www.denied.net"),
        "--pre-hook",
        f"touch {hook}",
    )
    assert run.status == 1
    assert "nothing is left to order" in run.output
    assert bench.ca.spent.orders == 0
    assert not hook.exists()


def test_by_default_it_asks_from_the_root_as_the_ca_does(start: Start) -> None:
    """With libunbound in a process of its own; root hints say where this internet starts."""
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    hints = bench.internet.hints(bench.certbot.folder.parent / "root.hints")
    run = bench.certbot.run(
        "certonly",
        "--caa-guard",
        "--caa-guard-root-hints",
        str(hints),
        *domains("good.net", "denied.net"),
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net"}
    assert f"caa_guard_root_hints = {hints}" in bench.certbot.renewal_conf("good.net")


def test_stop_ends_before_the_order(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        "--caa-guard-on-fail",
        "stop",
        *domains("good.net", "denied.net"),
    )
    assert run.status == 1
    assert "stopped before the order, because denied.net would fail" in run.output
    assert bench.ca.spent.orders == 0


def test_warn_only_reports(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        "--caa-guard-on-fail",
        "warn",
        *domains("good.net", "denied.net"),
    )
    assert run.status == 1
    assert "denied.net: denied, ordered all the same" in run.output
    assert bench.ca.orders == [("denied.net", "good.net")]


def test_a_csr_is_checked_and_retried_but_never_split(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    bench.ca.stale, bench.ca.check_at_authorization = True, False
    bench.internet.tlds.script(
        servfail, owner="net", qtype="CAA", lookups=1, source=bench.internet.ca_resolver
    )
    good = _csr(bench, "good.net", "www.good.net")
    run = bench.certbot.run("certonly", *bench.certbot.guard, *good)
    assert run.status == 0, run.output
    assert bench.ca.spent.finalizations == 2
    bench.ca.reset()
    run = bench.certbot.run(
        "certonly", *bench.certbot.guard, *_csr(bench, "denied.net", "good.net")
    )
    assert run.status == 1
    assert "denied.net in the CSR would fail" in run.output
    assert bench.ca.spent.orders == 0


def test_a_dry_run_writes_nothing(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    run = bench.certbot.run(
        "certonly", *bench.certbot.guard, "--dry-run", *domains("denied.net", "good.net")
    )
    assert run.status == 0, run.output
    assert not (bench.certbot.config / "caa-guard").exists()
    assert not (bench.certbot.config / "renewal" / "denied.net.conf").exists()
    assert bench.ca.orders == [("good.net",)]


def test_hooks_see_the_names_that_are_in_the_certificate(start: Start) -> None:
    bench = start({"good.net": [], "changed.net": [], "denied.net": OTHER_CA})
    refuse(bench, "changed.net")
    seen = bench.certbot.folder / "renewed"
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        *domains("changed.net", "denied.net", "good.net"),
        "--deploy-hook",
        f"sh -c 'echo $RENEWED_DOMAINS > {seen}'",
    )
    assert run.status == 0, run.output
    assert seen.read_text().split() == ["good.net"]


def test_a_silent_resolver_has_no_say_and_is_reported(start: Start) -> None:
    bench = start({"good.net": []})
    nobody = bench.internet.block.address(250)
    run = bench.certbot.run(
        "certonly",
        "--caa-guard",
        "--caa-guard-resolver",
        f"udp://{nobody}",
        *domains("good.net"),
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net"}
    assert f"udp://{nobody} does not resolve the root" in run.output
    assert "nobody could be asked" in run.output


def test_a_history_full_of_rubbish_does_no_harm(start: Start) -> None:
    bench = start({"good.net": []})
    history = bench.certbot.config / "caa-guard" / "history.sqlite"
    history.parent.mkdir(parents=True)
    history.write_bytes(b"rubbish " * 512)
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net"))
    assert run.status == 0, run.output
    assert "history was unusable" in run.output
    assert history.with_suffix(".corrupt").exists()


@pytest.mark.parametrize(
    "place",
    [
        "certbot_caa_guard.climb.climb",
        "certbot_caa_guard.plugin.guard.Session.begin",
        "certbot_caa_guard.plugin.orders.CertbotOrders.finalize",
        "certbot_caa_guard.history.History.__init__",
    ],
)
def test_a_fault_of_the_guard_costs_no_certificate(start: Start, place: str) -> None:
    """The whole way down, as in the unit tests each function is broken in turn."""
    bench = start({"good.net": ['@ CAA 0 issue "letsencrypt.org"'], "good.org": []})
    saboteur = bench.certbot.folder / "saboteur"
    saboteur.mkdir(parents=True)
    (saboteur / "sitecustomize.py").write_text(_SABOTAGE.format(place=place))
    run = bench.certbot.run(
        "certonly",
        *bench.certbot.guard,
        *domains("good.net", "good.org"),
        environment={"PYTHONPATH": str(saboteur)},
    )
    assert run.status == 0, run.output
    assert bench.certbot.names("good.net") == {"good.net", "good.org"}
    assert "a fault of the guard itself" in run.output
    assert "Exception ignored" not in run.output


def test_what_cannot_be_kept_on_disk_is_not_split_off(start: Start) -> None:
    bench = start({"good.net": [], "denied.net": OTHER_CA})
    bench.certbot.config.mkdir(parents=True)
    (bench.certbot.config / "caa-guard").write_text("a file where a folder should be")
    run = bench.certbot.run("certonly", *bench.certbot.guard, *domains("good.net", "denied.net"))
    assert run.status == 1
    assert bench.ca.orders == [("denied.net", "good.net")]
    assert "it leaves out no name that it cannot remember" in run.output


_SABOTAGE = '''
import importlib, pkgutil, sys

place = "{place}"

class Finder:
    """Breaks a function as soon as its module is imported."""

    def find_spec(self, name, path=None, target=None):
        if not place.startswith(name + ".") or name.count(".") < 1:
            return None
        rest = place[len(name) + 1:].split(".")
        if len(rest) > 2 or (len(rest) == 2 and not rest[0][0].isupper()):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            owner = module
            for part in rest[:-1]:
                owner = getattr(owner, part)

            def broken(*args, **kwargs):
                raise RuntimeError("sabotage")

            setattr(owner, rest[-1], broken)

        spec.loader.exec_module = exec_module
        return spec

import importlib.util
sys.meta_path.insert(0, Finder())
'''


def _csr(bench: Bench, *names: str) -> list[str]:
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = bench.certbot.folder / names[0]
    folder.mkdir(parents=True)
    path = folder / "csr.pem"
    path.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    return [
        "--csr",
        str(path),
        "--cert-path",
        str(folder / "cert.pem"),
        "--chain-path",
        str(folder / "chain.pem"),
        "--fullchain-path",
        str(folder / "fullchain.pem"),
    ]
