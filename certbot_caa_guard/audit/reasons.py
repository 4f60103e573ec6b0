"""Why lookups fail, for those who found out that they do; loaded when the first does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotInTimeError
from typing import TYPE_CHECKING

from certbot_caa_guard.verdict import Evidence

if TYPE_CHECKING:
    from certbot_caa_guard.audit.explaining import Explainer
    from certbot_caa_guard.audit.findings import Finding

    Findings = tuple[Finding, ...]

# Perspectives that walk the public DNS; who names other resolvers may be cut off from it.
_WALKING = {"auto", "unbound", "iterative"}


def may_ask(resolvers: str, root_hints: str | None) -> bool:
    """Whether authoritative servers may be asked, by the SPECs of the resolvers to be used.

    Who names the root's servers wants them asked.
    """
    walking = any(one.strip().partition(":")[0] in _WALKING for one in resolvers.split(","))
    return walking or root_hints is not None


def failed_at(failed: Collection[str]) -> str | None:
    """The name whose failure is to be explained, of all that failed on one name's way; None when
    none did.

    An audit of it sees all that is wrong from there up, and siblings share it.  So it is the
    lowest that failed, or, where its parents failed too, the highest of these: they mostly fail
    for one reason.  A TLD fails for many, and rarely for the same reason as what is below it.
    """
    name = max(failed, key=lambda owner: owner.count("."), default=None)
    while name is not None and (parent := name.partition(".")[2]) in failed and "." in parent:
        name = parent
    return name


class Reasons:
    """Finds out why names fail.  A context manager."""

    def __init__(self, root_hints: str | None, trust_anchor: str | None) -> None:
        """:param root_hints: a file in the format of named.root; the public root if None.
        :param trust_anchor: a file with the keys of that root, if it has any.
        """
        self._root_hints = root_hints
        self._signed = root_hints is None or trust_anchor is not None
        self._explainer: Explainer | None = None

    def of(self, evidence: Evidence) -> Future[Findings] | None:
        """The findings to come for a name; None where none of its lookups failed.

        :raises ResolverError: when the root hints are of no use.
        """
        failed = failed_at(evidence.failed_owners)
        if failed is None:
            return None
        if self._explainer is None:
            from certbot_caa_guard.audit.explaining import Explainer

            self._explainer = Explainer(self._root_hints, signed_root=self._signed)
        return self._explainer.explain(failed)

    def main(self, evidence: Iterable[Evidence], timeout: float) -> dict[str, Finding]:
        """The main finding for each identifier for which there is one.

        :param timeout: seconds; what is not known by then is left out.
        :raises ResolverError: when the root hints are of no use.
        """
        found = self._found(evidence, timeout)
        return {name: held[0] for name, held in found.items() if held[0].matters}

    def explained(self, evidence: Iterable[Evidence], timeout: float) -> frozenset[str]:
        """The identifiers for whose failed lookups a finding is reason enough.

        :param timeout: seconds; what is not known by then is left out.
        :raises ResolverError: when the root hints are of no use.
        """
        from certbot_caa_guard.audit.findings import explains

        known = {str(one.identifier): one for one in evidence}
        found = self._found(known.values(), timeout)
        return frozenset(
            name for name, held in found.items() if explains(held, known[name].failed_owners)
        )

    def close(self) -> None:
        """Ask nothing further."""
        if self._explainer is not None:
            self._explainer.close()

    def __enter__(self) -> Reasons:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _found(self, evidence: Iterable[Evidence], timeout: float) -> dict[str, Findings]:
        """All findings for each identifier for which there are any in time."""
        until = time.monotonic() + timeout
        futures = {str(one.identifier): self.of(one) for one in evidence}
        found: dict[str, Findings] = {}
        for name, future in futures.items():
            if future is None:
                continue
            with contextlib.suppress(NotInTimeError, CancelledError):
                if findings := future.result(max(0.0, until - time.monotonic())):
                    found[name] = findings
        return found
