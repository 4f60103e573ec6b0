"""Failing names are left out of the order as the user asked, and never a name that can wait."""

from __future__ import annotations

import pytest

from certbot_caa_guard.split import OnFail, Split, default_grace, split
from certbot_caa_guard.verdict import Verdict

_HOUR = 3600.0
_DAY = 24 * _HOUR


@pytest.mark.parametrize(
    ("verdict", "held"),
    [
        pytest.param(Verdict.PERMITTED, (), id="permitted is ordered"),
        pytest.param(Verdict.FLAKY, (), id="flaky is ordered"),
        pytest.param(Verdict.UNKNOWN, (), id="unknown is ordered"),
        pytest.param(Verdict.DENIED, ("b",), id="denied is held"),
        pytest.param(Verdict.BROKEN, ("b",), id="broken is held"),
    ],
)
def test_a_name_is_held_by_its_verdict(verdict: Verdict, held: tuple[str, ...]) -> None:
    divided = split(["a", "b"], {"b": verdict}, on_fail=OnFail.SPLIT)
    assert divided == Split(ordered=tuple(n for n in ("a", "b") if n not in held), held=held)


def test_a_name_without_a_verdict_is_ordered() -> None:
    assert split(["192.0.2.1"], {}, on_fail=OnFail.SPLIT) == Split(("192.0.2.1",))


def test_a_verdict_on_a_name_that_is_not_wanted_holds_nothing() -> None:
    assert split(["a"], {"b": Verdict.DENIED}, on_fail=OnFail.SPLIT) == Split(("a",))


def test_the_order_of_the_names_stays() -> None:
    """The first name may become the common name and names the lineage."""
    verdicts = {"z": Verdict.DENIED, "b": Verdict.BROKEN, "y": Verdict.DENIED, "a": Verdict.BROKEN}
    divided = split(
        ["z", "q", "b", "c", "y", "a"], verdicts, on_fail=OnFail.SPLIT, spare=["y", "a"]
    )
    assert divided == Split(("q", "c", "y", "a"), held=("z", "b"), spared=("y", "a"))


@pytest.mark.parametrize("on_fail", [OnFail.SPLIT, OnFail.STOP])
def test_a_name_that_can_wait_is_spared(on_fail: OnFail) -> None:
    verdicts = {"a": Verdict.DENIED, "b": Verdict.BROKEN}
    divided = split(["a", "b", "c"], verdicts, on_fail=on_fail, spare=frozenset({"a"}))
    assert divided == Split(("a", "c"), held=("b",), spared=("a",))


def test_a_name_that_could_wait_but_passes_is_not_spared() -> None:
    divided = split(["a"], {"a": Verdict.FLAKY}, on_fail=OnFail.SPLIT, spare=["a"])
    assert divided.spared == ()


def test_warn_orders_everything_and_says_what_fails() -> None:
    verdicts = {"a": Verdict.DENIED, "b": Verdict.PERMITTED}
    divided = split(["a", "b"], verdicts, on_fail=OnFail.WARN)
    assert divided == Split(("a", "b"), spared=("a",))


def test_all_names_may_be_held() -> None:
    divided = split(["a"], {"a": Verdict.DENIED}, on_fail=OnFail.SPLIT)
    assert divided == Split((), held=("a",))


def test_the_failing_names_are_those_held_and_those_spared() -> None:
    assert Split(("a", "b"), held=("c",), spared=("b",)).failing == ("c", "b")


@pytest.mark.parametrize(
    ("lifetime", "renewal_window", "grace"),
    [
        pytest.param(90 * _DAY, 30 * _DAY, 10 * _DAY, id="a ninth of the lifetime"),
        pytest.param(45 * _DAY, 15 * _DAY, 5 * _DAY, id="of a shorter one, too"),
        pytest.param(17 * _DAY, 30 * _DAY, 48 * _HOUR, id="at least 48 hours"),
        pytest.param(90 * _DAY, 10 * _DAY, 6 * _DAY, id="at most 60 % of the window"),
        pytest.param(160 * _HOUR, 80 * _HOUR, 48 * _HOUR, id="six days, where both bounds meet"),
        pytest.param(160 * _HOUR, 53 * _HOUR, 31.8 * _HOUR, id="the window outranks the 48 hours"),
        pytest.param(90 * _DAY, 0.0, 0.0, id="no window, no grace"),
    ],
)
def test_the_grace_fits_the_certificate(
    lifetime: float, renewal_window: float, grace: float
) -> None:
    assert default_grace(lifetime, renewal_window) == pytest.approx(grace)
