"""Whether it is the CA that has a problem: when unrelated certificates fail in one process."""

from __future__ import annotations

from collections.abc import Iterable


class Troubles:
    """What the issuances of one process failed on, as long as they did not succeed after all.

    Their owner names stand for zones: those that share the last two labels are taken to be
    related.
    """

    def __init__(self) -> None:
        self._zones: dict[object, set[str]] = {}

    def note(self, issuance: object, owners: Iterable[str]) -> None:
        """An issuance failed on the lookups for *owners*."""
        zones = {".".join(owner.split(".")[-2:]) for owner in owners}
        self._zones.setdefault(issuance, set()).update(zones)

    def over(self, issuance: object) -> None:
        """It succeeded after all."""
        self._zones.pop(issuance, None)

    @property
    def are_the_cas(self) -> bool:
        """Whether two issuances have failed, on unrelated zones or on TLDs."""
        noted = list(self._zones.values())
        return any(
            _points_at_the_ca(one, other)
            for place, one in enumerate(noted)
            for other in noted[:place]
        )


def _points_at_the_ca(one: set[str], other: set[str]) -> bool:
    if all(any("." not in zone for zone in zones) for zones in (one, other)):
        return True
    return bool(one and other) and one.isdisjoint(other)
