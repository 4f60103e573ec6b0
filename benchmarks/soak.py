"""A long run through a resolver that fails at random: is every verdict right, does nothing leak?

A million names, four in each zone, are checked as a stream (`certbot_caa_guard.check_stream`)
through a resolver that drops 5 % of the questions, delays 5 % by up to 0.3 s, truncates 1 % of the
answers and gives SERVFAIL to 1 %, by a seed. From its log follows the verdict that is right for
each name: that of the first of two rounds in which a climb meets no failure, and `unknown` where it
meets one in both. Memory counts as grown from when a fifth of the names is done; in it is what is
remembered of owners in second rounds, which are few, until as many are there as are remembered. The
resolver is written in Python, too, and sets the pace. `python -m benchmarks.soak --names N --seed
TEXT` does it for other numbers and other chances.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Goal, Result
from benchmarks.unreliable import DENIES, NXDOMAIN, PERMITS, SERVFAIL
from certbot_caa_guard.checking import Options, check_stream
from certbot_caa_guard.names import parse
from certbot_caa_guard.verdict import Verdict

if TYPE_CHECKING:
    from benchmarks import Settings

_ROOT = Path(__file__).parents[1]
_ROUNDS = 2
_REMEMBERED = 20_000  # owners; so few, that a leak is not taken for memory of them
_PAGE = 4096
_SEED = "soak"
_MOST_GROWN = 10.0  # MB
_VERDICTS = ("none", *(verdict.value for verdict in Verdict))

# What hosts and zones have, by their place: one in so many.
_HOSTS = ("www", "www", f"{NXDOMAIN}-host", "www", f"{PERMITS}-host", "www", f"{DENIES}-host")
_ZONES = ("plain", f"{PERMITS}-zone", "plain", f"{DENIES}-zone", "plain")


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a run showed.

    :ivar wrong: names with another verdict than the right one, and both.
    :ivar grown: bytes that memory grew by after a fifth of the names.
    :ivar sockets: that were left open.
    """

    names: int
    seconds: float
    verdicts: Mapping[str, int]
    wrong: Sequence[tuple[str, str, str]]
    grown: int
    sockets: int


def run(settings: Settings) -> Result:
    """Soak."""
    return summary(soak(settings.choose(1_000_000, 2_000), _SEED))


def summary(soaked: Soaked) -> Result:
    """What a run says."""
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in soaked.verdicts.items())
    grown = soaked.grown / 1e6
    return Result(
        ("names", "seconds", "verdicts", "wrong", "memory grew by (MB)", "sockets left open"),
        [
            (
                f"{soaked.names:,}",
                f"{soaked.seconds:.0f}",
                counts,
                f"{len(soaked.wrong):,}",
                f"{grown:.1f}",
                f"{soaked.sockets}",
            )
        ],
        [
            Goal.at_most("no wrong verdict", len(soaked.wrong), 0),
            Goal.at_most("no socket left open", soaked.sockets, 0),
            Goal.at_most(
                f"memory grows by {_MOST_GROWN:.0f} MB at most", grown, _MOST_GROWN, " MB"
            ),
        ],
        [f"{name}: {said}, not {right}" for name, said, right in soaked.wrong[:20]],
    )


def names(count: int) -> Iterator[str]:
    """Four hosts in each zone."""
    for number in range(count):
        zone, host = divmod(number, 4)
        yield (
            f"{_HOSTS[number % len(_HOSTS)]}-{host}.{_ZONES[zone % len(_ZONES)]}-{zone}"
            f".t{zone % 50}"
        )


def soak(count: int, seed: str, sleep: Callable[[float], None] = time.sleep) -> Soaked:
    """Check so many names.

    :param sleep: waits for the second round, after all names have had their first.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        log = Path(directory) / "log"
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.unreliable", seed, str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        with server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            gc.collect()  # what others have left open is not ours to count
            before = _sockets()
            start = time.monotonic()
            found, grown = _check(count, port, sleep)
            seconds = time.monotonic() - start
            left = _sockets() - before
            server.communicate()
        right = list(_right(count, log))
    said = [_VERDICTS[code] for code in found]
    verdicts = {one: said.count(one) for one in sorted(set(said))}
    wrong = [
        (name, one, verdict)
        for one, (name, verdict) in zip(said, right, strict=True)
        if one != verdict
    ]
    return Soaked(count, seconds, verdicts, wrong, grown, left)


def _check(count: int, port: int, sleep: Callable[[float], None]) -> tuple[bytes, int]:
    options = Options(
        resolvers=[f"udp://127.0.0.1:{port}"],
        rounds=_ROUNDS,
        remembered=_REMEMBERED,
        sleep=sleep,
    )
    # An octet for each, so that memory grows for other reasons only.
    found = bytearray(count)
    grown = done = 0
    with check_stream(names(count), options) as stream:
        for checked in stream:
            found[checked.index] = _VERDICTS.index(checked.verdict.value)
            done += 1
            if done == count // 5:
                grown = -_memory()
    return bytes(found), grown + _memory()


def _right(count: int, log: Path) -> Iterator[tuple[str, str]]:
    """Each name and its right verdict, by what the resolver answered."""
    answered: dict[str, list[str]] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            owner, answer = line.split()
            answered.setdefault(owner, []).append(sys.intern(answer))
    for name in names(count):
        ends = (_end(parse(name).owners, answered, round_) for round_ in range(_ROUNDS))
        yield name, next((end for end in ends if end is not None), "unknown")


def _end(owners: Sequence[str], answered: Mapping[str, Sequence[str]], round_: int) -> str | None:
    """What the climb of one round gives; None for a failure."""
    for owner in owners:
        answer = answered[owner][round_]
        if answer == SERVFAIL:
            return None
        if answer == PERMITS:
            return "permitted"
        if answer == DENIES:
            return "denied"
    return "permitted"


def _memory() -> int:
    """The bytes that are resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _sockets() -> int:
    open_ = 0
    for one in Path("/proc/self/fd").iterdir():
        try:
            open_ += str(one.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return open_


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and say what it showed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--seed", default=_SEED)
    options = parser.parse_args(arguments)
    result = summary(soak(options.names, options.seed))
    print(result.markdown())
    return 0 if result.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
