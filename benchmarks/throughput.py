"""Names a second, next to others on the same resolver.

20,000 names in 5,000 zones, of which one in ten has a CAA record, are checked against one local
Unbound (one thread, a cache that holds all of it and has been filled with it before each run) by

- `certbot-caa-guard check --jsonl -f FILE --resolver udp://…`, the whole command with its start-up,
  reading and printing;
- the same without its start-up: less what the command takes for a single name;
- our engine alone: the same questions put to `udp://…` in a running process, as `check` puts them;
- open-mpic-core's `MpicCaaChecker`, the check of the multi-perspective validation service, without
  its start-up, and with as many names at the same time as served it best;
- `dig -f`, climbing level by level, each owner asked once, one question after the other;
- `adnshost -a -f`, the same with 100 questions under way;
- `dnsperf`, which asks the same questions and does nothing with the answers: what the resolver can
  do.

Each gets its turn in each of several rounds, those that take long in the first of them only, and
its best run counts. All of them run on the same machine as the resolver, which takes a processor
for itself when it is asked fast.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import climbing, servers
from benchmarks.command import check
from benchmarks.machine import version_of
from benchmarks.results import Goal, Result, number

if TYPE_CHECKING:
    from benchmarks import Settings

_OURS, _STARTED = "certbot-caa-guard check", "the same without its start-up"
_ENGINE, _MPIC = "our engine alone", "open-mpic-core"
_DNSPERF = "dnsperf"
_TIMES_MPIC, _OF_DNSPERF = 30, 0.4
_MPIC_AT_ONCE = (20, 100)
_ROUNDS, _SLOW_ROUNDS = 10, 3
_SLOW = (_MPIC, "dig")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender.

    :ivar names: that were checked; 0 for who only asks questions.
    :ivar questions: that it asked.
    """

    seconds: float
    names: int
    questions: int


def run(settings: Settings) -> Result:
    """Let all have their turns."""
    zones = settings.choose(5000, 200)
    names = servers.names(4 * zones, zones)
    with servers.world(zones, settings.directory) as world:
        contest = _Contest(world, names, settings.directory)
        runs: dict[str, list[Run]] = {who: [] for who in contest.contenders}
        for turn in range(settings.choose(_ROUNDS, 1)):
            for who, contender in contest.contenders.items():
                if turn < _SLOW_ROUNDS or not who.startswith(_SLOW):
                    world.warm(contest.owners, settings.directory)
                    runs[who].append(contender())
        start_up = min(contest.start_up() for _ in range(settings.choose(10, 1)))
    best = {who: min(several, key=lambda one: one.seconds) for who, several in runs.items()}
    ours = best[_OURS]
    rest = replace(ours, seconds=ours.seconds - start_up)
    best = {_OURS: ours, _STARTED: rest, **best}
    return summary(best, len(names), _versions())


class _Contest:
    """Who takes part, and with what."""

    def __init__(self, world: servers.World, names: Sequence[str], directory: Path) -> None:
        self._world = world
        self._names = names
        self._directory = directory
        self._file = directory / "names"
        self._file.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
        self.owners = servers.owners(names)
        self._questions = servers.question_file(self.owners, directory / "questions")
        address = world.address
        dig, adnshost = climbing.dig(address, directory), climbing.adnshost(address)
        self.contenders: dict[str, Callable[[], Run]] = {
            _OURS: self._check,
            _ENGINE: self._ask,
            **{f"{_MPIC}, {at_once} at once": self._mpic(at_once) for at_once in _MPIC_AT_ONCE},
            "dig -f": lambda: self._climb(dig),
            "adnshost -a -f": lambda: self._climb(adnshost),
            _DNSPERF: self._dnsperf,
        }

    def _check(self) -> Run:
        before = self._world.questions()
        checked = check(self._file, self._world.address, self._directory / "out")
        questions = self._world.questions() - before
        if checked.permitted != len(self._names):
            raise RuntimeError(f"{checked.permitted} of {len(self._names)} names were permitted")
        return Run(checked.seconds, len(self._names), questions)

    def start_up(self) -> float:
        """The seconds that the command takes for one name, which is next to nothing of them."""
        file = self._directory / "one-name"
        file.write_text(f"{self._names[0]}\n", encoding="ascii")
        return check(file, self._world.address, self._directory / "out").seconds

    def _ask(self) -> Run:
        file = self._directory / "owners"
        file.write_text("".join(f"{owner}\n" for owner in self.owners), encoding="ascii")
        seconds, answered = _told(["benchmarks.engine", self._world.address, str(file)])
        if answered != len(self.owners):
            raise RuntimeError(f"{answered:.0f} of {len(self.owners)} questions were answered")
        return Run(seconds, 0, len(self.owners))

    def _mpic(self, at_once: int) -> Callable[[], Run]:
        def run_it() -> Run:
            before = self._world.questions()
            seconds, completed = _told(
                ["benchmarks.mpic", self._world.address, str(self._file), str(at_once)]
            )
            if completed != len(self._names):
                raise RuntimeError(f"{_MPIC} completed {completed:.0f} of {len(self._names)}")
            return Run(seconds, len(self._names), self._world.questions() - before)

        return run_it

    def _climb(self, ask: climbing.Ask) -> Run:
        start = time.perf_counter()
        found, questions = climbing.climb(self._names, ask)
        return Run(time.perf_counter() - start, len(found), questions)

    def _dnsperf(self) -> Run:
        turns = 10
        command = ["dnsperf", "-s", self._world.address, "-d", str(self._questions)]
        done = subprocess.run(
            [*command, "-n", str(turns)], capture_output=True, text=True, check=True
        )
        questions = turns * len(self.owners)
        return Run(questions / queries_per_second(done.stdout), 0, questions)


def _told(arguments: Sequence[str]) -> tuple[float, float]:
    """The two numbers that a module of ours prints when it is run."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    first, second = done.stdout.split()[-2:]
    return float(first), float(second)


def queries_per_second(text: str) -> float:
    """What dnsperf says of itself.

    :raises ValueError: when it does not.
    """
    found = re.search(r"Queries per second:\s+([\d.]+)", text)
    if found is None:
        raise ValueError("dnsperf did not say how many queries it made in a second")
    return float(found.group(1))


def summary(best: Mapping[str, Run], names: int, versions: Mapping[str, str]) -> Result:
    """What the best runs say."""
    ours = best[_OURS]
    limit = best[_DNSPERF].questions / best[_DNSPERF].seconds
    mpic = max(run.names / run.seconds for who, run in best.items() if who.startswith(_MPIC))
    rows = []
    for who, run_ in best.items():
        speed = run_.names / run_.seconds
        rate = run_.questions / run_.seconds
        rows.append(
            (
                f"{who} {versions.get(who.split(',')[0], '')}".strip(),
                f"{run_.seconds:.2f}",
                number(speed) if run_.names else "",
                f"{speed / mpic:.1f}" if run_.names else "",
                number(rate),
                f"{100 * rate / limit:.0f}",
            )
        )
    goals = [
        Goal.at_least(
            f"at least {_TIMES_MPIC} times the names/s of {_MPIC}",
            ours.names / ours.seconds / mpic,
            _TIMES_MPIC,
            " times",
        ),
        *(
            Goal.at_least(
                f"at least {_OF_DNSPERF:.0%} of the questions/s of dnsperf: {what}",
                100 * best[who].questions / best[who].seconds / limit,
                100 * _OF_DNSPERF,
                " %",
            )
            for who, what in (
                (_OURS, "the whole command"),
                (_STARTED, "without its start-up"),
                (_ENGINE, "the engine alone"),
            )
        ),
    ]
    columns = (
        "who", "seconds", "names/s", f"times {_MPIC}", "questions/s", "% of dnsperf",
    )  # fmt: skip
    speeds = {
        who: one.names / one.seconds for who, one in best.items() if one.names and who != _STARTED
    }
    rates = {who: one.questions / one.seconds for who, one in best.items()}
    return Result(
        columns,
        rows,
        goals,
        [f"{names:,} names; each contender's best run."],
        {"names per second": speeds, "questions per second": rates},
    )


def _versions() -> dict[str, str]:
    return {
        _MPIC: metadata.version("open-mpic-core"),
        "dig -f": version_of(["dig", "-v"]),
        "adnshost -a -f": version_of(["adnshost", "--version"]),
        _DNSPERF: version_of(["dnsperf", "-h"]),
    }
