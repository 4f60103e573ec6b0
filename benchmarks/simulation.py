"""What comes of certbot under faults, alone and with the guard.

certbot runs as a process of its own against Pebble behind a front that checks CAA as Boulder does,
through real Unbounds, on an internet of NSDs. Faults come by a seeded schedule. Only waiting is
simulated: certbot's clock is set forward instead of letting it sleep, and the schedule of faults
goes by the same clock. Contenders: certbot alone, certbot with `--allow-subset-of-names`, certbot
with the guard as it is by default; and programs on `GuardedClient`. The CA looks CAA up at
authorization, or again at finalize, where a failure leaves the order ready (A), makes it invalid at
once (B), or later (C).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Goal, Result

if TYPE_CHECKING:
    from benchmarks import Settings
    from tests.simulation.scenarios import Contender, Outcome, Place
    from tests.simulation.world import World

PAGE = "simulation.md"

_COLUMNS = (
    "schedule",
    "CAA at",
    "contender",
    "runs",
    "failures",
    "names",
    "orders",
    "failed authorizations",
    "issued",
    "on disk",
    "waiting (s)",
    "faults",
)

_LEGEND = (
    "names: in the certificate, of those asked for; the fewest of any run.",
    "orders: the most of any run. waiting: the longest of any run.",
    "issued and on disk: certificates, over all runs.",
    "faults: lookups that failed and answers that were lost, over all runs.",
    "certbot refuses `--allow-subset-of-names` for wildcards.",
)

# Runs of certbot with the guard, and of each other contender, in each place.
_RUNS = {"i": (50, 10), "ii": (2, 1), "iii": (2, 1), "iv": (3, 1), "v": (15, 5)}
_QUICK = {"i": (4, 1), "ii": (1, 1), "iii": (1, 1), "iv": (1, 1), "v": (2, 1)}

# Certificates for programs in each place: how many times how many one after the other.
_BATCHES = (5, 100)
_QUICK_BATCHES = (1, 10)

_world: World | None = None


@dataclass(frozen=True)
class Job:
    """Certificates to be had.

    :ivar times: how many, one after the other.
    """

    scenario: str
    place: Place
    contender: Contender
    seed: int
    times: int = 1


Outcomes = Mapping[Job, "Sequence[Outcome]"]


def run(settings: Settings) -> Result:
    """Run every contender under every schedule."""
    jobs = [
        *_programs(*(_QUICK_BATCHES if settings.quick else _BATCHES)),
        *_certbots(_QUICK if settings.quick else _RUNS),
    ]
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), initializer=_enter, initargs=(settings.directory,)
    ) as pool:
        return summary(dict(zip(jobs, pool.map(_run_one, jobs), strict=True)))


def _programs(batches: int, times: int) -> Iterable[Job]:
    from tests.simulation.scenarios import Contender, Place

    for place, seed in itertools.product(Place, range(batches)):
        yield Job("i'", place, Contender.PROGRAM, seed, times)


def _certbots(runs: Mapping[str, tuple[int, int]]) -> Iterable[Job]:
    from tests.simulation.scenarios import Contender, Place

    certbots = (Contender.ALONE, Contender.SUBSET, Contender.GUARDED)
    for scenario, (guarded, others) in runs.items():
        for place, contender in itertools.product(Place, certbots):
            for seed in range(guarded if contender is Contender.GUARDED else others):
                yield Job(scenario, place, contender, seed)


def _enter(directory: Path) -> None:
    """Make this process's world."""
    from tests.simulation.world import world_of_this_process

    global _world
    _world = world_of_this_process(directory)


def _run_one(job: Job) -> Sequence[Outcome]:
    from tests.simulation import programs, scenarios

    if _world is None:
        raise RuntimeError("there is no world to run in")
    scenario = scenarios.SCENARIOS[job.scenario]
    if job.contender is scenarios.Contender.PROGRAM:
        outcomes = programs.run_many(_world, scenario, job.place, seed=job.seed, times=job.times)
        return list(outcomes)
    return [scenarios.run(_world, scenario, job.place, job.contender, seed=job.seed)]


def summary(outcomes: Outcomes) -> Result:
    """One table of all runs, and whether the guard did what it promises."""
    from tests.simulation.scenarios import SCENARIOS

    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for job, found in sorted(
        outcomes.items(), key=lambda one: list(SCENARIOS).index(one[0].scenario)
    ):
        key = (job.scenario, job.place.value, job.contender.value)
        groups.setdefault(key, []).extend(found)
    rows = [
        (f"({key[0]})", *key[1:], *_cells(found, SCENARIOS[key[0]].lost))
        for key, found in groups.items()
    ]
    remarks = [f"({key}) {scenario.title}." for key, scenario in SCENARIOS.items()]
    return Result(_COLUMNS, rows, list(_goals(outcomes)), [*remarks, *_LEGEND])


def _cells(found: Sequence[Outcome], lost: int) -> Sequence[str]:
    worst = min(found, key=lambda one: one.got)
    return (
        str(len(found)),
        str(sum(is_failure(one, lost) for one in found)),
        f"{worst.got}/{worst.wanted}",
        str(max(one.orders for one in found)),
        str(sum(one.failed_authorizations for one in found)),
        str(sum(one.issued for one in found)),
        str(sum(one.kept for one in found)),
        f"{max(one.waited for one in found):.0f}",
        str(sum(one.faults for one in found)),
    )


def is_failure(outcome: Outcome, lost: int) -> bool:
    """Whether a name is missing that could be had; *lost* cannot."""
    return outcome.got < outcome.wanted - lost


def _goals(outcomes: Outcomes) -> Iterable[Goal]:
    from tests.simulation.scenarios import Contender

    guards = (Contender.GUARDED, Contender.PROGRAM)

    def guarded(scenario: str) -> list[Outcome]:
        return [
            outcome
            for job, found in outcomes.items()
            for outcome in found
            if job.contender in guards and job.scenario == scenario
        ]

    two, three, four, five = (guarded(key) for key in ("ii", "iii", "iv", "v"))
    for key, how in (("i", "certbot"), ("i'", "GuardedClient")):
        found = guarded(key)
        faults = sum(outcome.faults for outcome in found)
        yield Goal.at_most(
            f"({key}) no failure in {len(found)} issuances through {how} with {faults} faults",
            sum(is_failure(outcome, 0) for outcome in found),
            0,
        )
    yield Goal.at_least("(ii) all 99 names in the first run", min(o.got for o in two), 99)
    yield Goal.at_most("(ii) at most two orders", max(o.orders for o in two), 2)
    yield Goal.at_least("(iii) 97 names in the first run", min(o.got for o in three), 97)
    yield Goal.at_most("(iii) at most two orders", max(o.orders for o in three), 2)
    yield Goal.at_most(
        "(iii) no failed authorization", sum(o.failed_authorizations for o in three), 0
    )
    yield Goal.at_most(
        "(iv) a whole certificate in the first run, or certbot's own error and none",
        sum(not _is_clean(outcome) for outcome in four),
        0,
        " neither",
    )
    yield Goal.at_most("(iv) at most five orders", max(o.orders for o in four), 5)
    yield Goal.at_most(
        "(v) no certificate twice, none lost: issued, but for those on disk",
        sum(abs(outcome.issued - outcome.kept) for outcome in five),
        0,
    )


def _is_clean(outcome: Outcome) -> bool:
    if outcome.status == 0:
        return outcome.got == outcome.wanted
    return outcome.got == outcome.issued == 0 and "a fault of the guard" not in outcome.output
