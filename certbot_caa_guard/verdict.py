"""Verdicts: what the guard says of an identifier once its perspectives have answered.

A verdict is computed from everything that was seen in this run, so that it can be computed
again whenever something is added: another round, or the CA's own report.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Lookup, Outcome, climb
from certbot_caa_guard.names import Identifier, is_at_or_below

_MOST_CLOCK_SKEW = 300.0


class Verdict(enum.Enum):
    """What is to be done with an identifier.

    PERMITTED, FLAKY and UNKNOWN are ordered; DENIED and BROKEN are held.
    """

    PERMITTED = "permitted"
    DENIED = "denied"
    BROKEN = "broken"
    FLAKY = "flaky"
    UNKNOWN = "unknown"

    @property
    def holds(self) -> bool:
        """Whether an identifier with this verdict is left out of the order."""
        return self in {Verdict.DENIED, Verdict.BROKEN}


class Result(enum.Enum):
    """What one climb through one perspective gives."""

    PERMITTED = "permitted"
    DENIED = "denied"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Perspective:
    """A way to ask DNS.

    :ivar name: the SPEC it was asked for by, such as ``udp://192.0.2.1``.
    :ivar public: whether it asks the public DNS, or is a resolver that the user named; a
        perspective that is not may live in a split horizon.
    :ivar addresses: the resolvers that it asks; none where it asks authoritative servers itself.
    :ivar located: whether all of these are known; if not, it may ask any resolver.
    """

    name: str
    public: bool
    addresses: frozenset[str] = frozenset()
    located: bool = True

    def is_independent_of(self, other: Perspective) -> bool:
        """Whether the two share no resolver, for all that is known."""
        if self.name == other.name or self.addresses & other.addresses:
            return False
        # One that is not located may be any resolver, but is no authoritative server.
        known = self.located and other.located
        return known or not (self.addresses and other.addresses)


@dataclass(frozen=True, slots=True)
class Determination:
    """One climb through one perspective in one round.

    :ivar found_at: the name that the relevant set stands at, as the CA names it.
    :ivar judgement: what the relevant set says; None on an error.
    :ivar failure: the lookup that failed, on an error.
    :ivar at: when it was made, in seconds of the caller's clock.
    """

    perspective: Perspective
    round: int
    at: float
    result: Result
    lookups: tuple[Lookup, ...]
    judgement: caa.Judgement | None = None
    found_at: str | None = None
    records: tuple[caa.Record, ...] = ()
    failure: Lookup | None = None


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a failure must have lasted before a name is held for it.

    :ivar rounds: in how many rounds it must have been seen.
    :ivar seconds: how far apart the first and the last of them must be.
    """

    rounds: int = 3
    seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one identifier.

    :ivar determinations: in the order in which they were made.
    :ivar ca_refused: the CA itself refused it by its CAA records within a day.
    :ivar ca_failed: the CA itself reported a failed lookup in this run.
    :ivar explained: an audit of the servers found a reason for the failed lookups.
    :ivar failed_before: an earlier run saw its lookups fail, too.
    :ivar unusable: the perspectives that were found to be so, before or after they were asked.
    """

    identifier: Identifier
    determinations: tuple[Determination, ...] = field(default=())
    ca_refused: bool = False
    ca_failed: bool = False
    explained: bool = False
    failed_before: bool = False
    unusable: frozenset[Perspective] = frozenset()

    def with_determinations(self, more: Iterable[Determination]) -> Evidence:
        """The same with *more* determinations after the present ones."""
        return replace(self, determinations=(*self.determinations, *more))

    @property
    def rounds(self) -> int:
        """How many rounds were made."""
        return len({determination.round for determination in self.determinations})

    @property
    def seconds(self) -> float:
        """The time from the first determination to the last."""
        if not self.determinations:
            return 0.0
        return self.determinations[-1].at - self.determinations[0].at

    @property
    def heard(self) -> tuple[Determination, ...]:
        """What was determined by those who have a say.

        What an unusable perspective said for the identifier harms nobody; nothing that it said
        against it is believed, for it may have been failing already.
        """
        return tuple(
            made
            for made in self.determinations
            if made.result is Result.PERMITTED or made.perspective not in self.unusable
        )

    @property
    def counting(self) -> tuple[Determination, ...]:
        """Of what was :attr:`heard`, that which tells of the identifier, and not of this machine.

        A resolver that was not reached, or that found no way from here to any server, does not.
        """
        return tuple(made for made in self.heard if not _could_not_ask(made))

    @property
    def failures(self) -> tuple[Determination, ...]:
        """The climbs that failed, of those that are :attr:`counting`."""
        return tuple(made for made in self.counting if made.result is Result.ERROR)

    @property
    def main_failure(self) -> Lookup | None:
        """The failed lookup to tell the user of: the newest of a public perspective, else any."""
        failed = sorted(self.failures, key=lambda made: (made.perspective.public, made.round))
        return failed[-1].failure if failed else None

    @property
    def failed_owners(self) -> frozenset[str]:
        """The names whose lookups failed on climbs that ended so; elsewhere none of them counts."""
        return frozenset(one.owner for made in self.failures for one in made.lookups if one.failed)

    @property
    def main_denial(self) -> Determination | None:
        """The denial to tell the user of."""
        denials = [made for made in self.heard if made.result is Result.DENIED]
        denials.sort(key=lambda made: (made.perspective.public, made.round))
        return denials[-1] if denials else None

    def alias_of(self, owner: str) -> str | None:
        """The name that *owner* is an alias of, where a lookup showed one.

        Beside an alias no CAA record can stand (RFC 1034 section 3.6.2).
        """
        for made in self.determinations:
            for lookup in made.lookups:
                if lookup.owner == owner and lookup.alias_of is not None:
                    return lookup.alias_of
        return None


def determine(
    identifier: Identifier,
    lookups: Mapping[str, Lookup],
    *,
    perspective: Perspective,
    requester: caa.Requester,
    round: int,  # noqa: A002 - the field's own word
    at: float,
) -> Determination:
    """Climb once and judge what was found.

    :param lookups: the outcome for each of the identifier's owners; those above the relevant set
        may be missing.
    """
    known = tuple(lookups[owner] for owner in identifier.owners if owner in lookups)
    end = climb(_as_read_by(requester.rules, known))
    if end.failure is not None:
        return Determination(
            perspective, round, at, Result.ERROR, lookups=known, failure=end.failure
        )
    if end.relevant is None:
        judgement = caa.Judgement(caa.Reason.NO_RESTRICTION)
        return Determination(
            perspective, round, at, Result.PERMITTED, lookups=known, judgement=judgement
        )
    judgement = caa.judge(end.relevant.records, wildcard=identifier.wildcard, requester=requester)
    return Determination(
        perspective,
        round,
        at,
        Result.PERMITTED if judgement.permitted else Result.DENIED,
        lookups=known,
        judgement=judgement,
        found_at=end.relevant.owner,
        records=end.relevant.records,
    )


def _as_read_by(rules: caa.Rules, lookups: Iterable[Lookup]) -> Iterable[Lookup]:
    """For those who take a missing TLD for one without records, it is."""
    for lookup in lookups:
        if lookup.outcome is Outcome.NXDOMAIN and not rules.missing_tld_fails:
            yield replace(lookup, outcome=Outcome.NOTHING)
        else:
            yield lookup


def judged_for(evidence: Evidence, requester: caa.Requester) -> Evidence:
    """The same lookups, held against another requester."""
    return replace(
        evidence,
        determinations=tuple(
            determine(
                evidence.identifier,
                {lookup.owner: lookup for lookup in made.lookups},
                perspective=made.perspective,
                requester=requester,
                round=made.round,
                at=made.at,
            )
            for made in evidence.determinations
        ),
    )


def decide(evidence: Evidence, lasting: Lasting, *, clock_is_right: bool = True) -> Verdict:
    """Say the verdict.

    :param clock_is_right: False while our clock differs from the CA's: then no DNSSEC failure
        is believed, since signatures are valid from one time to another.
    """
    made = [one for one in evidence.heard if clock_is_right or not _is_dnssec_failure(one)]
    answers = _newest_answers(made)
    if len(set(answers.values())) > 1:
        return Verdict.UNKNOWN
    if Result.DENIED in answers.values():
        by_public = any(perspective.public for perspective in answers)
        return Verdict.DENIED if by_public or evidence.ca_refused else Verdict.UNKNOWN
    if answers:
        return Verdict.FLAKY if _errors_in_last_round(made) else Verdict.PERMITTED
    failures = [one for one in made if not _could_not_ask(one)]
    return _decide_without_answers(evidence, failures, lasting)


def is_clock_right(skew: float | None) -> bool:
    """Whether our clock is near enough to the CA's for DNSSEC failures to be believed.

    :param skew: seconds that it is ahead; None where that is not known.
    """
    return skew is None or abs(skew) < _MOST_CLOCK_SKEW


def could_be_held(evidence: Evidence, lasting: Lasting, *, clock_is_right: bool = True) -> bool:
    """Whether more rounds like the last could still turn the verdict into one that holds."""
    if decide(evidence, lasting, clock_is_right=clock_is_right).holds:
        return False
    at_once = Lasting(rounds=0, seconds=0.0)
    return decide(evidence, at_once, clock_is_right=clock_is_right).holds


def wants_explanation(evidence: Evidence, lasting: Lasting, *, clock_is_right: bool = True) -> bool:
    """Whether the identifier could be held if an audit explained its failures, and else not."""
    explained = replace(evidence, explained=True)
    now, then = (
        could_be_held(one, lasting, clock_is_right=clock_is_right) for one in (evidence, explained)
    )
    return then and not now


def _decide_without_answers(
    evidence: Evidence, made: Sequence[Determination], lasting: Lasting
) -> Verdict:
    corroborated = evidence.ca_failed or evidence.explained
    if not made or not (corroborated or _from_independent_perspectives(made)):
        return Verdict.UNKNOWN
    if all(_is_missing_tld(one) for one in made):
        return Verdict.BROKEN
    if any(
        one.failure is not None and _lies_above(evidence.identifier, one.failure, one.lookups)
        for one in made
    ):
        return Verdict.FLAKY
    return Verdict.BROKEN if _has_lasted(made, lasting, evidence) else Verdict.UNKNOWN


def _newest_answers(made: Iterable[Determination]) -> dict[Perspective, Result]:
    """What each perspective that ever answered said last."""
    return {one.perspective: one.result for one in made if one.result is not Result.ERROR}


def _errors_in_last_round(made: Sequence[Determination]) -> bool:
    last = max(one.round for one in made)
    return any(one.result is Result.ERROR for one in made if one.round == last)


def _from_independent_perspectives(made: Iterable[Determination]) -> bool:
    perspectives = {one.perspective for one in made}
    return any(one.is_independent_of(other) for one in perspectives for other in perspectives)


def _has_lasted(made: Sequence[Determination], lasting: Lasting, evidence: Evidence) -> bool:
    rounds = len({one.round for one in made})
    if evidence.failed_before and rounds >= 2:
        return True
    seconds = made[-1].at - made[0].at
    return rounds >= lasting.rounds and seconds >= lasting.seconds


def _could_not_ask(made: Determination) -> bool:
    return made.failure is not None and made.failure.outcome is Outcome.NETWORK


def _is_dnssec_failure(made: Determination) -> bool:
    return made.failure is not None and made.failure.is_dnssec_failure


def _is_missing_tld(made: Determination) -> bool:
    return made.failure is not None and made.failure.outcome is Outcome.NXDOMAIN


def _lies_above(identifier: Identifier, failure: Lookup, lookups: Sequence[Lookup]) -> bool:
    """Whether a failure lies above the identifier's own zone.

    It does when it is the TLD's, when the TLD fails as well, or when a name below it is known to
    be in a zone that starts further down.
    """
    tld = identifier.owners[-1]
    if any(lookup.owner == tld and lookup.failed for lookup in lookups):
        return True
    return any(
        _is_strictly_below(lookup.zone, failure.owner)
        for lookup in lookups
        # The SOA of an alias's target says nothing about the zones on this name's own way.
        if lookup.zone is not None and is_at_or_below(lookup.owner, lookup.zone)
    )


def _is_strictly_below(name: str, ancestor: str) -> bool:
    return name != ancestor and is_at_or_below(name, ancestor)
