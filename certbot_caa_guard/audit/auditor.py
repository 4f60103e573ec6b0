"""The driver of an audit: finds the zones on a name's way, and asks their servers."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import dns.rcode

from certbot_caa_guard.audit.asking import MANNERS, MANNERS_AT_HOME, Asker, burst
from certbot_caa_guard.audit.cuts import (
    Cut,
    apex_servers,
    cut,
    follow,
    is_useful,
)
from certbot_caa_guard.audit.matrix import (
    MOST_ALIASES,
    Answer,
    Chain,
    Heard,
    Matrix,
    NameServer,
    Server,
    Zone,
)
from certbot_caa_guard.audit.questions import (
    AGAIN,
    AS_CA,
    EDNS,
    PLAIN,
    TCP,
    Probe,
    probes,
)
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.resolvers.gate import Gate
from certbot_caa_guard.resolvers.iterative import IterativeResolver, root
from certbot_caa_guard.resolvers.iterative.addresses import Reach, Reachability, special_network
from certbot_caa_guard.resolvers.iterative.exchange import families
from certbot_caa_guard.resolvers.iterative.finding import address_text
from certbot_caa_guard.resolvers.iterative.message import (
    AAAA,
    CAA,
    DS,
    NS,
    A,
    Name,
    Question,
    is_at_or_below,
    is_name,
    name_from_text,
)
from certbot_caa_guard.verdict import Perspective

_DEADLINE = 11.5  # seconds for one name
_AT_ONCE = 3  # servers asked for a delegation at the same time
_PATIENCE_FOR_ADDRESSES = 3.0
_SETTLED = frozenset({Outcome.RECORDS, Outcome.NOTHING, Outcome.NXDOMAIN})
_MOST_ADDRESSES = 26  # of the servers of one zone that are asked
_BURST = 100
_BURST_PATIENCE = 3.0
# What takes longer is asked for again later, unless that would take too long.
_SLOW, _TOO_SLOW = 0.9, 3.0
_PAUSE = 0.25


class Auditor:
    """Audits names one by one; those after the first take their zones' servers as they are."""

    def __init__(
        self,
        root_hints: str | os.PathLike[str] | None = None,
        *,
        signed_root: bool = True,
        validating: IResolver | None = None,
        with_burst: bool = False,
        dice: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """:param root_hints: a file in the format of named.root; the public root if None.
        :param signed_root: whether there is a trust anchor for the root.
        :param validating: a resolver that validates (DNSSEC), to be heard as well.
        :param with_burst: ask many questions at once in the end, to find limits of rates.
        :param clock: monotonic, in seconds.
        :param now: in seconds since 1970.
        :raises ResolverError: when the root hints are of no use.
        """
        self._root = root.built_in() if root_hints is None else root.from_file(root_hints)
        manners = MANNERS if root_hints is None else MANNERS_AT_HOME
        self._finder = IterativeResolver(
            Perspective("audit", public=True), root_hints, manners=manners, dice=dice, clock=clock
        )
        self.signed_root = signed_root
        self._validating = validating
        self._with_burst = with_burst
        self.dice = dice or random.SystemRandom()
        self._clock = clock
        self.now = now
        self._gate: Gate[Name] = Gate(manners, clock)
        addresses = [one for held in self._root.glue.values() for one in held]
        self._own_networks = {special_network(one) for one in addresses} - {None}
        self._reachability = Reachability(families(addresses))

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether the root can be asked from here."""
        return await self._finder.is_usable(timeout)

    async def audit(self, identifier: Identifier) -> Matrix:
        """Ask the servers of every zone on the way of *identifier*."""
        asker = Asker(self._gate, self.dice, self._clock, self._clock() + _DEADLINE)
        try:
            way = _Way(identifier, asker, self)
            return await way.go()
        finally:
            await asker.close()

    def reach(self, address: str) -> Reach:
        """Whether *address* can be asked: where the root itself is in a special network, so may
        other servers be.
        """
        reach = self._reachability.of(address)
        if reach is Reach.SPECIAL and special_network(address) in self._own_networks:
            return Reach.OPEN
        return reach

    def root_servers(self) -> list[Server]:
        """Where every way starts."""
        return _servers(
            NameServer(
                name, by_parent=True, by_zone=True,
                addresses=tuple((one, self.reach(one)) for one in held),
            )
            for name, held in self._root.glue.items()
        )  # fmt: skip

    async def look_up(self, name: Name) -> tuple[tuple[str, ...], frozenset[Outcome]]:
        """The addresses of a server, and what became of the lookups."""
        done = await asyncio.gather(
            *(
                self._finder.walk(Question(name, kind), _PATIENCE_FOR_ADDRESSES)
                for kind in (A, AAAA)
            )
        )
        found = [
            text
            for kind, one in zip((A, AAAA), done, strict=True)
            for rdata in one.rdatas
            if (text := address_text(kind, rdata)) is not None
        ]
        return tuple(found), frozenset(one.outcome for one in done)

    async def validated(self, owners: Sequence[str], timeout: float) -> dict[str, Lookup]:
        """What a validating resolver says of *owners*."""
        if self._validating is None:
            return {}
        lookups = await asyncio.gather(
            *(self._validating.lookup(owner, timeout) for owner in owners)
        )
        return {lookup.owner: lookup for lookup in lookups}

    async def burst(self, zone: Zone) -> Zone:
        """The zone with what its servers made of a burst, where one is wanted."""
        if not self._with_burst:
            return zone
        servers = [
            one for one in zone.asked
            if zone.answer(one, zone.owners[0], CAA, EDNS).heard is Heard.ANSWER
        ]  # fmt: skip
        lost = await asyncio.gather(
            *(burst(one.address, zone.owners[0], CAA, _BURST, _BURST_PATIENCE) for one in servers)
        )
        counted = {one: (count, _BURST) for one, count in zip(servers, lost, strict=True)}
        return replace(zone, burst=counted)

    def absent_name(self, zone: Name) -> Name:
        """A name in *zone* that nobody can have."""
        label = f"caa-guard-{self.dice.getrandbits(48):012x}".encode()
        return (label, *zone) if is_name((label, *zone)) else zone


class _Way:
    """The audit of one identifier."""

    def __init__(self, identifier: Identifier, asker: Asker, auditor: Auditor) -> None:
        self._identifier = identifier
        self._asker = asker
        self._auditor = auditor
        self._no_tld = False
        # Cuts found so far, by zone; several names' ways lead through the same.
        self._cuts: dict[Name, tuple[Cut | None, list[NameServer], tuple[bytes, ...]]] = {}
        # What does not exist in a zone, so that it is asked about once.
        self._absent: dict[Name, Name] = {}

    async def go(self) -> Matrix:
        name = name_from_text(self._identifier.domain)
        owners = [name[depth:] for depth in range(len(name))]
        validating = asyncio.ensure_future(
            self._auditor.validated(self._identifier.owners, _DEADLINE - 1.0)
        )
        try:
            places = await self._places(owners)
            probed, traced = await asyncio.gather(
                self._probe_all(places),
                asyncio.gather(*(self._trace(one, places) for one in owners)),
            )
            chains = {chain.names[0]: chain for chain, _ in traced if chain is not None}
            zones = _joined([*probed, *(zone for _, beyond in traced for zone in beyond)])
            lookups = await validating
        finally:
            validating.cancel()
        return Matrix(
            self._identifier,
            tuple(await asyncio.gather(*map(self._auditor.burst, zones))),
            chains,
            no_tld=self._no_tld,
            reached=frozenset(self._asker.reached),
            validated=lookups,
            now=self._auditor.now(),
        )

    async def _places(self, owners: Sequence[Name]) -> dict[Name, list[Name]]:
        """Each zone on the way, from the TLD down, with the owners in it, the leftmost first."""
        zone: Name = ()
        places: dict[Name, list[Name]] = {}
        for owner in reversed(owners):
            zone = await self._zone_at(owner, zone)
            if zone:
                places.setdefault(zone, []).insert(0, owner)
        return places

    async def _zone_at(self, owner: Name, zone: Name) -> Name:
        """The zone that *owner* is in, one of *zone* or below."""
        if owner in self._cuts:
            return owner if self._cuts[owner][0] is not None else zone
        if zone not in self._cuts:
            self._cuts[zone] = (None, [], ())
        servers = self._servers_of(zone)
        answer = await self._first_useful(servers, zone, owner)
        if answer is None or answer.reply is None:
            return zone
        if len(owner) == 1 and answer.reply.rcode == dns.rcode.NXDOMAIN:
            self._no_tld = True
        found = cut(answer.reply, owner, zone)
        if found is None:
            return zone
        ds, named = await asyncio.gather(
            self._ds(servers, zone, owner), self._name_servers(found, by_parent=found.from_above)
        )
        self._cuts[owner] = (found, named, ds)
        return owner

    def _servers_of(self, zone: Name) -> list[Server]:
        return _servers(self._cuts[zone][1]) if zone else self._auditor.root_servers()

    async def _first_useful(self, servers: list[Server], zone: Name, owner: Name) -> Answer | None:
        """The first answer that tells whether there is a zone at *owner*; a few are asked."""
        servers = list(servers)
        self._auditor.dice.shuffle(servers)
        for start in range(0, min(len(servers), 4 * _AT_ONCE), _AT_ONCE):
            group = servers[start : start + _AT_ONCE]
            tasks = [asyncio.ensure_future(self._ns(one, zone, owner)) for one in group]
            try:
                for task in asyncio.as_completed(tasks):
                    answer = await task
                    if is_useful(answer):
                        return answer
            finally:
                for one in tasks:
                    one.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return None

    async def _ns(self, server: Server, zone: Name, owner: Name) -> Answer:
        answer = await self._asker.ask(server, zone, Probe(owner, NS, PLAIN))
        if answer.reply is not None and answer.reply.truncated:
            return await self._asker.ask(server, zone, Probe(owner, NS, TCP))
        return answer

    async def _ds(self, servers: list[Server], zone: Name, owner: Name) -> tuple[bytes, ...]:
        """The DS records of a zone, if a chain of them comes down to it."""
        if not self._auditor.signed_root or (zone and not self._cuts[zone][2]):
            return ()
        for server in servers[:_AT_ONCE]:
            answer = await self._asker.ask(server, zone, Probe(owner, DS, EDNS))
            if is_useful(answer) and answer.reply is not None:
                held = answer.reply.answer
                return tuple(one.rdata for one in held if (one.owner, one.type) == (owner, DS))
        return ()

    async def _name_servers(self, found: Cut, *, by_parent: bool) -> list[NameServer]:
        return list(
            await asyncio.gather(
                *(
                    self._name_server(one, found.glue.get(one, ()), found.zone, by_parent=by_parent)
                    for one in found.servers
                )
            )
        )

    async def _name_server(
        self, name: Name, glue: tuple[str, ...], zone: Name, *, by_parent: bool
    ) -> NameServer:
        found, outcomes = glue, frozenset[Outcome]()
        if not glue and (not by_parent or not is_at_or_below(name, zone)):
            found, outcomes = await self._auditor.look_up(name)
        out_of_reach = not found and Outcome.NETWORK in outcomes
        return NameServer(
            name,
            by_parent=by_parent,
            by_zone=False,
            addresses=tuple((one, self._auditor.reach(one)) for one in found),
            lookup_failed=not found and not out_of_reach and not outcomes <= _SETTLED,
            lookup_out_of_reach=out_of_reach,
        )

    async def _probe_all(self, places: dict[Name, list[Name]]) -> list[Zone]:
        return list(
            await asyncio.gather(*(self._probe(zone, owners) for zone, owners in places.items()))
        )

    async def _probe(self, zone: Name, owners: Sequence[Name]) -> Zone:
        """Ask all servers of *zone* everything, also those that only the zone itself names."""
        _, named, ds = self._cuts[zone]
        absent = self._absent.setdefault(zone, self._auditor.absent_name(zone))
        asked = probes(zone, tuple(owners), absent, signed=bool(ds))
        servers = _servers(named)
        first = asyncio.gather(*(self._probe_server(one, zone, asked) for one in servers))
        apex = apex_servers(
            [one for server in servers if (one := await self._ns(server, zone, zone))], zone
        )
        known = {one.name for one in named}
        extra = await asyncio.gather(
            *(self._name_server(one, (), zone, by_parent=False) for one in apex if one not in known)
        )
        known_addresses = {one.address for one in servers}
        more = [one for one in _servers(extra) if one.address not in known_addresses]
        second = await asyncio.gather(*(self._probe_server(one, zone, asked) for one in more))
        answers = {
            (server, probe): answer
            for server, told in zip([*servers, *more], [*await first, *second], strict=True)
            for probe, answer in told.items()
        }
        every = [replace(one, by_zone=one.name in apex) for one in [*named, *extra]]
        return Zone(zone, tuple(owners), absent, tuple(every), ds, answers)

    async def _probe_server(
        self, server: Server, zone: Name, asked: Sequence[Probe]
    ) -> dict[Probe, Answer]:
        answers = await asyncio.gather(*(self._asker.ask(server, zone, one) for one in asked))
        told = dict(zip(asked, answers, strict=True))
        told |= await self._ask_again(server, zone, asked[0].owner, told)
        return told

    async def _ask_again(
        self, server: Server, zone: Name, owner: Name, told: dict[Probe, Answer]
    ) -> dict[Probe, Answer]:
        quickest = min(
            (
                one.seconds
                for probe, one in told.items()
                if probe.type == CAA and probe.owner == owner and one.heard is Heard.ANSWER
            ),
            default=0.0,
        )
        again: dict[Probe, Answer] = {}
        if not _SLOW < quickest < _TOO_SLOW:
            return again
        for manner in AGAIN:
            await asyncio.sleep(_PAUSE)
            probe = Probe(owner, CAA, manner)
            again[probe] = answer = await self._asker.ask(server, zone, probe)
            if answer.heard is Heard.ANSWER and answer.seconds < _SLOW:
                break
        return again

    async def _trace(
        self, owner: Name, places: dict[Name, list[Name]]
    ) -> tuple[Chain | None, list[Zone]]:
        """Follow the aliases of *owner*, and ask about their targets where they lead to.

        A zone on the way, of which *places* tells, is asked about its own owners anyway.
        """
        zone = next((one for one, owners in places.items() if owner in owners), None)
        met, zones = [owner], list[Zone]()
        while zone is not None:
            reply = await self._caa(met[-1], zone)
            hops = follow(reply.reply, met[-1])[1:] if reply and reply.reply else ()
            if not hops:
                break
            for hop in hops:
                looped = hop in met
                met.append(hop)
                if looped or len(met) > MOST_ALIASES + 1:
                    return Chain(tuple(met), loops=looped), zones
            target = await self._places([met[-1][depth:] for depth in range(len(met[-1]))])
            zone = next((one for one, owners in target.items() if met[-1] in owners), None)
            if zone is not None and met[-1] not in (asked := places.get(zone, [])):
                zones.append(await self._probe(zone, (*asked, met[-1])))
        return (Chain(tuple(met)) if len(met) > 1 else None), zones

    async def _caa(self, owner: Name, zone: Name) -> Answer | None:
        """The first useful answer of the servers of *zone* to the CA's question."""
        for manner in (AS_CA, PLAIN):
            for server in self._servers_of(zone):
                answer = await self._asker.ask(server, zone, Probe(owner, CAA, manner))
                if is_useful(answer):
                    return answer
        return None


def _joined(zones: Iterable[Zone]) -> list[Zone]:
    """Each zone once, with all that was asked in it."""
    joined: dict[Name, Zone] = {}
    for zone in zones:
        known = joined.setdefault(zone.name, zone)
        owners = tuple(dict.fromkeys((*known.owners, *zone.owners)))
        answers = {**known.answers, **zone.answers}
        joined[zone.name] = replace(known, owners=owners, answers=answers)
    return list(joined.values())


def _servers(named: Iterable[NameServer]) -> list[Server]:
    """Each address that can be asked, once."""
    found: dict[str, Server] = {}
    for one in named:
        for address, reach in one.addresses:
            if reach is Reach.OPEN:
                name = b".".join(one.name).decode("ascii", "replace")
                found.setdefault(address, Server(name, address))
    return list(found.values())[:_MOST_ADDRESSES]
