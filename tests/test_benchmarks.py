"""The benchmarks' own arithmetic and words; nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import benchmarks
from benchmarks import (
    __main__,
    climbing,
    machine,
    memory,
    preflight,
    questions,
    record,
    renewals,
    servers,
    start,
    throughput,
)
from benchmarks.command import Checked
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


def failing(_settings: benchmarks.Settings) -> Result:
    raise OSError("no such server")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([Result((), ())], 0),
        ([Result((), (), [Goal("", "", False)]), Result((), ())], 1),
        ([None, Result((), ())], 2),
    ],
)
def test_the_exit_status_is_that_of_the_worst_part(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    results: list[Result | None],
    status: int,
) -> None:
    parts = {
        letter: benchmarks.Part(
            letter,
            f"part {letter}",
            "",
            failing if result is None else lambda _, it=result: it,
            benchmarks.COMMON_PAGE,
        )
        for letter, result in zip("ab", results, strict=False)
    }
    monkeypatch.setattr(__main__, "load", parts.__getitem__)
    assert __main__.main([*parts, "--quick"]) == status
    said = capsys.readouterr()
    assert all(f"## {letter}. part {letter}" in said.out for letter in parts)
    assert ("no such server" in said.err) is (status == 2)


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


def test_it_is_said_when_other_processes_had_to_wait() -> None:
    assert machine._precedence(-10) == ", run with nice -10"
    assert machine._precedence(0) == ""


def test_the_time_that_is_added_is_the_difference_of_the_least() -> None:
    times = {
        "without the plugin": [100.0, 110.0, 130.0],
        "with it, flag off": [104.0, 111.0, 120.0],
        "without, again": [102.0, 110.0, 131.0],
    }
    result = start.summary(times, 1.5, "5.8.0")
    assert result.rows[1] == ("with it, flag off", "104.0", "+4.0", "111.0", "+1.0")
    assert [goal.met for goal in result.goals] == [False, True]


def test_a_difference_less_than_that_of_two_equal_ones_is_no_goal() -> None:
    times = {
        "without the plugin": [100.0],
        "with it, flag off": [90.0],
        "without, again": [96.0],
    }
    result = start.summary(times, 1.5, "5.8.0")
    assert [goal.what for goal in result.goals] == ["less than 3 ms of the plugin's own, flag off"]
    assert "4.0 ms apart" in result.remarks[1]


class TestThroughput:
    def test_the_goals_are_ratios_to_the_best_of_each(self) -> None:
        best = {
            "certbot-caa-guard check": throughput.Run(1.0, 20_000, 40_000),
            "the same without its start-up": throughput.Run(0.8, 20_000, 40_000),
            "our engine alone": throughput.Run(2.0, 0, 40_000),
            "open-mpic-core, 20 at once": throughput.Run(40.0, 20_000, 60_000),
            "open-mpic-core, 100 at once": throughput.Run(25.0, 20_000, 60_000),
            "dnsperf": throughput.Run(0.5, 0, 40_000),
        }
        result = throughput.summary(best, 20_000, {"open-mpic-core": "6.5.0"})
        measured = [(goal.measured, goal.met) for goal in result.goals]
        assert measured == [("25 times", False), ("50 %", True), ("62.5 %", True), ("25 %", False)]
        assert result.rows[4][:4] == (
            "open-mpic-core, 100 at once 6.5.0", "25.00", "800", "1.0",
        )  # fmt: skip

    def test_dnsperfs_own_count_is_read(self) -> None:
        said = "Run time (s):         0.097\n  Queries per second:   103193.647720\n"
        assert throughput.queries_per_second(said) == pytest.approx(103_193.6, abs=0.1)
        with pytest.raises(ValueError, match="did not say"):
            throughput.queries_per_second("Error: cannot connect")


class TestClimbing:
    def test_ends_at_the_closest_parent_with_records_and_asks_about_each_owner_once(self) -> None:
        asked: list[str] = []

        def ask(owners: Sequence[str]) -> set[str]:
            asked.extend(owners)
            return set(owners) & {"example.net", "a.b.example.org"}

        names = ["www.example.net", "example.net", "a.b.example.org", "b.example.org"]
        found, number = climbing.climb(names, ask)
        assert found == {
            "www.example.net": "example.net",
            "example.net": "example.net",
            "a.b.example.org": "a.b.example.org",
            "b.example.org": None,
        }
        assert len(asked) == len(set(asked)) == number
        assert "net" not in asked
        assert "org" in asked

    def test_owners_with_records_are_read_from_dig(self) -> None:
        said = (
            ";example.net.\t\t\tIN\tCAA\n"
            'example.net.\t\t60\tIN\tCAA\t0 issue "ca.example"\n'
            ";net.\t\t\tIN\tCAA\n"
        )
        assert climbing.read_dig(said) == {"example.net"}

    def test_owners_with_records_are_read_from_adnshost(self) -> None:
        said = (
            '0 1 ok 0 ok example.net $ "OK"\n'
            "example.net TYPE257 \\# 22 00056973 7375656c\n"
            '1 0 permfail 301 nodata example.org $ "No such data"\n'
        )
        assert climbing.read_adnshost(said) == {"example.net"}


class TestServers:
    def test_there_are_as_many_names_as_wanted_and_none_twice(self) -> None:
        names = servers.names(20_000, 5000)
        assert len(names) == len(set(names)) == 20_000
        assert len(servers.names(100, 50)) == 100

    def test_owners_are_names_and_all_their_parents(self) -> None:
        assert servers.owners(["a.b.net", "*.b.net", "c.org"]) == [
            "a.b.net", "b.net", "net", "c.org", "org",
        ]  # fmt: skip

    def test_a_certificate_has_100_names_of_3_to_5_labels(self) -> None:
        names = servers.certificate()
        assert len(set(names)) == 100
        assert {len(name.split(".")) for name in names} == {3, 4, 5}

    def test_numbers_are_read_from_what_unbound_says(self) -> None:
        said = "total.num.queries=12\nnum.query.type.other=7\ntime.up=1.5\n"
        assert servers.statistic(said, "num.query.type.other") == 7
        assert servers.statistic(said, "time.up") == 1
        assert servers.statistic(said, "num.query.type.A") == 0


def test_growth_is_what_a_name_more_costs() -> None:
    taken = {
        1_000: Checked(0.1, 30_000_000, 1_000),
        10_000: Checked(0.5, 40_000_000, 10_000),
        100_000: Checked(4.0, 121_000_000, 100_000),
    }
    goals = memory.summary(taken).goals
    assert [(goal.measured, goal.met) for goal in goals] == [("121 MB", False), ("900 bytes", True)]


def test_the_preflight_has_three_round_trips_and_150_ms() -> None:
    result = preflight.summary({0.02: [0.2, 0.211, 0.3], 0.1: [0.4]}, 155)
    assert [goal.met for goal in result.goals] == [False, True]
    assert result.rows[1][4] == "450"


def test_the_worst_kind_of_names_counts() -> None:
    result = questions.summary({"a": (10, 12, 12), "b": (10, 10, 11)})
    assert [(goal.measured, goal.met) for goal in result.goals] == [("1.1 per owner", False)]


def test_renewals_are_compared_with_those_without_the_plugin() -> None:
    def measured(seconds: float, renewed: int) -> list[renewals.Measured]:
        return [renewals.Measured(seconds, renewed, 50), renewals.Measured(seconds + 9, 0, 0)]

    runs = dict(zip(renewals._WAYS, map(measured, (100, 131, 90), (50, 50, 0)), strict=True))
    result = renewals.summary(runs, 500, 50, "5.8.0")
    assert result.rows[1] == ("with it", "131.0", "+31.0", "50", "50")
    assert [goal.met for goal in result.goals] == [False, True, True, True]
    assert "which is 30.0 s" in result.goals[0].what


def test_a_lineage_has_a_certificate_for_its_name() -> None:
    from cryptography import x509

    made = x509.load_pem_x509_certificate(renewals.certificate("a.net", age=80))
    extension = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == ["a.net"]
