"""Lineages over months: what is in the certificate, what is held, and what the CA is asked for.

Each row is the history of a lineage. Its certificates live for 90 days, and certbot is run with a
clock that is ahead, so that as much of that life is left as the step says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from certbot_caa_guard.plugin import lineage as state
from tests.e2e.certbot import VERSIONS, Certbot, Run
from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import domains
from tests.e2e.unplugged import Unplugged
from tests.internet import servfail

Start = Callable[..., Bench]
Change = Callable[[Bench], None]

LIFETIME = 90
NEWEST = VERSIONS[-1:]
NEXT_DAY = 1.1

# No retry, and what lasts for six seconds lasts.
HASTE = ("--caa-guard-retries", "0", "--caa-guard-deadline", "60")

RENEW = ("renew",)
RENEW_NOW = ("renew", "--force-renewal")


def certonly(*names: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    return ("certonly", *more, *domains(*names))


def deny(name: str) -> Change:
    return lambda bench: bench.internet.publish(name, "CAA", '0 issue "other-ca.example"')


def deny_wildcards(name: str) -> Change:
    return lambda bench: bench.internet.publish(name, "CAA", '0 issuewild ";"')


def mend(name: str) -> Change:
    return lambda bench: bench.internet.withdraw(name, "CAA")


def breaks(name: str) -> Change:
    """The CA sees it, too: it checks CAA again at finalize."""

    def change(bench: Bench) -> None:
        bench.ca.stale = True
        bench.internet.servers.script(servfail, below=name, qtype="CAA")

    return change


def heals(bench: Bench) -> None:
    bench.internet.servers.clear()
    bench.internet.forget()


@dataclass(frozen=True)
class Step:
    """One run of certbot, and what there is after it.

    :ivar left: days of life that the certificate has left when it runs.
    :ivar command: its verb and options.
    :ivar names: in the certificate afterwards.
    :ivar held: on disk afterwards.
    :ivar change: what happens to the internet before it.
    :ivar orders: how many reach the CA.
    :ivar other: the names of the second lineage, if there is one.
    :ivar plugged: whether the plugin is installed.
    """

    left: float
    command: tuple[str, ...]
    names: str
    held: str = ""
    change: Change = lambda _bench: None
    status: int = 0
    orders: int = 0
    other: str = ""
    plugged: bool = True


@dataclass(frozen=True)
class Row:
    """The history of a lineage, named after a.net."""

    story: str
    steps: Sequence[Step]
    versions: Sequence[str] = NEWEST
    zones: Mapping[str, str] = field(default_factory=lambda: {"a.net": "", "b.org": ""})
    challenge: str = "standalone"


ROWS = [
    Row(
        "held at first issuance, then healed",
        [
            Step(90, certonly("a.net", "b.org"), "a.net", "b.org", deny("b.org"), orders=1),
            Step(60, RENEW, "a.net", "b.org"),
            Step(60, certonly("a.net", "b.org"), "a.net", "b.org"),
            Step(29, RENEW, "a.net", "b.org", orders=1),
            Step(50, certonly("a.net", "b.org"), "a.net", "b.org", mend("b.org")),
            Step(29, RENEW, "a.net b.org", orders=1),
            Step(60, certonly("a.net", "b.org"), "a.net b.org"),
        ],
        VERSIONS,
    ),
    Row(
        "a denied name with 40, 12 and 5 days left",
        [
            Step(90, certonly("a.net", "b.org"), "a.net b.org", orders=1),
            Step(40, RENEW, "a.net b.org", change=deny("b.org")),
            Step(12, RENEW, "a.net b.org", status=1),
            Step(11.5, certonly("a.net", "b.org"), "a.net b.org", status=1),
            Step(5, RENEW, "a.net", "b.org", orders=1),
            Step(29, RENEW, "a.net b.org", change=mend("b.org"), orders=1),
        ],
    ),
    Row(
        "a failing name with 40, 12 and 5 days left",
        [
            Step(90, certonly("a.net", "b.org"), "a.net b.org", orders=1),
            Step(40, RENEW, "a.net b.org", change=breaks("b.org")),
            Step(12, RENEW, "a.net b.org", status=1, orders=1),
            Step(11.5, RENEW, "a.net b.org", status=1),
            Step(12 - NEXT_DAY, RENEW, "a.net b.org", status=1, orders=1),
            Step(5, RENEW, "a.net", "b.org", orders=1),
            Step(29, RENEW, "a.net b.org", change=heals, orders=1),
        ],
    ),
    Row(
        "a wildcard plus its base",
        [
            Step(90, certonly("a.net", "*.a.net"), "a.net *.a.net", orders=1),
            Step(12, RENEW, "a.net *.a.net", change=deny_wildcards("a.net"), status=1),
            Step(5, RENEW, "a.net", "*.a.net", orders=1),
            Step(60, certonly("*.a.net", "a.net"), "a.net", "*.a.net"),
            Step(29, RENEW, "a.net", "*.a.net", orders=1),
            Step(29, RENEW, "a.net *.a.net", change=mend("a.net"), orders=1),
        ],
        challenge="manual_dns",
    ),
    Row(
        "every name failing",
        [
            Step(90, certonly("a.net"), "a.net", orders=1),
            Step(12, RENEW, "a.net", change=deny("a.net"), status=1),
            Step(5, RENEW, "a.net", status=1),
            Step(-1, RENEW, "a.net", status=1),
            Step(-2, RENEW, "a.net", change=mend("a.net"), orders=1),
        ],
    ),
    Row(
        "two lineages, one failing",
        [
            Step(90, certonly("a.net", "b.org"), "a.net b.org", orders=1),
            Step(90, certonly("b.org"), "a.net b.org", orders=1, other="b.org"),
            Step(12, RENEW, "a.net b.org", "", deny("a.net"), 1, orders=1, other="b.org"),
            Step(29, RENEW, "a.net b.org", change=mend("a.net"), orders=2, other="b.org"),
        ],
    ),
    Row(
        "configuration changed between runs",
        [
            Step(90, certonly("a.net", "b.org"), "a.net", "b.org", deny("b.org"), orders=1),
            Step(60, certonly("a.net"), "a.net"),
            Step(29, RENEW, "a.net", orders=1),
            Step(
                60,
                certonly("a.net", "b.org", more=["--cert-name", "a.net"]),
                "a.net b.org",
                change=mend("b.org"),
                orders=1,
            ),
            Step(12, RENEW, "a.net b.org", change=deny("b.org"), status=1),
            Step(12, (*RENEW, "--caa-guard-never-drop", "b.org"), "a.net b.org", status=1),
            Step(11, (*RENEW, "--caa-guard-grace", "0"), "a.net", "b.org", orders=1),
            Step(
                60,
                ("certonly", "--cert-name", "a.net", "--force-renewal"),
                "a.net b.org",
                change=mend("b.org"),
                orders=1,
            ),
        ],
    ),
    Row(
        "switched off for one renewal, and on again",
        [
            Step(90, certonly("a.net", "b.org"), "a.net", "b.org", deny("b.org"), orders=1),
            Step(29, (*RENEW, "--no-caa-guard"), "a.net", "b.org", orders=1),
            Step(29, (*RENEW, "--caa-guard"), "a.net", "b.org", orders=1),
            Step(29, RENEW, "a.net b.org", change=mend("b.org"), orders=1),
        ],
        VERSIONS,
    ),
    Row(
        "uninstalled, and installed again",
        [
            Step(90, certonly("a.net", "b.org"), "a.net", "b.org", deny("b.org"), orders=1),
            Step(29, RENEW, "a.net", "b.org", orders=1, plugged=False),
            Step(60, (*RENEW_NOW, "--caa-guard"), "a.net b.org", "", mend("b.org"), orders=1),
        ],
        VERSIONS,
    ),
]


@pytest.mark.parametrize(
    ("row", "version"),
    [pytest.param(row, version, id=f"{row.story}-{version}")
     for row in ROWS for version in row.versions],
)  # fmt: skip
def test_nothing_is_lost_over_the_months(row: Row, start: Start) -> None:
    bench = start(row.zones)
    history = []
    for step in row.steps:
        step.change(bench)
        bench.ca.reset()
        run = _run(bench, row, step)
        certbot = bench.certbot
        there = (run.status, certbot.names("a.net"), _held(certbot, "a.net"))
        spent = (bench.ca.spent.orders, certbot.names("b.org"))
        history.append((step.left, step.command, run.output))
        assert there == (step.status, set(step.names.split()), set(step.held.split())), "\n".join(
            map(str, history)
        )
        assert spent == (step.orders, set(step.other.split())), "\n".join(map(str, history))


def _run(bench: Bench, row: Row, step: Step) -> Run:
    certbot = bench.certbot
    arguments = step.command[1:]
    if step.command[0] == "certonly":
        arguments = (*certbot.guard, *HASTE, *arguments)
    if not step.plugged:
        certbot = Unplugged(certbot.version, certbot.folder, bench.ca, bench.internet)
    return certbot.run(
        step.command[0],
        *arguments,
        challenge=getattr(certbot, row.challenge),
        environment=_ahead_by(LIFETIME - step.left),
    )


def _ahead_by(days: float) -> dict[str, str]:
    """A clock that is so many days ahead, and runs as fast as the real one."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"+{days * 86400 + 60:.0f}s",
    }


def _held(certbot: Certbot, lineage: str) -> set[str]:
    import configobj

    path = certbot.config / "renewal" / f"{lineage}.conf"
    kept = state.read(configobj.ConfigObj(str(path), interpolation=False).get(state.SECTION))
    assert not kept.held or set(kept.wanted) == set(kept.held_names) | certbot.names(lineage)
    return set(kept.held_names)
