"""The schedules of faults, and what came of certbot under each."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.ca import Mode
from tests.internet import Rule, servfail
from tests.simulation.world import SimulatedCertbot, World

_MINUTE = 60.0
_HOUR = 60 * _MINUTE


class Contender(enum.Enum):
    """Who asks for the certificate."""

    ALONE = "certbot"
    SUBSET = "certbot --allow-subset-of-names"
    GUARDED = "certbot --caa-guard"
    PROGRAM = "a program on GuardedClient"


class Place(enum.Enum):
    """Where the CA looks CAA up: at authorization, or at finalize in one of its three modes."""

    A = "finalize, A"
    B = "finalize, B"
    C = "finalize, C"
    AUTHORIZATION = "authorization"


@dataclass(frozen=True)
class Scenario:
    """One schedule of faults.

    :ivar title: what goes wrong.
    :ivar names: the names asked for, given a label that no other run has.
    :ivar fault: puts the faults in place, seeded, and tells how often they struck so far.
    :ivar lost: how many of the names cannot be had.
    :ivar tries: how often certbot is run until it succeeds; an hour lies between two runs.
    :ivar wildcard: names are validated by dns-01.
    """

    title: str
    names: Callable[[str], Sequence[str]]
    fault: Callable[[World, int], Callable[[], int]]
    lost: int = 0
    tries: int = 1
    wildcard: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    :ivar wanted: how many names were asked for; `got` how many are in the certificate on disk.
    :ivar issued: certificates that the CA issued; `kept` those that are on disk.
    :ivar status: certbot's exit status, of its last run.
    :ivar waited: seconds on the simulated clock that certbot slept.
    :ivar faults: how often the schedule struck.
    """

    wanted: int
    got: int
    orders: int
    failed_authorizations: int
    issued: int
    kept: int
    status: int
    runs: int
    waited: float
    faults: int
    output: str

    @property
    def missing(self) -> int:
        return self.wanted - self.got


def run(
    world: World, scenario: Scenario, place: Place, contender: Contender, *, seed: int = 0
) -> Outcome:
    """Have one certificate under a schedule of faults."""
    certbot = world.certbot()
    names = scenario.names(certbot.folder.name)
    world.begin_again()
    set_place(world, place)
    struck = scenario.fault(world, seed_for(place, seed))
    runs = 0
    while True:
        done = certbot.run(
            "certonly",
            *_flags(certbot, contender),
            *(argument for name in names for argument in ("-d", name)),
            challenge=certbot.manual_dns if scenario.wildcard else None,
        )
        runs += 1
        waited = world.clock.skipped - (runs - 1) * _HOUR
        if not done.status or runs == scenario.tries:
            break
        world.clock.skip(_HOUR)
    spent = world.ca.spent
    got = {name for lineage in certbot.lineages() for name in certbot.names(lineage)}
    return Outcome(
        wanted=len(names),
        got=len(got),
        orders=spent.orders,
        failed_authorizations=spent.failed_authorizations,
        issued=spent.certificates,
        kept=len(list(certbot.config.glob("archive/*/cert*.pem"))),
        status=done.status,
        runs=runs,
        waited=waited,
        faults=struck(),
        output=done.output,
    )


def seed_for(place: Place, seed: int) -> int:
    """The same for all contenders, and another in each place."""
    return random.Random(f"{place.value} {seed}").getrandbits(32)


def set_place(world: World, place: Place) -> None:
    """Let the CA look CAA up there, and only there."""
    at_authorization = place is Place.AUTHORIZATION
    world.ca.mode = Mode.A if at_authorization else Mode[place.name]
    world.ca.stale = not at_authorization
    world.ca.check_at_authorization = at_authorization


def _flags(certbot: SimulatedCertbot, contender: Contender) -> Sequence[str]:
    if contender is Contender.GUARDED:
        return certbot.guard
    return ["--allow-subset-of-names"] if contender is Contender.SUBSET else []


SICK_ZONES = ("sick-one.net", "sick-two.org")


def flaky_tld(probability: float) -> Scenario:
    """One wildcard, under a TLD that fails each lookup with a probability."""

    def fault(world: World, seed: int) -> Callable[[], int]:
        resolvers = world.internet.resolvers
        rules = [
            world.internet.tlds.script(
                servfail,
                owner="net",
                qtype="CAA",
                source=resolver.address,
                lookups=math.inf,
                probability=probability,
                seed=len(resolvers) * seed + number,
            )
            for number, resolver in enumerate(resolvers)
        ]
        return lambda: _struck(rules)

    return Scenario(
        f"one wildcard; each lookup at its TLD SERVFAILs with probability {probability}",
        lambda label: [f"*.{label}.shop.net"],
        fault,
        wildcard=True,
    )


def sick_for_a_minute(healthy: int) -> Scenario:
    """Two names fail for everybody at first, beside so many that do not."""

    def fault(world: World, seed: int) -> Callable[[], int]:
        del seed
        return _sick_zones(world, world.in_the_first(_MINUTE))

    title = f"{healthy + 2} names, two of them SERVFAILing for the first minute"
    return Scenario(title, _two_sick_among(healthy), fault)


def dead(healthy: int) -> Scenario:
    """Two names fail for everybody, beside so many that do not."""

    def fault(world: World, seed: int) -> Callable[[], int]:
        del seed
        return _sick_zones(world, None)

    title = f"{healthy + 2} names, two of them dead"
    return Scenario(title, _two_sick_among(healthy), fault, lost=2)


def sick_ca() -> Scenario:
    """The CA's resolver fails for every name, and nobody else's does."""

    def fault(world: World, seed: int) -> Callable[[], int]:
        del seed
        rules = [
            servers.script(
                servfail,
                qtype="CAA",
                source=world.internet.ca_resolver,
                lookups=math.inf,
                when=world.in_the_first(5 * _MINUTE),
            )
            for servers in (world.internet.tlds, world.internet.servers)
        ]
        return lambda: _struck(rules)

    return Scenario(
        "five names; the CA's own resolver SERVFAILs for everything for five minutes", _five, fault
    )


def lost_answers(probability: float) -> Scenario:
    """Connections break after an order is placed or finalized, before the client learns of it."""

    def fault(world: World, seed: int) -> Callable[[], int]:
        world.ca.lose_answers(("new-order", "finalize"), probability, seed=seed)
        return lambda: world.ca.lost_answers

    return Scenario(
        "five names; each answer to newOrder or to finalize is lost with probability "
        f"{probability}; certbot is run hourly until it succeeds, at most four times",
        _five,
        fault,
        tries=4,
    )


def _five(label: str) -> Sequence[str]:
    return [f"n{number}.{label}.shop.net" for number in range(5)]


def _two_sick_among(healthy: int) -> Callable[[str], Sequence[str]]:
    return lambda label: [
        *(f"n{number}.{label}.shop.net" for number in range(healthy)),
        *(f"{label}.{zone}" for zone in SICK_ZONES),
    ]


def _sick_zones(world: World, when: Callable[[], bool] | None) -> Callable[[], int]:
    rules = [
        world.internet.servers.script(
            servfail, below=zone, qtype="CAA", lookups=math.inf, when=when
        )
        for zone in SICK_ZONES
    ]
    return lambda: _struck(rules)


def _struck(rules: Sequence[Rule]) -> int:
    return sum(rule.lookups_hit for rule in rules)


SCENARIOS = {
    "i": flaky_tld(0.1),
    "i'": flaky_tld(0.02),
    "ii": sick_for_a_minute(97),
    "iii": dead(97),
    "iv": sick_ca(),
    "v": lost_answers(0.3),
}
