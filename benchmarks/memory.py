"""Peak memory, by the number of names.

`certbot-caa-guard check --jsonl -f FILE` on 1,000, 10,000 and 100,000 names against a local
Unbound; the most memory that the process ever had (`ru_maxrss`), as the kernel counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmarks import servers
from benchmarks.command import Checked, check
from benchmarks.results import Goal, Result, number

if TYPE_CHECKING:
    from benchmarks import Settings

_MOST = 120.0  # MB
_GROWTH = 1000.0  # bytes a name


def run(settings: Settings) -> Result:
    """Check more and more names."""
    zones = settings.choose(5000, 50)
    numbers = (1_000, 10_000, settings.choose(100_000, 20_000))
    taken: dict[int, Checked] = {}
    with servers.world(zones, settings.directory) as world:
        for many in numbers:
            file = settings.directory / "names"
            names = servers.names(many, zones)
            file.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
            taken[many] = check(file, world.address, settings.directory / "out")
            if taken[many].permitted != many:
                raise RuntimeError(f"{taken[many].permitted} of {many} names were permitted")
    return summary(taken)


def summary(taken: Mapping[int, Checked]) -> Result:
    """What the runs took, by the number of names."""
    rows = [
        (f"{many:,}", f"{one.peak / 1e6:.1f}", f"{one.seconds:.1f}", number(many / one.seconds))
        for many, one in taken.items()
    ]
    *_, fewer, most = sorted(taken)
    growth = (taken[most].peak - taken[fewer].peak) / (most - fewer)
    peak = taken[most].peak / 1e6
    return Result(
        ("names", "peak memory (MB)", "seconds", "names/s"),
        rows,
        [
            Goal.at_most(f"under {_MOST:.0f} MB at {most:,} names", peak, _MOST, " MB"),
            Goal.at_most(
                f"less than 1 KB a name more from {fewer:,} to {most:,}", growth, _GROWTH, " bytes"
            ),
        ],
        numbers={"peak MB": {str(many): one.peak / 1e6 for many, one in taken.items()}},
    )
