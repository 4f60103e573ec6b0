"""A short soak: names through a resolver that drops, delays, truncates and fails at random."""

from __future__ import annotations

from benchmarks import soak


def test_every_verdict_is_right_and_nothing_is_left_open() -> None:
    soaked = soak.soak(1500, "a test", sleep=lambda _seconds: None)
    assert soaked.wrong == []
    assert soaked.sockets == 0
    assert sum(soaked.verdicts.values()) == 1500
    assert {"permitted", "denied"} <= soaked.verdicts.keys()


def test_the_goals_are_no_wrong_verdict_nothing_left_open_and_little_memory() -> None:
    good = soak.Soaked(5, 1.0, {"permitted": 5}, [], 2_000_000, 0)
    assert soak.summary(good).all_met
    bad = soak.Soaked(5, 1.0, {"permitted": 5}, [("a.t", "denied", "permitted")], 20_000_000, 1)
    assert [goal.met for goal in soak.summary(bad).goals] == [False] * 3
    assert soak.summary(bad).remarks == ["a.t: denied, not permitted"]


def test_a_wrong_verdict_would_be_seen() -> None:
    """What the log says is what counts: a name whose second lookup failed, too, is unknown."""
    answered = {
        "www-0.z.t": ["servfail", "nothing"],
        "z.t": ["nothing", "servfail"],
        "t": ["nothing"] * 2,
    }
    owners = tuple(answered)
    assert [soak._end(owners, answered, round_) for round_ in (0, 1)] == [None, None]
    answered["z.t"][1] = "denies"
    assert soak._end(owners, answered, 1) == "denied"
