"""One name's audit, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from certbot_caa_guard import caa
from certbot_caa_guard.audit import findings
from certbot_caa_guard.audit.advice import Advice, Restriction, Situation, advise
from certbot_caa_guard.audit.faults import caa_rdata, rcode_text, telling
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.audit.matrix import Matrix
from certbot_caa_guard.caa import Record, Requester
from certbot_caa_guard.resolvers.iterative.message import Name, name_to_text


@dataclass(frozen=True)
class Audited:
    """What an audit of a name says."""

    matrix: Matrix
    findings: tuple[Finding, ...]
    advice: Advice

    @property
    def main(self) -> Finding | None:
        """The finding to tell of when there is room for one; None when all is well."""
        return findings.main(self.findings)

    @property
    def unasked(self) -> tuple[str, ...]:
        """The zones that nothing is known of: none of their servers could be asked from here."""
        told = {finding.zone for finding in self.findings}
        names = [str(zone) for zone in self.matrix.zones if not zone.asked]
        if not self.matrix.zones:
            names.append(self.matrix.identifier.owners[-1])
        return tuple(name for name in names if name not in told)

    def as_json(self) -> dict[str, Any]:
        """The audit as the console prints it."""
        exposed = self.advice.exposure
        return {
            "identifier": str(self.matrix.identifier),
            "findings": [finding.as_json() for finding in self.findings],
            "unasked": list(self.unasked),
            "exposure": {
                "owners": list(exposed.owners),
                "tld": exposed.tld,
                "cut": exposed.cut,
            },
            "advice": self.advice.as_json(),
            "matrix": _matrix_as_json(self.matrix),
        }


def audited(
    matrix: Matrix, requester: Requester, restriction: Restriction | None = None
) -> Audited:
    """Say what *matrix* shows.

    :param requester: the CA.
    :param restriction: to what a record shall hold it.
    """
    found = findings.find(matrix)
    advice = advise(situation(matrix), requester, findings.main(found), restriction)
    return Audited(matrix, found, advice)


def situation(matrix: Matrix) -> Situation:
    """What the servers say of the CAA records on a name's way."""
    own = matrix.zone_of(matrix.owners[0])
    return Situation(
        matrix.identifier,
        None if own is None else str(own),
        {
            name_to_text(owner): name_to_text(chain.names[-1])
            for owner, chain in matrix.chains.items()
        },
        {name_to_text(owner): _records(matrix, owner) for owner in matrix.owners},
    )


def _records(matrix: Matrix, owner: Name) -> tuple[Record, ...]:
    """The CAA records at *owner*, or at the end of the aliases there."""
    chain = matrix.chains.get(owner)
    for name in (owner, *(chain.names[-1:] if chain else ())):
        zone = matrix.zone_of(name)
        for server in zone.asked if zone is not None else ():
            reply = telling(zone, server, name) if zone is not None else None
            if reply is not None and (rdatas := caa_rdata(reply)):
                return tuple(caa.parse_rdata(rdata) for rdata in rdatas)
    return ()


def _matrix_as_json(matrix: Matrix) -> list[dict[str, Any]]:
    """Who answered what, for those who want to see all."""
    return [
        {
            "zone": str(zone),
            "servers": [
                {
                    "server": str(server),
                    "answers": {
                        str(probe): _answer_as_json(answer)
                        for (asked, probe), answer in zone.answers.items()
                        if asked == server
                    },
                }
                for server in zone.asked
            ],
        }
        for zone in matrix.zones
    ]


def _answer_as_json(answer: Any) -> dict[str, Any]:
    reply = answer.reply
    return {
        "heard": answer.heard.value,
        "seconds": round(answer.seconds, 3),
        "rcode": None if reply is None else rcode_text(reply.rcode),
        "aa": None if reply is None else reply.authoritative,
        "tc": None if reply is None else reply.truncated,
        "records": None if reply is None else len(reply.answer),
    }
