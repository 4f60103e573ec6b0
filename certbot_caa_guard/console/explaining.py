"""Findings for the names that ``check`` finds failing: why, by whom, and the mend."""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from certbot_caa_guard.checking import Checked
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError, parse
from certbot_caa_guard.verdict import Verdict

if TYPE_CHECKING:
    from certbot_caa_guard.audit.explaining import Explainer
    from certbot_caa_guard.audit.findings import Finding

_WITHOUT_FAULT = {Verdict.PERMITTED, Verdict.DENIED}
# Who asks the public DNS by walking it; those who name other resolvers may be cut off from it.
_WALKING = {"auto", "unbound", "iterative"}
_MOST_WAITING = 1_000

Line = tuple[Verdict, str]
Findings = tuple["Finding", ...]


class Reasons:
    """Finds out why names fail; what that takes is loaded when the first does.

    A context manager.
    """

    def __init__(self, root_hints: str | None, trust_anchor: str | None) -> None:
        """See the options of the same names."""
        self._root_hints = root_hints
        self._signed = root_hints is None or trust_anchor is not None
        self._explainer: Explainer | None = None

    def of(self, identifier: str, failed_at: str) -> Future[Findings]:
        """The findings to come for *identifier*, whose lookup at *failed_at* failed."""
        if self._explainer is None:
            from certbot_caa_guard.audit.explaining import Explainer

            self._explainer = Explainer(self._root_hints, signed_root=self._signed)
        return self._explainer.explain(parse(identifier), failed_at)

    def __enter__(self) -> Reasons:
        return self

    def __exit__(self, *_: object) -> None:
        if self._explainer is not None:
            self._explainer.close()


def reasons(options: argparse.Namespace) -> AbstractContextManager[Reasons | None]:
    """Who finds out why names fail, unless nobody shall."""
    named = {one.strip().partition(":")[0] for one in options.resolver.split(",")}
    if options.no_audit or not named & _WALKING:
        return nullcontext()
    return Reasons(options.root_hints, options.trust_anchor)


def explained(checked: Sequence[Checked], by: Reasons | None) -> list[Checked]:
    """The same, each that fails with its findings."""
    if by is None:
        return list(checked)
    futures = [_asked(one.verdict, one.as_json(), by) for one in checked]
    return [
        one if future is None else replace(one, findings=_as_json(future.result()))
        for one, future in zip(checked, futures, strict=True)
    ]


def explained_lines(
    batches: Iterable[Sequence[Line]], by: Reasons | None, *, ordered: bool
) -> Iterator[list[Line]]:
    """The same lines, those of names that fail with their findings, which hold up no others.

    :param ordered: unless their order shall stay.
    """
    if by is None:
        yield from map(list, batches)
        return
    waiting: deque[tuple[Line, Future[Findings] | None]] = deque()
    error: Exception | None = None
    try:
        for batch in batches:
            at_once: list[Line] = []
            for line in batch:
                fails = line[0] not in _WITHOUT_FAULT
                future = _asked(line[0], json.loads(line[1]), by) if fails else None
                if future is None and not (ordered and waiting):
                    at_once.append(line)
                else:
                    waiting.append((line, future))
            yield at_once + _ready(waiting, ordered=ordered)
    except (IdentifierError, UsageError) as raised:
        error = raised
    # Whatever ended the input, all before it are answered.
    yield [_with_findings(line, future) for line, future in waiting]
    if error is not None:
        raise error


def _asked(verdict: Verdict, document: dict[str, Any], by: Reasons) -> Future[Findings] | None:
    """The findings to come for a result; names that fail at the same one share them."""
    if verdict in _WITHOUT_FAULT:
        return None
    failed = [one["owner"] for one in document["evidence"] if _failed(one)]
    # A TLD fails for many, and rarely for the same reason as what is below it.
    failed.sort(key=lambda owner: "." in owner)
    return by.of(document["identifier"], failed[-1]) if failed else None


def _failed(evidence: dict[str, Any]) -> bool:
    return Lookup(evidence["owner"], Outcome(evidence["outcome"])).failed


def _ready(waiting: deque[tuple[Line, Future[Findings] | None]], *, ordered: bool) -> list[Line]:
    """Those that need not wait any more; too many do not."""
    ready = []
    for _ in range(len(waiting)):
        line, future = waiting.popleft()
        if future is None or future.done() or len(waiting) >= _MOST_WAITING:
            ready.append(_with_findings(line, future))
        elif ordered:
            waiting.appendleft((line, future))
            break
        else:
            waiting.append((line, future))
    return ready


def _with_findings(line: Line, future: Future[Findings] | None) -> Line:
    if future is None:
        return line
    document = json.loads(line[1])
    document["findings"] = list(_as_json(future.result()))
    return line[0], json.dumps(document)


def _as_json(findings: Iterable[Finding]) -> tuple[dict[str, Any], ...]:
    return tuple(one.as_json() for one in findings if one.matters)
