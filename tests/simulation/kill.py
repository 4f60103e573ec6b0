"""kill -9 of a guarded certbot at a moment that chance chooses, and what is left afterwards.

::

    python -m tests.simulation.kill 200         # so many kills; "make kill"

Two thirds of the kills come at an event: just before something in certbot's folder is changed,
before a request is sent, or when its answer has come; the others at a moment of the run's length.

What a kill leaves is held against what a kill of certbot alone leaves at the same point: that is
read off copies of its folder, made in one run before each thing that it changes there.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import itertools
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import configobj
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certbot_caa_guard.history import Kind
from certbot_caa_guard.plugin import lineage as state
from tests.ca import Mode
from tests.internet import servfail
from tests.simulation.world import SimulatedCertbot, World, world_of_this_process

_FOREIGN = '0 issue "other-ca.example"'
_KILLED = -9


class Occasion(enum.Enum):
    """What certbot is at when it is killed."""

    FIRST = "a first issuance"
    RENEWAL = "a renewal"


@dataclass(frozen=True)
class Death:
    """One kill and what was found to be wrong afterwards.

    :ivar moment: the last event before it.
    """

    occasion: Occasion
    at_authorization: bool
    seed: int
    moment: str
    was_killed: bool
    complaints: Sequence[str]


@dataclass(frozen=True)
class Course:
    """How a run goes when nobody kills it.

    :ivar events: how many there are.
    :ivar usable: of certbot alone: whether the lineage is usable once so many changes are made.
    """

    events: int
    seconds: float
    usable: Sequence[bool]


class Killer:
    """Kills certbots of one world, one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._courses: dict[tuple[Occasion, bool], Course] = {}
        self._renewable: Path | None = None
        self._number = 0

    def kill(self, occasion: Occasion, *, at_authorization: bool, seed: int) -> Death:
        """Kill one, look at what is left, let the next runs mend it, and look again.

        `at_authorization` is where the CA looks CAA up, and fails once; else at finalize.
        """
        dice = random.Random(f"{occasion} {at_authorization} {seed}")
        course = self._course(occasion, at_authorization)
        if dice.random() < 2 / 3:
            moment = {"KILL_AT": str(dice.randint(1, course.events))}
        else:
            moment = {"KILL_AFTER": str(dice.uniform(0.2, 0.9) * course.seconds)}
        scene = self._scene(occasion, at_authorization)
        status = scene.run(moment)
        events = scene.events()
        complaints = [*self._after_the_kill(scene, course)]
        self._world.begin_again()
        complaints += self._after_the_next_runs(scene)
        last = events[-1] if events else "start"
        return Death(occasion, at_authorization, seed, last, status == _KILLED, complaints)

    def _course(self, occasion: Occasion, at_authorization: bool) -> Course:
        key = occasion, at_authorization
        if key not in self._courses:
            scene = self._scene(occasion, at_authorization)
            started = time.monotonic()
            if scene.run({}):
                raise RuntimeError(f"{occasion.value} fails even when it is not killed")
            seconds = time.monotonic() - started
            events = len(scene.events())
            alone = self._scene(occasion, at_authorization, alone=True)
            copies = alone.folder / "copies"
            shutil.rmtree(copies, ignore_errors=True)
            if alone.run({"COPIES": str(copies)}):
                raise RuntimeError(f"{occasion.value} fails without the guard")
            folders = [copies / str(number) for number in alone.changes()]
            usable = [is_usable(folder, alone.name) for folder in folders]
            usable.append(is_usable(alone.certbot.config, alone.name))
            if all(usable):
                raise RuntimeError(f"{occasion.value} seems to be over in an instant")
            self._courses[key] = Course(events, seconds, usable)
        return self._courses[key]

    def _scene(self, occasion: Occasion, at_authorization: bool, *, alone: bool = False) -> Scene:
        """Everything before a run: folders, records and faults."""
        world = self._world
        world.begin_again()
        if occasion is Occasion.FIRST:
            certbot = world.certbot()
            scene = Scene(world, certbot, certbot.folder.name, occasion, alone)
        else:
            scene = self._renewable_scene(alone)
        world.ca.mode = Mode.B
        world.ca.stale, world.ca.check_at_authorization = not at_authorization, at_authorization
        if occasion is Occasion.FIRST:
            world.internet.publish(scene.denied, "CAA", _FOREIGN)
        if not alone:
            # All that goes wrong does so in the first order.
            world.internet.tlds.script(
                servfail, owner="net", qtype="CAA", source=world.internet.ca_resolver, lookups=1
            )
        return scene

    def _renewable_scene(self, alone: bool) -> Scene:
        """A lineage with a held name that may come back now; the same one each time."""
        world = self._world
        folder = world.folder / "renewable"
        if self._renewable is None:
            certbot = world.certbot()
            first = Scene(world, certbot, certbot.folder.name, Occasion.FIRST, alone=False)
            world.internet.publish(first.denied, "CAA", _FOREIGN)
            if first.run({}):
                raise RuntimeError("there is no certificate to renew")
            world.internet.withdraw(first.denied, "CAA")
            shutil.copytree(certbot.config, folder, symlinks=True)
            self._renewable = certbot.folder
            world.begin_again()
        certbot = world.certbot_in(self._renewable)
        shutil.rmtree(certbot.config)
        shutil.copytree(folder, certbot.config, symlinks=True)
        return Scene(world, certbot, certbot.folder.name, Occasion.RENEWAL, alone)

    def _after_the_kill(self, scene: Scene, course: Course) -> Iterator[str]:
        made = len(scene.changes()) - (scene.ended_at_a_change())
        usable = is_usable(scene.certbot.config, scene.name)
        if course.usable[min(made, len(course.usable) - 1)] and not usable:
            yield f"certbot alone would leave a usable lineage after {made} changes"
        in_certificate = scene.certbot.names(scene.name) if usable else set()
        remembered = scene.remembered()
        left_out = set(scene.names) - in_certificate - remembered
        if usable and left_out:
            yield f"neither in the certificate nor remembered: {sorted(left_out)}"
        for order in self._world.ca.orders:
            forgotten = set(scene.names) - set(order) - remembered
            if not scene.alone and forgotten and not usable:
                yield f"left out of an order, but not on disk: {sorted(forgotten)}"
        yield from self._forgotten_spending(scene)

    def _forgotten_spending(self, scene: Scene) -> Iterator[str]:
        spent = self._world.ca.spent
        orders = scene.on_record(Kind.ORDER_PLACED)
        if spent.orders > orders:
            yield f"{spent.orders} orders, {orders} on record"
        failed = scene.on_record(Kind.AUTHORIZATION_FAILED)
        # They are known by the second order; before it, certbot may not have learned of them.
        if spent.orders > 1 and spent.failed_authorizations > failed:
            yield f"{spent.failed_authorizations} authorizations failed, {failed} on record"

    def _after_the_next_runs(self, scene: Scene) -> Iterator[str]:
        """The same command again, once all names pass; then a renewal if a name is still out."""
        if scene.occasion is Occasion.FIRST:
            self._world.internet.withdraw(scene.denied, "CAA")
        status = scene.run({})
        if status:
            yield f"the next run failed: {scene.output[-600:]}"
            return
        name = scene.lineage()
        if scene.occasion is Occasion.FIRST and scene.certbot.names(name) != set(scene.names):
            status = scene.renew()
        if status:
            yield f"the renewal after it failed: {scene.output[-600:]}"
        missing = set(scene.names) - scene.certbot.names(name)
        if missing:
            yield f"still not in the certificate: {sorted(missing)}"
        if not is_usable(scene.certbot.config, name):
            yield "the lineage is not usable after the next run"


class Scene:
    """One certbot with its folders, and the certificate that it is to get."""

    def __init__(
        self, world: World, certbot: SimulatedCertbot, label: str, occasion: Occasion, alone: bool
    ) -> None:
        self._world = world
        self.certbot = certbot
        self.folder = certbot.folder
        self.occasion = occasion
        self.alone = alone
        self.name = f"{label}.shop.net"
        self.denied = f"denied.{label}.shop.net"
        self.names = [self.name, self.denied, f"{label}.sick-two.org"]
        self.output = ""
        self._log = certbot.folder / "events"
        self._counted = {kind: _count(certbot.config, kind) for kind in Kind}

    def run(self, moment: Mapping[str, str]) -> int:
        """Run certbot; gives its exit status, negative for the signal that ended it."""
        self._log.unlink(missing_ok=True)
        watched = {"EVENTS_OF": str(self.certbot.config), "EVENTS_LOG": str(self._log), **moment}
        if self.occasion is Occasion.RENEWAL:
            return self.renew(*(["--no-caa-guard"] if self.alone else []), environment=watched)
        names = [name for name in self.names if name != self.denied or not self.alone]
        done = self.certbot.run(
            "certonly",
            *([] if self.alone else self.certbot.guard),
            *(argument for name in names for argument in ("-d", name)),
            environment=watched,
        )
        self.output = done.output
        return done.status

    def renew(self, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        done = self.certbot.run("renew", "--force-renewal", *arguments, environment=environment)
        self.output = done.output
        return done.status

    def events(self) -> Sequence[str]:
        """What happened, in order; the last may not have."""
        return self._log.read_text("utf-8").splitlines() if self._log.exists() else []

    def changes(self) -> Sequence[int]:
        """The numbers of the events that change a lineage and are certbot's own."""
        folders = [f"{self.certbot.config}/{folder}/" for folder in ("archive", "live", "renewal")]
        return [
            number
            for number, event in enumerate(self.events(), 1)
            if any(folder in event for folder in folders) and ".caa-guard" not in event
        ]

    def ended_at_a_change(self) -> bool:
        """Whether the last event is a change, which then was not made."""
        changes = self.changes()
        return bool(changes) and changes[-1] == len(self.events())

    def lineage(self) -> str:
        """The lineage that the certificate is in: another name if a first one was broken off."""
        return max(self.certbot.lineages(), key=lambda name: len(self.certbot.names(name)))

    def remembered(self) -> set[str]:
        """The names that are held, by what is on disk."""
        names: set[str] = set()
        for conf in self.certbot.config.glob("renewal/*.conf"):
            section = configobj.ConfigObj(str(conf), interpolation=False).get(state.SECTION)
            names.update(state.read(section).held_names)
        for pending in self.certbot.config.glob("caa-guard/pending/*.json"):
            names.update(one["name"] for one in json.loads(pending.read_text("utf-8"))["held"])
        return names

    def on_record(self, kind: Kind) -> int:
        """How often it happened since this scene was set, by the history on disk."""
        return _count(self.certbot.config, kind) - self._counted[kind]


def _count(config: Path, kind: Kind) -> int:
    """How many events of a kind there are in the history; none where there is no history."""
    path = config / "caa-guard" / "history.sqlite"
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(path)) as history:
        # A kill may come between the making of the file and that of its table.
        if not history.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone():
            return 0
        rows = history.execute("SELECT COUNT(*) FROM event WHERE kind = ?", (kind.value,))
        return int(rows.fetchone()[0])


def is_usable(config: Path, name: str) -> bool:
    """Whether a lineage is whole: a configuration, four links, and a certificate with its key."""
    live = config / "live" / name
    try:
        conf = configobj.ConfigObj(str(config / "renewal" / f"{name}.conf"), file_error=True)
        pem = (live / "cert.pem").read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        key = load_pem_private_key((live / "privkey.pem").read_bytes(), None)
        fullchain = (live / "fullchain.pem").read_bytes()
        chain = (live / "chain.pem").read_bytes()
    except (OSError, ValueError, configobj.ConfigObjError):
        return False
    return (
        "renewalparams" in conf
        and key.public_key() == certificate.public_key()
        and fullchain == pem + chain
    )


_killer: Killer | None = None


def _enter(directory: Path) -> None:
    global _killer
    _killer = Killer(world_of_this_process(directory))


def _kill(job: tuple[Occasion, bool, int]) -> Death:
    if _killer is None:
        raise RuntimeError("there is nobody to kill")
    occasion, at_authorization, seed = job
    return _killer.kill(occasion, at_authorization=at_authorization, seed=seed)


def main() -> int:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(description="Kill certbots, and see that nothing is lost.")
    parser.add_argument("kills", type=int, help="how many, half of them at a renewal")
    parser.add_argument("--seed", type=int, default=0, help="chance can be had again")
    options = parser.parse_args()
    kinds = itertools.cycle(itertools.product(Occasion, (False, True)))
    seeds = range(options.seed, options.seed + options.kills)
    jobs = [(*kind, seed) for seed, kind in zip(seeds, kinds, strict=False)]
    with (
        tempfile.TemporaryDirectory(prefix="kill-") as folder,
        ProcessPoolExecutor(
            os.cpu_count(), get_context("spawn"), initializer=_enter, initargs=(Path(folder),)
        ) as pool,
    ):
        deaths = list(pool.map(_kill, jobs))
    return _report(deaths)


def _report(deaths: Sequence[Death]) -> int:
    for death in deaths:
        for complaint in death.complaints:
            print(f"{death.occasion.value}, {death.at_authorization=}, {death.seed=}:")
            print(f"  after {death.moment}: {complaint}")
    bad = sum(bool(death.complaints) for death in deaths)
    moments = Counter(death.moment.split()[0] for death in deaths if death.was_killed)
    late = sum(not death.was_killed for death in deaths)
    print(f"{len(deaths)} kills, half of them at renewals, {late} of them too late to matter.")
    print("The last event before the others:", end=" ")
    print(", ".join(f"{times} {moment}" for moment, times in moments.most_common()))
    print(f"Something was wrong after {bad} of them.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
