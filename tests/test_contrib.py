"""What is shipped beside the program runs it rightly."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from certbot_caa_guard.console.main import _parser

CONTRIB = Path(__file__).resolve().parents[1] / "contrib"
SERVICE = CONTRIB / "certbot-caa-guard-rejoin.service"
TIMER = CONTRIB / "certbot-caa-guard-rejoin.timer"
CRON = CONTRIB / "certbot-caa-guard-rejoin.cron"


@pytest.mark.parametrize("file", [SERVICE, CRON], ids=lambda file: file.suffix)
def test_the_command_is_one_that_the_console_knows(file: Path) -> None:
    commands = re.findall(r"^[^#\n]*?certbot-caa-guard( .*)$", file.read_text(), re.MULTILINE)
    runs = [one for one in commands if "rejoin" in one]
    assert len(runs) == 1
    options = _parser().parse_args(shlex.split(runs[0]))
    assert options.quiet
    assert options.config_dir == "/etc/letsencrypt"


def test_the_cron_line_has_a_schedule_a_user_and_a_command() -> None:
    (line,) = [line for line in CRON.read_text().splitlines() if re.match(r"[0-9*]", line)]
    minute, hour, *rest = line.split()
    assert minute.isdecimal()
    assert hour.isdecimal()
    assert rest[:4] == ["*", "*", "*", "root"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_units() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(SERVICE), str(TIMER)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "certbot-caa-guard" in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


def test_the_sdist_has_them() -> None:
    manifest = (CONTRIB.parent / "MANIFEST.in").read_text().splitlines()
    assert "graft contrib" in manifest
