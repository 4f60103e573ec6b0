"""What Boulder said of names on good and broken servers, ``check`` says over the wire.

The same zones and servers are rebuilt on the bench and asked through Debian's Unbound, set up as
the CA's is, and through libunbound in a process of our own with the same settings.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import certbot_caa_guard
from certbot_caa_guard.checking import Checked, Options, Query
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers.stub import StubResolver
from certbot_caa_guard.resolvers.unbound import UnboundResolver
from certbot_caa_guard.verdict import Perspective
from tests.internet import Internet, caa
from tests.internet.behaviours import SIGNED, Laboratory, cases

DATA = Path(__file__).parents[1] / "data"
THROUGH = ("unbound daemon", "libunbound")
# Whether dropped mixed-case questions end in time is a matter of luck, at the CA too.
EITHER_WAY = {"www.capsdrop.lab"}


@functools.cache
def cases_once() -> list[dict[str, Any]]:
    return cases()


CERTAIN = [
    number for number, case in enumerate(cases_once()) if case["identifier"] not in EITHER_WAY
]


def by_number(number: int) -> str:
    return f"{cases_once()[number]['identifier']}: {cases_once()[number]['case']}"


def test_but_for_one_all_cases_are_held_against() -> None:
    assert len(CERTAIN) == 95


def resolver_for(internet: Internet, through: str, folder: Path) -> IResolver:
    if through == "unbound daemon":
        servers = [(internet.resolver, 53)]
        return StubResolver(Perspective("udp://unbound", public=True), servers)
    return UnboundResolver(
        root_hints=str(internet.hints(folder / "root.hints")),
        trust_anchor=str(internet.trust_anchor) if internet.trust_anchor else None,
    )


def check(queries: list[Query], resolver: IResolver) -> list[Checked]:
    """Two rounds; the wait between them is not what is tested."""
    options = Options(resolvers=[resolver], sleep=lambda _seconds: None)
    return list(certbot_caa_guard.check(queries, options).checked)


@pytest.fixture(scope="module", params=THROUGH)
def checked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[int, Checked]:
    folder = tmp_path_factory.mktemp("laboratory")
    queries = [Query(case["identifier"], case["method"], case["account_uri"]) for case in cases()]
    with Laboratory(folder, signed=SIGNED) as internet:
        found = check(queries, resolver_for(internet, request.param, folder))
        assert internet.errors == []
    return dict(enumerate(found))


@pytest.mark.parametrize("number", CERTAIN, ids=by_number)
def test_the_verdict_and_where_it_was_found_are_boulders(
    checked: Mapping[int, Checked], number: int
) -> None:
    case, one = cases_once()[number], checked[number]
    expected = case["resolvers"]["unbound-1.17.1"]
    verdict = one.verdict.value if one.verdict.value in {"permitted", "denied"} else "error"
    found_at = one.as_json()["found_at"]
    assert (verdict, found_at) == (expected["verdict"], expected.get("found_at"))


@pytest.mark.parametrize("number", CERTAIN, ids=by_number)
def test_the_problem_is_boulders_word_for_word(checked: Mapping[int, Checked], number: int) -> None:
    case, one = cases_once()[number], checked[number]
    expected = case["resolvers"]["unbound-1.17.1"].get("detail")
    said = one.ca_problem["detail"] if one.ca_problem else None
    if expected is None:
        # A server that is slow the first time may fail us once where it did not fail the CA.
        assert said is None or "timed out" in said
        return
    assert said is not None
    assert _without_luck(said) == _without_luck(expected)


def _without_luck(detail: str) -> str:
    """The detail without what differs from bench to bench.

    That is the addresses, which of several broken signatures is met first, and whether a zone's
    key is anchored itself or through the root; and a silent server has one word.
    """
    detail = re.sub(r" from \d+\.\d+\.\d+\.\d+\b", "", detail)
    detail = re.sub(r" for <\S+ \S+ IN>$", "", detail)
    detail = re.sub(r" for (trust anchor|key) ", " for key ", detail)
    silent = r"(query timed out|SERVFAIL)( looking up CAA for \S+).*"
    return re.sub(silent, r"SILENT OR SERVFAIL\2", detail)


@pytest.mark.parametrize("through", THROUGH)
def test_two_thousand_record_sets_are_judged_over_the_wire_as_by_boulder(
    tmp_path: Path, through: str
) -> None:
    document = json.loads((DATA / "policy-cases.json").read_text("utf-8"))
    with Internet(tmp_path, {"gen.lab": _records(document["cases"])}) as internet:
        queries = [
            Query(case["identifier"], case["method"], case["account_uri"])
            for case in document["cases"]
        ]
        found = check(queries, resolver_for(internet, through, tmp_path))
    got = [(one.verdict.value, one.as_json()["found_at"]) for one in found]
    assert got == [(case["verdict"], case.get("found_at")) for case in document["cases"]]


def _records(policy_cases: list[dict[str, Any]]) -> list[str]:
    """The record sets as lines of the zone gen.lab; CAA by its octets."""
    lines = []
    for case in policy_cases:
        for owner, kind, data in case["rrs"]:
            if kind == "CAA":
                lines.append(f"{owner} TYPE257 \\# {len(data) // 2} {data}")
            else:
                lines.append(f"{owner} {kind} {data}")
    return lines


def test_the_bench_can_tell_a_denial(tmp_path: Path) -> None:
    """So that the tests above could fail: one record more turns a verdict."""
    zones = {"gen.lab": [f"x CAA {caa(0, b'issue', b'other-ca.example')}"]}
    with Internet(tmp_path, zones) as internet:
        (one,) = check([Query("x.gen.lab")], resolver_for(internet, "unbound daemon", tmp_path))
    assert one.verdict.value == "denied"
