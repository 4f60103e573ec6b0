"""What a CA says of itself: its CAA domain names, and what time it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from certbot_caa_guard.names import IdentifierError, parse

_LOG = logging.getLogger(__name__)

LETS_ENCRYPT = "letsencrypt.org"

_MOST_IDENTITIES = 100


def issuers(identities: object, url: str) -> tuple[str, ...]:
    """The CA's domain names in CAA records; none where they are not known.

    :param identities: the ``caaIdentities`` in its directory's ``meta`` (RFC 8555 section 9.7.6),
        whatever the CA says there; None where it says nothing.
    :param url: of the directory, or of anything else at the CA.
    """
    if not identities:
        host = urlsplit(url).hostname or ""
        return (LETS_ENCRYPT,) if host.endswith(f".{LETS_ENCRYPT}") else ()
    if not isinstance(identities, (list, tuple)) or len(identities) > _MOST_IDENTITIES:
        return ()
    # All of them or none: without one that cannot be read, the records that name it would deny.
    return tuple(identities) if all(map(_is_domain, identities)) else ()


def _is_domain(identity: object) -> bool:
    """Whether it is a domain name just as it stands: in upper or lower case, no final dot."""
    if not isinstance(identity, str):
        return False
    try:
        return parse(identity).domain == identity.lower()
    except IdentifierError:
        return False


def identities_of(acme: Any) -> object:
    """What the CA of an acme client says in ``caaIdentities``; None where it says nothing."""
    return getattr(getattr(acme.directory, "meta", None), "caa_identities", None)


def clock_skew_of(acme: Any, now: Callable[[], float]) -> float | None:
    """How many seconds our clock is ahead of the CA's, which is asked by an acme client.

    :param now: by our clock, in seconds since the epoch.
    :returns: None where that cannot be known.
    """
    try:
        date = acme.net.head(acme.directory["newNonce"]).headers["Date"]
    except Exception:  # noqa: BLE001 - whatever it is, the time is then not known
        _LOG.debug("The CA's time could not be learned", exc_info=True)
        return None
    return clock_skew(date, now())


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
