"""The DNS that is asked: thousands of zones in NSD, and a warm Unbound in front of them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.internet import Block, Nsd, Unbound
from tests.internet.daemon import find_program
from tests.internet.tree import Tree

_TLDS = ("com", "net", "org", "info", "eu")
_HOSTS = ("", "www.", "mail.", "api.shop.")
_WITH_CAA = 10  # one zone in so many has a record

_ROOT, _TLD_SERVER, _ZONE_SERVER, _RESOLVER, _FRONT = 1, 2, 3, 11, 12

# A resolver as others have it, that keeps all it has learnt: what is measured is its clients.
_CACHING = """\
cache-max-ttl: 86400
cache-min-ttl: 3600
cache-max-negative-ttl: 86400
neg-cache-size: 64m
msg-cache-size: 256m
rrset-cache-size: 256m
use-caps-for-id: no
num-queries-per-thread: 4096
outgoing-range: 8192
so-rcvbuf: 4m
extended-statistics: yes
"""


@dataclass(frozen=True, slots=True)
class World:
    """A running DNS.

    :ivar front: an address that is free for what stands before the resolver.
    """

    resolver: Unbound
    front: str

    @property
    def address(self) -> str:
        """The resolver's."""
        return self.resolver.address

    def questions(self) -> int:
        """How many CAA questions the resolver has got so far."""
        said = self.resolver.command("stats_noreset")
        # Unbound counts types above 255 together; nobody asks for others here.
        return statistic(said, "num.query.type.other")

    def warm(self, owners: Iterable[str], directory: Path) -> None:
        """Have the resolver know all about *owners*."""
        file = question_file(owners, directory / "warm")
        for _ in range(2):
            subprocess.run(
                [
                    find_program("dnsperf", "dnsperf"),
                    "-s",
                    self.address,
                    "-d",
                    str(file),
                    "-n",
                    "1",
                ],
                stdout=subprocess.DEVNULL,
                check=True,
            )


@contextlib.contextmanager
def world(zones: int, directory: Path) -> Iterator[World]:
    """Serve so many zones until the block ends."""
    with contextlib.ExitStack() as stack:
        block = stack.enter_context(Block())
        fronts = [block.address(host) for host in (_ROOT, _TLD_SERVER, _ZONE_SERVER)]
        tree = Tree.plan(dict(zone_texts(zones)), {}, {})
        levels, _ = tree.texts(fronts, block.address(_ZONE_SERVER), (), directory)
        for address, texts in zip(fronts, levels, strict=True):
            stack.enter_context(Nsd(address, texts, directory / f"nsd-{address}"))
        resolver = Unbound(
            block.address(_RESOLVER), fronts[0], directory / "unbound", extra=_CACHING
        )
        yield World(stack.enter_context(resolver), block.address(_FRONT))


def zone_names(number: int) -> list[str]:
    """The names of so many zones."""
    return [f"shop-{place}.{_TLDS[place % len(_TLDS)]}" for place in range(number)]


def zone_texts(number: int) -> Iterator[tuple[str, str]]:
    """So many zones; some have CAA records."""
    for place, name in enumerate(zone_names(number)):
        yield name, '@ CAA 0 issue "letsencrypt.org"' if place % _WITH_CAA == 0 else ""


def names(number: int, zones: int) -> list[str]:
    """So many names, spread over the zones: at first those that most zones have."""
    found = [f"{host}{zone}" for host in _HOSTS for zone in zone_names(zones)]
    more = (number - len(found)) // zones + 1
    found += [f"host-{place}.{zone}" for place in range(more) for zone in zone_names(zones)]
    return found[:number]


def certificate() -> list[str]:
    """100 names of 3 to 5 labels in 25 zones."""
    hosts = ("www", "mail", "api.shop", "v1.api.shop")
    return [f"{host}.{zone}" for zone in zone_names(25) for host in hosts]


def owners(of: Iterable[str]) -> list[str]:
    """All that must be asked about for names: themselves and their parents, each once."""
    found: dict[str, None] = {}
    for name in of:
        labels = name.removeprefix("*.").split(".")
        for place in range(len(labels)):
            found[".".join(labels[place:])] = None
    return list(found)


def question_file(of: Iterable[str], path: Path) -> Path:
    """A file as dnsperf reads it."""
    path.write_text("".join(f"{owner} TYPE257\n" for owner in of), encoding="ascii")
    return path


def statistic(said: str, name: str) -> int:
    """A number among those that unbound-control prints; 0 when it is not there."""
    for line in said.splitlines():
        key, _, value = line.partition("=")
        if key == name:
            return int(float(value))
    return 0
