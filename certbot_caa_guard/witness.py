"""A resolver as it is asked here: it may be anybody's code, and its faults are its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.verdict import Perspective

_LOG = logging.getLogger(__name__)


class Witness:
    """A resolver that raises nothing; once it has raised, it is never usable again.

    :ivar resolver: the resolver itself.
    :ivar perspective: the resolver's.
    :ivar has_failed: whether it has raised.
    """

    def __init__(self, resolver: IResolver, failed: Callable[[], None] = lambda: None) -> None:
        """:param failed: told when it raises for the first time."""
        self.resolver = resolver
        self.perspective: Perspective = resolver.perspective
        self.has_failed = False
        self._failed = failed

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether it resolves the root now."""
        try:
            usable = await self.resolver.is_usable(timeout)
        except Exception as error:  # noqa: BLE001 - anybody's
            self._fail(error)
        # It may have raised while it was asked something else.
        return not self.has_failed and bool(usable)

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*."""
        try:
            lookup = await self.resolver.lookup(owner, timeout)
            return lookup if lookup.owner == owner else replace(lookup, owner=owner)
        except Exception as error:  # noqa: BLE001 - anybody's
            self._fail(error)
            return Lookup(owner, Outcome.NETWORK)

    def _fail(self, error: Exception) -> None:
        if self.has_failed:
            return
        self.has_failed = True
        why = f"{error!r:.500}"
        _LOG.warning("The resolver %s is at fault and has no say: %s", self.perspective.name, why)
        _LOG.debug("Where that happened:", exc_info=error)
        self._failed()
