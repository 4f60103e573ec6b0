"""The words of Boulder's problem documents (RFC 7807, RFC 8555 section 6.7), to the letter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Problem = dict[str, Any]

_URN = "urn:ietf:params:acme:error:"
_FINALIZING = "Error finalizing order :: "

_HINTS = {
    "SERVFAIL": " - the domain's nameservers may be malfunctioning",
    "NXDOMAIN": " - check that a DNS record exists for this domain",
}

# RFC 8914 section 5.2, as Boulder writes them.
_EDE = {
    0: "Other",
    1: "DNSSEC: Unsupported DNSKEY Algorithm",
    2: "DNSSEC: Unsupported DS Digest Type",
    3: "Stale Answer",
    4: "Forged Answer",
    5: "DNSSEC: Indeterminate",
    6: "DNSSEC: Bogus",
    7: "DNSSEC: Signature Expired",
    8: "DNSSEC: Signature Not Yet Valid",
    9: "DNSSEC: DNSKEY Missing",
    10: "DNSSEC: RRSIGs Missing",
    11: "DNSSEC: No Zone Key Bit Set",
    12: "DNSSEC: NSEC Missing",
    13: "Cached Error",
    14: "Not Ready",
    15: "Blocked",
    16: "Censored",
    17: "Filtered",
    18: "Prohibited",
    19: "Stale NXDOMAIN Answer",
    20: "Not Authoritative",
    21: "Not Supported",
    22: "No Reachable Authority",
    23: "Network Error between Resolver and Authority",
    24: "Invalid Data",
}


@dataclass(frozen=True)
class ExtendedError:
    """An extended DNS error (RFC 8914) that came with an answer."""

    code: int
    text: str = ""

    def __str__(self) -> str:
        meaning = _EDE.get(self.code, f"Unknown Extended DNS Error code {self.code}")
        return f"{meaning}: {self.text}" if self.text else meaning


class LookupFailedError(Exception):
    """A DNS lookup that gave no answer; its text is what Boulder says of it."""

    def __init__(
        self, name: str, what: str, *, qtype: str = "CAA", extended: ExtendedError | None = None
    ) -> None:
        if extended is not None:
            text = f"DNS problem: looking up {qtype} for {name}: {extended}"
        else:
            text = f"DNS problem: {what} looking up {qtype} for {name}{_HINTS.get(what, '')}"
        super().__init__(text)


def problem(kind: str, status: int, detail: str) -> Problem:
    """Give a problem document; `kind` is the last part of the ACME error URN."""
    return {"type": _URN + kind, "detail": detail, "status": status}


def caa_refuses(identifier: str, found_at: str) -> Problem:
    """Say that the relevant RRset, which stands at `found_at`, does not permit issuance."""
    return problem(
        "caa",
        403,
        f"While processing CAA for {identifier}: CAA record for {found_at} prevents issuance",
    )


def caa_unknown(identifier: str, failure: LookupFailedError) -> Problem:
    """Say that the CAA of `identifier` could not be looked up."""
    return problem("dns", 400, f"While processing CAA for {identifier}: {failure}")


def at_finalize(failed: list[tuple[str, Problem]]) -> Problem:
    """Give the answer to a finalize whose CAA recheck failed for these identifiers.

    Every cause becomes type caa and status 403 here. One identifier gets no subproblems and no
    identifier member; of several, the head line names the first (RFC 8555 section 6.7.1).
    """
    rechecked = [
        (name, problem("caa", 403, f"{_FINALIZING}rechecking caa: {cause['detail']}"))
        for name, cause in failed
    ]
    if len(rechecked) == 1:
        return rechecked[0][1]
    head = problem(
        "caa",
        403,
        f'{_FINALIZING}Rechecking CAA for "{rechecked[0][0]}" and {len(rechecked) - 1} more '
        "identifiers failed. Refer to sub-problems for more information",
    )
    head["subproblems"] = [
        {**sub, "identifier": {"type": "dns", "value": name}} for name, sub in rechecked
    ]
    return head


def as_stored(whole: Problem) -> Problem:
    """Give what an order's error member keeps of a problem: Boulder stores three fields only."""
    return {member: whole[member] for member in ("type", "detail", "status") if member in whole}
