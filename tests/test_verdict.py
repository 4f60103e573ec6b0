"""What every perspective saw in every round becomes one verdict, and none on one opinion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from certbot_caa_guard import names
from certbot_caa_guard.caa import STRICT, Judgement, Reason, Record, Requester
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.verdict import (
    Determination,
    Evidence,
    Lasting,
    Perspective,
    Result,
    Verdict,
    could_be_held,
    decide,
    determine,
    judged_for,
    wants_explanation,
)

_ACCOUNT = "https://letsencrypt.org/acct/reg/123"
_LETS_ENCRYPT = Requester(frozenset({"letsencrypt.org"}), _ACCOUNT, frozenset({"http-01"}))

_UNBOUND = Perspective("unbound", public=True)
_ITERATIVE = Perspective("iterative", public=True)
_SYSTEM = Perspective("system", public=False, addresses=frozenset({"192.0.2.53"}))
_OTHER_SYSTEM = Perspective("other", public=False, addresses=frozenset({"192.0.2.54"}))
# The resolver that the system uses, too, but named by the user.
_SAME_STUB = Perspective("udp://192.0.2.53", public=True, addresses=frozenset({"192.0.2.53"}))
# Its address cannot be found out.
_SOMEWHERE = Perspective("tls://a", public=True, addresses=frozenset({"a"}), located=False)

_WWW = names.parse("www.example.net")
_LE = (Record(0, b"issue", b"letsencrypt.org"),)
_OTHER = (Record(0, b"issue", b"ca.test"),)

# What a perspective saw in a round: the lookups that are anything but "no records".
Seen = tuple[Lookup, ...]
# One round: what each perspective saw.
Round = Mapping[Perspective, Seen]


def _failing(owner: str, outcome: Outcome = Outcome.SERVFAIL, code: int | None = None) -> Lookup:
    return Lookup(
        owner, outcome, extended_error=None if code is None else ExtendedError(code, "text")
    )


def _in_zone(owner: str, zone: str, outcome: Outcome = Outcome.NOTHING) -> Lookup:
    """A negative answer with the SOA of *zone*."""
    return Lookup(owner, outcome, zone=zone)


_PERMITS: Seen = ()
_DENIES: Seen = (Lookup("example.net", Outcome.RECORDS, _OTHER),)
_FAILS: Seen = (_failing("www.example.net"),)
_TIMES_OUT: Seen = (_failing("www.example.net", Outcome.TIMEOUT),)
_BOGUS: Seen = (_failing("www.example.net", Outcome.BOGUS),)
_COULD_NOT_ASK: Seen = (_failing("www.example.net", Outcome.NETWORK),)
_EXPIRED: Seen = (_failing("www.example.net", Outcome.SERVFAIL, 7),)
_TLD_FAILS: Seen = (_failing("net"),)
_NO_TLD: Seen = (_failing("net", Outcome.NXDOMAIN),)


def _made(
    seen: Seen,
    perspective: Perspective = _UNBOUND,
    *,
    identifier: Identifier = _WWW,
    round_number: int = 1,
    at: float = 0.0,
) -> Determination:
    lookups = {owner: Lookup(owner, Outcome.NOTHING) for owner in identifier.owners}
    lookups.update({lookup.owner: lookup for lookup in seen})
    return determine(
        identifier,
        lookups,
        perspective=perspective,
        requester=_LETS_ENCRYPT,
        round=round_number,
        at=at,
    )


def _evidence(
    *rounds: Round, every: float = 45.0, identifier: Identifier = _WWW, **known: bool
) -> Evidence:
    """Rounds that are *every* seconds apart: three of them last 90 s unless told otherwise."""
    determinations = tuple(
        _made(
            seen,
            perspective,
            identifier=identifier,
            round_number=number + 1,
            at=100 + number * every,
        )
        for number, seen_by in enumerate(rounds)
        for perspective, seen in seen_by.items()
    )
    return Evidence(identifier, determinations, **known)


def _all(seen: Seen) -> Round:
    """A round in which both public perspectives saw the same."""
    return {_UNBOUND: seen, _ITERATIVE: seen}


# One climb


@pytest.mark.parametrize(
    ("identifier", "lookups", "result", "found_at"),
    [
        pytest.param("www.example.net", [], Result.PERMITTED, None, id="no CAA"),
        pytest.param("example.co.uk", [], Result.PERMITTED, None, id="no CAA, a longer TLD"),
        pytest.param(
            "present.com",
            [Lookup("present.com", Outcome.RECORDS, _LE)],
            Result.PERMITTED,
            "present.com",
            id="records at the name",
        ),
        pytest.param(
            "child.present.com",
            [Lookup("present.com", Outcome.RECORDS, _LE)],
            Result.PERMITTED,
            "present.com",
            id="records at the parent",
        ),
        pytest.param(
            "a.b.reserved.com",
            [Lookup("reserved.com", Outcome.RECORDS, _OTHER)],
            Result.DENIED,
            "reserved.com",
            id="refused two labels up",
        ),
        pytest.param(
            "www.example.net",
            [Lookup("net", Outcome.RECORDS, _OTHER)],
            Result.DENIED,
            "net",
            id="refused by the TLD",
        ),
        pytest.param(
            "present.servfail.com",
            [Lookup("present.servfail.com", Outcome.RECORDS, _LE), _failing("servfail.com")],
            Result.PERMITTED,
            "present.servfail.com",
            id="a failure above the relevant set",
        ),
        pytest.param(
            "servfail.present.com",
            [_failing("servfail.present.com"), Lookup("present.com", Outcome.RECORDS, _LE)],
            Result.ERROR,
            None,
            id="a failure below it",
        ),
        pytest.param(
            "a.b.c.test",
            [
                Lookup("a.b.c.test", Outcome.NXDOMAIN),
                Lookup("b.c.test", Outcome.RECORDS, _LE),
                Lookup("c.test", Outcome.RECORDS, _OTHER),
            ],
            Result.PERMITTED,
            "b.c.test",
            id="the closest set hides the others",
        ),
        pytest.param(
            "*.example.net",
            [
                Lookup("*.example.net", Outcome.RECORDS, _OTHER),
                Lookup("example.net", Outcome.RECORDS, _LE),
            ],
            Result.PERMITTED,
            "example.net",
            id="a wildcard is asked about as its base",
        ),
        pytest.param(
            "*.example.net",
            [Lookup("example.net", Outcome.RECORDS, (Record(0, b"issuewild", b";"),))],
            Result.DENIED,
            "example.net",
            id="issuewild refuses a wildcard",
        ),
        pytest.param(
            "example.net",
            [Lookup("example.net", Outcome.RECORDS, (Record(0, b"issuewild", b";"),))],
            Result.PERMITTED,
            "example.net",
            id="but not a name, whose climb ends there all the same",
        ),
        pytest.param(
            "www.gonetld",
            [Lookup("www.gonetld", Outcome.NXDOMAIN), _failing("gonetld", Outcome.NXDOMAIN)],
            Result.ERROR,
            None,
            id="a TLD that does not exist",
        ),
    ],
)
def test_a_climb_permits_denies_or_fails(
    identifier: str, lookups: list[Lookup], result: Result, found_at: str | None
) -> None:
    made = _made(tuple(lookups), identifier=names.parse(identifier))
    assert (made.result, made.found_at) == (result, found_at)


def test_a_determination_says_who_made_it_when_and_from_which_lookups() -> None:
    made = _made(_DENIES, _SYSTEM, round_number=2, at=7.5)
    assert made == Determination(
        _SYSTEM,
        2,
        7.5,
        Result.DENIED,
        lookups=(
            Lookup("www.example.net", Outcome.NOTHING),
            _DENIES[0],
            Lookup("net", Outcome.NOTHING),
        ),
        judgement=Judgement(Reason.ISSUER),
        found_at="example.net",
        records=_OTHER,
    )


def test_a_failed_determination_keeps_the_failure_and_no_judgement() -> None:
    made = _made(_FAILS)
    assert (made.failure, made.judgement, made.records) == (_FAILS[0], None, ())


def test_no_records_at_all_are_no_restriction() -> None:
    made = _made(_PERMITS)
    assert (made.judgement, made.failure) == (Judgement(Reason.NO_RESTRICTION), None)


def test_lookups_above_the_relevant_set_may_be_missing() -> None:
    made = determine(
        _WWW,
        {"www.example.net": Lookup("www.example.net", Outcome.RECORDS, _LE)},
        perspective=_UNBOUND,
        requester=_LETS_ENCRYPT,
        round=1,
        at=0.0,
    )
    assert (made.result, len(made.lookups)) == (Result.PERMITTED, 1)


def test_to_the_letter_of_the_rfc_a_tld_that_does_not_exist_has_no_records() -> None:
    """RFC 8659 section 3 knows no such error; Boulder does."""
    strict = replace(_LETS_ENCRYPT, rules=STRICT)
    judged = judged_for(_evidence(_all(_NO_TLD)), strict)
    assert decide(judged, Lasting()) is Verdict.PERMITTED
    assert judged.determinations[0].lookups[-1] == _NO_TLD[0]


def test_to_the_letter_of_the_rfc_a_failure_is_still_one() -> None:
    strict = replace(_LETS_ENCRYPT, rules=STRICT)
    assert decide(judged_for(_evidence(*[_all(_FAILS)] * 3), strict), Lasting()) is Verdict.BROKEN


def test_what_was_seen_can_be_judged_for_another_requester() -> None:
    """Nothing is asked again: who made it, when, and from which lookups stay."""
    evidence = _evidence(_all(_DENIES), _all(_FAILS), ca_failed=True)
    other = Requester(frozenset({"ca.test"}), None, frozenset({"dns-01"}))
    judged = judged_for(evidence, other)
    results = [(made.result, made.round, made.at) for made in judged.determinations]
    assert results == [
        (Result.PERMITTED, 1, 100),
        (Result.PERMITTED, 1, 100),
        (Result.ERROR, 2, 145),
        (Result.ERROR, 2, 145),
    ]
    assert judged_for(judged, _LETS_ENCRYPT) == evidence


# Perspectives


@pytest.mark.parametrize(
    ("one", "other", "independent"),
    [
        pytest.param(_UNBOUND, _ITERATIVE, True, id="both ask authoritative servers"),
        pytest.param(_UNBOUND, _SYSTEM, True, id="one does"),
        pytest.param(_SYSTEM, _OTHER_SYSTEM, True, id="two resolvers"),
        pytest.param(_SYSTEM, _SAME_STUB, False, id="the same resolver by two names"),
        pytest.param(_UNBOUND, _UNBOUND, False, id="itself"),
        pytest.param(
            _SYSTEM,
            Perspective("two", public=True, addresses=frozenset({"192.0.2.53", "192.0.2.99"})),
            False,
            id="one resolver of two in common",
        ),
        pytest.param(_SYSTEM, _SOMEWHERE, False, id="one resolver may be the other"),
        pytest.param(
            _SOMEWHERE,
            Perspective("tls://b", public=True, addresses=frozenset({"b"}), located=False),
            False,
            id="both may be any",
        ),
        pytest.param(_UNBOUND, _SOMEWHERE, True, id="one may be any resolver, the other is none"),
    ],
)
def test_perspectives_are_independent_when_they_share_no_resolver(
    one: Perspective, other: Perspective, independent: bool
) -> None:
    assert one.is_independent_of(other) is independent
    assert other.is_independent_of(one) is independent


@pytest.mark.parametrize("verdict", Verdict, ids=lambda verdict: verdict.name)
def test_denied_and_broken_hold_a_name_and_nothing_else_does(verdict: Verdict) -> None:
    assert verdict.holds is (verdict in {Verdict.DENIED, Verdict.BROKEN})


# The verdicts, row by row


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([_all(_PERMITS)], id="all permit"),
        pytest.param([{_SYSTEM: _PERMITS}], id="one permits, and it is not public"),
        pytest.param([_all(_FAILS), _all(_PERMITS)], id="the failures are over"),
        pytest.param(
            [{_UNBOUND: _FAILS, _SYSTEM: _PERMITS}, {_UNBOUND: _PERMITS, _SYSTEM: _PERMITS}],
            id="one perspective's failure is over",
        ),
        pytest.param(
            [_all(_PERMITS), {_UNBOUND: _PERMITS}], id="one is not asked in the last round"
        ),
        pytest.param([_all(_DENIES), _all(_PERMITS)], id="the records were mended meanwhile"),
    ],
)
def test_permitted_when_all_permit_and_none_failed_last(rounds: list[Round]) -> None:
    assert decide(_evidence(*rounds), Lasting()) is Verdict.PERMITTED


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([_all(_DENIES)], id="all refuse"),
        pytest.param([{_UNBOUND: _DENIES}], id="one refuses, and it is public"),
        pytest.param([{_SAME_STUB: _DENIES}], id="a resolver that the user named refuses"),
        pytest.param([{_UNBOUND: _DENIES, _SYSTEM: _DENIES}], id="a public one and another"),
        pytest.param([{_UNBOUND: _DENIES, _SYSTEM: _FAILS}], id="who failed has no say"),
        pytest.param([_all(_DENIES), _all(_FAILS)], id="they refused before they failed"),
        pytest.param([_all(_PERMITS), _all(_DENIES)], id="they permitted before they refused"),
    ],
)
def test_denied_when_all_that_answered_refuse_and_one_is_public(rounds: list[Round]) -> None:
    assert decide(_evidence(*rounds), Lasting()) is Verdict.DENIED


@pytest.mark.parametrize(
    ("rounds", "ca_refused", "verdict"),
    [
        pytest.param([{_SYSTEM: _DENIES}], False, Verdict.UNKNOWN, id="it may be split horizon"),
        pytest.param(
            [{_SYSTEM: _DENIES, _OTHER_SYSTEM: _DENIES}],
            False,
            Verdict.UNKNOWN,
            id="two that are not public are no better",
        ),
        pytest.param(
            [{_SYSTEM: _DENIES, _UNBOUND: _FAILS}],
            False,
            Verdict.UNKNOWN,
            id="a public one that failed does not bear it out",
        ),
        pytest.param([{_SYSTEM: _DENIES}], True, Verdict.DENIED, id="the CA refused, too"),
        pytest.param(
            [{_SYSTEM: _PERMITS}],
            True,
            Verdict.PERMITTED,
            id="the CA refused within a day, but it is mended",
        ),
        pytest.param([], True, Verdict.UNKNOWN, id="the CA refused, and nobody was asked"),
    ],
)
def test_a_denial_in_a_split_horizon_needs_the_cas_own(
    rounds: list[Round], ca_refused: bool, verdict: Verdict
) -> None:
    assert decide(_evidence(*rounds, ca_refused=ca_refused), Lasting()) is verdict


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([{_UNBOUND: _PERMITS, _SYSTEM: _DENIES}], id="public permits"),
        pytest.param([{_UNBOUND: _DENIES, _SYSTEM: _PERMITS}], id="public refuses"),
        pytest.param([{_UNBOUND: _DENIES, _ITERATIVE: _PERMITS}], id="both are public"),
        pytest.param(
            [{_UNBOUND: _DENIES}, {_ITERATIVE: _PERMITS}], id="in two rounds, each its newest"
        ),
    ],
)
@pytest.mark.parametrize("ca_refused", [False, True])
def test_unknown_when_perspectives_disagree(rounds: list[Round], ca_refused: bool) -> None:
    assert decide(_evidence(*rounds, ca_refused=ca_refused), Lasting()) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        pytest.param([], Verdict.UNKNOWN, id="nobody could answer"),
        pytest.param([{_UNBOUND: _FAILS}] * 3, Verdict.UNKNOWN, id="one perspective, however long"),
        pytest.param(
            [{_SYSTEM: _FAILS, _SAME_STUB: _FAILS}] * 3,
            Verdict.UNKNOWN,
            id="two that are not independent",
        ),
        pytest.param([_all(_FAILS)] * 3, Verdict.BROKEN, id="two independent ones"),
        pytest.param(
            [{_SYSTEM: _FAILS, _OTHER_SYSTEM: _TIMES_OUT}] * 3,
            Verdict.BROKEN,
            id="two that are not public, and fail each in its way",
        ),
        pytest.param(
            [{_SYSTEM: _FAILS, _SAME_STUB: _FAILS, _UNBOUND: _FAILS}] * 3,
            Verdict.BROKEN,
            id="two that are among three",
        ),
        pytest.param(
            [{_UNBOUND: _FAILS}, {_ITERATIVE: _FAILS}, {_UNBOUND: _FAILS}],
            Verdict.BROKEN,
            id="two that were not asked in the same round",
        ),
    ],
)
def test_broken_when_two_independent_perspectives_fail_for_long(
    rounds: list[Round], verdict: Verdict
) -> None:
    assert decide(_evidence(*rounds), Lasting()) is verdict


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        pytest.param([{_UNBOUND: _FAILS}] * 3, Verdict.BROKEN, id="one that fails for long"),
        pytest.param([{_SYSTEM: _FAILS}] * 3, Verdict.BROKEN, id="public or not"),
        pytest.param([{_UNBOUND: _FAILS}] * 2, Verdict.UNKNOWN, id="not for long"),
        pytest.param([], Verdict.UNKNOWN, id="but nobody here was asked"),
        pytest.param([{_UNBOUND: _PERMITS}], Verdict.PERMITTED, id="but here it works"),
    ],
)
def test_the_cas_own_report_bears_one_perspective_out(
    rounds: list[Round], verdict: Verdict
) -> None:
    assert decide(_evidence(*rounds, ca_failed=True), Lasting()) is verdict


@pytest.mark.parametrize(
    ("rounds", "every", "failed_before", "verdict"),
    [
        pytest.param(1, 0.0, False, Verdict.UNKNOWN, id="one round"),
        pytest.param(2, 90.0, False, Verdict.UNKNOWN, id="two rounds, long enough"),
        pytest.param(3, 44.9, False, Verdict.UNKNOWN, id="three rounds, not long enough"),
        pytest.param(3, 45.0, False, Verdict.BROKEN, id="three rounds, just long enough"),
        pytest.param(9, 6.0, False, Verdict.UNKNOWN, id="many rounds, not long enough"),
        pytest.param(1, 0.0, True, Verdict.UNKNOWN, id="one round after an earlier run"),
        pytest.param(2, 6.0, True, Verdict.BROKEN, id="two rounds after an earlier run"),
    ],
)
def test_a_failure_must_last_before_a_name_is_held_for_it(
    rounds: int, every: float, failed_before: bool, verdict: Verdict
) -> None:
    """In three rounds over 90 s, or in two after an earlier run's failure."""
    evidence = _evidence(*[_all(_FAILS)] * rounds, every=every, failed_before=failed_before)
    assert decide(evidence, Lasting()) is verdict


@pytest.mark.parametrize(
    ("lasting", "verdict"),
    [
        pytest.param(Lasting(rounds=2, seconds=6.0), Verdict.BROKEN, id="as much as there was"),
        pytest.param(Lasting(rounds=3, seconds=6.0), Verdict.UNKNOWN, id="a round more"),
        pytest.param(Lasting(rounds=2, seconds=6.1), Verdict.UNKNOWN, id="a moment more"),
    ],
)
def test_the_caller_says_how_long_is_lasting(lasting: Lasting, verdict: Verdict) -> None:
    assert decide(_evidence(*[_all(_FAILS)] * 2, every=6.0), lasting) is verdict


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([{_UNBOUND: _FAILS, _ITERATIVE: _PERMITS}], id="at one of two perspectives"),
        pytest.param(
            [{_UNBOUND: _FAILS, _ITERATIVE: _PERMITS}] * 3, id="at one of two, however long"
        ),
        pytest.param([_all(_PERMITS), _all(_FAILS)], id="in the last round only"),
        pytest.param(
            [_all(_PERMITS), _all(_FAILS), _all(_FAILS), _all(_FAILS)],
            id="in all but the first round",
        ),
        pytest.param(
            [{_UNBOUND: _PERMITS, _ITERATIVE: _FAILS}, _all(_FAILS)], id="then at the other, too"
        ),
    ],
)
@pytest.mark.parametrize("ca_failed", [False, True])
@pytest.mark.parametrize("failed_before", [False, True])
def test_flaky_when_it_fails_at_some_time_or_perspective_and_not_at_others(
    rounds: list[Round], ca_failed: bool, failed_before: bool
) -> None:
    evidence = _evidence(*rounds, ca_failed=ca_failed, failed_before=failed_before)
    assert decide(evidence, Lasting()) is Verdict.FLAKY


# Who has a say


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(
            [{_UNBOUND: _COULD_NOT_ASK, _SYSTEM: _FAILS}] * 3, id="beside one that saw a failure"
        ),
        pytest.param(
            [{_UNBOUND: _COULD_NOT_ASK, _SYSTEM: _FAILS}, *[{_SYSTEM: _FAILS}] * 2], id="at first"
        ),
        pytest.param([_all(_COULD_NOT_ASK)] * 3, id="nor two of them"),
    ],
)
def test_who_could_not_ask_bears_nobody_out(rounds: list[Round]) -> None:
    """Its process died, its resolver was not reached, or no server can be reached from here."""
    evidence = _evidence(*rounds, failed_before=True)
    assert decide(evidence, Lasting()) is Verdict.UNKNOWN
    assert not could_be_held(evidence, Lasting())


@pytest.mark.parametrize("corroboration", ["ca_failed", "explained"])
def test_who_could_not_ask_is_not_borne_out_by_anybody(corroboration: str) -> None:
    evidence = _evidence(*[{_UNBOUND: _COULD_NOT_ASK}] * 3, **{corroboration: True})
    assert decide(evidence, Lasting()) is Verdict.UNKNOWN


def test_rounds_in_which_nobody_could_ask_do_not_make_a_failure_last() -> None:
    rounds = [_all(_FAILS), _all(_COULD_NOT_ASK), _all(_FAILS)]
    assert decide(_evidence(*rounds), Lasting()) is Verdict.UNKNOWN
    assert decide(_evidence(*rounds, _all(_FAILS)), Lasting()) is Verdict.BROKEN


def test_who_could_not_ask_while_another_could_is_told_of() -> None:
    rounds = [{_UNBOUND: _COULD_NOT_ASK, _ITERATIVE: _PERMITS}]
    assert decide(_evidence(*rounds), Lasting()) is Verdict.FLAKY


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        pytest.param(
            [{_UNBOUND: _FAILS, _SYSTEM: _FAILS}] * 3, Verdict.UNKNOWN, id="it saw the failures"
        ),
        pytest.param(
            [{_UNBOUND: _FAILS}, *[{_ITERATIVE: _FAILS, _SYSTEM: _FAILS}] * 3],
            Verdict.BROKEN,
            id="so did two others",
        ),
        pytest.param([{_UNBOUND: _DENIES}], Verdict.UNKNOWN, id="it refused"),
        pytest.param(
            [{_UNBOUND: _DENIES, _SYSTEM: _PERMITS}], Verdict.PERMITTED, id="it alone refused"
        ),
        pytest.param([{_UNBOUND: _PERMITS, _SYSTEM: _FAILS}] * 3, Verdict.FLAKY, id="it permitted"),
    ],
)
def test_what_an_unusable_perspective_said_against_a_name_does_not_count(
    rounds: list[Round], verdict: Verdict
) -> None:
    """It may have been asked, and have answered, before it was found to be so."""
    evidence = replace(_evidence(*rounds), unusable=frozenset({_UNBOUND}))
    assert decide(evidence, Lasting()) is verdict


# What is not the user's fault


@pytest.mark.parametrize(
    ("identifier", "seen", "verdict"),
    [
        pytest.param("www.example.net", _FAILS, Verdict.BROKEN, id="at the name"),
        pytest.param(
            "www.example.net", (_failing("example.net"),), Verdict.BROKEN, id="at the parent"
        ),
        pytest.param("www.example.net", _TLD_FAILS, Verdict.FLAKY, id="at the TLD"),
        pytest.param(
            "www.example.net",
            (*_FAILS, *_TLD_FAILS),
            Verdict.FLAKY,
            id="at the name, but at the TLD as well",
        ),
        pytest.param(
            "www.example.net",
            (*_FAILS, _failing("net", Outcome.NXDOMAIN)),
            Verdict.FLAKY,
            id="at the name, below a TLD that does not exist",
        ),
        pytest.param(
            "www.example.net",
            (_in_zone("www.example.net", "example.net"), _failing("example.net")),
            Verdict.BROKEN,
            id="at the apex of the name's own zone",
        ),
        pytest.param(
            "www.example.net",
            (_in_zone("www.example.net", "www.example.net"), _failing("example.net")),
            Verdict.FLAKY,
            id="above the cut right at the name",
        ),
        pytest.param(
            "a.b.example.net",
            (_in_zone("a.b.example.net", "b.example.net"), _failing("example.net")),
            Verdict.FLAKY,
            id="above a cut in the middle",
        ),
        pytest.param(
            "a.b.example.net",
            (_in_zone("a.b.example.net", "b.example.net"), _failing("b.example.net")),
            Verdict.BROKEN,
            id="at that cut",
        ),
        pytest.param(
            "a.b.example.net",
            (
                _in_zone("a.b.example.net", "b.example.net", Outcome.NXDOMAIN),
                _failing("example.net"),
            ),
            Verdict.FLAKY,
            id="a missing name tells of the cut, too",
        ),
        pytest.param(
            "a.b.example.net",
            (
                Lookup("a.b.example.net", Outcome.NOTHING),
                _in_zone("b.example.net", "b.example.net"),
                _failing("example.net"),
            ),
            Verdict.FLAKY,
            id="any name below the failure tells of it",
        ),
        pytest.param(
            "www.example.net",
            (_in_zone("www.example.net", "www.example.net.cdn.test"), _failing("example.net")),
            Verdict.BROKEN,
            id="an alias's target tells of no cut",
        ),
        pytest.param(
            "www.example.net",
            (_in_zone("www.example.net", "x.example.net"), _failing("example.net")),
            Verdict.BROKEN,
            id="nor does a target that is its neighbour",
        ),
        pytest.param(
            "www.example.net",
            (*_FAILS, _in_zone("net", "net")),
            Verdict.BROKEN,
            id="a cut above the failure is none of its business",
        ),
        pytest.param("net", _TLD_FAILS, Verdict.FLAKY, id="at a single label that was ordered"),
        pytest.param(
            "*.example.net", (_failing("example.net"),), Verdict.BROKEN, id="at a wildcard's base"
        ),
    ],
)
def test_a_failure_above_the_names_own_zone_holds_nothing(
    identifier: str, seen: Seen, verdict: Verdict
) -> None:
    rounds = [{_UNBOUND: seen, _ITERATIVE: seen}] * 3
    assert decide(_evidence(*rounds, identifier=names.parse(identifier)), Lasting()) is verdict


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param([{_UNBOUND: _FAILS, _ITERATIVE: _TLD_FAILS}] * 3, id="at one perspective"),
        pytest.param([_all(_FAILS), _all(_TLD_FAILS), _all(_FAILS)], id="in one round"),
    ],
)
def test_one_sight_of_a_failing_tld_is_enough_to_hold_nothing(rounds: list[Round]) -> None:
    assert decide(_evidence(*rounds), Lasting()) is Verdict.FLAKY


def test_a_failing_tld_that_nothing_corroborates_is_unknown() -> None:
    assert decide(_evidence({_UNBOUND: _TLD_FAILS}), Lasting()) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        pytest.param([_all(_NO_TLD)], Verdict.BROKEN, id="two agree: it need not last"),
        pytest.param([{_UNBOUND: _NO_TLD}] * 3, Verdict.UNKNOWN, id="one alone"),
        pytest.param(
            [{_SYSTEM: _NO_TLD, _SAME_STUB: _NO_TLD}], Verdict.UNKNOWN, id="two that are one"
        ),
        pytest.param(
            [{_UNBOUND: _NO_TLD, _ITERATIVE: _TLD_FAILS}] * 3, Verdict.FLAKY, id="one fails"
        ),
        pytest.param(
            [{_UNBOUND: _NO_TLD, _ITERATIVE: _PERMITS}], Verdict.FLAKY, id="one knows the TLD"
        ),
        pytest.param([_all(_NO_TLD), _all(_PERMITS)], Verdict.PERMITTED, id="it is there now"),
    ],
)
def test_a_tld_that_does_not_exist_is_a_misspelled_name(
    rounds: list[Round], verdict: Verdict
) -> None:
    assert decide(_evidence(*rounds), Lasting()) is verdict


# DNSSEC and our clock


@pytest.mark.parametrize(
    ("rounds", "clock_is_right", "verdict"),
    [
        pytest.param([_all(_BOGUS)] * 3, True, Verdict.BROKEN, id="a failure like any other"),
        pytest.param([_all(_EXPIRED)] * 3, True, Verdict.BROKEN, id="by its extended error, too"),
        pytest.param([_all(_BOGUS)] * 3, False, Verdict.UNKNOWN, id="wrong: none is believed"),
        pytest.param([_all(_EXPIRED)] * 3, False, Verdict.UNKNOWN, id="wrong: nor by the error"),
        pytest.param([_all(_FAILS)] * 3, False, Verdict.BROKEN, id="wrong: others are"),
        pytest.param(
            [{_UNBOUND: _BOGUS, _ITERATIVE: _FAILS}] * 3,
            False,
            Verdict.UNKNOWN,
            id="wrong: one of two is left",
        ),
        pytest.param(
            [_all(_BOGUS), _all(_FAILS), _all(_FAILS)],
            False,
            Verdict.UNKNOWN,
            id="wrong: two rounds of three are left",
        ),
        pytest.param(
            [{_UNBOUND: _BOGUS, _ITERATIVE: _PERMITS}], True, Verdict.FLAKY, id="one permits"
        ),
        pytest.param(
            [{_UNBOUND: _BOGUS, _ITERATIVE: _PERMITS}],
            False,
            Verdict.PERMITTED,
            id="wrong: one permits",
        ),
        pytest.param([_all(_DENIES)], False, Verdict.DENIED, id="wrong: denials are believed"),
    ],
)
def test_no_dnssec_failure_is_believed_while_our_clock_is_wrong(
    rounds: list[Round], clock_is_right: bool, verdict: Verdict
) -> None:
    assert decide(_evidence(*rounds), Lasting(), clock_is_right=clock_is_right) is verdict


# Whether to go on


@pytest.mark.parametrize(
    ("evidence", "more"),
    [
        pytest.param(_evidence(_all(_FAILS)), True, id="two fail: it may last"),
        pytest.param(_evidence({_UNBOUND: _FAILS}, ca_failed=True), True, id="one and the CA"),
        pytest.param(_evidence(*[_all(_FAILS)] * 3), False, id="it is held already"),
        pytest.param(_evidence(_all(_DENIES)), False, id="it is denied already"),
        pytest.param(_evidence({_UNBOUND: _FAILS}), False, id="one alone never holds"),
        pytest.param(_evidence(_all(_PERMITS)), False, id="it is permitted"),
        pytest.param(_evidence(_all(_TLD_FAILS)), False, id="it is the TLD's fault"),
        pytest.param(
            _evidence({_UNBOUND: _FAILS, _ITERATIVE: _PERMITS}), False, id="it is flaky for good"
        ),
        pytest.param(
            _evidence({_UNBOUND: _DENIES, _ITERATIVE: _PERMITS}), False, id="they disagree"
        ),
        pytest.param(_evidence(), False, id="nobody was asked"),
    ],
)
def test_more_rounds_are_worth_it_only_where_they_could_hold(
    evidence: Evidence, more: bool
) -> None:
    assert could_be_held(evidence, Lasting()) is more


@pytest.mark.parametrize("clock_is_right", [False, True])
def test_more_rounds_of_dnssec_failures_hold_only_while_our_clock_is_right(
    clock_is_right: bool,
) -> None:
    evidence = _evidence(_all(_BOGUS))
    assert could_be_held(evidence, Lasting(), clock_is_right=clock_is_right) is clock_is_right


def test_more_rounds_are_worth_it_for_what_would_be_held_by_a_right_clock_only() -> None:
    evidence = _evidence(_all(_BOGUS), _all(_BOGUS), _all(_FAILS))
    assert could_be_held(evidence, Lasting(), clock_is_right=False)


def test_names_held_with_a_wrong_clock_need_no_more_rounds() -> None:
    evidence = _evidence(*[_all(_FAILS)] * 3)
    assert not could_be_held(evidence, Lasting(), clock_is_right=False)


# Evidence


def test_more_determinations_go_after_the_present_ones() -> None:
    first, second = _made(_FAILS), _made(_PERMITS, round_number=2)
    evidence = Evidence(_WWW, (first,), ca_failed=True).with_determinations([second])
    assert evidence == Evidence(_WWW, (first, second), ca_failed=True)


def test_rounds_are_counted_once_for_all_perspectives() -> None:
    assert _evidence(_all(_FAILS), _all(_PERMITS)).rounds == 2


@pytest.mark.parametrize(
    ("evidence", "seconds"),
    [
        pytest.param(_evidence(), 0.0, id="none"),
        pytest.param(_evidence(_all(_FAILS)), 0.0, id="one round"),
        pytest.param(_evidence(*[_all(_FAILS)] * 3, every=6.5), 13.0, id="three rounds"),
    ],
)
def test_the_seconds_go_from_the_first_determination_to_the_last(
    evidence: Evidence, seconds: float
) -> None:
    assert evidence.seconds == seconds


@pytest.mark.parametrize(
    ("rounds", "failure"),
    [
        pytest.param([], None, id="none"),
        pytest.param([_all(_PERMITS), _all(_DENIES)], None, id="no failure"),
        pytest.param([{_UNBOUND: _FAILS}, {_UNBOUND: _TIMES_OUT}], _TIMES_OUT, id="the newest"),
        pytest.param(
            [{_UNBOUND: _FAILS}, {_SYSTEM: _TIMES_OUT}], _FAILS, id="an older one that is public"
        ),
        pytest.param([{_SYSTEM: _TIMES_OUT}], _TIMES_OUT, id="one that is not, for want of better"),
        pytest.param([_all(_FAILS), _all(_PERMITS)], _FAILS, id="one that is over"),
        pytest.param(
            [{_SYSTEM: _FAILS}, {_UNBOUND: _COULD_NOT_ASK}], _FAILS, id="an older one that counts"
        ),
        pytest.param([{_UNBOUND: _COULD_NOT_ASK}], None, id="none that counts"),
    ],
)
def test_the_main_failure_is_the_newest_public_one(
    rounds: list[Round], failure: Seen | None
) -> None:
    assert _evidence(*rounds).main_failure == (failure[0] if failure else None)


def test_owners_that_failed_count_on_climbs_that_ended_so() -> None:
    """Above a record a failure does no harm, whoever saw it."""
    failed = tuple(Lookup(owner, Outcome.SERVFAIL) for owner in ("www.a.net", "a.net"))
    fine = Lookup("net", Outcome.NOTHING)
    ended = Determination(_UNBOUND, 1, 0.0, Result.ERROR, (*failed[:1], fine))
    passed = Determination(_SYSTEM, 1, 0.0, Result.PERMITTED, (*failed[1:], fine))
    assert Evidence(Identifier("www.a.net"), (ended, passed)).failed_owners == {"www.a.net"}


def test_owners_that_nobody_could_ask_about_did_not_fail() -> None:
    assert _evidence(_all(_COULD_NOT_ASK)).failed_owners == set()


@pytest.mark.parametrize(
    ("rounds", "main"),
    [
        pytest.param([], None, id="none"),
        pytest.param([_all(_PERMITS), _all(_FAILS)], None, id="no denial"),
        pytest.param([{_UNBOUND: _DENIES}] * 2, ("unbound", 2), id="the newest"),
        pytest.param(
            [{_UNBOUND: _DENIES}, {_SYSTEM: _DENIES}], ("unbound", 1), id="an older public one"
        ),
        pytest.param([{_SYSTEM: _DENIES}], ("system", 1), id="for want of better"),
    ],
)
def test_the_main_denial_is_the_newest_public_one(
    rounds: list[Round], main: tuple[str, int] | None
) -> None:
    denial = _evidence(*rounds).main_denial
    assert (denial and (denial.perspective.name, denial.round)) == main


def test_an_audits_reason_bears_one_perspective_out() -> None:
    rounds = [{_UNBOUND: _FAILS}] * 3
    assert decide(_evidence(*rounds), Lasting()) is Verdict.UNKNOWN
    assert decide(replace(_evidence(*rounds), explained=True), Lasting()) is Verdict.BROKEN


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        ({_UNBOUND: _FAILS}, True),
        ({_UNBOUND: _FAILS, _SYSTEM: _FAILS}, False),
        ({_UNBOUND: _PERMITS}, False),
        ({_UNBOUND: _DENIES}, False),
    ],
)
def test_a_reason_is_wanted_for_what_one_perspective_alone_saw_fail(
    seen: Round, wanted: bool
) -> None:
    assert wants_explanation(_evidence(seen), Lasting()) is wanted
