"""What lookups share: delegations, addresses of name servers, and how servers behaved."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.iterative.message import Name, Question

# What is learnt is kept this long at least, so that the lookups of one climb share it, and no
# longer than this, since the CA keeps nothing at all: who mends a delegation shall see it work.
_SHORTEST = 5.0
_LONGEST = 60.0
# TLDs hardly ever move, and their servers are everybody's.
_LONGEST_FOR_TLD = 3600.0

_FIRST_PATIENCE = 0.4
_LONGEST_FIRST_PATIENCE = 3.0

_CAPACITY = 10_000

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Delegation:
    """The servers of a zone, as the zone above names them (RFC 1034 section 4.2.1).

    :ivar servers: the names of the servers.
    :ivar glue: the addresses of those whose addresses came along.
    :ivar ttl: seconds.
    """

    zone: Name
    servers: tuple[Name, ...]
    glue: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)
    ttl: float = 0.0

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that came along."""
        return tuple(itertools.chain.from_iterable(self.glue.values()))


@dataclass(frozen=True, slots=True)
class Addresses:
    """What came of an A or AAAA question about a server.

    :ivar outcome: RECORDS, or why there is no address.
    :ivar glue: the server's addresses by the referrals on the way, for want of better.
    """

    outcome: Outcome
    found: tuple[str, ...] = ()
    glue: tuple[str, ...] = ()


class Bounded(Generic[K, V]):
    """A mapping that forgets what was set longest ago when it gets too large."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._held: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """What is held for *key*, if anything."""
        return self._held.get(key)

    def set(self, key: K, value: V) -> None:
        """Hold *value* for *key*."""
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._capacity:
            self._held.popitem(last=False)

    def drop(self, key: K) -> None:
        """Hold nothing for *key*."""
        self._held.pop(key, None)


class Memory:
    """Filled by every walk, asked by every walk.  Times are seconds of the caller's clock."""

    def __init__(self, root: Delegation) -> None:
        """:param root: where every walk starts that has nothing better."""
        self._root = root
        self._delegations: Bounded[Name, tuple[float, Delegation]] = Bounded()
        self._addresses: Bounded[Question, tuple[float, Addresses]] = Bounded()
        self._seconds: Bounded[str, float] = Bounded()
        self._silent: Bounded[str, bool] = Bounded()

    def closest(self, name: Name, now: float) -> Delegation:
        """The lowest zone known that *name* is in, or could be delegated from."""
        return next(self._delegations_of(name, now), self._root)

    def glue(self, server: Name, now: float) -> tuple[str, ...]:
        """The addresses of a server by the referrals that lead to its name."""
        held = [one.glue.get(server, ()) for one in self._delegations_of(server, now)]
        return tuple(dict.fromkeys(itertools.chain.from_iterable(held)))

    def _delegations_of(self, name: Name, now: float) -> Iterator[Delegation]:
        """Those known on the way to *name*, the lowest first."""
        for depth in range(len(name)):
            held = self._delegations.get(name[depth:])
            if held is not None and held[0] > now:
                yield held[1]

    def learn_delegation(self, delegation: Delegation, now: float) -> None:
        """Keep a referral for a while."""
        longest = _LONGEST if len(delegation.zone) > 1 else _LONGEST_FOR_TLD
        kept = min(max(delegation.ttl, _SHORTEST), longest)
        self._delegations.set(delegation.zone, (now + kept, delegation))

    def addresses(self, question: Question, now: float) -> Addresses | None:
        """What came of an A or AAAA question; None if nobody knows."""
        held = self._addresses.get(question)
        return held[1] if held is not None and held[0] > now else None

    def learn_addresses(
        self, question: Question, addresses: Addresses, ttl: float, now: float
    ) -> None:
        """Keep what came of an A or AAAA question for a while; for the shortest if nothing did."""
        kept = min(max(ttl, _SHORTEST), _LONGEST) if addresses.found else _SHORTEST
        self._addresses.set(question, (now + kept, addresses))

    def heard(self, address: str, seconds: float) -> None:
        """Note that a server answered after *seconds*."""
        self._seconds.set(address, seconds)
        self._silent.drop(address)

    def missed(self, address: str) -> None:
        """Note that a server did not answer."""
        self._silent.set(address, True)

    def is_silent(self, address: str) -> bool:
        """Whether the last question to a server was in vain: then others are asked first."""
        return self._silent.get(address) is not None

    def patience(self, address: str) -> float:
        """How long to wait for a server's answer at first, in seconds."""
        usual = 2 * (self._seconds.get(address) or 0.0)
        return min(max(usual, _FIRST_PATIENCE), _LONGEST_FIRST_PATIENCE)
