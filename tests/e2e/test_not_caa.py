"""What is not about CAA is certbot's alone: with the guard all is as it is without it.

The exit status, what is said but for the guard's own lines, the folder but for the guard's own, and
what it costs at the CA, in orders, finalizations and waiting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.ca import Mode, Spent
from tests.e2e.certbot import VERSIONS
from tests.simulation.world import SimulatedCertbot, World

_DCV = "During secondary validation: "
_NAME = "NAME.shop.net"

# Where, the type, the status, what is said, and Retry-After.
_PROBLEMS: list[tuple[str, str, int, str, int | None]] = [
    ("new-order", "rejectedIdentifier", 400, f"Cannot issue for {_NAME!r}: forbidden", None),
    ("new-order", "userActionRequired", 403, "Terms of service have changed", None),
    ("new-order", "malformed", 400, "Error parsing order", None),
    ("new-order", "serverInternal", 500, "Error creating new order", 60),
    ("new-order", "unauthorized", 403, "Account is not valid", None),
    ("finalize", "badCSR", 400, "Error finalizing order :: invalid public key in CSR", None),
    ("finalize", "unauthorized", 403, "Error finalizing order :: order is not authorized", None),
    ("finalize", "serverInternal", 500, "Error finalizing order", 60),
    ("finalize", "malformed", 400, "Error finalizing order :: CSR is not right", None),
    ("finalize", "orderNotReady", 403, "Order's status is not acceptable", None),
    ("issuance", "serverInternal", 500, "Error finalizing order", None),
    ("validation", "connection", 400, f"192.0.2.1: Fetching http://{_NAME}/: Timeout", None),
    ("validation", "unauthorized", 403, f"{_DCV}Invalid response from {_NAME}: 404", None),
    ("validation", "dns", 400, f"DNS problem: NXDOMAIN looking up A for {_NAME}", None),
    ("validation", "serverInternal", 500, "Could not communicate with VA", None),
    ("challenge", "malformed", 400, "Unable to update challenge", None),
]
_CASES = [(*case, VERSIONS[number % len(VERSIONS)]) for number, case in enumerate(_PROBLEMS)]


@dataclass(frozen=True)
class Result:
    """What a run came to, the same for all labels and folders."""

    status: int
    output: Sequence[str]
    files: Sequence[tuple[str, str]]
    spent: Spent
    waited: float


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.mark.parametrize(
    ("place", "kind", "status", "detail", "retry_after", "version"),
    _CASES,
    ids=[f"{case[0]}-{case[1]}-{case[-1]}" for case in _CASES],
)
def test_a_problem_that_is_not_about_caa_is_certbots_alone(
    world: World,
    place: str,
    kind: str,
    status: int,
    detail: str,
    retry_after: int | None,
    version: str,
) -> None:
    problem = {"type": f"urn:ietf:params:acme:error:{kind}", "status": status, "detail": detail}
    alone = _run(world, version, problem, place, retry_after, guarded=False)
    guarded = _run(world, version, problem, place, retry_after, guarded=True)
    assert guarded == alone
    assert alone.status == 1


def _run(
    world: World,
    version: str,
    problem: dict[str, Any],
    place: str,
    retry_after: int | None,
    *,
    guarded: bool,
) -> Result:
    certbot = world.certbot(version)
    label = certbot.folder.name
    world.begin_again()
    world.ca.mode, world.ca.stale = Mode.A, False
    detail = problem["detail"].replace("NAME", label)
    world.ca.inject({**problem, "detail": detail}, place, retry_after=retry_after)
    run = certbot.run(
        "certonly",
        *(certbot.guard if guarded else []),
        "-d",
        f"{label}.shop.net",
    )
    return Result(
        run.status,
        [line for line in _neutral(run.output, label).splitlines() if "CAA guard:" not in line],
        _files(certbot),
        world.ca.spent,
        round(world.clock.skipped, -1),
    )


def _files(certbot: SimulatedCertbot) -> Sequence[tuple[str, str]]:
    """What is in certbot's folder but for the guard's own, and what it says."""
    found = []
    for path in sorted(certbot.config.rglob("*")):
        inside = path.relative_to(certbot.config)
        if inside.parts[0] != "caa-guard":
            text = path.read_text("utf-8") if path.is_file() else ""
            # Keys and requests differ from run to run.
            found.append((str(inside), "PEM" if "-----BEGIN" in text else text))
    return found


def _neutral(text: str, label: str) -> str:
    """The same for every label, folder and time."""
    text = re.sub(r"/\S*certbot-log-\w+/log", "LOG", text)
    text = text.replace(label, "NAME")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*", "TIME", text)
