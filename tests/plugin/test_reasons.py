"""What an audit finds is told of each held name, and may be what holds it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.audit.reasons import Reasons
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.plugin import guard
from certbot_caa_guard.verdict import Evidence
from tests.fakes import FakeResolver, issue
from tests.plugin.bench import Bench

FINDING = Finding(
    "InvalidRcode", Severity.FAILS, "b.net", "b.net", ("ns.b.net (192.0.2.9)",), 1, "REFUSED"
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that an audit was wanted for, each of which it explains."""
    names: list[str] = []

    def main(_self: Reasons, evidence: Iterable[Evidence], timeout: float) -> dict[str, Finding]:
        assert timeout > 0
        wanted = [str(one.identifier) for one in evidence if one.main_failure]
        names.extend(wanted)
        return dict.fromkeys(wanted, FINDING)

    monkeypatch.setattr(guard, "may_ask", lambda *_: True)
    monkeypatch.setattr(Reasons, "main", main)
    return names


def test_the_main_finding_of_each_held_name_is_told_in_a_line(
    bench: Bench, asked: list[str]
) -> None:
    bench.answers({"b.net": Outcome.SERVFAIL})
    bench.issue("a.net", "b.net")
    assert "  b.net: InvalidRcode: ns.b.net (192.0.2.9): REFUSED. Let the server" in bench.said
    assert asked == ["b.net"]


def test_a_name_is_held_for_what_one_perspective_saw_and_an_audit_explains(
    bench: Bench, asked: list[str]
) -> None:
    spec = next(iter(bench.resolvers))
    alone = FakeResolver(spec.rpartition("/")[2], answers={"b.net": Outcome.SERVFAIL})
    bench.resolvers = dict.fromkeys(bench.resolvers, alone)
    bench.issue("a.net", "b.net")
    assert bench.kept("a.net").held[0].verdict == "broken"
    assert set(asked) == {"b.net"}


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

    monkeypatch.setattr(guard, "may_ask", lambda *_: True)
    monkeypatch.setattr(Reasons, "main", fail)
    bench.answers({"b.net": Outcome.SERVFAIL})
    bench.issue("a.net", "b.net")
    assert bench.acme.ordered == [["a.net"]]
    assert bench.kept("a.net").held[0].name == "b.net"
