"""Each behaviour of the cases gets the finding that it deserves, and nobody else gets any."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding, explains, find, main
from certbot_caa_guard.audit.matrix import Matrix
from certbot_caa_guard.names import Identifier
from tests.audit.laboratories import Shared, audit_all
from tests.internet.behaviours import COMPLIANT, SIGNED, Laboratory, cases

FAILS, ON_1_18, MAY, SLOW, FINE = Severity

# What is wrong, by the behaviour of the zone's server; for compliant servers by the name.
EXPECTED = {
    "k1.alias.lab": ("AliasChainTooLong", FAILS),
    "loop1.alias.lab": ("AliasLoop", FAILS),
    "sf.alias.lab": ("InvalidRcode", FAILS),
    "bogus.lab": ("SignatureInvalid", FAILS),
    "www.bogus.lab": ("SignatureInvalid", FAILS),
    "expired.lab": ("ExpirationInThePast", FAILS),
    "TLD CAA SERVFAIL, no CAA below": ("InvalidRcode", FAILS),
    "TLD CAA SERVFAIL, zone allows": ("InvalidRcode", FINE),
    "TLD does not exist": ("NoSuchTLD", FAILS),
    "REFUSED to CAA": ("InvalidRcode", FAILS),
    "NOTIMP to CAA": ("InvalidRcode", FAILS),
    "FORMERR to CAA": ("InvalidRcode", FAILS),
    "NOTAUTH to CAA": ("InvalidRcode", FAILS),
    "NXDOMAIN, no SOA, AA": ("MissingSOAForNXDOMAIN", FINE),
    "NXDOMAIN, no SOA, no AA": ("MissingSOAForNXDOMAIN", FINE),
    "NOERROR empty, AA, no SOA": ("MissingSOAForNODATA", ON_1_18),
    "NODATA with NS instead of SOA, AA": ("MissingSOAForNODATA", FINE),
    "same, no AA": ("MissingSOAForNODATA", ON_1_18),
    "NODATA with SOA, AA clear": ("NotAuthoritative", FINE),
    "NODATA with an unrelated SOA": ("SOAOwnerNotZoneForNODATA", ON_1_18),
    "NODATA with the parent's SOA": ("SOAOwnerNotZoneForNODATA", ON_1_18),
    "upward referral": ("UpwardReferral", FAILS),
    "answer with AA clear": ("NotAuthoritative", FINE),
    "question case not preserved": ("CasePreservationError", FINE),
    "drops mixed-case questions": ("ResponseErrorWithMixedCase", MAY),
    "REFUSED to mixed case": ("ResponseErrorWithMixedCase", FAILS),
    "no question section": ("MissingQuestion", FAILS),
    "drops EDNS queries": ("ResponseErrorWithEDNS", FAILS),
    "CAA RR with empty tag": ("EmptyCAATag", FINE),
    "CAA RR with bad tag length": ("MalformedCAA", FAILS),
    "CAA answered after 1.2 s": ("SlowResponse", SLOW),
    "CAA answered after 3 s": ("SlowResponse", SLOW),
    "CAA answered after 8 s": ("SlowResponse", FAILS),
    "one of two NS drops everything": ("ServerUnresponsiveUDP", MAY),
    "delegated to a server that REFUSEs": ("ServerNotAuthoritative", FAILS),
    "NS name does not exist": ("NoAddressForNSName", FAILS),
    "nothing listens (ICMP)": ("ServerUnresponsiveUDP", FAILS),
    "drops CAA queries": ("Timeout", FAILS),
}
# Nothing wrong with the server at all.
FAULTLESS = {
    COMPLIANT,
    "tag ISSUE upper case",
    "issuer followed by newline byte",
    "owner name in lower case, question ok",
}
VALIDATED = [case for case in cases() if case["zone"] in SIGNED]


@dataclass(frozen=True)
class Audits:
    """What the audits of all cases saw."""

    alone: dict[str, Matrix]
    shared: dict[str, Matrix]
    signed: dict[str, Matrix]
    shared_signed: dict[str, Matrix]


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audits]:
    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    with ExitStack() as stack:
        alone = stack.enter_context(Laboratory(folder("alone")))
        shared = stack.enter_context(Shared(folder("shared")))
        signed = stack.enter_context(Laboratory(folder("signed"), signed=SIGNED))
        both = stack.enter_context(
            Shared(folder("both"), signed={"bogus.lab": SIGNED["bogus.lab"]})
        )
        of_shared = [case["identifier"] for case in cases() if case["zone"] in Shared.zones()]

        async def all_of_them() -> list[dict[str, Matrix]]:
            return await asyncio.gather(
                audit_all(alone, alone.directory, [case["identifier"] for case in cases()]),
                audit_all(shared, shared.directory, of_shared),
                audit_all(
                    signed,
                    signed.directory,
                    [case["identifier"] for case in VALIDATED],
                    signed=True,
                ),
                audit_all(both, both.directory, ["bogus.lab", "www.bogus.lab"], signed=True),
            )

        yield Audits(*asyncio.run(all_of_them()))
        assert not [*alone.errors, *shared.errors, *signed.errors, *both.errors]


def unsigned(case: dict[str, Any]) -> bool:
    return case["zone"] not in SIGNED


def named(case: dict[str, Any]) -> str:
    return f"{case['identifier']}: {case['server']}"


def expected(case: dict[str, Any]) -> tuple[str, Severity] | None:
    return EXPECTED.get(case["identifier"]) or EXPECTED.get(case["server"])


def worse_than_fine(findings: tuple[Finding, ...]) -> list[Finding]:
    return [one for one in findings if one.severity is not FINE]


def guilty(case: dict[str, Any], matrix: Matrix) -> set[str]:
    """The servers to blame: of the zone that the case is about, the one that is scripted."""
    if case["server"] == "TLD does not exist":
        return set()
    if case["server"] == "NS name does not exist":
        return {"does-not-exist.lab"}
    wanted = {"sf.alias.lab": "servfail.lab"}.get(case["identifier"], case["zone"])
    wanted = "badtld" if case["server"].startswith("TLD CAA") else wanted
    name = "ns2.half.lab" if wanted == "half.lab" else f"ns.{wanted}"
    zone = next(zone for zone in matrix.zones if str(zone) == wanted)
    return {str(server) for server in zone.asked if server.name == name}


def check(case: dict[str, Any], matrix: Matrix) -> Finding:
    findings = find(matrix)
    wanted = expected(case)
    assert wanted is not None
    assert findings, "nothing was found"
    assert findings[0].code == wanted[0], findings
    assert set(findings[0].servers) == guilty(case, matrix)
    assert {one.code for one in worse_than_fine(findings)} <= {wanted[0]}
    return findings[0]


@pytest.mark.parametrize("case", [one for one in cases() if unsigned(one)], ids=named)
def test_a_server_alone_gets_the_finding_it_deserves(case: dict[str, Any], audits: Audits) -> None:
    matrix = audits.alone[case["identifier"]]
    if expected(case) is None:
        assert case["server"] in FAULTLESS
        assert find(matrix) == ()
        return
    finding = check(case, matrix)
    assert finding.severity is expected(case)[1]


@pytest.mark.parametrize("case", VALIDATED, ids=named)
def test_a_signed_zone_gets_the_finding_it_deserves(case: dict[str, Any], audits: Audits) -> None:
    matrix = audits.signed[case["identifier"]]
    if expected(case) is None:
        assert find(matrix) == ()
    else:
        assert check(case, matrix).severity is expected(case)[1]


@pytest.mark.parametrize(
    "case",
    [one for one in cases() if one["zone"] in Shared.zones() and unsigned(one) and expected(one)],
    ids=named,
)
def test_one_bad_server_of_three_is_found(case: dict[str, Any], audits: Audits) -> None:
    finding = check(case, audits.shared[case["identifier"]])
    assert len(finding.servers) == 1
    assert "1 of 3 servers" in finding.evidence


@pytest.mark.parametrize("identifier", ["bogus.lab", "www.bogus.lab"])
def test_one_server_of_three_with_wrong_signatures_is_found(
    identifier: str, audits: Audits
) -> None:
    finding = find(audits.shared_signed[identifier])[0]
    assert (finding.code, finding.severity) == ("SignatureInvalid", MAY)
    assert [server.split()[0] for server in finding.servers] == ["ns.bogus.lab"]


@pytest.mark.parametrize("case", cases(), ids=named)
def test_what_the_ca_fails_on_is_explained_and_what_it_takes_is_not(
    case: dict[str, Any], audits: Audits
) -> None:
    matrices = audits.signed if case["identifier"] in audits.signed else audits.alone
    findings = find(matrices[case["identifier"]])
    verdicts = [seen["verdict"] for seen in case["resolvers"].values()]
    if "error" in verdicts:
        failed = Identifier(case["identifier"].removeprefix("*.")).owners
        assert explains(findings, failed)
        assert main(findings) is findings[0]
    elif case["server"] == COMPLIANT:
        assert main(findings) is None
