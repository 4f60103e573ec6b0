"""What is spent of a CA's limits, across runs; all of it on disk before the next step.

The limits are in :mod:`certbot_caa_guard.retry`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from certbot_caa_guard import retry
from certbot_caa_guard.history import Closed, History, Kind
from certbot_caa_guard.ratelimit import Limit, RateLimit

_HOUR = 3600.0

# What a CA says of later is not believed: its longest limit is one of seven days.
_LATEST = 7 * 24 * _HOUR


class Spending:
    """The budget of one ACME account."""

    def __init__(self, history: History, account: str) -> None:
        """:param account: the account's URI; an empty text where it is not known."""
        self._history = history
        self._account = account
        self._noted: set[str] = set()

    @property
    def orders_left(self) -> int:
        """How many more orders may be placed as second ones of an issuance."""
        most, within = retry.MOST_ORDERS
        return most - self._history.count(Kind.ORDER_PLACED, self._account, within=within)

    def order(self) -> None:
        """Note that an order is about to be placed."""
        self._noted.clear()
        self._history.record(Kind.ORDER_PLACED, [self._account])

    def authorizations_failed(self, identifiers: Iterable[str]) -> None:
        """Note failed authorizations; those of the same order are noted once."""
        news = [one for one in dict.fromkeys(identifiers) if one not in self._noted]
        self._noted.update(news)
        self._history.record(Kind.AUTHORIZATION_FAILED, news)

    def has_failed_often(self, identifier: str) -> bool:
        """Whether no other authorization of *identifier* may fail now."""
        return any(
            self._history.count(Kind.AUTHORIZATION_FAILED, identifier, within=within) >= most
            for most, within in retry.MOST_FAILED_AUTHORIZATIONS
        )

    def exhausted(self, identifiers: Iterable[str]) -> list[str]:
        """Those that the CA must not be asked about now, after what it found of their CAA."""
        return [
            one
            for one in identifiers
            if self._history.closed(self._of_identifier(one))
            or (self._failed_for_caa(one) and self.has_failed_often(one))
        ]

    def met(self, limit: RateLimit, ordered: Collection[str]) -> None:
        """Note that the CA refused an order for *ordered*, and until when it will."""
        if limit.until is None:
            return
        until = limit.until.timestamp()
        of_identifiers = limit.limit is Limit.FAILED_AUTHORIZATIONS and limit.names
        subjects = (
            [self._of_identifier(name) for name in limit.names if name in ordered]
            if of_identifiers
            else [self._of_set(ordered)]
        )
        for subject in subjects:
            self._history.close(subject, until, within=_LATEST, why=limit.limit.value)

    def closed(self, ordered: Collection[str]) -> Closed | None:
        """Why and until when the CA takes no order for just these names, if it does not."""
        return self._history.closed(self._of_set(ordered))

    def _failed_for_caa(self, identifier: str) -> bool:
        _, within = retry.MOST_FAILED_AUTHORIZATIONS[-1]
        return any(
            self._history.count(kind, identifier, within=within)
            for kind in (Kind.CA_FAILED, Kind.CA_REFUSED)
        )

    def _of_identifier(self, identifier: str) -> str:
        return f"{self._account} {identifier}"

    def _of_set(self, identifiers: Collection[str]) -> str:
        """The limits for a set of names are not those for another: renewals are exempt."""
        listed = " ".join(sorted(identifiers)).encode()
        return f"{self._account} {hashlib.sha256(listed).hexdigest()}"
