"""How certbot's user is told."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest

from certbot_caa_guard.plugin import display
from certbot_caa_guard.plugin.display import Display
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.retry import Step
from tests.fakes import Clock


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(display.display_util, "notify", said.append)
    return said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(display, "sys", SimpleNamespace(stdout=made))
    return made


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    stand_in = SimpleNamespace(monotonic=clock, sleep=clock.sleep)
    monkeypatch.setattr(display, "time", stand_in)
    return clock


def test_a_note_is_shown(notes: list[str]) -> None:
    Display(quiet=False).note("all is well")
    assert notes == ["all is well"]


def test_nothing_is_said_with_control_characters(
    notes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    Display(quiet=False).note("mend \x1b[2J this")
    Display(quiet=True).alert("mend \x1b[2J that")
    assert notes == [r"mend \x1b[2J this"]
    assert caplog.messages == [r"mend \x1b[2J that"]


def test_a_note_is_in_the_log_file(notes: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Display(quiet=True).note("all is well")
    assert (caplog.messages, notes) == (["all is well"], ["all is well"])


def test_an_alert_is_shown(notes: list[str]) -> None:
    Display(quiet=False).alert("mend this")
    assert notes == ["mend this"]


def test_an_alert_is_an_error_under_q(notes: list[str], caplog: pytest.LogCaptureFixture) -> None:
    Display(quiet=True).alert("mend this")
    assert ([one.levelname for one in caplog.records], notes) == (["ERROR"], [])


def test_doubtful_names_are_told(notes: list[str]) -> None:
    Display(quiet=False).doubtful(["a.net", "b.net"], 6.0)
    assert "a.net, b.net failed; asking again in 6 s" in notes[0]


def test_a_refusal_is_told(notes: list[str]) -> None:
    Display(quiet=False).refused([Reading(Meaning.DENIED, "a.net", "net")])
    assert "the CAA record at net prevents issuance" in notes[0]


def test_the_next_step_is_told(notes: list[str]) -> None:
    Display(quiet=False).next(Step.ORDER_AGAIN, 8.0)
    assert "A new order follows in 8 s" in notes[0]


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 84.0])
def test_it_sleeps_as_long_as_asked(time: Clock, seconds: float) -> None:
    Display(quiet=False).sleep(seconds)
    assert sum(time.slept) == pytest.approx(seconds)


def test_time_is_seen_to_pass_on_a_terminal(time: Clock, terminal: Terminal) -> None:
    Display(quiet=False).sleep(3.0)
    assert "waiting   3 s" in terminal.getvalue()
    assert "waiting   1 s" in terminal.getvalue()
    assert len(time.slept) >= 3


@pytest.mark.usefixtures("time")
def test_the_line_is_empty_afterwards(terminal: Terminal) -> None:
    Display(quiet=False).sleep(1.0)
    assert terminal.getvalue().endswith(" \r")


def test_progress_is_seen_on_a_terminal(terminal: Terminal) -> None:
    Display(quiet=False).progress(3, 10)
    assert "3 of 10 answers" in terminal.getvalue()


def test_progress_is_wiped_out_in_the_end(terminal: Terminal) -> None:
    Display(quiet=False).progress(10, 10)
    assert terminal.getvalue().strip() == ""


@pytest.mark.usefixtures("time")
def test_nothing_moves_under_q(terminal: Terminal) -> None:
    Display(quiet=True).sleep(3.0)
    assert terminal.getvalue() == ""


@pytest.mark.usefixtures("time")
def test_nothing_moves_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(display, "sys", SimpleNamespace(stdout=file))
    Display(quiet=False).sleep(3.0)
    assert file.getvalue() == ""
