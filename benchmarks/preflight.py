"""The preflight before an order, over a network.

100 names of 3 to 5 labels in 25 zones, as one certificate may have them, are checked by the
preflight through `udp://` and a forwarder that sends each answer back a round trip's time after
its question came; behind it is a local Unbound that knows all the answers. The time is that of one
round with all that belongs to it (the event loop, the probe of the resolver, the judgement), in a
process that has loaded everything, as certbot has at that point. Best and median of several runs,
each with a resolver object of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import servers
from benchmarks.delay import delayed
from benchmarks.results import Goal, Result
from certbot_caa_guard.caa import ACME_METHODS, BOULDER, Requester
from certbot_caa_guard.names import parse
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.resolvers import loader, spec
from certbot_caa_guard.verdict import Lasting, Verdict

if TYPE_CHECKING:
    from benchmarks import Settings

_ROUND_TRIPS = (0.020, 0.100)
_MOST_TRIPS, _ON_TOP = 3, 0.150


def run(settings: Settings) -> Result:
    """Check, again and again."""
    names = servers.certificate()
    times: dict[float, list[float]] = {}
    with servers.world(25, settings.directory) as world:
        owners = servers.owners(names)
        world.warm(owners, settings.directory)
        for trip in _ROUND_TRIPS:
            with delayed(world.front, world.address, trip):
                turns = range(settings.choose(20, 2))
                times[trip] = [round_of(names, world.front) for _ in turns]
    return summary(times, len(owners))


def round_of(names: Sequence[str], address: str) -> float:
    """The seconds that one round of the preflight takes."""
    identifiers = [parse(name) for name in names]
    requester = Requester(frozenset({"letsencrypt.org"}), None, frozenset(ACME_METHODS), BOULDER)
    resolver = loader.load(spec.parse(f"udp://{address}"))
    start = time.perf_counter()
    try:
        with Preflight(
            [resolver],
            lambda _identifier: requester,
            clock=time.monotonic,
            lasting=Lasting(rounds=2, seconds=0.0),
        ) as preflight:
            preflight.round(identifiers)
            verdicts = {preflight.verdict(identifier) for identifier in identifiers}
    finally:
        resolver.close()
    seconds = time.perf_counter() - start
    if verdicts != {Verdict.PERMITTED}:
        raise RuntimeError(f"not all names were permitted: {verdicts}")
    return seconds


def summary(times: Mapping[float, Sequence[float]], owners: int) -> Result:
    """What the runs took.

    :param times: seconds of each run, by the round trip's seconds.
    """
    rows, goals = [], []
    for trip, taken in times.items():
        bound = _MOST_TRIPS * trip + _ON_TOP
        middle = statistics.median(taken)
        rows.append(
            (
                f"{trip * 1000:.0f}",
                f"{min(taken) * 1000:.0f}",
                f"{middle * 1000:.0f}",
                f"{middle / trip:.1f}",
                f"{bound * 1000:.0f}",
            )
        )
        goals.append(
            Goal.at_most(
                f"within 3 round trips of {trip * 1000:.0f} ms + 150 ms (median)",
                middle * 1000,
                bound * 1000,
                " ms",
            )
        )
    return Result(
        ("round trip (ms)", "best (ms)", "median (ms)", "in round trips", "bound (ms)"),
        rows,
        goals,
        [
            f"{owners} distinct owner names are asked about.",
            f"At 500 questions a second, as elsewhere than here, they take {owners / 500:.1f} s.",
        ],
        {f"{trip * 1000:.0f} ms": list(taken) for trip, taken in times.items()},
    )
