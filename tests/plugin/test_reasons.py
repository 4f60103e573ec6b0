"""What an audit finds is told of each held name, and may be what holds it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest

from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.audit.reasons import Reasons
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.plugin import auditing
from certbot_caa_guard.verdict import Evidence
from tests.fakes import FakeResolver, issue
from tests.plugin.bench import Bench

FINDING = Finding(
    "InvalidRcode", Severity.FAILS, "b.net", "b.net", ("ns.b.net (192.0.2.9)",), 1, "REFUSED"
)


@pytest.fixture
def findings() -> list[Finding]:
    """What an audit finds, whatever it is of."""
    return [FINDING]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, findings: list[Finding]) -> list[str]:
    """The names that an audit was wanted for."""
    names: list[str] = []

    def of(_self: Reasons, evidence: Evidence) -> Future[tuple[Finding, ...]] | None:
        if evidence.main_failure is None:
            return None
        names.append(str(evidence.identifier))
        found: Future[tuple[Finding, ...]] = Future()
        found.set_result(tuple(findings))
        return found

    monkeypatch.setattr(auditing, "may_ask", lambda *_: True)
    monkeypatch.setattr(Reasons, "of", of)
    return names


def test_the_main_finding_of_each_held_name_is_told_in_a_line(
    bench: Bench, asked: list[str]
) -> None:
    bench.answers({"b.net": Outcome.SERVFAIL})
    bench.issue("a.net", "b.net")
    assert "  b.net: InvalidRcode: ns.b.net (192.0.2.9): REFUSED. Let the server" in bench.said
    assert asked == ["b.net"]


@pytest.fixture
def failing_for_one(bench: Bench) -> Bench:
    """A bench where one perspective is all there is, and b.net fails in it."""
    spec = next(iter(bench.resolvers))
    alone = FakeResolver(spec.rpartition("/")[2], answers={"b.net": Outcome.SERVFAIL})
    bench.resolvers = dict.fromkeys(bench.resolvers, alone)
    return bench


def test_a_name_is_held_for_what_one_perspective_saw_and_an_audit_explains(
    failing_for_one: Bench, asked: list[str]
) -> None:
    failing_for_one.issue("a.net", "b.net")
    assert failing_for_one.kept("a.net").held[0].verdict == "broken"
    assert set(asked) == {"b.net"}


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("SlowResponse", Severity.SLOW),
        ("NotAuthoritative", Severity.FINE),
        ("InconsistentCAA", Severity.MAY_FAIL),
    ],
)
def test_a_name_is_ordered_where_what_the_audit_finds_makes_no_lookup_fail(
    failing_for_one: Bench,
    asked: list[str],
    findings: list[Finding],
    code: str,
    severity: Severity,
) -> None:
    findings[:] = [replace(FINDING, code=code, severity=severity)]
    failing_for_one.issue("a.net", "b.net")
    assert failing_for_one.acme.ordered == [["a.net", "b.net"]]
    assert asked == ["b.net"]


def test_a_denial_needs_no_audit(bench: Bench, asked: list[str]) -> None:
    bench.answers({"b.net": issue("other.example")})
    bench.issue("a.net", "b.net")
    assert asked == []


def test_who_names_other_resolvers_gets_no_audit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Reasons, "__init__", fail)
    bench.answers({"b.net": Outcome.SERVFAIL})
    bench.issue("a.net", "b.net")
    assert bench.acme.ordered == [["a.net"]]


def test_a_fault_of_the_audit_changes_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(auditing, "may_ask", lambda *_: True)
    monkeypatch.setattr(Reasons, "of", fail)
    bench.answers({"b.net": Outcome.SERVFAIL})
    bench.issue("a.net", "b.net")
    assert bench.acme.ordered == [["a.net"]]
    assert bench.kept("a.net").held[0].name == "b.net"
