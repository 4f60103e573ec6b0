"""Questions asked for each name.

`certbot-caa-guard check --jsonl` on names of different kinds; the questions of type CAA are counted
by the resolver, a local Unbound. A name is looked up together with all of its parents, and each of
these owner names is asked about once, however many names share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import servers
from benchmarks.command import check
from benchmarks.results import Goal, Result

if TYPE_CHECKING:
    from benchmarks import Settings


def run(settings: Settings) -> Result:
    """Count."""
    zones = settings.choose(5000, 50)
    counted: dict[str, tuple[int, int, int]] = {}
    with servers.world(zones, settings.directory) as world:
        for kind, names in _kinds(zones).items():
            owners = servers.owners(names)
            world.warm(owners, settings.directory)
            file = settings.directory / "names"
            file.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
            before = world.questions()
            check(file, world.address, settings.directory / "out")
            counted[kind] = len(names), len(owners), world.questions() - before
    return summary(counted)


def _kinds(zones: int) -> Mapping[str, Sequence[str]]:
    (zone,) = servers.zone_names(1)
    return {
        f"{4 * zones:,} names in {zones:,} zones": servers.names(4 * zones, zones),
        "1,000 names in one zone": [f"host-{number}.{zone}" for number in range(1000)],
        "100 names of 3 to 5 labels in 25 zones": servers.certificate(),
        "a name and its wildcard": [zone, f"*.{zone}"],
    }


def summary(counted: Mapping[str, tuple[int, int, int]]) -> Result:
    """What was counted.

    :param counted: names, distinct owners and questions, by kind.
    """
    rows = [
        (kind, f"{names:,}", f"{owners:,}", f"{asked:,}", f"{asked / names:.2f}")
        for kind, (names, owners, asked) in counted.items()
    ]
    most = max(asked / owners for _, owners, asked in counted.values())
    return Result(
        ("names", "number", "distinct owners", "questions", "per name"),
        rows,
        [Goal.at_most("never more questions than distinct owners", most, 1.0, " per owner")],
        numbers={kind: list(numbers) for kind, numbers in counted.items()},
    )
