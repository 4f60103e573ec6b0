"""What an audit finds may change the verdict of ``check``, as it does for the guard."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.audit.reasons import Reasons
from certbot_caa_guard.checking import Checked, Options, check
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.console.explaining import explained
from certbot_caa_guard.verdict import Evidence
from tests.fakes import Clock, FakeResolver, issue

FAILS, ON_1_18, MAY, SLOW, FINE = Severity


class Finds(Reasons):
    """Finds the same, whatever fails."""

    def __init__(self, code: str, severity: Severity) -> None:
        super().__init__(None, None)
        self.found = (Finding(code, severity, "b.net", "b.net", (), 1, ""),)

    def of(self, evidence: Evidence) -> Future[tuple[Finding, ...]] | None:
        if not evidence.failed_owners:
            return None
        future: Future[tuple[Finding, ...]] = Future()
        future.set_result(self.found)
        return future


def check_one(
    outcome: Outcome, by: Reasons, *, owner: str = "b.net", skew: float | None = None
) -> Checked:
    clock = Clock()
    options = Options(
        resolvers=[FakeResolver(answers={owner: outcome})],
        clock=clock,
        sleep=clock.sleep,
        clock_skew=skew,
    )
    (checked,) = explained(check(["b.net"], options).checked, by, options)
    return checked


@pytest.mark.parametrize(
    ("code", "severity", "verdict"),
    [
        ("InvalidRcode", FAILS, "broken"),
        ("MissingSOAForNODATA", ON_1_18, "broken"),
        ("IntermittentFailure", MAY, "broken"),
        ("InconsistentCAA", MAY, "unknown"),
        ("SlowResponse", SLOW, "unknown"),
        ("NotAuthoritative", FINE, "unknown"),
    ],
)
def test_only_a_finding_that_makes_lookups_fail_corroborates_one_perspective(
    code: str, severity: Severity, verdict: str
) -> None:
    checked = check_one(Outcome.SERVFAIL, Finds(code, severity))
    assert checked.verdict.value == verdict
    assert [one["code"] for one in checked.findings] == ([code] if severity is not FINE else [])


def test_what_is_explained_at_the_tld_is_flaky() -> None:
    checked = check_one(Outcome.SERVFAIL, Finds("InvalidRcode", FAILS), owner="net")
    assert checked.verdict.value == "flaky"


@pytest.mark.parametrize(("skew", "verdict"), [(None, "broken"), (86400.0, "unknown")])
def test_with_a_wrong_clock_no_finding_makes_a_dnssec_failure_believed(
    skew: float | None, verdict: str
) -> None:
    checked = check_one(Outcome.BOGUS, Finds("ExpirationInThePast", FAILS), skew=skew)
    assert checked.verdict.value == verdict


def test_what_does_not_fail_is_as_it_was() -> None:
    resolver = FakeResolver(answers={"a.net": issue("other.example")})
    options = Options(resolvers=[resolver])
    report = check(["a.net", "b.net", "192.0.2.1"], options)
    assert explained(report.checked, Finds("InvalidRcode", FAILS), options) == [*report.checked]
