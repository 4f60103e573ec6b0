"""What an audit saw: servers and what they answered, as plain data."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from certbot_caa_guard.audit.questions import Manner, Probe
from certbot_caa_guard.climb import Lookup
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.resolvers.iterative.addresses import Reach
from certbot_caa_guard.resolvers.iterative.message import Name, Reply, name_to_text

# As many as Unbound follows.
MOST_ALIASES = 11


class Heard(enum.Enum):
    """What became of a question."""

    ANSWER = "answer"
    SILENCE = "silence"
    UNREADABLE = "unreadable"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server did with one question.

    :ivar seconds: how long it took; for silence, how long was waited.
    :ivar wire: the message as it came.
    """

    heard: Heard
    seconds: float = 0.0
    reply: Reply | None = None
    wire: bytes = field(default=b"", repr=False)


NOT_ASKED = Answer(Heard.NOT_ASKED)


@dataclass(frozen=True, slots=True, order=True)
class Server:
    """A name server at one of its addresses; no address where none could be found."""

    name: str
    address: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.address else self.name

    @property
    def version(self) -> int:
        """The IP version of its address."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True, slots=True)
class NameServer:
    """What is known of the addresses of one name server of a zone.

    :ivar by_parent: whether the zone above names it.
    :ivar by_zone: whether the zone itself does.
    :ivar addresses: each with whether it can be asked.
    :ivar lookup_failed: no address was found because a lookup failed, and not because there is
        none.
    :ivar lookup_out_of_reach: none was found because there is no way from here to who knows it.
    """

    name: Name
    by_parent: bool
    by_zone: bool
    addresses: tuple[tuple[str, Reach], ...] = ()
    lookup_failed: bool = False
    lookup_out_of_reach: bool = False

    @property
    def is_out_of_reach(self) -> bool:
        """Whether it cannot be asked for want of a way there; others, such as the CA, may have one.

        So it is on a machine with IPv4 or IPv6 only, where the server has the other.
        """
        reaches = {reach for _, reach in self.addresses}
        return self.lookup_out_of_reach or reaches == {Reach.NO_ROUTE}


@dataclass(frozen=True)
class Zone:
    """A zone on a name's way, and what its servers answered.

    :ivar owners: the names in it that the CA asks about, the one that matters most first.
    :ivar absent: the name asked about that nobody can have.
    :ivar ds: the RDATA of the DS records above (RFC 4034 section 5), where a chain of them comes
        down from the root; none for a zone that is not signed.
    :ivar answers: by server and question.
    :ivar burst: for each server how many questions of a burst went unanswered, and of how many.
    """

    name: Name
    owners: tuple[Name, ...]
    absent: Name
    servers: tuple[NameServer, ...]
    ds: tuple[bytes, ...] = ()
    answers: Mapping[tuple[Server, Probe], Answer] = field(default_factory=dict)
    burst: Mapping[Server, tuple[int, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        return name_to_text(self.name) or "."

    @property
    def asked(self) -> tuple[Server, ...]:
        """The servers that were asked."""
        return tuple(dict.fromkeys(server for server, _ in self.answers))

    def answer(self, server: Server, owner: Name, kind: int, manner: Manner) -> Answer:
        """What *server* answered, if it was asked."""
        return self.answers.get((server, Probe(owner, kind, manner)), NOT_ASKED)


@dataclass(frozen=True)
class Chain:
    """Where an alias leads (RFC 1034 section 3.6.2).

    :ivar names: the name asked about, and the aliases' targets, in order.
    :ivar loops: whether the last leads back to an earlier one.
    """

    names: tuple[Name, ...]
    loops: bool = False

    @property
    def is_too_long(self) -> bool:
        """Whether the CA's resolver gives it up."""
        return len(self.names) - 1 > MOST_ALIASES


@dataclass(frozen=True)
class Matrix:
    """All that was seen on one identifier's way.

    :ivar zones: from the TLD down to the identifier's own, then those of aliases' targets.
    :ivar chains: the aliases met, by the owner whose lookup meets them.
    :ivar no_tld: the identifier's TLD does not exist.
    :ivar reached: who answered anything: zones and IP versions, the root's too.
    :ivar validated: what a validating resolver said of each owner, where there was one.
    :ivar now: when, in seconds since 1970, for the dates of signatures.
    """

    identifier: Identifier
    zones: tuple[Zone, ...]
    chains: Mapping[Name, Chain] = field(default_factory=dict)
    no_tld: bool = False
    reached: frozenset[tuple[Name, int, bool]] = frozenset()
    validated: Mapping[str, Lookup] = field(default_factory=dict)
    now: float = 0.0

    @property
    def owners(self) -> tuple[Name, ...]:
        """The names that the CA asks about, the identifier's own first."""
        return tuple(tuple(one.encode().split(b".")) for one in self.identifier.owners)

    def zone_of(self, owner: Name) -> Zone | None:
        """The zone that *owner* was asked about in."""
        return next((zone for zone in self.zones if owner in zone.owners), None)


def listed(servers: Iterable[Server]) -> tuple[str, ...]:
    """Servers as text, each address once."""
    by_address: dict[str, str] = {}
    for server in sorted(set(servers)):
        by_address.setdefault(server.address or server.name, str(server))
    return tuple(by_address.values())
