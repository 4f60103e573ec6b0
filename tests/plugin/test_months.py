"""A lineage over a year: its names come and go by chance, and its timer is late by chance.

Whatever happens, no certificate expires, none shrinks while it can wait, no name is lost, and the
CA is not asked more than once a day for what fails.
"""

from __future__ import annotations

import contextlib
import datetime
import random
from typing import Any

import pytest
from certbot import crypto_util, errors

from certbot_caa_guard import grace
from certbot_caa_guard.climb import Outcome
from tests.fakes import at_authorization, denial, failed_lookup, issue
from tests.plugin.bench import Bench

NAMES = ["a.net", "b.net", "c.net"]
HOUR = 3600.0
DAY = 24 * HOUR

# What a name may be like, and what the CA says of it then.
DENIED = (issue("other.example"), at_authorization(denial("b.net")))
BROKEN = (Outcome.SERVFAIL, at_authorization(failed_lookup("b.net")))
WELL = (Outcome.NOTHING, None)


def left(bench: Bench, lineage: Any) -> float:
    """Seconds until the certificate ends."""
    return float(crypto_util.notAfter(lineage.cert).timestamp() - bench.clock.now)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("days", [160 / 24, 45, 90])
def test_a_lineage_lives_on(bench: Bench, days: float, seed: int) -> None:
    dice = random.Random(f"{days} {seed}")
    bench.config = bench.make_config("--caa-guard-retries", "0")
    bench.acme.days = days
    bench.lineage("a.net", NAMES, days=days)
    lifetime = datetime.timedelta(days=days)
    window = grace.renewal_window(lifetime)
    waits_until = grace.default(lifetime, window).total_seconds()
    asked_at = -DAY
    renewed = 0
    end, like = bench.clock.now + 4 * days * DAY, WELL
    while bench.clock.now < end:
        lineage = bench.reload("a.net")
        life = left(bench, lineage)
        assert life > 0
        if life > window.total_seconds():
            bench.wait(hours=(life - window.total_seconds()) / HOUR + dice.uniform(0, 24))
            continue
        if dice.random() < 0.3:
            like = dice.choice([WELL, DENIED, BROKEN, BROKEN])
        answer, problem = like
        bench.answers({"b.net": answer})
        bench.acme.failing = {} if problem is None else {"b.net": problem}
        before, now = set(lineage.names()), bench.clock.now
        with contextlib.suppress(errors.Error):
            bench.issue(lineage=lineage)
            renewed += 1
        names = set(bench.reload("a.net").names())
        assert names | set(bench.kept("a.net").held_names) == set(NAMES)
        assert names >= before or life < waits_until
        if like is not WELL and bench.acme.ordered[:1] == [NAMES]:
            assert like is BROKEN
            assert now - asked_at > 20 * HOUR
            asked_at = now
        bench.wait(hours=12 + dice.uniform(0, 12))
    assert renewed >= 3
