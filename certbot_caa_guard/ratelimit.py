"""Which limit of a CA was met, by whom, until when, and what its text says to do.

The texts are Boulder's (``ratelimits/limiter.go``, ``wfe2/wfe.go``, and its registration authority
before 2024), with the prefixes that it puts before them.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

_MOST_NAMES = 1_000


class Limit(enum.Enum):
    """What there was too much of."""

    NEW_ORDERS = "new-orders"
    FAILED_AUTHORIZATIONS = "failed-authorizations"
    PENDING_AUTHORIZATIONS = "pending-authorizations"
    CERTIFICATES_PER_DOMAIN = "certificates-per-domain"
    DUPLICATE_CERTIFICATES = "duplicate-certificates"
    NEW_ACCOUNTS = "new-accounts"
    # Issuance for a name that has failed for months is stopped until somebody visits the URL.
    PAUSED = "paused"
    # So many requests at once, from one address or from all: the CA is busy.
    REQUESTS = "requests"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit that was met.

    :ivar names: those that the CA names: the identifier that failed, the paused ones, the
        registered domain, or the set of names; none where it names none.
    :ivar until: when the CA says to come back (UTC); None where the text does not say.
    :ivar url: what to read, or, when paused, where to have it lifted.
    """

    limit: Limit
    names: tuple[str, ...] = ()
    until: datetime.datetime | None = None
    url: str | None = None


_TEXTS: Mapping[Limit, re.Pattern[str]] = {
    limit: re.compile(pattern, re.IGNORECASE | re.ASCII)
    for limit, pattern in {
        Limit.PAUSED: r"Your account is temporarily prevented from requesting certificates for "
        r"(?P<names>[^\s,]+(?:, [^\s,]+)*) and possibly others\.",
        Limit.FAILED_AUTHORIZATIONS: r"too many (?:failed|invalid) authorizations"
        r'(?: \(\d+\) for "(?P<names>[^"\s]+)"| )',
        Limit.PENDING_AUTHORIZATIONS: r"too many (?:currently )?pending authorizations",
        Limit.NEW_ORDERS: r"too many new orders",
        Limit.DUPLICATE_CERTIFICATES: r"too many certificates (?:\(\d+\) )?already issued for "
        r"(?:this )?exact set of (?:domains|identifiers)"
        r"(?:(?: in the last [^:,]{1,40})?: (?P<names>[^:]+))?",
        Limit.CERTIFICATES_PER_DOMAIN: r"too many certificates (?:\(\d+\) )?already issued for:? "
        r'"?(?P<names>[^"\s:]+)',
        Limit.NEW_ACCOUNTS: r"too many (?:new )?registrations",
        Limit.REQUESTS: r"Service busy|rate limit exceeded|too many requests",
    }.items()
}
_SEPARATOR = re.compile(r"[, ]+")
_RETRY = re.compile(r", retry after ", re.IGNORECASE)
_UNTIL = re.compile(
    r"retry after (?P<day>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?:\.\d{1,9})? ?"
    r"(?:UTC|Z|(?P<offset>[+-]\d\d:\d\d))",
    re.IGNORECASE | re.ASCII,
)
_VISIT = re.compile(r"Please visit: (?P<url>https?://[!-~]+)", re.IGNORECASE)
_SEE = re.compile(r"\bsee (?P<url>https?://[!-~]+)", re.IGNORECASE)


def find(text: str) -> RateLimit | None:
    """The limit that a text of the CA tells of; None where it tells of none.

    :param text: a problem's detail, of bounded length.
    """
    for limit, pattern in _TEXTS.items():
        if match := pattern.search(text):
            return RateLimit(limit, _names(match), _until(text), _url(text))
    return None


def read(text: str) -> RateLimit:
    """The limit in a text that is known to be about one."""
    return find(text) or RateLimit(Limit.OTHER, (), _until(text), _url(text))


def _names(match: re.Match[str]) -> tuple[str, ...]:
    listed = match.groupdict().get("names")
    if listed is None:
        return ()
    listed = _RETRY.split(listed, maxsplit=1)[0]
    names = (name.lower() for name in _SEPARATOR.split(listed) if name)
    return tuple(dict.fromkeys(names))[:_MOST_NAMES]


def _until(text: str) -> datetime.datetime | None:
    match = _UNTIL.search(text)
    if match is None:
        return None
    try:
        written = f"{match['day']}T{match['time']}{match['offset'] or '+00:00'}"
        return datetime.datetime.fromisoformat(written).astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        return None


def _url(text: str) -> str | None:
    match = _VISIT.search(text) or _SEE.search(text)
    return match["url"].rstrip(".,;:)\"'") if match else None
