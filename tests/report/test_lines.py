"""The quick way to a line of JSON is, to the letter, the long one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

pytest.importorskip("hypothesis")  # the environments of the older certbots lack it

from hypothesis import given, settings
from hypothesis import strategies as st

from certbot_caa_guard.caa import Record
from certbot_caa_guard.checking import Checked, CheckStream, Options, Query, check_stream
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.report import lines
from tests.fakes import Clock, FakeResolver

NAMES = [
    "a.b.example",
    "*.a.b.example",
    "b.example",
    "c.b.example",
    "x.y.z.other",
    "other",
    "a.net",
]
OWNERS = ["a.b.example", "b.example", "example", "c.b.example", "y.z.other", "other", "net"]
RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from([0, 128]),
        st.sampled_from([b"issue", b"issuewild", b"iodef", b"tbs", b'q"\x07']),
        st.sampled_from([
            b"letsencrypt.org", b"letsencrypt.org; validationmethods=dns-01", b"other.example",
            b";", b'"quoted" \\ \xff', b"letsencrypt.org; accounturi=https://ca/1",
        ]),
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
LOOKUPS = st.one_of(
    st.builds(
        Lookup,
        st.just(""),
        st.sampled_from([
            Outcome.NOTHING, Outcome.NOTHING, Outcome.NXDOMAIN, Outcome.SERVFAIL, Outcome.TIMEOUT,
        ]),
        records=st.just(()),
        extended_error=st.sampled_from([None, None, ExtendedError(3, 'st"ale'), ExtendedError(9)]),
        seconds=st.floats(0, 20),
        alias_of=st.sampled_from([None, None, "else.where"]),
    ),
    st.builds(
        Lookup,
        st.just(""),
        st.just(Outcome.RECORDS),
        records=RECORDS.map(tuple),
        seconds=st.just(0.01),
        alias_of=st.sampled_from([None, None, "else.where"]),
    ),
)  # fmt: skip
QUERIES = st.builds(
    Query,
    st.sampled_from([*NAMES, "192.0.2.1"]),
    st.sampled_from([None, "dns-01", "http-01"]),
    st.sampled_from([None, "https://ca/1"]),
)


def stream(
    queries: Sequence[Query | None], resolvers: Sequence[IResolver], options: Options
) -> CheckStream:
    clock = Clock()
    return check_stream(
        queries,
        replace(options, resolvers=resolvers, clock=clock, sleep=clock.sleep, ordered=True),
    )


def printed(
    queries: Sequence[Query | None], resolvers: Sequence[IResolver], options: Options
) -> list[str]:
    with stream(queries, resolvers, options) as found:
        return [line for batch in found.lines() for _, line in batch]


def spelled_out(
    queries: Sequence[Query | None], resolvers: Sequence[IResolver], options: Options
) -> list[str]:
    with stream(queries, resolvers, options) as found:
        return [json.dumps(one.as_json()) for one in found]


@settings(max_examples=120, deadline=None)
@given(
    st.lists(QUERIES, min_size=1, max_size=8),
    st.dictionaries(st.sampled_from(OWNERS), LOOKUPS),
    st.booleans(),
    st.sampled_from([("letsencrypt.org",), ('we"ird.example', "letsencrypt.org"), ()]),
    st.booleans(),
)
def test_both_ways_give_the_same_line(
    queries: list[Query],
    answers: dict[str, Lookup],
    strict: bool,
    issuers: tuple[str, ...],
    public: bool,
) -> None:
    options = Options(issuers=issuers, strict=strict)
    ways = [
        way(queries, [FakeResolver(answers=answers, public=public)], options)
        for way in (printed, spelled_out)
    ]
    assert ways[0] == ways[1]


def test_with_two_perspectives_too() -> None:
    queries = [Query(name) for name in NAMES]
    ways = [
        way(queries, [FakeResolver("192.0.2.1"), FakeResolver("192.0.2.2")], Options())
        for way in (printed, spelled_out)
    ]
    assert ways[0] == ways[1]


def test_names_that_are_permitted_go_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the tests above would compare nothing."""
    monkeypatch.setattr(Checked, "as_json", None)
    permits = (Record(0, b"issue", b"letsencrypt.org"),)
    resolver = FakeResolver(answers={"b.example": permits, "other": Outcome.NOTHING})
    queries = [Query(name) for name in NAMES]
    assert len(printed(queries, [resolver], Options())) == len(NAMES)


def test_what_is_remembered_of_shared_owners_and_sets_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "_MOST_REMEMBERED", 2)
    permits = [Record(0, b"issue", b"letsencrypt.org"), Record(0, b"iodef", b"")]
    names = [f"z{number}.net" for number in range(9)]
    resolver = FakeResolver(answers=dict(zip(names, map(tuple, [permits] * 5), strict=False)))
    # In between, time for answers: above a relevant set that is known nothing is asked.
    queries = [*map(Query, names), *[None] * 3, *map(Query, names)]
    found = [json.loads(line) for line in printed(queries, [resolver], Options())]
    assert [one["found_at"] for one in found] == ([*names[:5], None, None, None, None]) * 2
