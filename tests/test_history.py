"""What was seen over time."""

from __future__ import annotations

import logging
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from certbot_caa_guard import history
from certbot_caa_guard.history import History, Kind
from tests.fakes import Clock

HOUR = 3600.0
DAY = 24 * HOUR
FAILED = Kind.LOOKUP_FAILED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "caa-guard" / "history.sqlite"


def count(path: Path | None, clock: Clock, *, within: float = HOUR) -> int:
    with History(path, now=clock) as known:
        return known.count(FAILED, "a.net", within=within)


def record(path: Path | None, clock: Clock, *names: str) -> None:
    with History(path, now=clock) as known:
        known.record(FAILED, names or ["a.net"])


def test_events_are_counted_across_runs(path: Path, clock: Clock) -> None:
    record(path, clock)
    record(path, clock)
    assert count(path, clock) == 2


def test_events_of_others_are_not_counted(path: Path, clock: Clock) -> None:
    record(path, clock, "b.net", "*.a.net")
    assert count(path, clock) == 0


@pytest.mark.parametrize(
    ("days", "known"), [pytest.param(2, True, id="soon"), pytest.param(7.1, False, id="too late")]
)
def test_a_ca_is_closed_for_no_longer_than_any_limit_lasts(
    path: Path, clock: Clock, days: float, known: bool
) -> None:
    """The clock was ahead when it was noted, and was set since."""
    now = clock.now
    clock.now += days * DAY
    with History(path, now=clock) as noted:
        noted.close("a.net", clock.now + HOUR, why="new-orders")
        clock.now = now
        assert (noted.closed("a.net") is not None) is known
        clock.now = now + days * DAY
        assert (noted.closed("a.net") is not None) is known


def test_events_of_another_kind_are_not_counted(path: Path, clock: Clock) -> None:
    with History(path, now=clock) as known:
        known.record(Kind.CA_REFUSED, ["a.net"])
        assert known.count(FAILED, "a.net", within=HOUR) == 0


def test_events_from_before_are_not_counted(path: Path, clock: Clock) -> None:
    record(path, clock)
    clock.now += HOUR + 1
    assert count(path, clock) == 0


def test_events_from_the_future_are_not_counted(path: Path, clock: Clock) -> None:
    record(path, clock)
    clock.now -= 1
    assert count(path, clock) == 0


def test_events_of_90_days_ago_are_forgotten(path: Path, clock: Clock) -> None:
    record(path, clock)
    clock.now += 90 * DAY + 1
    record(path, clock, "b.net")
    assert count(path, clock, within=1000 * DAY) == 0


def test_events_of_89_days_ago_are_kept(path: Path, clock: Clock) -> None:
    record(path, clock)
    clock.now += 89 * DAY
    record(path, clock, "b.net")
    assert count(path, clock, within=1000 * DAY) == 1


def test_an_odd_name_is_a_value_not_sql(path: Path, clock: Clock) -> None:
    record(path, clock, "a'); DROP TABLE event; --")
    assert count(path, clock) == 0


def test_the_file_is_private(path: Path, clock: Clock) -> None:
    record(path, clock)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_its_folder_is_private(path: Path, clock: Clock) -> None:
    record(path, clock)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_without_a_path_nothing_is_kept(tmp_path: Path, clock: Clock) -> None:
    record(None, clock)
    assert (count(None, clock), list(tmp_path.iterdir())) == (0, [])


def test_without_a_path_this_run_is_remembered(clock: Clock) -> None:
    with History(None, now=clock) as known:
        known.record(FAILED, ["a.net"])
        assert known.count(FAILED, "a.net", within=HOUR) == 1


def corrupt(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"This is not a database. " * 100)


def test_a_corrupt_file_is_moved_aside(path: Path, clock: Clock) -> None:
    corrupt(path)
    record(path, clock)
    assert path.with_suffix(".corrupt").read_bytes().startswith(b"This is not")


def test_a_new_file_follows_a_corrupt_one(path: Path, clock: Clock) -> None:
    corrupt(path)
    record(path, clock)
    assert count(path, clock) == 1


def test_a_corrupt_file_is_told(path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    corrupt(path)
    record(path, clock)
    assert [one.levelno for one in caplog.records] == [logging.WARNING]


def test_a_corrupt_file_that_cannot_be_moved_is_no_harm(path: Path, clock: Clock) -> None:
    corrupt(path)
    path.with_suffix(".corrupt").mkdir()
    (path.with_suffix(".corrupt") / "something").touch()
    assert remembers_this_run(path, clock)


def remembers_this_run(path: Path, clock: Clock) -> bool:
    with History(path, now=clock) as known:
        known.record(FAILED, ["a.net"])
        return known.count(FAILED, "a.net", within=HOUR) == 1


def be_a_symlink(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent / "elsewhere")


def be_a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def be_in_a_file(path: Path) -> None:
    path.parent.touch()


def have_another_schema(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE event (something TEXT)")


UNUSABLE = [be_a_symlink, be_a_folder, be_in_a_file, have_another_schema]


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_an_unusable_file_leaves_the_memory_of_this_run(
    spoil: Callable[[Path], None], path: Path, clock: Clock
) -> None:
    spoil(path)
    assert remembers_this_run(path, clock)


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_an_unusable_file_is_told_once(
    spoil: Callable[[Path], None],
    path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(path)
    remembers_this_run(path, clock)
    assert [one.levelno for one in caplog.records] == [logging.WARNING]


def test_a_symlink_is_not_followed(path: Path, clock: Clock) -> None:
    be_a_symlink(path)
    record(path, clock)
    assert not (path.parent / "elsewhere").exists()


def test_a_file_that_cannot_be_opened_leaves_the_memory_of_this_run(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise PermissionError("read-only file system")

    monkeypatch.setattr(history.os, "open", refuse)
    assert remembers_this_run(path, clock)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_PATIENCE_WITH_OTHERS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_file_that_another_process_has_locked_leaves_the_memory_of_this_run(
    path: Path, clock: Clock
) -> None:
    record(path, clock)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert remembers_this_run(path, clock)


@pytest.mark.usefixtures("impatient")
def test_a_file_that_gets_locked_later_leaves_the_memory_of_this_run(
    path: Path, clock: Clock
) -> None:
    with History(path, now=clock) as known, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        known.record(FAILED, ["a.net"])
        assert known.count(FAILED, "a.net", within=HOUR) == 1


@pytest.mark.usefixtures("impatient")
def test_a_file_that_gets_locked_later_is_told_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with History(path, now=clock) as known, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        known.record(FAILED, ["a.net", "b.net"])
        known.record(FAILED, ["a.net"])
    assert [one.levelno for one in caplog.records] == [logging.WARNING]


@pytest.mark.usefixtures("impatient")
def test_what_others_hold_the_lock_for_is_not_lost(path: Path, clock: Clock) -> None:
    record(path, clock)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        record(path, clock)
    assert count(path, clock) == 1


def read_only(path: Path, clock: Clock) -> int:
    with History.to_read(path, now=clock) as known:
        return known.count(FAILED, "a.net", within=HOUR)


def test_what_was_recorded_can_be_read_only(path: Path, clock: Clock) -> None:
    record(path, clock)
    before = path.read_bytes()
    assert read_only(path, clock) == 1
    assert path.read_bytes() == before


def test_in_reading_only_no_file_is_made(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_only(path, clock) == 0
    assert not path.parent.exists()
    assert caplog.records == []


@pytest.mark.parametrize("spoil", [corrupt, *UNUSABLE[1:]])
def test_in_reading_only_an_unusable_file_is_told_once_and_left_as_it_is(
    spoil: Callable[[Path], None], path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path)
    before = sorted(path.parent.parent.rglob("*"))
    assert read_only(path, clock) == 0
    assert sorted(path.parent.parent.rglob("*")) == before
    assert [one.levelno for one in caplog.records] == [logging.WARNING]


def test_in_reading_only_a_symlink_is_not_followed(path: Path, clock: Clock) -> None:
    record(path.with_name("elsewhere"), clock)
    path.symlink_to(path.with_name("elsewhere"))
    assert read_only(path, clock) == 0
