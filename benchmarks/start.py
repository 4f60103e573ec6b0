"""What the plugin adds to certbot's start.

`certbot certificates` on an empty configuration, with the newest certbot: without the plugin, with
it and the flag off, and with the flag on. certbot loads every installed plugin at every start,
whatever it is started for. The environments are the same but for one folder on `PYTHONPATH`, which
holds the plugin as pip installs it, or nothing. The processor time of each run (user and system) is
the kernel's own count. Runs are interleaved, so that whatever else the machine does hits all alike,
and "without, again" shows how far two equal things lie apart. Where that is more than the bound,
only the plugin's own processor time tells: that of loading its entry point and adding its flags, in
a process that has loaded certbot; the least of 20 runs.
"""

from __future__ import annotations

import compileall
import os
import shutil
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import certbot_caa_guard
from benchmarks.machine import version_of
from benchmarks.results import Goal, Result

if TYPE_CHECKING:
    from benchmarks import Settings

_CERTBOT = Path(__file__).parent.parent / ".venvs/bench-certbot/bin/certbot"
_BOUND = 3.0  # milliseconds
_OWN_TIME = """
import argparse, time
from importlib import metadata
import certbot.main
(entry,) = metadata.entry_points(group="certbot.plugins", name="caa-guard")
parser = argparse.ArgumentParser()
start = time.process_time()
entry.load().inject_parser_options(parser, "caa-guard")
parser.parse_args([])
print(1000 * (time.process_time() - start))
"""
_WITHOUT, _OFF, _AGAIN = "without the plugin", "with it, flag off", "without, again"


def run(settings: Settings) -> Result:
    """Start certbots, again and again."""
    installed = install(settings.directory / "with")
    nothing = settings.directory / "without"
    nothing.mkdir()
    ways: dict[str, tuple[Path, list[str]]] = {
        _WITHOUT: (nothing, []),
        _OFF: (installed, []),
        "with it, flag on": (installed, ["--caa-guard"]),
        _AGAIN: (nothing, []),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(settings.choose(50, 3) + 1):
        for way, (path, flags) in ways.items():
            taken = _start(settings.directory, path, flags)
            if turn:  # the first fills the caches
                times[way].append(taken)
    own = [_own_time(settings.directory, installed) for _ in range(settings.choose(20, 2))]
    return summary(times, min(own), version_of([str(_CERTBOT), "--version"]))


def install(target: Path) -> Path:
    """Put the plugin into a folder, as pip would; it must be installed where this runs."""
    here = Path(certbot_caa_guard.__file__).parent
    shutil.copytree(here, target / here.name, ignore=shutil.ignore_patterns("__pycache__"))
    installed = metadata.distribution("certbot-caa-guard")
    information = target / f"certbot_caa_guard-{installed.version}.dist-info"
    information.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (information / name).write_text(installed.read_text(name) or "", encoding="utf-8")
    compileall.compile_dir(target, quiet=1)
    return target


def summary(times: Mapping[str, Sequence[float]], own: float, version: str) -> Result:
    """What the runs say.

    :param times: milliseconds of each run, by way; the first way is what others are compared with.
    :param own: milliseconds of the plugin alone.
    """
    least, middle = min(times[_WITHOUT]), statistics.median(times[_WITHOUT])
    rows = [
        (
            way,
            f"{min(taken):.1f}",
            f"{min(taken) - least:+.1f}",
            f"{statistics.median(taken):.1f}",
            f"{statistics.median(taken) - middle:+.1f}",
        )
        for way, taken in times.items()
    ]
    goals = [Goal.at_most("less than 3 ms of the plugin's own, flag off", own, _BOUND, " ms")]
    remarks = [f"certbot {version}, {len(times[_WITHOUT])} runs of each."]
    apart = abs(min(times[_AGAIN]) - least)
    if apart > _BOUND:
        remarks.append(
            f"The least times of two equal ones lie {apart:.1f} ms apart: what is added to them "
            "tells nothing here."
        )
    else:
        added = min(times[_OFF]) - least
        what = "less than 3 ms added to the least time, flag off"
        goals.insert(0, Goal.at_most(what, added, _BOUND, " ms"))
    return Result(
        ("certbot", "least (ms)", "added", "median (ms)", "added"),
        rows,
        goals,
        remarks,
        {"own": own} | {way: list(taken) for way, taken in times.items()},
    )


def _start(directory: Path, path: Path, flags: Sequence[str]) -> float:
    """Run certbot once.

    :returns: its processor time in milliseconds.
    """
    folders = [f"--{kind}-dir={directory / kind}" for kind in ("config", "work", "logs")]
    process = subprocess.Popen(
        [str(_CERTBOT), "certificates", *folders, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(directory, path),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"certbot ended with {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1000


def _own_time(directory: Path, path: Path) -> float:
    """The processor time of the plugin alone, in milliseconds."""
    done = subprocess.run(
        [str(_CERTBOT.with_name("python")), "-c", _OWN_TIME],
        env=_environment(directory, path),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _environment(directory: Path, path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONPATH": str(path),
        "PYTHONHASHSEED": "0",  # or each run goes its own way
    }
