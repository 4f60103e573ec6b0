"""What is spent of a CA's limits, and what it said of names, across runs.

All of it is on disk before the next step, for one ACME account: another CA, or the same one's
staging environment, has limits and answers of its own.

The limits are in :mod:`certbot_caa_guard.retry`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from certbot_caa_guard import retry
from certbot_caa_guard.history import Closed, History, Kind
from certbot_caa_guard.ratelimit import Limit, RateLimit

_HOUR = 3600.0
_DAY = 24 * _HOUR


class Spending:
    """The budget of one ACME account, and what its CA found."""

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
        subjects = [self._of_identifier(one) for one in news]
        self._history.record(Kind.AUTHORIZATION_FAILED, subjects)

    def has_failed_often(self, identifier: str) -> bool:
        """Whether no other authorization of *identifier* may fail now."""
        return any(
            self._count(Kind.AUTHORIZATION_FAILED, identifier, within) >= most
            for most, within in retry.MOST_FAILED_AUTHORIZATIONS
        )

    def failed_for_caa(self, identifier: str, *, denied: bool) -> None:
        """Note what the CA found of the CAA of *identifier*.

        :param denied: whether its records refuse the CA; else the lookup failed.
        """
        kind = Kind.CA_REFUSED if denied else Kind.CA_FAILED
        self._history.record(kind, [self._of_identifier(identifier)])

    def was_denied(self, identifier: str) -> bool:
        """Whether the CA refused *identifier* for its CAA records within a day."""
        return self._count(Kind.CA_REFUSED, identifier, _DAY) > 0

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
            self._history.close(subject, until, why=limit.limit.value)

    def closed(self, ordered: Collection[str]) -> Closed | None:
        """Why and until when the CA takes no order for just these names, if it does not."""
        return self._history.closed(self._of_set(ordered))

    def _failed_for_caa(self, identifier: str) -> bool:
        _, within = retry.MOST_FAILED_AUTHORIZATIONS[-1]
        return any(
            self._count(kind, identifier, within) for kind in (Kind.CA_FAILED, Kind.CA_REFUSED)
        )

    def _count(self, kind: Kind, identifier: str, within: float) -> int:
        return self._history.count(kind, self._of_identifier(identifier), within=within)

    def _of_identifier(self, identifier: str) -> str:
        return f"{self._account} {identifier}"

    def _of_set(self, identifiers: Collection[str]) -> str:
        """The limits for a set of names are not those for another: renewals are exempt."""
        listed = " ".join(sorted(identifiers)).encode()
        return f"{self._account} {hashlib.sha256(listed).hexdigest()}"
