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

from certbot_caa_guard.audit.reasons import Reasons, failed_at, may_ask
from certbot_caa_guard.checking import Checked
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError, parse
from certbot_caa_guard.verdict import Verdict

if TYPE_CHECKING:
    from certbot_caa_guard.audit.findings import Finding

_WITHOUT_FAULT = {Verdict.PERMITTED, Verdict.DENIED}
_MOST_WAITING = 1_000

Line = tuple[Verdict, str]
Findings = tuple["Finding", ...]


def reasons(options: argparse.Namespace) -> AbstractContextManager[Reasons | None]:
    """Who finds out why names fail, unless nobody shall."""
    if options.no_audit or not may_ask(options.resolver, options.root_hints):
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
    failed = failed_at(one["owner"] for one in document["evidence"] if _failed(one))
    return None if failed is None else by.of(parse(document["identifier"]), failed)


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
