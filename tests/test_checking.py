"""``certbot_caa_guard.check``: many names, their rounds, and the form of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import certbot_caa_guard
from certbot_caa_guard.caa import Record
from certbot_caa_guard.checking import Checked, Options, Query, Report, check, check_stream
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import IdentifierError
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.spec import SpecError
from certbot_caa_guard.verdict import Verdict
from tests.fakes import Clock, FakeResolver

OTHER = (Record(0, b"issue", b"other-ca.example"),)
HTTP_ONLY = (Record(0, b"issue", b"letsencrypt.org; validationmethods=http-01"),)
ONE_ACCOUNT = (Record(0, b"issue", b"letsencrypt.org; accounturi=https://ca/1"),)


def run(
    names: Sequence[str | Query], *resolvers: IResolver, rounds: int = 2, strict: bool = False
) -> tuple[Report, Clock]:
    clock = Clock()
    options = Options(
        resolvers=resolvers, rounds=rounds, strict=strict, clock=clock, sleep=clock.sleep
    )
    return check(names, options), clock


def verdicts(report: Report) -> list[str]:
    return [one.verdict.value for one in report.checked]


def only(report: Report) -> Checked:
    (checked,) = report.checked
    return checked


def test_results_come_in_the_order_of_the_names() -> None:
    report, _ = run(["b.net", "a.net"], FakeResolver(answers={"a.net": OTHER}))
    assert [(one.index, one.identifier) for one in report.checked] == [(0, "b.net"), (1, "a.net")]
    assert verdicts(report) == ["permitted", "denied"]


def test_each_query_is_held_against_its_own_method_and_account() -> None:
    resolver = FakeResolver(answers={"a.net": HTTP_ONLY, "b.net": ONE_ACCOUNT})
    report, _ = run(
        [
            Query("a.net", "dns-01"),
            Query("a.net", "http-01"),
            Query("b.net"),
            Query("b.net", account_uri="https://ca/1"),
        ],
        resolver,
    )
    assert verdicts(report) == ["denied", "permitted", "denied", "permitted"]
    assert resolver.owners_asked.count("a.net") == 1


def test_a_method_that_is_none_is_refused() -> None:
    """A record that allows others only would seem to deny."""
    with pytest.raises(ValueError, match="unknown validation method 'http'; known are dns-01, "):
        Query("a.net", "http")


def test_beside_an_alias_no_record_would_cut_the_climb() -> None:
    alias = Lookup("www.a.net", Outcome.NOTHING, alias_of="a.example")
    report, _ = run(["www.a.net", "b.a.net"], FakeResolver(answers={"www.a.net": alias}))
    cuts = [one.exposure.cut for one in report.checked if one.exposure is not None]
    assert cuts == [None, 'b.a.net. CAA 0 issue "letsencrypt.org"']


def test_an_ip_address_has_no_caa() -> None:
    resolver = FakeResolver()
    report, _ = run(["192.0.2.1"], resolver)
    assert verdicts(report) == ["permitted"]
    assert resolver.owners_asked == []
    assert only(report).as_json()["exposure"] is None


def test_only_names_that_failed_are_asked_again() -> None:
    resolver = FakeResolver(answers={"bad.net": Outcome.SERVFAIL})
    report, clock = run(["bad.net", "good.org"], resolver, rounds=3)
    assert resolver.owners_asked.count("bad.net") == 3
    assert resolver.owners_asked.count("good.org") == 1
    assert clock.slept == [6.0, 6.0]
    assert verdicts(report) == ["unknown", "permitted"]


def test_each_result_is_given_as_soon_as_it_is_known() -> None:
    clock = Clock()
    known: list[tuple[str, float]] = []
    start = clock.now
    options = Options(
        resolvers=[FakeResolver(answers={"bad.net": Outcome.SERVFAIL})],
        clock=clock,
        sleep=clock.sleep,
        known=lambda one: known.append((one.identifier, clock.now - start)),
    )
    report = check(["bad.net", "192.0.2.1", "good.net"], options)
    assert known == [("192.0.2.1", 0.0), ("good.net", 0.0), ("bad.net", 6.0)]
    assert [one.identifier for one in report.checked] == ["bad.net", "192.0.2.1", "good.net"]


def test_a_name_that_fails_everywhere_in_all_rounds_is_broken() -> None:
    bad = {"bad.net": Outcome.SERVFAIL}
    report, _ = run(["bad.net"], FakeResolver("192.0.2.1", bad), FakeResolver("192.0.2.2", bad))
    assert verdicts(report) == ["broken"]


def test_with_one_round_nothing_is_broken() -> None:
    bad = {"bad.net": Outcome.SERVFAIL}
    report, clock = run(
        ["bad.net"], FakeResolver("192.0.2.1", bad), FakeResolver("192.0.2.2", bad), rounds=1
    )
    assert verdicts(report) == ["unknown"]
    assert clock.slept == []


def test_the_cas_problem_is_that_of_the_first_public_perspective_in_its_first_round() -> None:
    private = FakeResolver("192.0.2.1", {"bad.net": Outcome.NETWORK}, public=False)
    public = FakeResolver("192.0.2.2", {"bad.net": [Outcome.TIMEOUT, Outcome.SERVFAIL]})
    report, _ = run(["bad.net"], private, public)
    assert only(report).ca_problem == {
        "type": "urn:ietf:params:acme:error:dns",
        "detail": "While processing CAA for bad.net: DNS problem: query timed out looking up CAA "
        "for bad.net",
    }


def test_who_could_not_ask_cannot_quote_the_ca() -> None:
    dead = FakeResolver("192.0.2.1", {"bad.net": Outcome.NETWORK})
    report, _ = run(["bad.net"], dead)
    assert (verdicts(report), only(report).ca_problem) == (["unknown"], None)


def test_without_a_public_perspective_the_ca_cannot_be_quoted() -> None:
    report, _ = run(["a.net"], FakeResolver(answers={"a.net": OTHER}, public=False))
    assert only(report).ca_problem is None
    assert not report.has_public_perspective


def test_a_result_has_the_members_of_the_contract() -> None:
    failure = Lookup("", Outcome.SERVFAIL, extended_error=ExtendedError(22, "why"), seconds=0.0712)
    resolver = FakeResolver(answers={"shop.net": OTHER, "bad.net": failure})
    report, _ = run(["*.shop.net", "bad.net"], resolver, rounds=1)
    denied, failed = (one.as_json() for one in report.checked)
    assert denied == {
        "index": 0,
        "identifier": "*.shop.net",
        "verdict": "denied",
        "found_at": "shop.net",
        "records": ['0 issue "other-ca.example"'],
        "ca_problem": {
            "type": "urn:ietf:params:acme:error:caa",
            "detail": "While processing CAA for *.shop.net: CAA record for shop.net prevents "
            "issuance",
        },
        "evidence": [
            {
                "perspective": "udp://192.0.2.1",
                "round": 1,
                "owner": owner,
                "outcome": outcome,
                "ede": None,
                "seconds": 0.0,
            }
            for owner, outcome in (("shop.net", "records"), ("net", "nothing"))
        ],
        "findings": [],
        "exposure": {"owners": ["shop.net"], "tld": False, "cut": None},
    }
    assert failed["evidence"][0]["ede"] == {"code": 22, "text": "why"}
    assert failed["evidence"][0]["seconds"] == 0.071
    assert failed["found_at"] is None


def test_the_verdict_is_spoken_for_by_who_agrees_with_it() -> None:
    """One perspective fails and one permits: flaky, and no records to show for it."""
    report, _ = run(
        ["a.net"],
        FakeResolver("192.0.2.1", {"a.net": Outcome.SERVFAIL}),
        FakeResolver("192.0.2.2"),
    )
    assert verdicts(report) == ["flaky"]


def test_strict_rules_are_followed_where_asked_for() -> None:
    answers = {"a.net": (Record(0, b"issue", b"LetsEncrypt.org"),)}
    assert verdicts(run(["a.net"], FakeResolver(answers=answers))[0]) == ["denied"]
    assert verdicts(run(["a.net"], FakeResolver(answers=answers), strict=True)[0]) == ["permitted"]


@pytest.mark.parametrize(("skew", "verdict"), [(None, "broken"), (86400.0, "unknown")])
def test_with_a_wrong_clock_no_dnssec_failure_is_believed(skew: float | None, verdict: str) -> None:
    clock = Clock()
    bogus = {"a.net": Outcome.BOGUS}
    options = Options(
        resolvers=[FakeResolver("192.0.2.1", bogus), FakeResolver("192.0.2.2", bogus)],
        clock=clock,
        sleep=clock.sleep,
        clock_skew=skew,
    )
    assert verdicts(check(["a.net"], options)) == [verdict]


def test_unusable_perspectives_are_named() -> None:
    report, _ = run(["a.net"], FakeResolver("192.0.2.1", usable=False), FakeResolver("192.0.2.2"))
    assert report.unusable == ("udp://192.0.2.1",)
    assert report.perspectives == 1


def test_with_nobody_to_ask_nothing_is_known() -> None:
    report, _ = run(["a.net"], FakeResolver(usable=False))
    assert only(report).verdict is Verdict.UNKNOWN
    assert only(report).as_json()["found_at"] is None


def test_resolvers_are_closed() -> None:
    resolver = FakeResolver()
    run(["a.net"], resolver)
    assert resolver.closed


def test_a_name_that_is_none_is_an_error_before_anything_is_asked() -> None:
    resolver = FakeResolver()
    with pytest.raises(IdentifierError):
        run(["a.net", "a..net"], resolver)
    assert resolver.owners_asked == []


def test_a_resolver_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(SpecError):
        check(["a.net"], Options(resolvers=["nonsense"]))
    with pytest.raises(ResolverError, match="/no/such/file"):
        check(["a.net"], Options(resolvers=["iterative"], root_hints="/no/such/file"))


def test_the_package_offers_it_without_loading_it_before() -> None:
    assert certbot_caa_guard.check is check
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = certbot_caa_guard.nonsense


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resolvers": "system"}, r"resolvers must be a list, such as \['system'\], not a text"),
        ({"issuers": "ca.example"}, "issuers must be a list"),
    ],
)
def test_a_text_is_not_taken_for_a_list_of_its_letters(options: Any, says: str) -> None:
    """Names would be denied for it: the CA's records do not name ``l``."""
    with pytest.raises(TypeError, match=says):
        Options(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resolvers": []}, "resolvers must name one at least"),
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"rate": 0}, "rate must be at least 1"),
        ({"remembered": 0}, "remembered must be at least 1"),
    ],
)
def test_numbers_and_lists_that_would_ask_nobody_are_refused(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Options(**options)


@pytest.mark.parametrize("ask", [check, check_stream])
def test_a_name_alone_is_no_list_of_names(ask: Any) -> None:
    with pytest.raises(TypeError, match=r"names must be a list, such as \['shop.net'\]"):
        ask("shop.net")
