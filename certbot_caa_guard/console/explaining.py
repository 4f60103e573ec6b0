"""Findings for the names that ``check`` finds failing: why, by whom, and the mend."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from certbot_caa_guard.audit.reasons import Reasons, may_ask
from certbot_caa_guard.checking import Checked, CheckStream, Line, Options, corroborated
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError
from certbot_caa_guard.verdict import Verdict

if TYPE_CHECKING:
    from certbot_caa_guard.audit.findings import Finding

_WITHOUT_FAULT = {Verdict.PERMITTED, Verdict.DENIED}
_MOST_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class _Failing:
    """A name that fails.

    :ivar failed: the owners whose lookups failed.
    :ivar findings: those to come for it.
    """

    checked: Checked
    failed: frozenset[str]
    findings: Future[tuple[Finding, ...]]

    def explained(self, options: Options) -> Checked:
        """The name with its findings, once they are there.

        One that explains the failure is as good as another perspective: then the verdict is
        reached anew.
        """
        from certbot_caa_guard.audit.findings import explains

        found = self.findings.result()
        told = replace(self.checked, findings=tuple(one.as_json() for one in found if one.matters))
        return corroborated(told, options) if explains(found, self.failed) else told


def reasons(options: argparse.Namespace) -> AbstractContextManager[Reasons | None]:
    """Who finds out why names fail, unless nobody shall."""
    if options.no_audit or not may_ask(options.resolver, options.root_hints):
        return nullcontext()
    return Reasons(options.root_hints, options.trust_anchor)


def explained(checked: Sequence[Checked], by: Reasons | None, options: Options) -> list[Checked]:
    """The same, each that fails with its findings and the verdict that they make.

    :param options: those that the names were checked with.
    """
    if by is None:
        return list(checked)
    asked = [_asked(one, by) for one in checked]
    return [one.explained(options) if isinstance(one, _Failing) else one for one in asked]


def explained_lines(
    stream: CheckStream, by: Reasons | None, options: Options
) -> Iterator[list[Line]]:
    """The lines of *stream*, those of names that fail likewise, which hold up no others unless
    their order shall stay.

    :param options: those of the stream.
    """
    if by is None:
        yield from stream.lines()
        return
    waiting: deque[Line | _Failing] = deque()
    error: Exception | None = None
    try:
        for batch in stream.outcomes():
            at_once: list[Line] = []
            for outcome in batch:
                one = _asked(outcome, by) if isinstance(outcome, Checked) else outcome
                line = one.as_line() if isinstance(one, Checked) else one
                if isinstance(line, _Failing) or (options.ordered and waiting):
                    waiting.append(line)
                else:
                    at_once.append(line)
            yield at_once + _ready(waiting, options)
    except (IdentifierError, UsageError) as raised:
        error = raised
    # Whatever ended the input, all before it are answered.
    yield [_line(one, options) for one in waiting]
    if error is not None:
        raise error


def _asked(checked: Checked, by: Reasons) -> Checked | _Failing:
    """A name that fails, its findings under way; names that fail at the same one share them."""
    if checked.verdict in _WITHOUT_FAULT or checked.evidence is None:
        return checked
    findings = by.of(checked.evidence)
    return (
        checked if findings is None else _Failing(checked, checked.evidence.failed_owners, findings)
    )


def _ready(waiting: deque[Line | _Failing], options: Options) -> list[Line]:
    """Those that need not wait any more; too many do not."""
    ready = []
    for _ in range(len(waiting)):
        one = waiting.popleft()
        if _is_ready(one) or len(waiting) >= _MOST_WAITING:
            ready.append(_line(one, options))
        elif options.ordered:
            waiting.appendleft(one)
            break
        else:
            waiting.append(one)
    return ready


def _is_ready(one: Line | _Failing) -> bool:
    return not isinstance(one, _Failing) or one.findings.done()


def _line(one: Line | _Failing, options: Options) -> Line:
    return one.explained(options).as_line() if isinstance(one, _Failing) else one
