"""A CA, an internet and a certbot on the simulated clock, for one run after the other."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.ca import CA
from tests.e2e.certbot import Certbot, Run
from tests.internet import Internet
from tests.simulation.clock import ClockServer, SimulatedClock

# The names under test are all below these; "sick" zones are those that faults are made for.
ZONES: Mapping[str, Sequence[str]] = {"shop.net": [], "sick-one.net": [], "sick-two.org": []}


class World:
    """Everything around certbot.  A context manager; enter it in a thread that stays."""

    def __init__(
        self,
        folder: Path,
        *,
        version: str = "newest",
        zones: Mapping[str, Sequence[str]] = ZONES,
    ) -> None:
        self.folder = folder
        self._version = version
        self._zones = zones
        self._numbers = itertools.count(1)

    def __enter__(self) -> World:
        with contextlib.ExitStack() as stack:
            self.internet = stack.enter_context(Internet(self.folder / "internet", self._zones))
            self.ca = stack.enter_context(
                CA(
                    self.folder / "ca",
                    address=self.internet.block.address(200),
                    web=self.internet.web,
                    resolver=self.internet.ca_resolver,
                )
            )
            self.clock = SimulatedClock(self.internet.expire)
            sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="clock-"))
            self._clock_server = stack.enter_context(
                ClockServer(self.clock, Path(sockets) / "clock")
            )
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def certbot(self, version: str | None = None) -> SimulatedCertbot:
        """A certbot with folders of its own, and the account of the first one."""
        certbot = self.certbot_in(self.folder / f"certbot-{next(self._numbers)}", version)
        accounts = self.folder / "accounts"
        if not accounts.exists():
            self._register(accounts)
        shutil.copytree(accounts, certbot.config / "accounts", symlinks=True)
        return certbot

    def certbot_in(self, folder: Path, version: str | None = None) -> SimulatedCertbot:
        """A certbot with its folders there, as they are."""
        environment = self._clock_server.environment
        return SimulatedCertbot(
            version or self._version, folder, self.ca, self.internet, environment
        )

    def begin_again(self) -> None:
        """Forget what was: no faults, no counts, the clock at zero."""
        for server in (self.internet.tlds, self.internet.servers):
            server.clear()
        self.ca.lose_answers((), 0.0, seed=0)
        self.internet.forget()
        self.ca.reset()
        self.clock.reset()

    def in_the_first(self, seconds: float) -> Callable[[], bool]:
        """Whether so many seconds of the simulated clock have not passed yet."""
        return lambda: self.clock.now() < seconds

    def _register(self, accounts: Path) -> None:
        certbot = self.certbot_in(self.folder / "registration")
        run = certbot.run(
            "register", "--agree-tos", "-m", "admin@example.net", "--no-eff-email",
            "--server", self.ca.directory_url,
        )  # fmt: skip
        if run.status:
            raise RuntimeError(f"no account: {run.output}")
        shutil.copytree(certbot.config / "accounts", accounts, symlinks=True)


def world_of_this_process(folder: Path) -> World:
    """A world that lasts as long as this process of a pool, and then is put away."""
    world = World(folder / str(os.getpid())).__enter__()
    multiprocessing.util.Finalize(None, world.__exit__, exitpriority=0)
    return world


class SimulatedCertbot(Certbot):
    """A certbot whose waits take no time."""

    def __init__(
        self,
        version: str,
        folder: Path,
        ca: CA,
        internet: Internet,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(version, folder, ca, internet)
        self._clock_environment = environment

    def run(
        self,
        verb: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        challenge: Sequence[str] | None = None,
        noninteractive: bool = True,
    ) -> Run:
        return super().run(
            verb,
            *arguments,
            environment={**self._clock_environment, **(environment or {})},
            challenge=challenge,
            noninteractive=noninteractive,
        )

    @property
    def guard(self) -> list[str]:
        """The guard as it is by default, but for the resolvers: two perspectives."""
        resolvers = (self._internet.resolver, self._internet.second_resolver)
        specs = ",".join(f"udp://{address}" for address in resolvers)
        return ["--caa-guard", "--caa-guard-resolver", specs]

    def lineages(self) -> list[str]:
        """The lineages that have a certificate."""
        return sorted(path.parent.name for path in self.config.glob("live/*/cert.pem"))
