"""What a CA says of itself: its CAA domain names, and what time it is there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

LETS_ENCRYPT = "letsencrypt.org"


def issuers(meta: Any, url: str) -> tuple[str, ...]:
    """The CA's domain names in CAA records; none where they are not known.

    :param meta: the ``meta`` member of its directory (RFC 8555 section 9.7.6), an
        ``acme.messages.Directory.Meta``, or None.
    :param url: of the directory, or of anything else at the CA.
    """
    identities = getattr(meta, "caa_identities", None) or ()
    if identities:
        return tuple(str(one) for one in identities)
    host = urlsplit(url).hostname or ""
    return (LETS_ENCRYPT,) if host.endswith(f".{LETS_ENCRYPT}") else ()


def clock_skew(date: str | None, now: float) -> float | None:
    """How many seconds our clock is ahead of the CA's.

    :param date: of an answer of the CA (RFC 9110 section 6.6.1).
    :param now: by our clock, in seconds since the epoch.
    :returns: None where that cannot be known.
    """
    import email.utils  # here, as it takes a while and only some need it

    try:
        return now - email.utils.parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError):
        return None
