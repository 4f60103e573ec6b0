"""What the CA counts and writes down about its clients, for tests to look at."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Spent:
    """What clients have used up since the start or the last reset.

    `orders` are newOrders answered 201, also when an order was given again; `finalizations` are
    POSTs to finalize, whatever came of them; `validations` are challenges that Pebble got to
    validate, as their domain control and CAA checks had passed.
    """

    orders: int = 0
    failed_authorizations: int = 0
    finalizations: int = 0
    certificates: int = 0
    validations: int = 0

    def __sub__(self, other: Spent) -> Spent:
        names = [each.name for each in fields(self)]
        return Spent(**{name: getattr(self, name) - getattr(other, name) for name in names})


class Books:
    """The counters and lists behind CA.spent and its neighbours; safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self.spent = Spent()
            self._orders: list[tuple[str, ...]] = []
            self._certificates: list[tuple[str, ...]] = []
            self._csr_hashes: list[str] = []
            self._lookups: list[tuple[str, str]] = []
            self._profiles: list[str] = []

    def add(self, what: str) -> None:
        """Count one more of a member of Spent."""
        with self._lock:
            self.spent = replace(self.spent, **{what: getattr(self.spent, what) + 1})

    def add_order(self, identifiers: tuple[str, ...]) -> None:
        self.add("orders")
        with self._lock:
            self._orders.append(identifiers)

    def add_certificate(self, identifiers: tuple[str, ...]) -> None:
        self.add("certificates")
        with self._lock:
            self._certificates.append(identifiers)

    def add_finalization(self, csr_hash: str) -> None:
        self.add("finalizations")
        with self._lock:
            self._csr_hashes.append(csr_hash)

    def add_lookup(self, identifier: str, when: str) -> None:
        with self._lock:
            self._lookups.append((identifier, when))

    def add_profile(self, profile: str) -> None:
        with self._lock:
            self._profiles.append(profile)

    @property
    def profiles(self) -> list[str]:
        with self._lock:
            return list(self._profiles)

    @property
    def orders(self) -> list[tuple[str, ...]]:
        with self._lock:
            return list(self._orders)

    @property
    def certificates(self) -> list[tuple[str, ...]]:
        with self._lock:
            return list(self._certificates)

    @property
    def csr_hashes(self) -> list[str]:
        with self._lock:
            return list(self._csr_hashes)

    @property
    def lookups(self) -> list[tuple[str, str]]:
        with self._lock:
            return list(self._lookups)
