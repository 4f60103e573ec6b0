"""`certbot renew` over many lineages, of which a tenth is due.

The same 500 lineages of one name each, made by hand, are renewed by the newest certbot: without the
plugin, with it and every lineage guarded (`unbound` and a resolver by `udp://`), and with it while
the CA's resolver fails for the TLD of all the names, so that no order can succeed. 50 of them are
due. CA, DNS and web server are on loopback. The time is that of the whole run, by the clock on the
wall, the better of two; with the CA's DNS down once only.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import start
from benchmarks.machine import version_of
from benchmarks.results import Goal, Result

if TYPE_CHECKING:
    from benchmarks import Settings
    from tests.ca import CA
    from tests.internet import Internet

_CERTBOT = Path(__file__).parent.parent / ".venvs/bench-certbot/bin/certbot"
_WITHOUT, _WITH, _DOWN = "without the plugin", "with it", "with it, the CA's DNS down"
_WAYS = (_WITHOUT, _WITH, _DOWN)
_DEADLINE = 900.0  # as it is by default
_SHARE, _EACH = 0.05, 0.5  # of the run without, and seconds for each lineage that is due
_FIRST = "first.many.net"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of certbot.

    :ivar seconds: by the clock on the wall.
    :ivar renewed: how many lineages have a new certificate.
    :ivar orders: how many orders the CA got.
    """

    seconds: float
    renewed: int
    orders: int


def run(settings: Settings) -> Result:
    """Renew, each time with lineages of its own."""
    lineages, due = settings.choose(500, 20), settings.choose(50, 4)
    runs: dict[str, list[Measured]] = {way: [] for way in _WAYS}
    with _world(settings.directory) as world:
        for turn in range(settings.choose(2, 1)):
            for way in _WAYS[:2] if turn else _WAYS:
                runs[way].append(world.measure(way, turn, lineages, due))
    return summary(runs, lineages, due, version_of([str(_CERTBOT), "--version"]))


def summary(runs: Mapping[str, list[Measured]], lineages: int, due: int, version: str) -> Result:
    """What the runs took."""
    best = {way: min(made, key=lambda one: one.seconds) for way, made in runs.items()}
    without = best[_WITHOUT].seconds
    rows = [
        (
            way,
            f"{one.seconds:.1f}",
            f"{one.seconds - without:+.1f}",
            f"{one.renewed}",
            f"{one.orders}",
        )
        for way, one in best.items()
    ]
    bound = _SHARE * without + _EACH * due
    what = f"added: at most 5 % and {_EACH} s for each of {due} due, which is {bound:.1f} s"
    return Result(
        ("certbot renew", "seconds", "added", "renewed", "orders"),
        rows,
        [
            Goal.at_most(what, best[_WITH].seconds - without, bound, " s"),
            Goal.at_least("all that are due are renewed", best[_WITH].renewed, due),
            Goal.at_least(
                "with the CA's DNS down: each that is due is tried", best[_DOWN].orders, due
            ),
            Goal.at_most(
                f"with the CA's DNS down: within the deadline of {_DEADLINE:.0f} s",
                best[_DOWN].seconds,
                _DEADLINE,
                " s",
            ),
        ],
        [f"certbot {version}, {lineages} lineages, {due} of them due."],
        {way: [one.seconds for one in made] for way, made in runs.items()},
    )


@dataclass(frozen=True)
class _World:
    directory: Path
    internet: Internet
    ca: CA
    plugin: Path

    def measure(self, way: str, turn: int, lineages: int, due: int) -> Measured:
        """Renew *lineages*, of which *due* are due."""
        run = f"{_WAYS.index(way)}{turn}"
        folder = self.directory / run
        names = [f"n{number}.r{run}.many.net" for number in range(lineages)]
        self._lay_out(folder, names, set(names[:: lineages // due]))
        rule = self._break_dns() if way == _DOWN else None
        self.ca.reset()
        begin = time.monotonic()
        self._certbot(folder, ["renew", "--no-random-sleep-on-renew"], plugged=way != _WITHOUT)
        seconds = time.monotonic() - begin
        if rule is not None:
            self.internet.tlds.clear()
            self.internet.forget()
        renewed = sum((folder / "config/archive" / name / "cert2.pem").exists() for name in names)
        return Measured(seconds, renewed, self.ca.spent.orders)

    def _break_dns(self) -> object:
        from tests.internet import servfail

        source = self.internet.ca_resolver
        return self.internet.tlds.script(servfail, owner="net", qtype="CAA", source=source)

    def obtain_the_first(self) -> None:
        """One lineage of certbot's own, with an account, for the others to be made after."""
        flags = ["--agree-tos", "-m", "admin@example.net", "--no-eff-email"]
        flags += ["--server", self.ca.directory_url, "-a", "standalone"]
        flags += ["--http-01-address", self.internet.web, "--http-01-port", str(self.ca.http_port)]
        self._certbot(self._first, ["certonly", *flags, "-d", _FIRST], plugged=False, check=True)

    @property
    def _first(self) -> Path:
        return self.directory / "first"

    def _lay_out(self, folder: Path, names: list[str], due: set[str]) -> None:
        """Make the lineages *names* below *folder*."""
        conf = (self._first / f"config/renewal/{_FIRST}.conf").read_text("utf-8")
        conf = conf.replace(str(self._first), str(folder)) + self._guarded()
        shutil.copytree(self._first / "config/accounts", folder / "config/accounts")
        (folder / "config/renewal").mkdir()
        for name in names:
            made = self._first / "config/archive" / _FIRST
            archive = folder / "config/archive" / name
            live = folder / "config/live" / name
            shutil.copytree(made, archive)
            live.mkdir(parents=True)
            pem = certificate(name, age=80 if name in due else 1)
            (archive / "cert1.pem").write_bytes(pem)
            (archive / "fullchain1.pem").write_bytes(pem + (archive / "chain1.pem").read_bytes())
            for kind in ("cert", "chain", "fullchain", "privkey"):
                (live / f"{kind}.pem").symlink_to(f"../../archive/{name}/{kind}1.pem")
            (folder / f"config/renewal/{name}.conf").write_text(
                conf.replace(_FIRST, name), encoding="utf-8"
            )

    def _guarded(self) -> str:
        """The guard's flags, at the end of a renewal configuration, which is their section."""
        hints = self.internet.hints(self.directory / "root.hints")
        return (
            "caa_guard_enabled = True\n"
            f'caa_guard_resolver = "unbound,udp://{self.internet.resolver}"\n'
            f"caa_guard_root_hints = {hints}\n"
        )

    def _certbot(
        self, folder: Path, command: list[str], *, plugged: bool, check: bool = False
    ) -> None:
        folders = [f"--{kind}-dir={folder / kind}" for kind in ("config", "work", "logs")]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "PYTHONPATH": str(self.plugin) if plugged else "",
            "REQUESTS_CA_BUNDLE": str(self.ca.bundle),
        }
        folder.mkdir(exist_ok=True)
        with (folder / "output").open("wb") as output:
            subprocess.run(
                [str(_CERTBOT), *command, "--non-interactive", *folders],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=check,
            )


@contextmanager
def _world(directory: Path) -> Iterator[_World]:
    from tests.ca import CA
    from tests.internet import Internet

    plugin = start.install(directory / "plugin")
    with (
        Internet(directory / "internet", {"many.net": []}) as internet,
        CA(
            directory / "ca",
            address=internet.block.address(200),
            web=internet.web,
            resolver=internet.ca_resolver,
        ) as ca,
    ):
        world = _World(directory, internet, ca, plugin)
        world.obtain_the_first()
        yield world


def certificate(name: str, *, age: float) -> bytes:
    """A certificate of 90 days for *name*, *age* days old; nobody looks at its signature."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=90))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
