"""The user's own certbot is run by ``rejoin``, and ends as it would by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from certbot_caa_guard.console import certbot

Script = Callable[[str], list[str]]

# A certbot that is interrupted as at a terminal, together with whoever runs it, and that then takes
# its time; whoever runs it is interrupted once more meanwhile.
INTERRUPTED = """
import os, pathlib, signal, sys, time
both = (os.getppid(), os.getpid())
try:
    for process in both:
        os.kill(process, signal.SIGINT)
    time.sleep(60)
finally:
    time.sleep(0.5)
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.5)
    pathlib.Path(sys.argv[0]).with_name("post-hook").touch()
"""
TOO_LONG = """
trap 'kill $!; echo cleaned up; exit 130' INT
sleep 60 &
wait $!
"""
NEVER_ENDS = """
trap '' INT
exec sleep 60
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., list[str]]:
    def write(text: str, interpreter: str = "/bin/sh") -> list[str]:
        path = tmp_path / "certbot"
        path.write_text(text)
        return [interpreter, str(path)]

    return write


def test_its_status_and_all_that_it_says_are_told(script: Script) -> None:
    command = script("echo one; echo two >&2; exit 3")
    assert certbot.run_to_its_end(command) == (3, "one\ntwo\n")


def test_one_that_cannot_be_run_is_told() -> None:
    status, output = certbot.run_to_its_end(["/nowhere/certbot"])
    assert (status, "No such file" in output) == (1, True)


def test_an_interrupt_leaves_it_the_time_for_its_post_hook(
    script: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        certbot.run_to_its_end(script(INTERRUPTED, sys.executable))
    assert (tmp_path / "post-hook").exists()


def test_one_that_takes_too_long_is_interrupted(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certbot, "_LONGEST_RUN", 1.0)
    status, output = certbot.run_to_its_end(script(TOO_LONG))
    assert (status, output.splitlines()[0]) == (1, "cleaned up")
    assert output.endswith("timed out after 1.0 seconds")


def test_one_that_does_not_heed_that_is_killed(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certbot, "_LONGEST_RUN", 0.5)
    monkeypatch.setattr(certbot, "_LONGEST_END", 0.1)
    status, output = certbot.run_to_its_end(script(NEVER_ENDS))
    assert status == 1
    assert output.strip().endswith("timed out after 0.5 seconds")
