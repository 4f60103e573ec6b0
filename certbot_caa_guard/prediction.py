"""The problem that the CA would report, in its own words, from what a perspective saw."""

from __future__ import annotations

from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.verdict import Determination

_NAMESPACE = "urn:ietf:params:acme:error:"

# Boulder's words for a failed lookup, and its hint.
_WORDS = {
    Outcome.NXDOMAIN: ("NXDOMAIN", "check that a DNS record exists for this domain"),
    Outcome.SERVFAIL: ("SERVFAIL", "the domain's nameservers may be malfunctioning"),
    Outcome.REFUSED: ("REFUSED", None),
    Outcome.FORMERR: ("FORMERR", None),
    Outcome.NOTIMP: ("NOTIMP", None),
    Outcome.NOTAUTH: ("NOTAUTH", None),
    Outcome.OTHER_RCODE: ("SERVFAIL", "the domain's nameservers may be malfunctioning"),
    Outcome.TIMEOUT: ("query timed out", None),
    Outcome.NETWORK: ("networking error", None),
    Outcome.TRUNCATED: ("response was truncated", None),
    Outcome.MALFORMED: ("server failure at resolver", None),
}

# RFC 8914 section 4, as Boulder's DNS library spells them.
_EXTENDED_ERRORS = {
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

# What the CA's resolver says of a failed validation at the least.
_BOGUS = ExtendedError(6)


def ca_problem(identifier: Identifier, made: Determination) -> dict[str, str] | None:
    """The problem document that the CA would put into the challenge; None where it permits.

    :returns: its ``type`` and ``detail`` (RFC 8555 section 6.7).
    """
    if made.failure is not None:
        what = f"DNS problem: {_words(made.failure)}"
        return _document("dns", identifier, what)
    if made.judgement is not None and not made.judgement.permitted:
        return _document("caa", identifier, f"CAA record for {made.found_at} prevents issuance")
    return None


def _document(kind: str, identifier: Identifier, what: str) -> dict[str, str]:
    return {
        "type": _NAMESPACE + kind,
        "detail": f"While processing CAA for {identifier}: {what}",
    }


def _words(lookup: Lookup) -> str:
    extended = lookup.extended_error
    if extended is None and lookup.outcome is Outcome.BOGUS:
        extended = _BOGUS
    if extended is not None:
        unknown = f"Unknown Extended DNS Error code {extended.code}"
        error = _EXTENDED_ERRORS.get(extended.code, unknown)
        text = f": {extended.text}" if extended.text else ""
        return f"looking up CAA for {lookup.owner}: {error}{text}"
    error, hint = _WORDS[lookup.outcome]
    words = f"{error} looking up CAA for {lookup.owner}"
    return f"{words} - {hint}" if hint else words
