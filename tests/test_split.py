"""Failing names are left out of the order as the user asked, and never a name that can wait."""

from __future__ import annotations

from typing import Any

import pytest

from certbot_caa_guard.split import Course, OnFail, Split, course, split
from certbot_caa_guard.verdict import Verdict


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


def chosen(
    failing: dict[str, Verdict],
    *,
    on_fail: OnFail = OnFail.SPLIT,
    never_drop: str = "",
    covered: str = "abc",
    can_wait: bool = True,
    asked_lately: bool = False,
) -> Course:
    waited_for = set(covered) if can_wait else set()
    division = split("abc", failing, on_fail=on_fail, spare=waited_for | set(never_drop))
    return course(
        division,
        failing,
        on_fail=on_fail,
        covered=covered,
        waited_for=waited_for,
        asked_lately=asked_lately,
    )


B_BROKEN, B_DENIED = {"b": Verdict.BROKEN}, {"b": Verdict.DENIED}
ALL_DENIED = dict.fromkeys("abc", Verdict.DENIED)


@pytest.mark.parametrize(
    ("failing", "circumstances", "expected"),
    [
        pytest.param({}, {}, Course.ORDER, id="nothing fails"),
        pytest.param({"b": Verdict.FLAKY}, {}, Course.ORDER, id="flaky is no reason"),
        pytest.param(B_BROKEN, {}, Course.ASK_THE_CA, id="broken: the CA judges"),
        pytest.param(
            B_BROKEN, {"asked_lately": True}, Course.PUT_OFF, id="broken, and judged today"
        ),
        pytest.param(B_DENIED, {}, Course.PUT_OFF, id="denied: nothing to ask"),
        pytest.param(B_BROKEN | {"a": Verdict.DENIED}, {}, Course.PUT_OFF, id="broken and denied"),
        pytest.param(ALL_DENIED, {}, Course.PUT_OFF, id="all denied, but there is time"),
        pytest.param(B_BROKEN, {"can_wait": False}, Course.ORDER, id="no time left"),
        pytest.param(ALL_DENIED, {"can_wait": False}, Course.NOTHING_LEFT, id="all denied"),
        pytest.param(B_DENIED, {"covered": "ac"}, Course.ORDER, id="a new name"),
        pytest.param(B_DENIED, {"covered": ""}, Course.ORDER, id="a first certificate"),
        pytest.param(
            B_DENIED, {"covered": "", "never_drop": "b"}, Course.NEVER_DROP, id="but never drop it"
        ),
        pytest.param(B_DENIED, {"covered": "", "never_drop": "a"}, Course.ORDER, id="another"),
        pytest.param(
            B_DENIED, {"never_drop": "b"}, Course.PUT_OFF, id="never drop it, and there is time"
        ),
        pytest.param(
            B_DENIED, {"never_drop": "b", "can_wait": False}, Course.NEVER_DROP, id="nor at the end"
        ),
        pytest.param(
            B_BROKEN,
            {"never_drop": "b", "can_wait": False},
            Course.ASK_THE_CA,
            id="at the end the CA may still judge it",
        ),
        pytest.param(
            B_BROKEN,
            {"never_drop": "b", "can_wait": False, "asked_lately": True},
            Course.NEVER_DROP,
            id="once a day",
        ),
        pytest.param(
            B_BROKEN, {"never_drop": "b", "covered": "ac"}, Course.NEVER_DROP, id="not covered"
        ),
        pytest.param(B_BROKEN, {"on_fail": OnFail.STOP}, Course.STOP, id="stop"),
        pytest.param({}, {"on_fail": OnFail.STOP}, Course.ORDER, id="stop, but nothing fails"),
        pytest.param(ALL_DENIED, {"on_fail": OnFail.WARN}, Course.ORDER, id="warn"),
    ],
)
def test_the_course_follows_from_what_fails_and_what_can_wait(
    failing: dict[str, Verdict], circumstances: dict[str, Any], expected: Course
) -> None:
    assert chosen(failing, **circumstances) is expected
