"""Reading what a CA says: which identifiers failed, at which owner name, and what it means.

A problem document (RFC 7807, RFC 8555 section 6.7) is read by its text, because its type does
not tell: at finalize Boulder gives every CAA failure, a SERVFAIL too, the type ``caa``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from certbot_caa_guard import ratelimit
from certbot_caa_guard.ratelimit import Limit, RateLimit

_LONGEST_DETAIL = 16 * 1024
_MOST_SUBPROBLEMS = 1_000

_TOO_MANY_REQUESTS = 429  # RFC 6585 section 4
_SERVICE_UNAVAILABLE = 503  # RFC 9110 section 15.6.4
_RATE_LIMITED = re.compile(r"urn:(?:ietf:params:)?acme:error:rateLimited")
# ACME version 1 issued at once.
_FINALIZE = re.compile(r"Error (?:finalizing order|creating new cert) :: ")
_RECHECK = re.compile(r"rechecking caa: ")
_SECONDARY = re.compile(r"During secondary validation: ")
_AGGREGATE = re.compile(
    r'Rechecking CAA for (?P<quote>"?)(?P<identifier>[^"\s]{1,300})(?P=quote) and '
    r"(?P<more>\d{1,6}) more identifiers failed\. Refer to sub-problems for more information"
)
_PROCESSING = re.compile(r"While processing CAA for (?P<identifier>\S+): ")
_FORBIDDEN = re.compile(r"CAA record for (?P<owner>\S+) prevents issuance")
_WITH_EXTENDED_ERROR = re.compile(
    r"DNS problem: looking up CAA for (?P<owner>\S+): (?P<error>.*)", re.DOTALL
)
_WITH_RCODE = re.compile(
    r"DNS problem: (?P<error>.{1,200}?) looking up CAA for (?P<owner>\S+?)(?: - (?P<hint>.*))?",
    re.DOTALL,
)
# The first words that Boulder had for it, in 2016 (letsencrypt/boulder#1551).
_CHECK_FAILED = re.compile(r"CAA check for (?P<owner>\S+) failed")
# Cloudflare hands its CAs' words on without the first two.
_BARE_RCODE = re.compile(
    r"(?P<error>[A-Z]{6,8}|query timed out) looking up CAA for (?P<owner>\S+?)"
    r"(?: - (?P<hint>.*))?",
    re.DOTALL,
)
# SSL.com (acmesh-official/acme.sh#4417 and #6660); its type is incorrectResponse.  Sectigo, which
# issues for ZeroSSL, gives no reason at all (ansible-collections/community.crypto#104), and Pebble
# and step-ca do not look CAA up.
_NOT_INCLUDED = re.compile(
    r"(?P<secondary>MPIC failed\.\. )?CAA record does not include \S+ which is required to issue "
    r"the certificate\b.*",
    re.DOTALL,
)
# Before there were subproblems, several failures at finalize came in one text.  No newer text is
# taken apart: what a resolver says of its failure stands at its end, and may be anything.
_OLD_LIST = re.compile(r"Rechecking CAA: ")
_NEXT_IN_OLD_LIST = re.compile(r", (?=While processing CAA for )")


class Meaning(enum.Enum):
    """What a CA's problem means for an identifier."""

    DENIED = "denied"
    TRANSIENT = "transient"
    DNSSEC = "dnssec"
    RATE_LIMITED = "rate-limited"
    NOT_CAA = "not-caa"


class At(enum.Enum):
    """At which step of the order the CA looked CAA up."""

    AUTHORIZATION = "authorization"
    FINALIZE = "finalize"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a problem says of one identifier.

    :ivar identifier: as the CA names it, with ``*.``; None where it names none.
    :ivar owner: the name whose lookup failed, or at which the refusing records stand.
    :ivar error: the CA's word for the failure, such as ``SERVFAIL``; None for a denial.
    :ivar secondary: whether it was one of the CA's remote perspectives.
    :ivar others: how many more identifiers failed that the problem does not name.
    :ivar limit: which limit was met, and until when; always there for RATE_LIMITED, never else.
    """

    meaning: Meaning
    identifier: str | None = None
    owner: str | None = None
    error: str | None = None
    secondary: bool = False
    at: At | None = None
    others: int = 0
    limit: RateLimit | None = None

    @property
    def is_permanent(self) -> bool:
        """Whether the same order must fail again until somebody changes their DNS."""
        if self.meaning is Meaning.DENIED:
            return True
        # Where no owner is named, it may be the TLD's failure as well as the user's.
        if self.owner is None:
            return False
        if self.meaning is Meaning.DNSSEC:
            return not self.is_at_tld
        return self.meaning is Meaning.TRANSIENT and self.is_at_tld and self.error == "NXDOMAIN"

    @property
    def is_at_tld(self) -> bool:
        """Whether it is the TLD whose lookup failed, which is not the user's to mend."""
        return self.owner is not None and "." not in self.owner


@dataclass(frozen=True, slots=True)
class _Context:
    """What the text around a message has told so far."""

    identifier: str | None = None
    secondary: bool = False
    at: At | None = None


def read(document: Mapping[str, object], *, identifier: str | None = None) -> tuple[Reading, ...]:
    """Read a problem document.

    :param document: the problem as parsed from JSON; any member may be missing or of any type.
    :param identifier: what the problem is known to be about, such as the identifier of the
        authorization that it was found in.  It outranks the text, and the document's own
        ``identifier`` outranks both.
    :returns: one reading for each identifier, never none; a problem that is not about CAA gives
        a single one with :attr:`Meaning.NOT_CAA`.
    """
    head = _first_of_each(_read_one(document, identifier=identifier))
    about = _identifier_member(document) or identifier
    below = _first_of_each(
        reading
        for problem in _subproblems(document)
        for reading in _read_one(problem, identifier=about)
    )
    if all(reading.meaning is Meaning.NOT_CAA for reading in below.values()):
        return tuple(head.values())
    return _merged(head, below)


def _first_of_each(readings: Iterable[Reading]) -> dict[str | None, Reading]:
    """The first reading for each identifier."""
    first: dict[str | None, Reading] = {}
    for reading in readings:
        first.setdefault(reading.identifier, reading)
    return first


def _merged(
    head: Mapping[str | None, Reading], below: Mapping[str | None, Reading]
) -> tuple[Reading, ...]:
    """The subproblems' readings, and what the head says beyond them.

    The head repeats one of the subproblems and counts them; but they may be cut short.
    """
    merged = dict(below)
    for identifier, reading in head.items():
        if identifier is not None:
            known = merged.setdefault(identifier, reading)
            unnamed = max(0, 1 + reading.others - len(merged))
            merged[identifier] = replace(known, others=unnamed)
    return tuple(merged.values())


def _read_one(document: Mapping[str, object], *, identifier: str | None) -> tuple[Reading, ...]:
    named = _identifier_member(document) or identifier
    detail = _text(document, "detail")[:_LONGEST_DETAIL]
    limit = _rate_limit(document, detail)
    readings = tuple(_read_detail(detail) if limit is None else _limited(limit))
    return readings if named is None else (_renamed(readings[0], named),)


def _rate_limit(document: Mapping[str, object], detail: str) -> RateLimit | None:
    """The limit that a problem is about, if it is about one.

    The type tells, or the status 429.  What stands before the CA answers 503 when it is busy, but
    also when something is broken; and a text alone has neither type nor status.
    """
    kind, status = _text(document, "type"), document.get("status")
    if _RATE_LIMITED.fullmatch(kind) or status == _TOO_MANY_REQUESTS:
        return ratelimit.read(detail)
    if status == _SERVICE_UNAVAILABLE or not kind:
        about_caa = any(one.meaning is not Meaning.NOT_CAA for one in _read_detail(detail))
        return None if about_caa else ratelimit.find(detail)
    return None


def _limited(limit: RateLimit) -> Iterator[Reading]:
    """A reading for each identifier that a limit is about; one for the whole order otherwise."""
    about_identifiers = limit.limit in {Limit.FAILED_AUTHORIZATIONS, Limit.PAUSED}
    for name in (about_identifiers and limit.names) or (None,):
        yield Reading(Meaning.RATE_LIMITED, name, limit=limit)


def _read_detail(detail: str) -> Iterator[Reading]:
    rest, at_finalize = _without(_FINALIZE, detail)
    if aggregate := _AGGREGATE.fullmatch(rest):
        yield Reading(
            Meaning.TRANSIENT,
            aggregate["identifier"],
            at=At.FINALIZE,
            others=int(aggregate["more"]),
        )
        return
    rest, listed = _without(_OLD_LIST, rest)
    rest, one = _without(_RECHECK, rest)
    rechecked = listed or one
    at = At.FINALIZE if at_finalize or rechecked else At.AUTHORIZATION
    for part in _NEXT_IN_OLD_LIST.split(rest) if listed else [rest]:
        message, secondary = _without(_SECONDARY, part)
        context = _Context(None, secondary, at)
        if processing := _PROCESSING.match(message):
            context = _Context(processing["identifier"], secondary, at)
            message = message[processing.end() :]
        reading = _read_message(message, context)
        if reading.meaning is Meaning.NOT_CAA and rechecked:
            # Whatever the words, it happened while CAA was looked up again.
            reading = Reading(
                Meaning.TRANSIENT, context.identifier, None, message, secondary, At.FINALIZE
            )
        yield reading


def _read_message(message: str, context: _Context) -> Reading:
    if match := _FORBIDDEN.fullmatch(message) or _CHECK_FAILED.fullmatch(message):
        return _reading(Meaning.DENIED, context, match["owner"], None)
    if match := _NOT_INCLUDED.fullmatch(message):
        secondary = context.secondary or match["secondary"] is not None
        return Reading(Meaning.DENIED, context.identifier, None, None, secondary, context.at)
    if match := _WITH_EXTENDED_ERROR.fullmatch(message):
        dnssec = match["error"].startswith("DNSSEC: ")
        meaning = Meaning.DNSSEC if dnssec else Meaning.TRANSIENT
        return _reading(meaning, context, match["owner"], match["error"])
    if match := _WITH_RCODE.fullmatch(message) or _BARE_RCODE.fullmatch(message):
        return _reading(Meaning.TRANSIENT, context, match["owner"], match["error"])
    return Reading(Meaning.NOT_CAA)


def _reading(meaning: Meaning, context: _Context, owner: str, error: str | None) -> Reading:
    return Reading(meaning, context.identifier, owner, error, context.secondary, context.at)


def _renamed(reading: Reading, identifier: str) -> Reading:
    if reading.meaning is Meaning.NOT_CAA:
        return reading
    return replace(reading, identifier=identifier)


def _without(prefix: re.Pattern[str], text: str) -> tuple[str, bool]:
    match = prefix.match(text)
    return (text[match.end() :], True) if match else (text, False)


def _subproblems(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    members = document.get("subproblems")
    if not isinstance(members, Sequence):
        return []
    return [member for member in members[:_MOST_SUBPROBLEMS] if isinstance(member, Mapping)]


def _identifier_member(document: Mapping[str, object]) -> str | None:
    member = document.get("identifier")
    value = member.get("value") if isinstance(member, Mapping) else None
    return value[:_LONGEST_DETAIL] if isinstance(value, str) and value else None


def _text(document: Mapping[str, object], member: str) -> str:
    value = document.get(member)
    return value if isinstance(value, str) else ""
