"""Checking names without ordering: ``certbot_caa_guard.check``, and what the console shows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from certbot_caa_guard import prediction, verdict
from certbot_caa_guard.arguments import must_be_at_least, must_be_several
from certbot_caa_guard.caa import ACME_METHODS, BOULDER, STRICT, Requester
from certbot_caa_guard.directory import LETS_ENCRYPT
from certbot_caa_guard.exposure import Exposure, exposure
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import Identifier, is_ip_address, parse
from certbot_caa_guard.preflight import ROUND_INTERVAL
from certbot_caa_guard.report.lines import PermittedLines
from certbot_caa_guard.resolvers import loader, spec
from certbot_caa_guard.stream import AsKnown, Case, InOrder, Settings, Stream
from certbot_caa_guard.verdict import (
    Determination,
    Evidence,
    Lasting,
    Perspective,
    Result,
    Verdict,
)

_MOST_REQUESTERS = 10_000

Line = tuple[Verdict, str]


def must_be_known(method: str) -> None:
    """Refuse a challenge type that there is none of.

    :raises ValueError: when no challenge type is called *method*.
    """
    if method not in ACME_METHODS:
        known = ", ".join(sorted(ACME_METHODS))
        raise ValueError(f"unknown validation method {method!r}; known are {known}")


@dataclass(frozen=True, slots=True)
class Query:
    """One name to check.

    :ivar text: the identifier: a domain name, ``*.`` before it for a wildcard, or an IP address.
    :ivar validation_method: the ACME challenge type to be used; any when None.
    :ivar account_uri: the ACME account's URI; without it no ``accounturi`` matches.
    :raises ValueError: when no challenge type is called *validation_method*: a record that allows
        others only would seem to deny.
    """

    text: str
    validation_method: str | None = None
    account_uri: str | None = None

    def __post_init__(self) -> None:
        if self.validation_method is not None:
            must_be_known(self.validation_method)

    @property
    def identifier(self) -> Identifier | None:
        """What CAA is looked up for; None for an IP address.

        :raises certbot_caa_guard.names.IdentifierError: when it is no identifier at all.
        """
        return None if is_ip_address(self.text) else parse(self.text)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one query.

    :ivar index: its place in the input, from 0.
    :ivar ca_problem: what the CA would put into the challenge, from the first public
        perspective's first round in which it could ask; None when that one permits.
    :ivar findings: what an audit found, if there was one, as JSON has it.
    """

    index: int
    identifier: str
    verdict: Verdict
    evidence: Evidence | None = None
    ca_problem: dict[str, str] | None = None
    exposure: Exposure | None = None
    findings: tuple[Mapping[str, Any], ...] = ()

    @property
    def decisive(self) -> Determination | None:
        """The determination that speaks for the verdict."""
        made = self.evidence.heard if self.evidence else ()
        by_weight = sorted(made, key=lambda one: (one.perspective.public, one.round))
        wanted = {Verdict.PERMITTED: Result.PERMITTED, Verdict.DENIED: Result.DENIED}
        result = wanted.get(self.verdict)
        speaking = [one for one in by_weight if result in {None, one.result}]
        return speaking[-1] if speaking else None

    def as_json(self) -> dict[str, Any]:
        """The result as the console prints it."""
        decisive = self.decisive
        return {
            "index": self.index,
            "identifier": self.identifier,
            "verdict": self.verdict.value,
            "found_at": decisive.found_at if decisive else None,
            "records": [str(record) for record in decisive.records] if decisive else [],
            "ca_problem": self.ca_problem,
            "evidence": _evidence_as_json(self.evidence),
            "findings": list(self.findings),
            "exposure": _exposure_as_json(self.exposure),
        }

    def as_line(self) -> Line:
        """The verdict, and the result as the JSON text of a line."""
        return self.verdict, json.dumps(self.as_json())


@dataclass(frozen=True)
class Options:
    """How to check.

    :ivar resolvers: SPECs, or resolvers themselves; each is a perspective.
    :ivar issuers: the CA's domain names in CAA records.
    :ivar rounds: how often to ask about a name in doubt; with two or more, all failing, it can be
        ``broken``.
    :ivar strict: judge by the letter of RFC 8659 and RFC 8657, not as Boulder does.
    :ivar clock_skew: how many seconds our clock is ahead of the CA's, where that is known.
    :ivar rate: how many questions a second each resolver is asked at most; None for the usual: 500
        where it is not on this machine.
    :ivar remembered: how many owner names' lookups are remembered, so as not to ask again.
    :ivar ordered: whether the outcomes of a stream come in the order of the names.
    :ivar progress: told how many names are done, and of how many so far.
    :ivar known: given each result as soon as it is known, in whatever order.
    :raises TypeError: when a text is given for several.
    :raises ValueError: when there is nobody to ask, or a number is too small.
    """

    resolvers: Sequence[str | IResolver] = ("auto",)
    issuers: Sequence[str] = (LETS_ENCRYPT,)
    rounds: int = 2
    root_hints: str | None = None
    trust_anchor: str | None = None
    strict: bool = False
    clock_skew: float | None = None
    rate: int | None = None
    remembered: int = 200_000
    ordered: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[int, int], None] = field(default=lambda _done, _of: None)
    known: Callable[[Checked], None] = field(default=lambda _checked: None)

    def __post_init__(self) -> None:
        must_be_several(resolvers=self.resolvers, issuers=self.issuers)
        must_be_at_least(1, rounds=self.rounds, rate=self.rate, remembered=self.remembered)
        if not self.resolvers:
            raise ValueError("resolvers must name one at least")


@dataclass(frozen=True)
class Report:
    """What a check found.

    :ivar unusable: the SPECs of perspectives that do not resolve the root now.
    :ivar perspectives: how many do.
    :ivar has_public_perspective: whether one of them asks the public DNS.
    """

    checked: tuple[Checked, ...]
    unusable: tuple[str, ...]
    perspectives: int
    has_public_perspective: bool


class CheckStream(Iterator[Checked]):
    """The outcomes of many queries, each as soon as it is known.

    :ivar unusable: the SPECs of perspectives that do not resolve the root now.
    """

    def __init__(self, names: Iterable[str | Query | None], options: Options) -> None:
        """See :func:`check_stream`."""
        must_be_several(names=names)
        self._options = options
        self._lasting = _lasting(options)
        self._permitted_lines: PermittedLines | None = None
        self._requesters: dict[tuple[str | None, str | None], Requester] = {}
        self._closing = ExitStack()
        with ExitStack() as stack:
            resolvers = load_resolvers(options)
            for resolver in resolvers:
                stack.callback(resolver.close)
            self._stream: Stream[Query] = Stream(
                resolvers,
                Settings(
                    identify=_identify,
                    requester_for=self._requester_for,
                    rounds=options.rounds,
                    interval=ROUND_INTERVAL,
                    remembered=options.remembered,
                    clock=options.clock,
                    sleep=options.sleep,
                    progress=options.progress,
                ),
                InOrder() if options.ordered else AsKnown(),
            )
            self._closing = stack.pop_all()
        self._batches = self._stream.run(map(_as_query, names))
        self._checked = chain.from_iterable(map(self._check_all, self._batches))

    def __next__(self) -> Checked:
        return next(self._checked)

    def close(self) -> None:
        """Ask nothing further."""
        self._batches.close()
        self._stream.close()
        self._closing.close()

    def __enter__(self) -> CheckStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lines(self) -> Iterator[list[Line]]:
        """The same as verdicts and JSON texts of a line, several at a time."""
        for batch in self.outcomes():
            yield [one if isinstance(one, tuple) else one.as_line() for one in batch]

    def outcomes(self) -> Iterator[list[Line | Checked]]:
        """The same, several at a time; names that are plainly permitted as lines already."""
        for batch in self._batches:
            yield [self._outcome(case) for case in batch]

    @property
    def unusable(self) -> tuple[str, ...]:
        """The SPECs of perspectives that do not resolve the root now."""
        return tuple(one.name for one in self._stream.unusable)

    @property
    def usable(self) -> tuple[Perspective, ...]:
        """The perspectives that do."""
        return self._stream.usable

    def _outcome(self, case: Case[Query]) -> Line | Checked:
        if case.identifier is not None and not case.made and len(case.usable) == 1:
            ((place, perspective),) = case.usable
            if self._permitted_lines is None:
                self._permitted_lines = PermittedLines(perspective.name, self._options.issuers)
            line = self._permitted_lines.line(
                case.index,
                case.identifier,
                case.rungs[place],
                self._requester_for,
                case.query,
            )
            if line is not None:
                return Verdict.PERMITTED, line
        return self._check(case)

    def _check_all(self, cases: Iterable[Case[Query]]) -> list[Checked]:
        return [self._check(case) for case in cases]

    def _check(self, case: Case[Query]) -> Checked:
        if case.identifier is None:
            return Checked(case.index, case.query.text, Verdict.PERMITTED)
        return _checked(
            case.index,
            Evidence(
                case.identifier,
                self._stream.determinations(case),
                unusable=frozenset(self._stream.unusable),
            ),
            self._options,
            self._lasting,
        )

    def _requester_for(self, query: Query) -> Requester:
        key = (query.validation_method, query.account_uri)
        requester = self._requesters.get(key)
        if requester is None:
            if len(self._requesters) >= _MOST_REQUESTERS:
                self._requesters.clear()
            requester = self._requesters[key] = _requester(query, self._options)
        return requester


def check_stream(
    names: Iterable[str | Query | None], options: Options | None = None
) -> CheckStream:
    """Ask about *names* as a CA would, however many they are, and yield each outcome when known.

    Memory does not grow with the number of names: they are read as there is room.  The result is
    an iterator and a context manager.  An error that *names* raises, or a name that is none, ends
    the stream when all before it are known.

    :param names: a None among them says that there is nothing to read just now.
    :raises certbot_caa_guard.names.IdentifierError: when one of them is no identifier.
    :raises certbot_caa_guard.resolvers.spec.SpecError: when a SPEC is none.
    :raises certbot_caa_guard.resolvers.loader.ResolverError: when a resolver cannot be had.
    """
    return CheckStream(names, options or Options())


def check(names: Iterable[str | Query], options: Options | None = None) -> Report:
    """Ask about *names* as a CA would, and say of each what the CA would.

    :raises certbot_caa_guard.names.IdentifierError: when one of them is no identifier.
    :raises certbot_caa_guard.resolvers.spec.SpecError: when a SPEC is none.
    :raises certbot_caa_guard.resolvers.loader.ResolverError: when a resolver cannot be had.
    """
    options = options or Options()
    must_be_several(names=names)
    queries = [_as_query(name) for name in names]
    for query in queries:
        _identify(query)
    checked = []
    with check_stream(queries, options) as stream:
        for one in stream:
            options.known(one)
            checked.append(one)
    return Report(
        tuple(sorted(checked, key=lambda one: one.index)),
        stream.unusable,
        len(stream.usable),
        any(one.public for one in stream.usable),
    )


def corroborated(checked: Checked, options: Options) -> Checked:
    """The same name with the verdict that it has when an audit explains its failed lookups."""
    if checked.evidence is None:
        return checked
    evidence = replace(checked.evidence, explained=True)
    return replace(
        checked, evidence=evidence, verdict=_decided(evidence, options, _lasting(options))
    )


def load_resolvers(options: Options) -> list[IResolver]:
    """The resolvers that the options name.

    :raises certbot_caa_guard.resolvers.loader.ResolverError: when one cannot be had.
    """

    def refuse(reason: str) -> None:
        raise loader.ResolverError(reason)

    resolvers: list[IResolver] = []
    for given in options.resolvers:
        if not isinstance(given, str):
            resolvers.append(given)
            continue
        pointed = [
            replace(
                one,
                root_hints=options.root_hints,
                trust_anchor=options.trust_anchor,
                rate=options.rate,
            )
            for one in spec.parse_list(given)
        ]
        resolvers += loader.load_all(pointed, refuse)
    return resolvers


def _as_query(name: Any) -> Any:
    return Query(name) if isinstance(name, str) else name


def _identify(query: Query) -> Identifier | None:
    return query.identifier


def _lasting(options: Options) -> Lasting:
    return Lasting(rounds=max(2, options.rounds), seconds=0.0)


def _decided(evidence: Evidence, options: Options, lasting: Lasting) -> Verdict:
    clock_is_right = verdict.is_clock_right(options.clock_skew)
    return verdict.decide(evidence, lasting, clock_is_right=clock_is_right)


def _checked(index: int, evidence: Evidence, options: Options, lasting: Lasting) -> Checked:
    identifier = evidence.identifier
    reached = _decided(evidence, options, lasting)
    first = next((one for one in evidence.counting if one.perspective.public), None)
    checked = Checked(
        index,
        str(identifier),
        reached,
        evidence,
        prediction.ca_problem(identifier, first) if first is not None else None,
    )
    found_at = checked.decisive.found_at if checked.decisive else None
    is_alias = evidence.alias_of(identifier.domain) is not None
    exposed = exposure(identifier, found_at, options.issuers, is_alias=is_alias)
    return replace(checked, exposure=exposed)


def _requester(query: Query, options: Options) -> Requester:
    methods = {query.validation_method} if query.validation_method else ACME_METHODS
    rules = STRICT if options.strict else BOULDER
    return Requester(frozenset(options.issuers), query.account_uri, frozenset(methods), rules)


def _evidence_as_json(evidence: Evidence | None) -> list[dict[str, Any]]:
    return [
        {
            "perspective": made.perspective.name,
            "round": made.round,
            "owner": lookup.owner,
            "outcome": lookup.outcome.value,
            "ede": _extended_error_as_json(lookup.extended_error),
            "seconds": round(lookup.seconds, 3),
        }
        for made in (evidence.determinations if evidence else ())
        for lookup in made.lookups
    ]


def _extended_error_as_json(error: Any) -> dict[str, Any] | None:
    return None if error is None else {"code": error.code, "text": error.text}


def _exposure_as_json(exposed: Exposure | None) -> dict[str, Any] | None:
    if exposed is None:
        return None
    return {"owners": list(exposed.owners), "tld": exposed.tld, "cut": exposed.cut}
