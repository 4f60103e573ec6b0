"""The entry point of the command, and its exit status."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
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


def test_a_fault_of_ours_is_neither_all_well_nor_something_to_mend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, KeyError("\x1b]0;title\x07" + "x" * 1000)) == 3
    told = capsys.readouterr().err
    *above, last = told.splitlines()
    assert above[0] == "Traceback (most recent call last):"
    assert last.startswith("certbot-caa-guard: a fault of the guard itself (KeyError: ")
    assert last.endswith("…). Please report it, with the lines above.")
    assert "\x1b" not in told
    assert max(map(len, above)) <= 300


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is written at the end, or at once, as in many containers."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


FULL = pytest.param("/dev/full", 3, id="a full disk")
UNREAD = pytest.param(None, 141, id="nobody reads any more")


def process(
    arguments: list[str], command: str, **streams: Any
) -> tuple[int, dict[str, bytes | None]]:
    """Run ``main`` as a process, its command replaced by some Python; a stream is the path of a
    file, or None for a pipe that nobody reads.
    """
    script = (
        "import sys; from certbot_caa_guard.console import explain, main\n"
        f"def run(_options):\n    {command}\n"
        "explain.run = run\n"
        f"sys.exit(main.main({arguments!r}))"
    )
    opened: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ExitStack() as stack:
        for name, path in streams.items():
            if path is None:
                reader, writer = os.pipe()
                os.close(reader)
                stack.callback(os.close, writer)
                opened[name] = writer
            else:
                opened[name] = stack.enter_context(Path(path).open("wb"))
        done = subprocess.run([sys.executable, "-c", script], check=False, **opened)
    return done.returncode, {"stdout": done.stdout, "stderr": done.stderr}


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize(("output", "status"), [FULL, UNREAD])
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        pytest.param(["explain"], "print('x' * 10**6); return 0", id="at once"),
        pytest.param(["explain"], "print('x'); return 0", id="at its end"),
        pytest.param(["explain"], "print('x'); raise main.UsageError('y')", id="at its bad end"),
        pytest.param(["explain", "--help"], "", id="as help"),
        pytest.param([], "", id="as help unasked for"),
    ],
)
def test_output_that_nobody_gets_is_not_all_well(
    arguments: list[str], command: str, output: str | None, status: int
) -> None:
    ended, told = process(arguments, command or "pass", stdout=output)
    assert ended == status
    last = (told["stderr"] or b"").splitlines()[-1:]
    if output is not None:
        assert last == [b"certbot-caa-guard: cannot write the output: No space left on device"]
    else:
        assert b"Traceback" not in (told["stderr"] or b"")


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize(("output", "status"), [FULL, UNREAD])
def test_nor_is_what_cannot_be_told_of_it(output: str | None, status: int) -> None:
    telling = "print('x', file=sys.stderr); return 0"
    assert process(["explain"], telling, stderr=output)[0] == status


def test_an_error_of_the_system_that_is_none_of_the_output_is_a_fault_of_ours() -> None:
    ended, told = process(["explain"], "print('x', flush=True); open('/nonexistent')")
    assert (ended, told["stdout"]) == (3, b"x\n")
    assert b"a fault of the guard itself (FileNotFoundError: " in (told["stderr"] or b"")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]])
def test_whatever_the_terminal_can_write_help_is_given(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ended, told = process(arguments, "pass")
    assert (ended, told["stderr"]) == (0, b"")
    assert rb"\u2026" in (told["stdout"] or b"")
