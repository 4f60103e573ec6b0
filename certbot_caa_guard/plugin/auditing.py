"""What audits tell of names whose lookups fail, in the time that there is for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from certbot_caa_guard.audit.reasons import Reasons, may_ask
from certbot_caa_guard.patience import Patience
from certbot_caa_guard.plugin.barrier import safely
from certbot_caa_guard.verdict import Evidence

if TYPE_CHECKING:
    from certbot_caa_guard.audit.findings import Finding

_T = TypeVar("_T")

# An audit takes 12 s at most, and several go side by side.
_LONGEST = 15.0


class Audits:
    """The audits of one issuance; a fault of them is no more than that."""

    def __init__(self, config: Any, patience: Patience, resources: ExitStack) -> None:
        """:param config: certbot's.
        :param patience: what their time is taken off.
        :param resources: closes what they hold.
        """
        self._config = config
        self._patience = patience
        self._resources = resources
        self._reasons: Reasons | None = None

    def main_findings(self, evidence: Iterable[Evidence]) -> Mapping[str, Finding]:
        """What there is to tell of names, by name."""
        nothing: Mapping[str, Finding] = {}
        return self._ask(lambda reasons, longest: reasons.main(evidence, longest), nothing)

    def explained(self, evidence: Iterable[Evidence]) -> Set[str]:
        """The names for whose failed lookups there is reason enough."""
        nothing: Set[str] = frozenset()
        return self._ask(lambda reasons, longest: reasons.explained(evidence, longest), nothing)

    def _ask(self, ask: Callable[[Reasons, float], _T], nothing: _T) -> _T:
        """What audits tell, given so many seconds; *nothing* where they may not be made."""
        config = self._config
        if not may_ask(config.caa_guard_resolver, config.caa_guard_root_hints):
            return nothing
        if self._reasons is None:
            self._reasons = self._resources.enter_context(
                Reasons(config.caa_guard_root_hints, config.caa_guard_trust_anchor)
            )
        reasons, patience = self._reasons, self._patience
        start = time.monotonic()
        told = safely(lambda: ask(reasons, min(_LONGEST, patience.left)), nothing)
        patience.spend(time.monotonic() - start)
        return told
