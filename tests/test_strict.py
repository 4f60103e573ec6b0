"""The table of docs/strict.md holds, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from certbot_caa_guard.caa import BOULDER, STRICT, Record, Requester, Rules, judge
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.names import parse
from certbot_caa_guard.verdict import Perspective, Result, determine

_TABLE = Path(__file__).parents[1] / "docs" / "strict.md"
_RECORD = re.compile(r'`(\d+) (\w+) "([^"]*)"`')


def _rows() -> list[tuple[str, list[Record], str, str]]:
    rows = []
    for line in _TABLE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        records = [
            Record(int(flags), tag.encode(), value.encode())
            for flags, tag, value in _RECORD.findall(line)
        ]
        if records:
            rows.append((cells[0], records, cells[-2], cells[-1]))
    return rows


def _requester(rules: Rules) -> Requester:
    return Requester(
        frozenset({"letsencrypt.org"}), "https://ca.example/acct/1", frozenset({"http-01"}), rules
    )


@pytest.mark.parametrize(
    ("records", "boulder", "strict"),
    [pytest.param(*row[1:], id=row[0]) for row in _rows()],
)
def test_each_row_is_judged_as_it_says(records: list[Record], boulder: str, strict: str) -> None:
    words = {True: "permitted", False: "denied"}
    for rules, said in ((BOULDER, boulder), (STRICT, strict)):
        judgement = judge(records, wildcard=False, requester=_requester(rules))
        assert words[judgement.permitted] == said


def test_the_table_has_a_case_for_each_rule_that_differs() -> None:
    assert len([row for row in _rows() if row[2] != row[3]]) >= 6


@pytest.mark.parametrize(("rules", "result"), [(BOULDER, Result.ERROR), (STRICT, Result.PERMITTED)])
def test_a_tld_that_does_not_exist_is_an_error_for_boulder_only(
    rules: Rules, result: Result
) -> None:
    lookups = {owner: Lookup(owner, Outcome.NXDOMAIN) for owner in ("www.example", "example")}
    made = determine(
        parse("www.example"),
        lookups,
        perspective=Perspective("p", public=True),
        requester=_requester(rules),
        round=1,
        at=0.0,
    )
    assert made.result is result
