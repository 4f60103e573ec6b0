"""certbot and the limits of the CA: what one run spends the next one knows."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from acme import messages

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.history import Closed, History, Kind
from certbot_caa_guard.plugin import endings, guard
from certbot_caa_guard.plugin.stopped import Stopped
from tests.fakes import at_authorization, at_finalize, failed_lookup, rate_limited
from tests.plugin.bench import Bench

NAMES = ("a.net", "b.net", "c.net")


def error(document: dict[str, object]) -> messages.Error:
    return messages.Error.from_json(dict(document))


def limited(until: str = "2099-01-01 00:00:00 UTC") -> messages.Error:
    detail = f"too many new orders (300) from this account in the last 3h, retry after {until}: …"
    return error({**rate_limited(), "detail": detail})


def meet_a_limit(bench: Bench, *names: str) -> None:
    bench.acme.finalizing.append(limited())
    with pytest.raises(messages.Error):
        bench.issue(*(names or NAMES))
    bench.wait(hours=1)


def fail_often(bench: Bench, name: str) -> None:
    path = bench.folder / "config" / "caa-guard" / "history.sqlite"
    with History(path, now=bench.clock) as history:
        for kind in (Kind.AUTHORIZATION_FAILED, Kind.CA_FAILED):
            history.record(kind, [f"{bench.client.account.regr.uri} {name}"] * 3)


def says_what_certbot_remembers(stopped: Stopped) -> bool:
    """Who is advised to switch the guard off must know that it stays so."""
    _, _, advice = str(stopped).partition("use --no-caa-guard.")
    return "certbot remembers that" in advice and "caa_guard_enabled = True" in advice


def test_after_a_limit_the_next_run_places_no_order(bench: Bench) -> None:
    meet_a_limit(bench)
    with pytest.raises(
        Stopped, match=r"takes no order for these names before .* \(new-orders\)"
    ) as caught:
        bench.issue(*NAMES)
    assert says_what_certbot_remembers(caught.value)
    assert bench.acme.ordered == []


def test_the_days_question_to_the_ca_is_not_spent_where_a_limit_forbids_it(bench: Bench) -> None:
    bench.lineage("a.net", NAMES, age=65)
    end = datetime.datetime.fromtimestamp(bench.clock.now + 7200, datetime.timezone.utc)
    bench.acme.finalizing.append(limited(f"{end:%Y-%m-%d %H:%M:%S} UTC"))
    with pytest.raises(messages.Error):
        bench.issue(lineage=bench.reload("a.net"))
    bench.wait(hours=1)
    bench.answers({"b.net": Outcome.SERVFAIL})
    with pytest.raises(Stopped, match="takes no order"):
        bench.issue(lineage=bench.reload("a.net"))
    bench.wait(hours=2)
    assert bench.issue(lineage=bench.reload("a.net")).names() == list(NAMES)


def test_the_limit_is_told_without_control_characters() -> None:
    """It comes from a file, which may hold anything."""
    told = endings.of_limit(Closed(0.0, "new\x1b]0;title\x07-orders"))
    assert r"(new\x1b]0;title\x07-orders)" in told


def test_other_names_are_ordered(bench: Bench) -> None:
    meet_a_limit(bench)
    assert bench.issue("other.net").names() == ["other.net"]


def test_the_user_is_told_of_the_limit(bench: Bench) -> None:
    bench.acme.finalizing.append(limited())
    with pytest.raises(messages.Error):
        bench.issue(*NAMES)
    assert "a rate limit of the CA is met (new-orders) until 2099-01-01" in bench.said
    assert "no further order is placed" in bench.said


def test_after_seven_days_at_most_it_is_tried_again(bench: Bench) -> None:
    """Whatever the CA says: it might be wrong about the time, or we."""
    meet_a_limit(bench)
    bench.wait(hours=7 * 24)
    assert bench.issue(*NAMES).names() == list(NAMES)


def test_a_limit_met_with_names_that_came_back_leaves_the_others_free(bench: Bench) -> None:
    bench.lineage("a.net", ["a.net", "c.net"], age=85)
    bench.hold("a.net", "b.net")
    bench.acme.finalizing.append(limited())
    assert bench.issue(lineage=bench.reload("a.net")).names() == ["a.net", "c.net"]
    bench.wait(hours=1)
    assert bench.issue(lineage=bench.reload("a.net")).names() == ["a.net", "c.net"]
    assert bench.acme.ordered == [["a.net", "c.net"]]
    assert bench.kept("a.net").held_names == ("b.net",)


def test_a_name_that_failed_too_often_is_held_from_the_start(bench: Bench) -> None:
    fail_often(bench, "b.net")
    assert bench.issue(*NAMES).names() == ["a.net", "c.net"]
    assert bench.kept("a.net").held_names == ("b.net",)
    assert "b.net: not ordered this time" in bench.said


def test_where_it_may_not_be_there_is_no_order(bench: Bench) -> None:
    fail_often(bench, "b.net")
    with pytest.raises(Stopped, match=r"b\.net failed too often at the CA lately") as caught:
        bench.issue("b.net")
    assert says_what_certbot_remembers(caught.value)
    assert bench.acme.ordered == []


def test_with_warn_it_is_ordered_all_the_same(bench: Bench) -> None:
    fail_often(bench, "b.net")
    bench.config = bench.make_config("--caa-guard-on-fail", "warn")
    assert bench.issue(*NAMES).names() == list(NAMES)


def test_a_name_that_keeps_failing_at_authorization_is_held_in_the_same_run(bench: Bench) -> None:
    class Failing(dict[str, Any]):
        def pop(self, name: str, *_default: object) -> Any:
            return at_authorization(failed_lookup(name)) if name == "b.net" else None

    bench.acme.failing = Failing()
    assert bench.issue(*NAMES).names() == ["a.net", "c.net"]
    assert bench.acme.ordered == [[*NAMES]] * 3 + [["a.net", "c.net"]]


def test_a_dry_run_leaves_nothing_behind(bench: Bench) -> None:
    bench.config = bench.make_config("--dry-run")
    bench.acme.finalizing.append(limited())
    with pytest.raises(messages.Error):
        bench.issue(*NAMES)
    bench.config = bench.make_config()
    assert bench.issue(*NAMES).names() == list(NAMES)


def test_the_retry_after_of_an_answer_is_seen_and_the_hook_is_gone_afterwards(
    bench: Bench,
) -> None:
    hooks: dict[str, list[Callable[..., Any]]] = {}
    bench.acme.net.session = SimpleNamespace(hooks=hooks)  # type: ignore[attr-defined]
    response = SimpleNamespace(status_code=429, ok=False, headers={"Retry-After": "7200"})
    bench.acme.before_order = lambda: hooks["response"][0](response, timeout=45)
    bench.acme.finalizing.append(error(rate_limited()))
    with pytest.raises(messages.Error):
        bench.issue(*NAMES)
    assert hooks == {"response": []}
    bench.wait(hours=1)
    with pytest.raises(Stopped, match="takes no order"):
        bench.issue(*NAMES)
    bench.wait(hours=1.1)
    bench.acme.before_order = lambda: None
    assert bench.issue(*NAMES).names() == list(NAMES)


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        pytest.param((), ["finalize 1", "finalize 1", "deactivate", "finalize 2"], id="alone"),
        pytest.param(("-a", "manual"), ["finalize 1", "finalize 1", "finalize 2"], id="a person"),
        pytest.param(
            ("-a", "manual", "--manual-auth-hook", "true"),
            ["finalize 1", "finalize 1", "deactivate", "finalize 2"],
            id="manual with a hook",
        ),
    ],
)
def test_stale_authorizations_are_deactivated_unless_a_person_must_validate(
    bench: Bench, settings: tuple[str, ...], calls: list[str]
) -> None:
    bench.config = bench.make_config(*settings)
    bench.acme.finalizing += [error(at_finalize(failed_lookup("b.net")))] * 2
    bench.acme.deactivate_authorization = (  # type: ignore[attr-defined]
        lambda _authzr: bench.acme.calls.append("deactivate")
    )
    bench.issue(*NAMES)
    assert [call for call in bench.acme.calls if call != "new_order"] == calls


def answer_all(bench: Bench, names: int) -> float:
    """How long certbot takes to answer the challenges of so many names."""
    answering = [f"n{number}.many.net" for number in range(names)]

    def answer() -> None:
        for name in answering:
            assert client.acme.answer_challenge(name, "response") == "response"

    client = bench.client
    bench.acme.before_order = answer
    before = sum(bench.clock.slept)
    bench.issue(*answering)
    return sum(bench.clock.slept) - before


@pytest.mark.parametrize(("names", "seconds"), [(20, 0.0), (21, 2.0), (99, 9.8)])
def test_the_challenges_of_many_names_are_not_answered_all_at_once(
    bench: Bench, names: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.time, "sleep", bench.clock.sleep, raising=False)
    assert answer_all(bench, names) == pytest.approx(seconds)
