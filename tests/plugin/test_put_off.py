"""A certificate that can wait is never shrunk, and one that cannot is never left to expire."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from acme import messages
from certbot._internal import storage

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.history import Kind
from certbot_caa_guard.plugin import guard
from certbot_caa_guard.plugin.stopped import Stopped
from tests.fakes import at_finalize, denial, failed_lookup, issue
from tests.plugin.bench import Bench

NAMES = ["a.net", "b.net", "c.net"]
REST = ["a.net", "c.net"]
DENIED = issue("other.example")
BROKEN = Outcome.SERVFAIL


def renew(bench: Bench) -> list[str]:
    names: list[str] = bench.issue(lineage=bench.reload("a.net")).names()
    return names


def put_off(bench: Bench) -> str:
    """Renew, and return why not."""
    with pytest.raises(Stopped) as caught:
        renew(bench)
    assert bench.acme.ordered == []
    return str(caught.value)


def refused_by_the_ca(bench: Bench) -> None:
    bench.acme.finalizing.append(
        messages.Error.from_json(dict(at_finalize(failed_lookup("b.net"))))
    )
    with pytest.raises(messages.Error):
        renew(bench)


@pytest.fixture
def due(bench: Bench) -> Bench:
    """A certificate that is due, with time to wait, and no retry at the CA."""
    bench.config = bench.make_config("--caa-guard-retries", "0")
    bench.lineage("a.net", NAMES, age=61)
    return bench


def test_a_denied_name_is_waited_for_without_an_order(due: Bench) -> None:
    due.answers({"b.net": DENIED})
    assert "put off: b.net would fail" in put_off(due)


def test_a_broken_name_is_left_to_the_ca_once_a_day(due: Bench) -> None:
    due.answers({"b.net": BROKEN})
    for _ in range(3):
        refused_by_the_ca(due)
        assert due.acme.ordered == [NAMES]
        due.wait(hours=12)
        assert "put off: b.net" in put_off(due)
        due.wait(hours=12)


def test_the_ca_may_know_better(due: Bench) -> None:
    due.answers({"b.net": BROKEN})
    assert renew(due) == NAMES


def test_that_the_ca_was_asked_is_on_disk_before_the_order(due: Bench) -> None:
    """Whatever is killed, the CA is not asked at each start."""
    due.answers({"b.net": BROKEN})

    def die() -> None:
        raise KeyboardInterrupt

    due.acme.before_order = die
    with pytest.raises(KeyboardInterrupt):
        renew(due)
    due.wait(hours=1)
    assert "put off" in put_off(due)


def test_without_its_history_the_ca_is_asked_once_more(due: Bench) -> None:
    due.answers({"b.net": BROKEN})
    refused_by_the_ca(due)
    (due.folder / "config" / "caa-guard" / "history.sqlite").unlink()
    due.wait(hours=1)
    refused_by_the_ca(due)
    assert due.acme.ordered == [NAMES]


def test_a_name_that_heals_ends_the_waiting_at_once(due: Bench) -> None:
    due.answers({"b.net": DENIED})
    put_off(due)
    due.answers({})
    due.wait(hours=12)
    assert renew(due) == NAMES


def test_the_message_says_how_long_it_waits(due: Bench) -> None:
    due.answers({"b.net": DENIED})
    end = due.clock.now + 29 * 86400
    message = put_off(due)
    for moment in (end, end - 10 * 86400):
        day = guard.datetime.datetime.fromtimestamp(moment, guard.datetime.timezone.utc)
        assert day.strftime("%Y-%m-%d") in message
    assert "certbot-caa-guard check b.net" in message


def test_nothing_changes_on_disk_by_waiting(due: Bench) -> None:
    before = due.conf("a.net").read_text()
    due.answers({"b.net": DENIED})
    put_off(due)
    assert due.conf("a.net").read_text() == before


def test_a_name_that_only_the_ca_refuses_is_not_left_out_either(due: Bench) -> None:
    due.acme.finalizing.append(messages.Error.from_json(dict(at_finalize(denial("b.net")))))
    with pytest.raises(messages.Error):
        renew(due)
    assert due.acme.ordered == [NAMES]


def test_a_new_name_is_held_while_the_old_ones_are_waited_for(bench: Bench) -> None:
    bench.lineage("a.net", REST, age=61)
    bench.answers({"b.net": DENIED, "c.net": DENIED})
    with pytest.raises(Stopped, match=r"c\.net"):
        bench.issue(*NAMES, lineage=bench.reload("a.net"))
    assert bench.acme.ordered == []


@pytest.mark.parametrize(
    ("days", "age", "waits"),
    [
        pytest.param(90, 79, True, id="90 days, 11 left"),
        pytest.param(90, 81, False, id="90 days, 9 left"),
        pytest.param(45, 39, True, id="45 days, 6 left"),
        pytest.param(45, 41, False, id="45 days, 4 left"),
        pytest.param(6, 3.5, True, id="6 days, 60 hours left"),
        pytest.param(6, 4.5, False, id="6 days, 36 hours left"),
        pytest.param(90, 91, False, id="expired"),
    ],
)
def test_a_certificate_waits_until_its_grace(
    bench: Bench, days: float, age: float, waits: bool
) -> None:
    bench.lineage("a.net", NAMES, days=days, age=age)
    bench.answers({"b.net": DENIED})
    if waits:
        assert "put off" in put_off(bench)
    else:
        assert renew(bench) == REST


@pytest.mark.parametrize(
    ("grace", "age", "waits"),
    [
        pytest.param("0", 1, False, id="at once"),
        pytest.param("20d", 69, True, id="20 days, 21 left"),
        pytest.param("20d", 71, False, id="20 days, 19 left"),
        pytest.param("36h", 88, True, id="36 hours, 48 left"),
        pytest.param("36h", 89, False, id="36 hours, 24 left"),
        pytest.param("999999d", 1, False, id="more than there is"),
    ],
)
def test_the_user_may_choose_the_grace(bench: Bench, grace: str, age: float, waits: bool) -> None:
    bench.config = bench.make_config("--caa-guard-grace", grace)
    bench.lineage("a.net", NAMES, age=age)
    bench.answers({"b.net": DENIED})
    if waits:
        assert "put off" in put_off(bench)
    else:
        assert renew(bench) == REST


def test_the_window_of_the_lineage_bounds_the_grace(bench: Bench) -> None:
    """Renewed in its last day only, it cannot wait until ten days before."""
    bench.lineage("a.net", NAMES, age=89.2)
    conf = bench.conf("a.net")
    conf.write_text(f"renew_before_expiry = 1 day\n{conf.read_text()}")
    bench.answers({"b.net": DENIED})
    assert "put off" in put_off(bench)


def test_a_test_certificate_is_not_waited_for(bench: Bench) -> None:
    bench.lineage("a.net", NAMES, age=1)
    bench.config.server = "https://ca.example/dir"
    conf = bench.conf("a.net")
    text = conf.read_text().replace(
        "[renewalparams]", "[renewalparams]\nserver = https://staging.example/dir"
    )
    conf.write_text("\n".join(line for line in text.splitlines() if "letsencrypt.org" not in line))
    bench.answers({"b.net": DENIED})
    assert renew(bench) == REST


def say_of_ocsp(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], bool]) -> None:
    monkeypatch.setattr(storage.RenewableCert, "ocsp_revoked", lambda *_version: answer())


def test_a_revoked_certificate_is_not_waited_for(
    due: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that pass are served with it meanwhile."""
    say_of_ocsp(monkeypatch, lambda: True)
    due.answers({"b.net": DENIED})
    assert renew(due) == REST


def test_one_of_which_that_cannot_be_found_out_is(
    due: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise OSError

    say_of_ocsp(monkeypatch, fail)
    due.answers({"b.net": DENIED})
    assert "put off" in put_off(due)


def test_to_ask_whether_it_is_revoked_costs_time_like_all_waiting(
    due: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow() -> bool:
        due.clock.now += 10
        return True

    say_of_ocsp(monkeypatch, slow)
    due.answers({"b.net": DENIED})
    guard.PROCESS.patience.limit(15.0)
    assert renew(due) == REST
    assert guard.PROCESS.patience.left == 5.0
    due.lineage("d.net", ["d.net", "b.net"], age=61)
    with pytest.raises(Stopped, match="put off"):
        due.issue(lineage=due.reload("d.net"))


class TestNeverDrop:
    @pytest.fixture
    def bench(self, bench: Bench) -> Bench:
        bench.config = bench.make_config(
            "--caa-guard-never-drop", "B.net,*.c.net", "--caa-guard-retries", "0"
        )
        return bench

    @pytest.mark.parametrize("answer", [DENIED, BROKEN], ids=["denied", "broken"])
    def test_no_first_certificate_is_ordered_without_it(self, bench: Bench, answer: Any) -> None:
        bench.answers({"b.net": answer})
        with pytest.raises(Stopped, match="--caa-guard-never-drop"):
            bench.issue(*NAMES)
        assert bench.acme.ordered == []

    def test_it_is_found_however_a_person_wrote_it_into_the_configuration(
        self, bench: Bench
    ) -> None:
        bench.config.caa_guard_never_drop = "A.net , B.NET."
        bench.answers({"b.net": DENIED})
        with pytest.raises(Stopped, match="--caa-guard-never-drop"):
            bench.issue(*NAMES)

    def test_other_names_are_held(self, bench: Bench) -> None:
        bench.answers({"c.net": DENIED})
        assert bench.issue(*NAMES).names() == ["a.net", "b.net"]

    def test_a_wildcard_is_not_its_base(self, bench: Bench) -> None:
        bench.answers({"c.net": DENIED})
        with pytest.raises(Stopped):
            bench.issue("a.net", "*.c.net")

    def test_no_renewal_goes_without_it(self, bench: Bench) -> None:
        bench.lineage("a.net", NAMES, age=89)
        bench.answers({"b.net": DENIED})
        assert "--caa-guard-never-drop" in put_off(bench)

    def test_the_ca_may_still_judge_it_once_a_day(self, bench: Bench) -> None:
        bench.lineage("a.net", NAMES, age=89)
        bench.answers({"b.net": BROKEN})
        refused_by_the_ca(bench)
        bench.wait(hours=12)
        assert "--caa-guard-never-drop" in put_off(bench)

    def test_it_is_not_dropped_for_the_ca_either(self, bench: Bench) -> None:
        bench.acme.finalizing.append(messages.Error.from_json(dict(at_finalize(denial("b.net")))))
        with pytest.raises(messages.Error):
            bench.issue(*NAMES)

    def test_stop_comes_first(self, bench: Bench) -> None:
        bench.config.caa_guard_on_fail = "stop"
        bench.answers({"b.net": DENIED})
        with pytest.raises(Stopped, match="stopped before the order"):
            bench.issue(*NAMES)


class TestQuiet:
    """Under -q a person learns of each change once, and of nothing else."""

    @pytest.fixture
    def quiet(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> Bench:
        bench.config = bench.make_config("--quiet", "--caa-guard-retries", "0")
        caplog.set_level(logging.WARNING)
        return bench

    def told(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        told = list(caplog.messages)
        caplog.clear()
        return told

    def test_a_newly_held_name_is_told_once(
        self, quiet: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        quiet.lineage("a.net", NAMES, age=85)
        quiet.answers({"b.net": DENIED})
        renew(quiet)
        (line,) = self.told(caplog)
        assert line.startswith("CAA guard: b.net: denied, left out of the certificate a.net: ")
        quiet.wait(hours=60 * 24)
        renew(quiet)
        assert self.told(caplog) == []

    def test_another_verdict_is_told(self, quiet: Bench, caplog: pytest.LogCaptureFixture) -> None:
        quiet.lineage("a.net", REST, age=85)
        quiet.hold("a.net", "b.net")
        quiet.answers({"b.net": BROKEN})
        renew(quiet)
        (line,) = self.told(caplog)
        assert "b.net: broken, left out of the certificate a.net: " in line

    def test_that_it_is_back_is_told(self, quiet: Bench, caplog: pytest.LogCaptureFixture) -> None:
        quiet.lineage("a.net", REST, age=85)
        quiet.hold("a.net", "b.net")
        renew(quiet)
        assert self.told(caplog) == ["CAA guard: back in the certificate: b.net."]

    def test_a_renewal_that_is_put_off_is_told_once_a_day(
        self, quiet: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        quiet.lineage("a.net", NAMES, age=61)
        quiet.answers({"b.net": DENIED})
        told = []
        for _ in range(4):
            put_off(quiet)
            told.append(len(self.told(caplog)))
            quiet.wait(hours=12)
        assert told == [1, 0, 1, 0]

    def test_a_held_name_that_the_ca_refuses_again_is_not_told(
        self, quiet: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        quiet.lineage("a.net", REST, age=85)
        quiet.hold("a.net", "b.net")
        quiet.acme.finalizing.append(messages.Error.from_json(dict(at_finalize(denial("b.net")))))
        assert sorted(renew(quiet)) == REST
        assert self.told(caplog) == []


def test_the_history_knows_a_lineage_by_its_name(due: Bench) -> None:
    due.answers({"b.net": DENIED})
    put_off(due)
    path = due.folder / "config" / "caa-guard" / "history.sqlite"
    with guard.History(path, now=due.clock) as history:
        assert history.count(Kind.PUT_OFF, "a.net b.net", within=1) == 1
