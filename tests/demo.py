"""The main job, shown: certbot with the guard gets a certificate in spite of faults.

Starts a DNS internet and a CA of its own on loopback, asks for some ten names of which one is
denied, one has a dead nameserver, and one's TLD fails at the worst moment; then shows what plain
certbot makes of the same.  The exit status is 0 only if all came out right.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.ca import CA, Mode
from tests.e2e.certbot import Certbot
from tests.internet import Internet, servfail

GOOD = ("shop.net", "www.shop.net", "mail.shop.net", "blog.org", "www.blog.org", "cafe.com",
        "www.cafe.com", "api.cafe.com")  # fmt: skip
DENIED = "denied.net"
DEAD = "dead.org"
VERSION = "newest"


def main() -> int:
    """Run the demonstration."""
    checks: list[tuple[str, bool]] = []
    with tempfile.TemporaryDirectory(prefix="caa-guard-demo-") as name:
        folder = Path(name)
        _heading("With the guard")
        guarded = _in_a_fresh_world(folder / "guarded", _with_guard)
        checks += guarded
        _heading("The same with plain certbot")
        checks += _in_a_fresh_world(folder / "plain", _plain)
    _heading("Did all come out right?")
    for what, good in checks:
        print(f"  {'yes' if good else 'NO '}  {what}")
    return 0 if all(good for _, good in checks) else 1


def _in_a_fresh_world(
    folder: Path, run: Callable[[Certbot, CA], list[tuple[str, bool]]]
) -> list[tuple[str, bool]]:
    zones = {
        "shop.net": [],
        "blog.org": [],
        "cafe.com": ['@ CAA 0 issue "letsencrypt.org"'],
        DENIED: ['@ CAA 0 issue "other-ca.example"'],
    }
    with (
        Internet(folder / "internet", zones, dead=[DEAD]) as internet,
        CA(
            folder / "ca",
            address=internet.block.address(200),
            web=internet.web,
            resolver=internet.ca_resolver,
        ) as ca,
    ):
        # The CA looks CAA up once more at finalize, as it does when validations are hours old;
        # and just then the servers of .net fail it, once.
        ca.mode, ca.stale, ca.check_at_authorization = Mode.B, True, False
        internet.tlds.script(
            servfail, owner="net", qtype="CAA", lookups=1, source=internet.ca_resolver
        )
        certbot = Certbot(VERSION, folder / "certbot", ca, internet)
        certbot.warm = False  # as a user starts it
        return run(certbot, ca)


def _with_guard(certbot: Certbot, ca: CA) -> list[tuple[str, bool]]:
    result = certbot.run("certonly", *certbot.guard, *_all_names())
    print(result.output)
    print("The names in the certificate, by openssl:\n")
    print(_openssl(certbot))
    print("What the lineage remembers (renewal/shop.net.conf):\n")
    section = certbot.renewal_conf("shop.net").partition("[caa_guard]")[2]
    print(f"  [caa_guard]{section}".replace("\n", "\n  "))
    print(f"What it cost at the CA: {ca.spent}")
    return [
        ("certbot with the guard ended well", result.status == 0),
        ("the certificate has all eight good names", certbot.names("shop.net") == set(GOOD)),
        ("the denied and the dead name are held", DENIED in section and DEAD in section),
        ("the SERVFAIL of .net cost one order more at most", ca.spent.orders <= 2),
        ("no authorization failed", ca.spent.failed_authorizations == 0),
    ]


def _plain(certbot: Certbot, ca: CA) -> list[tuple[str, bool]]:
    result = certbot.run("certonly", *_all_names())
    print(result.output)
    print(f"What it cost at the CA: {ca.spent}")
    return [
        ("plain certbot got no certificate", result.status != 0 and not certbot.names("shop.net"))
    ]


def _all_names() -> list[str]:
    names = [GOOD[0], DENIED, DEAD, *GOOD[1:]]
    return [argument for name in names for argument in ("-d", name)]


def _openssl(certbot: Certbot) -> str:
    certificate = certbot.config / "live" / "shop.net" / "cert.pem"
    command = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(certificate)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _heading(text: str) -> None:
    print(f"\n=== {text} {'=' * (70 - len(text))}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
