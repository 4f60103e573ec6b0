"""From what an audit saw to what is wrong, who does it, and how it is mended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from certbot_caa_guard.audit import delegation, dnssec, faults
from certbot_caa_guard.audit.catalogue import KINDS, Kind, Severity, rank
from certbot_caa_guard.audit.faults import Fault, caa_rdata, telling
from certbot_caa_guard.audit.matrix import Matrix, Server, Zone, listed
from certbot_caa_guard.resolvers.iterative.message import Name, name_to_text

_ENOUGH = frozenset({Severity.FAILS, Severity.FAILS_ON_1_18, Severity.MAY_FAIL})
# It may make the CA refuse, but no lookup fails of it.
_ANSWERED = frozenset({"InconsistentCAA"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a zone's servers.

    :ivar zone: the zone, ``lab``, without a final dot.
    :ivar owner: the name whose lookup meets it; None where it concerns the whole zone.
    :ivar servers: those that have it, each as ``name (address)``; none where no server is to
        blame.
    :ivar of: how many servers the zone has, as far as they could be asked.
    :ivar evidence: what was seen, in one line.
    :ivar severity: what the CA will do.
    """

    code: str
    severity: Severity
    zone: str
    owner: str | None
    servers: tuple[str, ...]
    of: int
    evidence: str

    @property
    def kind(self) -> Kind:
        """What is known of all findings with this code."""
        return KINDS[self.code]

    @property
    def matters(self) -> bool:
        """Whether the CA minds."""
        return self.severity is not Severity.FINE

    @property
    def mend(self) -> str:
        """What to do, in a sentence or two."""
        return self.kind.mend

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.code}: {', '.join(self.servers[:3]) or self.zone}: {self.evidence}"

    @property
    def ticket(self) -> str:
        """A text that can be sent to whoever runs the servers as it is."""
        servers = "".join(f"  {server}\n" for server in self.servers)
        return (
            f"Subject: {self.zone}: {self.kind.what}\n\n"
            f"These name servers of {self.zone} do not answer as they should:\n\n"
            f"{servers or f'  (the zone {self.zone})' + chr(10)}\n"
            f"Seen: {self.evidence}.\n"
            f"Expected: {self.kind.source}.\n"
            f"Effect: certificate authorities look up CAA records (RFC 8659); "
            f"{_EFFECT[self.severity]}\n\n{self.mend}\n"
        )

    def as_json(self) -> dict[str, Any]:
        """The finding as the console prints it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "zone": self.zone,
            "owner": self.owner,
            "servers": list(self.servers),
            "of": self.of,
            "evidence": self.evidence,
            "line": self.line,
            "source": self.kind.source,
            "mend": self.mend,
            "ticket": self.ticket,
        }


_EFFECT = {
    Severity.FAILS: "this makes the lookup fail, and no certificate can be issued.",
    Severity.FAILS_ON_1_18: "resolvers such as Unbound 1.18 take this for a failure, and then no "
    "certificate can be issued.",
    Severity.MAY_FAIL: "this makes the lookup fail at times, and then no certificate can be "
    "issued.",
    Severity.SLOW: "this makes the lookup slow, and it may time out.",
    Severity.FINE: "they cope with this today, others may not.",
}


def find(matrix: Matrix) -> tuple[Finding, ...]:
    """All findings of an audit, the most important first."""
    found = [] if not matrix.no_tld else [_missing_tld(matrix)]
    counting = _counting(matrix)
    by_zone = {zone.name: list(_faults(zone, matrix)) for zone in matrix.zones}
    for zone, fault in delegation.of_aliases(matrix):
        by_zone[zone.name].append(fault)
    for zone in matrix.zones:
        found += _grouped(zone, by_zone[zone.name], counting)
    depth = {str(zone): place for place, zone in enumerate(matrix.zones)}
    found.sort(
        key=lambda one: (
            one.severity.rank,
            rank(one.code),
            -depth.get(one.zone, 0),
            one.owner or "",
        )
    )
    return tuple(found)


def main(findings: Iterable[Finding]) -> Finding | None:
    """The finding to tell of when there is room for one; None when all is fine for the CA."""
    first = next(iter(findings), None)
    return first if first is not None and first.matters else None


def explains(findings: Iterable[Finding], failed: Collection[str]) -> bool:
    """Whether one of them is enough for the CA's lookups of *failed* to fail.

    What the servers of a TLD do wrong at times explains no failure below it alone.
    """
    return any(
        one.severity in _ENOUGH
        and one.code not in _ANSWERED
        and ("." in one.zone or one.zone in failed)
        for one in findings
    )


def _missing_tld(matrix: Matrix) -> Finding:
    tld = matrix.identifier.owners[-1]
    evidence = f"the root says NXDOMAIN for {tld}"
    return Finding("NoSuchTLD", Severity.FAILS, tld, tld, (), 0, evidence)


def _faults(zone: Zone, matrix: Matrix) -> Iterator[Fault]:
    signed: list[Fault] = []
    yield from delegation.of_name_servers(zone)
    for server in zone.asked:
        yield from faults.of_server(zone, server, matrix.reached)
        signed += dnssec.of_server(zone, server, matrix.now)
    yield from signed
    yield from delegation.of_validation(zone, matrix, signed)
    yield from delegation.of_disagreement(zone)
    yield from delegation.of_bursts(zone)


def _counting(matrix: Matrix) -> frozenset[Name]:
    """The names whose lookups count: up to the first that has records on all servers that answer
    (RFC 8659 section 3), and all that the aliases of these lead through.
    """
    counting: list[Name] = []
    for owner in matrix.owners:
        counting.append(owner)
        zone = matrix.zone_of(owner)
        if zone is not None and _has_records(zone, owner):
            break
    targets = [
        name for one in counting if one in matrix.chains for name in matrix.chains[one].names
    ]
    return frozenset([*counting, *targets])


def _has_records(zone: Zone, owner: Name) -> bool:
    replies = [one for server in zone.asked if (one := telling(zone, server, owner)) is not None]
    return bool(replies) and all(caa_rdata(reply) for reply in replies)


def _grouped(zone: Zone, found: list[Fault], counting: frozenset[Name]) -> Iterator[Finding]:
    """One finding for each code, with all servers that have the fault."""
    servers = _all_servers(zone)
    for code in dict.fromkeys(fault.code for fault in found):
        same = [(fault, _weight(fault, zone, counting)) for fault in found if fault.code == code]
        worst, severity = min(same, key=lambda pair: pair[1].rank)
        fine = severity is Severity.FINE
        counted = [fault for fault, weight in same if fine or weight is not Severity.FINE]
        guilty = listed(fault.server for fault in counted)
        if severity is Severity.FAILS and (
            any(one.is_out_of_reach for one in zone.servers)
            or _somebody_serves(found, servers, worst.owner)
        ):
            severity = Severity.MAY_FAIL
        shown = f" ({len(guilty)} of {len(servers)} servers)" if len(servers) > 1 else ""
        owner = None if worst.owner is None else name_to_text(worst.owner)
        yield Finding(
            code, severity, str(zone), owner, guilty, len(servers), worst.evidence + shown
        )


def _weight(fault: Fault, zone: Zone, counting: frozenset[Name]) -> Severity:
    """What the CA does: nothing, where it never gets to the lookup that would fail."""
    concerned = zone.owners if fault.owner is None else (fault.owner,)
    return fault.severity if counting.intersection(concerned) else Severity.FINE


def _somebody_serves(found: list[Fault], servers: Iterable[Server], owner: Name | None) -> bool:
    """Whether a server is left for which the lookup does not fail."""
    failing = {
        fault.server
        for fault in found
        if fault.severity is Severity.FAILS and (owner is None or fault.owner in {None, owner})
    }
    return any(server.address and server not in failing for server in servers)


def _all_servers(zone: Zone) -> tuple[Server, ...]:
    """The servers asked, and those that have no address to be asked at."""
    without = [Server(name_to_text(one.name)) for one in zone.servers if not one.addresses]
    return (*zone.asked, *without)
