"""The entry point of the command, and its exit status."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

import pytest

import certbot_caa_guard
from certbot_caa_guard.console import main as console


def test_without_a_command_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: certbot-caa-guard")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        console.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"certbot-caa-guard {certbot_caa_guard.__version__}\n"


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        console.main(["--nonsense"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        console.main(["nonsense"])
    assert caught.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def run(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> int:
    """Run ``check`` as if it did nothing but return or raise this."""

    def command(_options: object) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    parser = console._parser()
    parser.parse_args = lambda _arguments: argparse.Namespace(run=command)  # type: ignore[method-assign,assignment]
    monkeypatch.setattr(console, "_parser", lambda *_: parser)
    return console.main([])


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_status_is_the_commands(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    assert run(monkeypatch, status) == status


def test_wrong_usage_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, console.UsageError("no names")) == 2
    assert capsys.readouterr().err == "certbot-caa-guard: no names\n"


def test_whatever_is_wrong_no_control_character_reaches_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, console.UsageError("no names\x1b]0;title\x07" + "x" * 1000)) == 2
    told = capsys.readouterr().err
    assert told == "certbot-caa-guard: no names\\x1b]0;title\\x07" + "x" * 1000 + "\n"


def test_an_interrupt_ends_it_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, KeyboardInterrupt()) == 130


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_the_status_tells_though_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert run(monkeypatch, 3) == 3
    getattr(sys, closed).close()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = (
        "import sys; from certbot_caa_guard.console import main as m; p = m._parser();"
        "import argparse; f = lambda o: print('x' * 10**6) or 0;"
        "p.parse_args = lambda a: argparse.Namespace(run=f); m._parser = lambda *_: p;"
        "sys.exit(m.main([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read()) == (0, "")
