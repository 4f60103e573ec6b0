"""The benchmarks' own arithmetic and words; nothing is measured here."""

from __future__ import annotations

import pytest

import benchmarks
from benchmarks import __main__, machine, record, start
from benchmarks.results import Goal, Result, number, table


def test_the_list_names_every_part_and_what_it_measures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert __main__.main(["--list"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line[0] for line in said] == list(benchmarks.PARTS)
    assert all(len(line) > 10 for line in said)


def test_every_part_says_how_it_measures() -> None:
    assert all(benchmarks.load(letter).description for letter in benchmarks.PARTS)


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["z"])
    assert "'z' is not one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.00123, "0.00123"),
        (0.0000123, "0.000012"),
        (3.14159, "3.14"),
        (51.23, "51.2"),
        (999.4, "999"),
        (24317, "24,300"),
        (1_234_567, "1,230,000"),
        (-0.25, "-0.25"),
    ],
)
def test_numbers_are_shown_with_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_puts_numbers_to_the_right_and_escapes_bars() -> None:
    shown = table(("who", "names/s"), [("a|b", "1,200"), ("c", "7")])
    assert shown.splitlines() == [
        "| who | names/s |",
        "| --- | ---: |",
        "| a\\|b | 1,200 |",
        "| c | 7 |",
    ]


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal.at_most("", 3.0, 3.0), True),
        (Goal.at_most("", 3.1, 3.0), False),
        (Goal.at_least("", 3.0, 3.0), True),
        (Goal.at_least("", 2.9, 3.0), False),
    ],
)
def test_a_goal_says_whether_it_is_met(goal: Goal, met: bool) -> None:
    assert goal.met is met
    assert Result((), (), [goal]).all_met is met


def test_a_goal_that_is_not_met_stands_out() -> None:
    shown = Result(("a",), [("1",)], [Goal.at_most("few", 9, 3, " ms")]).markdown()
    assert "| few | 9 ms | **not met** |" in shown


def test_a_result_survives_being_written_down() -> None:
    result = Result(["a"], [["1"]], [Goal("few", "1", True)], ["quiet"], {"one": 1})
    assert Result.from_json(result.to_json()) == result


def test_the_page_shows_each_part_that_was_measured() -> None:
    found = {
        "date": "2026-11-21",
        "commit": "abc",
        "machine": "a small one",
        "load": 0.1,
        "command": "make bench PARTS=e",
        "result": Result(["a"], [["1"]], remarks=["quiet"]).to_json(),
    }
    page = record.page({"e": found})
    assert "## e. What the plugin adds to certbot's start" in page
    assert "Measured on 2026-11-21 at abc with `make bench PARTS=e`: a small one" in page
    assert "- quiet" in page


@pytest.mark.parametrize(
    ("text", "version"), [("certbot 5.8.0\n", "5.8.0"), ("DiG 9.18.1-deb", "9.18.1"), ("", "?")]
)
def test_versions_are_found_in_what_programs_say(text: str, version: str) -> None:
    assert machine.first_version(text) == version


def test_the_time_that_is_added_is_the_difference_of_the_least() -> None:
    times = {
        "without the plugin": [100.0, 110.0, 130.0],
        "with it, flag off": [104.0, 111.0, 120.0],
    }
    result = start.summary(times, "5.8.0")
    assert result.rows[1] == ("with it, flag off", "104.0", "+4.0", "111.0", "+1.0")
    assert [goal.met for goal in result.goals] == [False]
