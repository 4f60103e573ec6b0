"""A climb ends at the leftmost name that fails or has CAA records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from certbot_caa_guard.caa import Record
from certbot_caa_guard.climb import Climb, ExtendedError, Lookup, Outcome, climb

_IODEF = (Record(0, b"iodef", b"mailto:a@example.net"),)

_RCODES_AND_WORSE = [
    Outcome.SERVFAIL,
    Outcome.REFUSED,
    Outcome.FORMERR,
    Outcome.NOTIMP,
    Outcome.NOTAUTH,
    Outcome.OTHER_RCODE,
    Outcome.BOGUS,
    Outcome.TIMEOUT,
    Outcome.NETWORK,
    Outcome.TRUNCATED,
    Outcome.MALFORMED,
]


def _records(owner: str) -> Lookup:
    return Lookup(owner, Outcome.RECORDS, _IODEF)


def _nothing(owner: str) -> Lookup:
    return Lookup(owner, Outcome.NOTHING)


def _nxdomain(owner: str) -> Lookup:
    return Lookup(owner, Outcome.NXDOMAIN)


def _servfail(owner: str) -> Lookup:
    return Lookup(owner, Outcome.SERVFAIL)


@pytest.mark.parametrize("owner", ["www.example.net", "net"])
@pytest.mark.parametrize("outcome", _RCODES_AND_WORSE, ids=lambda outcome: outcome.value)
def test_every_outcome_without_an_answer_is_a_failure(outcome: Outcome, owner: str) -> None:
    assert Lookup(owner, outcome).failed


@pytest.mark.parametrize("owner", ["www.example.net", "net"])
@pytest.mark.parametrize("outcome", [Outcome.RECORDS, Outcome.NOTHING])
def test_an_answer_is_no_failure(outcome: Outcome, owner: str) -> None:
    assert not Lookup(owner, outcome).failed


@pytest.mark.parametrize(
    ("owner", "failed"),
    [
        pytest.param("www.example.net", False, id="below the TLD: there are no records"),
        pytest.param("example.net", False, id="right below the TLD"),
        pytest.param("net", True, id="a TLD must exist"),
    ],
)
def test_a_missing_name_is_a_failure_at_a_tld_only(owner: str, failed: bool) -> None:
    assert _nxdomain(owner).failed is failed


def test_every_outcome_has_its_own_test() -> None:
    """An outcome that is added must be said to fail or not."""
    answers = {Outcome.RECORDS, Outcome.NOTHING, Outcome.NXDOMAIN}
    assert answers.union(_RCODES_AND_WORSE) == set(Outcome)


@pytest.mark.parametrize(
    ("code", "is_dnssec"),
    # RFC 8914 section 4, and what comes after it.
    [(code, code in {1, 2, 5, 6, 7, 8, 9, 10, 11, 12}) for code in (*range(26), 49152)],
)
def test_an_extended_error_tells_whether_validation_failed(code: int, is_dnssec: bool) -> None:
    assert ExtendedError(code).is_dnssec is is_dnssec


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        pytest.param(Lookup("a.example", Outcome.BOGUS), True, id="our own validator"),
        pytest.param(
            Lookup("a.example", Outcome.SERVFAIL, extended_error=ExtendedError(7)),
            True,
            id="a resolver that says so",
        ),
        pytest.param(
            Lookup("a.example", Outcome.SERVFAIL, extended_error=ExtendedError(22)),
            False,
            id="a resolver that says something else",
        ),
        pytest.param(Lookup("a.example", Outcome.SERVFAIL), False, id="a resolver that is silent"),
        pytest.param(
            Lookup("a.example", Outcome.NOTHING, extended_error=ExtendedError(1)),
            False,
            id="an answer all the same",
        ),
        pytest.param(
            Lookup("a.example", Outcome.NXDOMAIN, extended_error=ExtendedError(2)),
            False,
            id="a missing name, which is an answer",
        ),
    ],
)
def test_a_dnssec_failure_is_a_failure_that_dnssec_made(lookup: Lookup, expected: bool) -> None:
    assert lookup.is_dnssec_failure is expected


@pytest.mark.parametrize(
    ("lookups", "end"),
    [
        pytest.param([], Climb(), id="nothing asked"),
        pytest.param([_nothing("a.example"), _nothing("example")], Climb(), id="no records at all"),
        pytest.param(
            [_records("a.example"), _nothing("example")],
            Climb(relevant=_records("a.example")),
            id="records at the name",
        ),
        pytest.param(
            [_nothing("a.example"), _records("example")],
            Climb(relevant=_records("example")),
            id="records at the TLD",
        ),
        pytest.param(
            [_records("a.b.example"), _records("b.example")],
            Climb(relevant=_records("a.b.example")),
            id="the closest set wins",
        ),
        pytest.param(
            [_nxdomain("a.b.example"), _records("b.example")],
            Climb(relevant=_records("b.example")),
            id="a missing name is climbed over",
        ),
        pytest.param(
            [_records("a.b.example"), _servfail("b.example")],
            Climb(relevant=_records("a.b.example")),
            id="a failure above the relevant set does not count",
        ),
        pytest.param(
            [_servfail("a.b.example"), _records("b.example")],
            Climb(failure=_servfail("a.b.example")),
            id="a failure below records does",
        ),
        pytest.param(
            [_nothing("a.b.example"), _servfail("b.example"), _servfail("example")],
            Climb(failure=_servfail("b.example")),
            id="of two failures the leftmost counts",
        ),
        pytest.param(
            [Lookup("a.example", Outcome.TRUNCATED, _IODEF)],
            Climb(failure=Lookup("a.example", Outcome.TRUNCATED, _IODEF)),
            id="a failure that brought records is one all the same",
        ),
        pytest.param(
            [_nxdomain("a.example"), _nxdomain("example")],
            Climb(failure=_nxdomain("example")),
            id="a TLD that does not exist",
        ),
    ],
)
def test_the_first_failure_or_set_from_the_left_ends_it(lookups: list[Lookup], end: Climb) -> None:
    assert climb(lookups) == end


def test_no_lookup_is_taken_beyond_the_end() -> None:
    """Whoever asks one by one need not ask further than the CA looks."""

    def asked() -> Iterator[Lookup]:
        yield _nothing("a.b.example")
        yield _records("b.example")
        pytest.fail("asked above the relevant set")

    assert climb(asked()).relevant == _records("b.example")
