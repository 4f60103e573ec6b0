"""What it was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

_GIBIBYTE = 1 << 30


def description() -> str:
    """The machine and its system, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    return (
        f"{os.cpu_count()} processors ({_model()}), {memory:.0f} GiB of memory, {_system()}, "
        f"Python {platform.python_version()}{_precedence(os.nice(0))}"
    )


def load() -> float:
    """How many processes wanted a processor in the last minute; a quiet machine has some 0."""
    return os.getloadavg()[0]


def version_of(command: list[str]) -> str:
    """What a program says of its version: the first thing in its output that looks like one."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return first_version(done.stdout + done.stderr)


def first_version(text: str) -> str:
    """The first thing that looks like a version; ``?`` when nothing does."""
    found = re.search(r"\d+\.\d+(?:\.\d+)*", text)
    return found.group() if found else "?"


def _precedence(nice: int) -> str:
    """Whether other processes had to wait for this one, or this one for them."""
    return f", run with nice {nice:+d}" if nice else ""


def _model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
