"""Whether a CAA RRset permits issuance, judged as Boulder does (RFC 8659, RFC 8657).

This is the test CA's own judgement; it shares no code with the program under test, so that
the two can disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc"})
_PARAMETER_TAG = re.compile(rb"[0-9A-Za-z]*")
_PARAMETER_VALUE = re.compile(rb"[\x21-\x3a\x3c-\x7e]*")
_METHOD = re.compile(r"[0-9A-Za-z-]+")
_BLANK = b" \t"


@dataclass(frozen=True)
class Record:
    """One CAA resource record (RFC 8659 section 4.1); the tag in lower case."""

    flags: int
    tag: str
    value: bytes

    @property
    def unknown_critical(self) -> bool:
        """Boulder takes bit 0 for the critical flag too, as early implementations set it."""
        return self.tag not in _KNOWN_TAGS and bool(self.flags & 0x81)


@dataclass(frozen=True)
class Applicant:
    """Who asks for what: all that a CAA record can restrict."""

    identifier: str
    account: str
    method: str
    issuers: tuple[str, ...] = ("letsencrypt.org",)

    @property
    def wildcard(self) -> bool:
        return self.identifier.startswith("*.")


def parse_record(rdata: bytes) -> Record:
    """Read RDATA off the wire. An empty tag is no error; one that overruns is (ValueError)."""
    if len(rdata) < 2:
        return Record(rdata[0] if rdata else 0, "", b"")
    end = 2 + rdata[1]
    if end > len(rdata):
        raise ValueError("CAA tag overruns its RDATA")
    return Record(rdata[0], rdata[2:end].decode("latin-1").lower(), rdata[end:])


def parse_value(value: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Split an issue value into issuer and parameters (RFC 8659 section 4.2), or ValueError."""
    issuer, *parts = value.split(b";")
    parameters: list[tuple[bytes, bytes]] = []
    if len(parts) == 1 and not parts[0].strip(_BLANK):
        parts = []
    for part in parts:
        tag, equals, text = (piece.strip(_BLANK) for piece in part.partition(b"="))
        if not (equals and _PARAMETER_TAG.fullmatch(tag) and _PARAMETER_VALUE.fullmatch(text)):
            raise ValueError("malformed parameter")
        parameters.append((tag, text))
    return issuer.strip(_BLANK), parameters


def _only(parameters: list[tuple[bytes, bytes]], tag: bytes) -> str | None:
    """Give the value of a parameter that may stand once; ValueError when it stands twice."""
    values = [text.decode("ascii") for name, text in parameters if name == tag]
    if len(values) > 1:
        raise ValueError("parameter given twice")
    return values[0] if values else None


def _method_matches(methods: str, method: str) -> bool:
    for each in methods.split(","):
        if not _METHOD.fullmatch(each):
            return False
        if each == method:
            return True
    return False


def _record_permits(record: Record, applicant: Applicant) -> bool:
    try:
        issuer, parameters = parse_value(record.value)
        account = _only(parameters, b"accounturi")
        methods = _only(parameters, b"validationmethods")
    except ValueError:
        return False
    return (
        issuer in {each.encode() for each in applicant.issuers}
        and account in (None, applicant.account)
        and (methods is None or _method_matches(methods, applicant.method))
    )


def permits(records: Iterable[Record], applicant: Applicant) -> bool:
    """Judge a relevant RRset (RFC 8659 sections 4.2, 4.3 and 4.5)."""
    records = list(records)
    if any(record.unknown_critical for record in records):
        return False
    issue = [record for record in records if record.tag == "issue"]
    issuewild = [record for record in records if record.tag == "issuewild"]
    restricting = issuewild if applicant.wildcard and issuewild else issue
    return not restricting or any(_record_permits(record, applicant) for record in restricting)
