"""When a certificate may be renewed ahead of time."""

from __future__ import annotations

import pytest

from certbot_caa_guard.rejoining import DAY, Past, Reason, Wait, wait

NOW = 1000 * DAY
OLD = frozenset({"a.net"})
NEW = frozenset({"a.net", "b.net"})


def tried(days_ago: float, failures: int = 0) -> Past:
    return Past(NOW - days_ago * DAY, failures)


def issued(names: frozenset[str], *days_ago: float) -> Past:
    return Past(issued=tuple((names, NOW - days * DAY) for days in days_ago))


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param(Past(), None, id="never tried"),
        pytest.param(tried(0.9), Wait(Reason.TRIED, NOW + 0.1 * DAY), id="tried today"),
        pytest.param(tried(1), None, id="tried yesterday"),
        pytest.param(tried(-1), None, id="tried in the future: the clock was wrong"),
        pytest.param(tried(0.5, 1), Wait(Reason.TRIED, NOW + 0.5 * DAY), id="failed once"),
        pytest.param(tried(1, 1), None, id="failed once, yesterday"),
        pytest.param(tried(1.5, 2), Wait(Reason.FAILED, NOW + 0.5 * DAY), id="failed twice"),
        pytest.param(tried(4, 3), None, id="failed three times, four days ago"),
        pytest.param(tried(15, 9), Wait(Reason.FAILED, NOW + 1 * DAY), id="failed for weeks"),
        pytest.param(tried(16, 9), None, id="failed for weeks, long ago"),
        pytest.param(issued(OLD, 1, 2, 3), None, id="three of the old set"),
        pytest.param(
            issued(OLD, 6, 1, 2, 3), Wait(Reason.LIMIT, NOW + 1 * DAY), id="four of the old set"
        ),
        pytest.param(
            issued(NEW, 1, 2, 3, 4, 5), Wait(Reason.LIMIT, NOW + 3 * DAY), id="five of the new set"
        ),
        pytest.param(issued(OLD, 1, 2, 3, 7), None, id="the fourth is a week old"),
        pytest.param(issued(OLD, 1, 2, 3, -1), None, id="the fourth is from the future"),
        pytest.param(issued(frozenset({"c.net"}), 1, 2, 3, 4, 5), None, id="of another set"),
        pytest.param(
            Past(issued=tuple((n, NOW - DAY * d) for n in (OLD, NEW) for d in (1, 2))),
            None,
            id="two of each",
        ),
    ],
)
def test_a_lineage_waits_as_its_past_demands(past: Past, expected: Wait | None) -> None:
    found = wait(NOW, past, [OLD, NEW])
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.reason is expected.reason
        assert found.until == pytest.approx(expected.until)
