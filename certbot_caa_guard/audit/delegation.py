"""What is wrong with how a zone is delegated, and with how its servers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.faults import Fault, caa_rdata, is_alias, telling
from certbot_caa_guard.audit.matrix import Matrix, NameServer, Server, Zone
from certbot_caa_guard.resolvers.iterative.addresses import Reach
from certbot_caa_guard.resolvers.iterative.message import (
    Name,
    is_at_or_below,
    name_to_text,
)


def of_name_servers(zone: Zone) -> Iterator[Fault]:
    """The faults of a zone's NS records and of the addresses behind them."""
    for server in zone.servers:
        yield from _without_address(server, zone)
        for address, reach in server.addresses:
            if reach is Reach.SPECIAL:
                at = Server(name_to_text(server.name), address)
                yield Fault.of("PrivateAddressNS", at, None, f"{at} is not a public address")
    if any(one.by_parent for one in zone.servers) and any(one.by_zone for one in zone.servers):
        yield from _named_on_one_side(zone)


def of_aliases(matrix: Matrix) -> Iterator[tuple[Zone, Fault]]:
    """Aliases that lead nowhere, each with the zone of the first; its servers only say them."""
    for owner, chain in matrix.chains.items():
        zone = matrix.zone_of(owner)
        if zone is None:
            continue
        way = " to ".join(name_to_text(name) for name in chain.names[:4])
        code = "AliasLoop" if chain.loops else "AliasChainTooLong"
        if chain.loops or chain.is_too_long:
            for server in zone.asked:
                yield zone, Fault.of(code, server, owner, f"{way} …")


def of_disagreement(zone: Zone) -> Iterator[Fault]:
    """CAA records that some servers have and others do not; the fewer are told of."""
    for owner in zone.owners:
        seen = {
            server: frozenset(caa_rdata(reply))
            for server in zone.asked
            if (reply := telling(zone, server, owner)) is not None and not is_alias(reply)
        }
        counted = Counter(seen.values())
        if len(counted) < 2:
            continue
        (most, often), (_, next_often) = counted.most_common(2)
        for server, records in seen.items():
            if records != most or often == next_often:
                evidence = (
                    f"{len(records)} CAA records at {name_to_text(owner)}, "
                    f"unlike {len(seen) - counted[records]} of {len(seen)} servers"
                )
                yield Fault.of("InconsistentCAA", server, owner, evidence)


def of_bursts(zone: Zone) -> Iterator[Fault]:
    """Servers that do not stand a burst."""
    for server, (lost, of) in zone.burst.items():
        if lost:
            evidence = f"{lost} of {of} questions at once went unanswered or were refused"
            yield Fault.of("RateLimited", server, None, evidence)


def of_validation(zone: Zone, matrix: Matrix, known: Sequence[Fault]) -> Iterator[Fault]:
    """What a validating resolver found bogus, where nothing of it was seen before."""
    for owner in zone.owners:
        lookup = matrix.validated.get(name_to_text(owner))
        if lookup is None or not lookup.is_dnssec_failure or known:
            continue
        why = lookup.extended_error.text if lookup.extended_error is not None else ""
        named = [server for server in zone.asked if _is_named(server.address, why)]
        for server in named or zone.asked:
            yield Fault.of("Bogus", server, owner, why or f"validation of {zone} fails")


def _is_named(address: str, why: str) -> bool:
    return address in why.replace(",", " ").split()


def _without_address(server: NameServer, zone: Zone) -> Iterator[Fault]:
    if server.addresses or server.is_out_of_reach:
        return
    name = name_to_text(server.name)
    at = Server(name)
    if is_at_or_below(server.name, zone.name) and server.by_parent:
        evidence = f"the delegation of {zone} has no address of {name}"
        yield Fault.of("MissingGlueForNSName", at, None, evidence)
    elif server.lookup_failed:
        evidence = f"looking up the addresses of {name} fails"
        yield Fault.of("ErrorResolvingNSName", at, None, evidence)
    else:
        yield Fault.of("NoAddressForNSName", at, None, f"{name} has no address")


def _named_on_one_side(zone: Zone) -> Iterator[Fault]:
    for server in zone.servers:
        code = "NSNameNotInParent" if server.by_zone else "NSNameNotInChild"
        if server.by_zone is server.by_parent:
            continue
        for at in _at_addresses(server.name, server):
            side = "the zone above" if server.by_zone else f"{zone} itself"
            yield Fault.of(code, at, None, f"{at.name} is not named by {side}", Severity.FINE)


def _at_addresses(name: Name, server: NameServer) -> list[Server]:
    text = name_to_text(name)
    return [Server(text, address) for address, _ in server.addresses] or [Server(text)]
