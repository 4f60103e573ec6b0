"""What acme's exceptions do not tell of the CA's answers: the status and Retry-After."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from acme import errors as acme_errors
from requests import RequestException
from requests.utils import parse_header_links

_BAD_GATEWAY, _GATEWAY_TIMEOUT = 502, 504
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503


class Answers:
    """Sees each of the CA's answers; a hook of the client's ``requests`` session.

    :ivar retry_after: when the CA wants to be asked again, in seconds since the epoch, by the last
        answer if that was an error and said so.
    """

    def __init__(self) -> None:
        self._status = 0
        self.retry_after: float | None = None

    def saw(self, response: Any) -> None:
        """Note an answer."""
        self._status = response.status_code
        failed = not response.ok
        self.retry_after = _moment(response.headers.get("Retry-After")) if failed else None

    def is_busy(self, error: Exception) -> bool:
        """Whether *error* is acme's for an answer without a problem document: there was too much
        to do.
        """
        return isinstance(error, acme_errors.ClientError) and (
            self._status == _TOO_MANY_REQUESTS
            or (self._status == _SERVICE_UNAVAILABLE and self.retry_after is not None)
        )

    def document(self) -> dict[str, Any]:
        """The problem document that such an answer lacks."""
        return {"status": self._status, "detail": "Service busy"}

    @staticmethod
    def alternates(response: Any) -> Sequence[str]:
        """The URLs of alternative chains (RFC 8555 section 7.4.2)."""
        links = parse_header_links(response.headers.get("Link", ""))
        return [link["url"] for link in links if link.get("rel") == "alternate"]


def is_loss(error: Exception, ca: str) -> bool:
    """Whether *error* means that no answer came, or only one of something in between.

    An authenticator talks to its own servers, and what fails there is no loss of the CA's answer.

    :param ca: a URL of the CA.
    """
    if isinstance(error, acme_errors.ClientError):
        response = error.args[0] if error.args else None
        return getattr(response, "status_code", 0) in {_BAD_GATEWAY, _GATEWAY_TIMEOUT}
    # acme before 2.8 makes a ValueError of some.
    origin = error.__context__ if isinstance(error, ValueError) else error
    if not isinstance(origin, RequestException) or origin.response is not None:
        return False
    asked = getattr(origin.request, "url", None)  # not known where a connection breaks off late
    return asked is None or urlsplit(asked).hostname == urlsplit(ca).hostname


def _moment(text: str | None) -> float | None:
    """Read a Retry-After (RFC 9110 section 10.2.3)."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return time.time() + float(text[:9])
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
