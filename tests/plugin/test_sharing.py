"""The issuances of one certbot process share its resolvers."""

from __future__ import annotations

from certbot_caa_guard.plugin import guard
from tests.plugin.bench import RESOLVERS, Bench, forget_process

NAMES = ("a.net", "b.net")


def opened(bench: Bench) -> list[str]:
    """What is opened from now on, in order."""
    found = []

    class Noting(dict[str, object]):
        def __getitem__(self, text: str) -> object:
            found.append(text)
            return super().__getitem__(text)

    bench.resolvers = Noting(bench.resolvers)  # type: ignore[assignment]
    return found


def closed(bench: Bench) -> list[bool]:
    return [resolver.closed for resolver in bench.resolvers.values()]


def test_they_are_opened_once(bench: Bench) -> None:
    noted = opened(bench)
    bench.issue(*NAMES)
    bench.issue(lineage=bench.reload("a.net"))
    assert noted == [*RESOLVERS]
    assert closed(bench) == [False, False]


def test_they_are_closed_at_the_end(bench: Bench) -> None:
    bench.issue(*NAMES)
    guard.PROCESS.resolvers.close()
    assert closed(bench) == [True, True]


def test_another_way_to_ask_is_opened_beside_them(bench: Bench) -> None:
    noted = opened(bench)
    bench.issue(*NAMES)
    bench.config.caa_guard_resolver = RESOLVERS[0]
    bench.issue(lineage=bench.reload("a.net"))
    assert noted == [*RESOLVERS, RESOLVERS[0]]


def test_they_are_opened_anew_when_one_did_not_work(bench: Bench) -> None:
    """libunbound may have crashed: the next lineage gets another."""
    noted = opened(bench)
    bench.resolvers[RESOLVERS[1]].usable = False
    noted.clear()
    bench.issue(*NAMES)
    bench.issue(lineage=bench.reload("a.net"))
    assert noted == [*RESOLVERS] * 2


def test_each_issuance_asks_afresh_whether_they_work(bench: Bench) -> None:
    bench.issue(*NAMES)
    bench.issue(lineage=bench.reload("a.net"))
    assert [resolver.probes for resolver in bench.resolvers.values()] == [2, 2]


def test_a_new_process_opens_its_own(bench: Bench) -> None:
    noted = opened(bench)
    bench.issue(*NAMES)
    forget_process()
    bench.issue(lineage=bench.reload("a.net"))
    assert noted == [*RESOLVERS] * 2
