"""``certbot-caa-guard rejoin``: what it asks, what it runs, and what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.console import certbot as certbot_module
from certbot_caa_guard.console import lineages, rejoin
from certbot_caa_guard.history import History
from certbot_caa_guard.plugin import lineage as state
from tests.console.configuration import Configuration
from tests.console.conftest import Call
from tests.fakes import Clock, FakeResolver, issue

DAY = 86400.0
DENIED = issue("other.example")


class FakeCertbot:
    """Runs no process: writes down what would run, and does as its script says."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.commands: list[list[str]] = []
        self.does: Callable[[str], None] = self.put_back
        self.answer = (0, "")
        self.failing = {"bad.net"}

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.commands.append(list(command))
        self.does(command[command.index("--cert-name") + 1])
        return self.answer

    def put_back(self, name: str) -> None:
        """Renew with all wanted names but those that fail, as the guard would."""
        (one,) = (o for o in lineages.read_all(self.configuration.folder) if o.name == name)
        self.configuration.renew(name, [each for each in one.wanted if each not in self.failing])
        held = tuple(each for each in one.kept.held if each.name in self.failing)
        state.write(self.configuration.conf(name), state.Names(tuple(one.wanted), held))

    def renew_alike(self, name: str) -> None:
        """Renew with the same names as before."""
        (one,) = (o for o in lineages.read_all(self.configuration.folder) if o.name == name)
        assert one.certificate is not None
        self.configuration.renew(name, one.certificate.names)


def nothing(_name: str) -> None:
    """Nothing is renewed."""


@pytest.fixture
def certbot(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> FakeCertbot:
    fake = FakeCertbot(configuration)
    monkeypatch.setattr(certbot_module, "run_to_its_end", fake)
    return fake


@pytest.fixture(autouse=True)
def usual(resolver: FakeResolver, configuration: Configuration) -> None:
    """A lineage from which one name is held that passes now, and one that does not."""
    resolver.answers = {"bad.net": DENIED}
    configuration.lineage("a.net", ["a.net"], held=["good.net", "bad.net"], age=20)


def test_what_passes_is_put_back_by_certbot(
    configuration: Configuration, console: Call, certbot: FakeCertbot, resolver: FakeResolver
) -> None:
    resolver.answers, certbot.failing = {}, set()
    code, out, err = console("rejoin")
    assert (code, err) == (0, "")
    assert out == "a.net: renewed; back in the certificate: good.net, bad.net.\n"
    assert certbot.commands == [
        [
            str(Path(sys.executable).with_name("certbot")),
            "renew", "--cert-name", "a.net", "--force-renewal", "--no-random-sleep-on-renew",
            "--caa-guard", "--config-dir", str(configuration.folder),
        ]
    ]  # fmt: skip
    assert resolver.owners_asked.count("good.net") == 2


def test_names_of_files_reach_the_terminal_without_control_characters(
    console: Call, configuration: Configuration
) -> None:
    configuration.lineage("z\x1b[2J", ["z.net"], held=["bad.net"], age=20)
    out = console("rejoin", "--certbot", "true")[1]
    assert r"z\x1b[2J: no held name passes now." in out


def test_what_still_fails_is_told_in_the_cas_words(console: Call, certbot: FakeCertbot) -> None:
    code, out, _ = console("rejoin")
    assert code == 1
    assert "a.net: renewed; back in the certificate: good.net.\n" in out
    assert "  bad.net: While processing CAA for bad.net: CAA record for bad.net prevents" in out
    assert len(certbot.commands) == 1


def test_a_name_must_pass_twice(
    console: Call, certbot: FakeCertbot, resolver: FakeResolver
) -> None:
    resolver.answers = {"good.net": [Outcome.NOTHING, Outcome.SERVFAIL], "bad.net": DENIED}
    code, out, _ = console("rejoin")
    assert (code, certbot.commands) == (1, [])
    assert "a.net: no held name passes now." in out
    assert "  good.net: While processing CAA for good.net: DNS problem: SERVFAIL" in out


def test_nothing_is_done_in_a_dry_run(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    before = sorted(configuration.folder.rglob("*"))
    code, out, _ = console("rejoin", "--dry-run")
    assert (code, certbot.commands) == (1, [])
    assert out.startswith("a.net: would be renewed, to put good.net back.\n")
    assert sorted(configuration.folder.rglob("*")) == before


def test_once_a_day(console: Call, certbot: FakeCertbot) -> None:
    certbot.does, certbot.answer = nothing, (1, "line one\n- - - -\nHook \x1b[31mfailed\n")
    code, out, _ = console("rejoin", "-q")
    assert code == 1
    assert out == (
        "a.net: good.net passed, but the renewal did not put everything back.\n"
        "    certbot ended with status 1:\n"
        "    line one\n"
        "    Hook \\x1b[31mfailed\n"
    )
    code, out, _ = console("rejoin")
    assert code == 1
    assert "good.net would pass now, but it was tried less than a day ago; again from 20" in out
    assert console("rejoin", "-q") == (1, "", "")
    assert len(certbot.commands) == 1


def test_after_each_failure_it_waits_longer(
    configuration: Configuration, console: Call, certbot: FakeCertbot, clock: Clock
) -> None:
    del clock
    certbot.does = certbot.renew_alike
    for _ in range(2):
        console("rejoin")
        _age(configuration, DAY)
    assert len(certbot.commands) == 2
    assert "its last tries did not bring the name back" in console("rejoin")[1]


def _age(configuration: Configuration, seconds: float) -> None:
    """Let all events be so much older."""
    path = configuration.folder / "caa-guard" / "history.sqlite"
    with History(path, now=lambda: 0.0) as history:
        history._execute("UPDATE event SET at = at - ?", (seconds,))


def test_the_cas_limit_for_one_set_of_names_is_kept(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    for age in (1, 2, 3, 4):
        configuration.renew("a.net", ["a.net"], age=age)
    code, out, _ = console("rejoin")
    assert (code, certbot.commands) == (1, [])
    assert "as many certificates for these names as it may in seven days" in out


def test_a_lineage_without_the_guard_is_left_alone(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    configuration.lineage("b.net", ["b.net"], held=["good.net"], caa_guard_enabled="False")
    out = console("rejoin", "--cert-name", "b.net")[1]
    assert "good.net would pass now, but the guard is switched off for it" in out
    assert "write caa_guard_enabled = True in renewal/b.net.conf" in out
    assert certbot.commands == []


def test_another_certbot_ends_it_and_costs_no_try(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    configuration.lineage("b.net", ["b.net"], held=["good.net"])
    certbot.does = nothing
    certbot.answer = (1, "Another instance of Certbot is already running.\n")
    code, out, _ = console("rejoin")
    assert code == 3
    assert "a.net: good.net would pass now, but another certbot is running" in out
    assert len(certbot.commands) == 1
    certbot.does, certbot.answer = certbot.put_back, (0, "")
    assert console("rejoin")[0] == 1
    assert len(certbot.commands) == 3


def test_two_at_a_time_are_one_too_many(
    console: Call, certbot: FakeCertbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(path: Path) -> object:
        raise rejoin.LockedError(str(path))

    monkeypatch.setattr(rejoin, "locked", taken)
    assert console("rejoin") == (3, "", "Another certbot-caa-guard rejoin is running.\n")
    assert certbot.commands == []


def test_folders_are_passed_on(console: Call, certbot: FakeCertbot) -> None:
    console("rejoin", "--work-dir", "/w", "--logs-dir", "/l")
    assert certbot.commands[0][-4:] == ["--work-dir", "/w", "--logs-dir", "/l"]


def test_certbot_is_found_where_it_is(
    console: Call, certbot: FakeCertbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "certbot"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert console("rejoin", "--certbot", str(tmp_path / "no"))[0] == 2
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "no certbot is to be found" in console("rejoin")[2]
    monkeypatch.setenv("PATH", str(tmp_path))
    console("rejoin", "--dry-run")
    console("rejoin", "--certbot", "certbot")
    assert certbot.commands[0][0] == str(program)


def test_nothing_held(configuration: Configuration, console: Call) -> None:
    state.write(configuration.conf("a.net"), state.Names())
    assert console("rejoin") == (0, "No name is held.\n", "")
    assert console("rejoin", "-q") == (0, "", "")
    assert json.loads(console("rejoin", "--json")[1]) == []


def test_of_what_cannot_be_read_it_is_not_said_that_nothing_is_held(
    configuration: Configuration, console: Call
) -> None:
    configuration.conf("a.net").write_text("[x")
    code, out, err = console("rejoin")
    assert (code, out) == (3, "No name is held from the certificates that can be read.\n")
    assert err.startswith("a.net: ")


def test_a_dry_run_leaves_a_corrupt_history_as_it_is(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    path = lineages.history_file(configuration.folder)
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    before = sorted(configuration.folder.rglob("*"))
    assert console("rejoin", "--dry-run")[0] == 1
    assert certbot.commands == []
    assert sorted(configuration.folder.rglob("*")) == before


def test_a_first_order_that_was_killed_is_the_users_to_repeat(
    configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    state.write(configuration.conf("a.net"), state.Names())
    configuration.pending("c.net", ["c.net"], ["good.net"])
    code, out, _ = console("rejoin")
    assert (code, out) == (
        1,
        "c.net: no certificate yet: run the same certbot command again.\n",
    )
    assert certbot.commands == []


def test_what_cannot_be_read_is_told_and_the_rest_is_done(
    configuration: Configuration, console: Call, certbot: FakeCertbot, resolver: FakeResolver
) -> None:
    resolver.answers, certbot.failing = {}, set()
    configuration.conf("b.net").write_text("[x")
    code, out, err = console("rejoin")
    assert code == 3
    assert "a.net: renewed" in out
    assert err.startswith("b.net: ")
    assert len(certbot.commands) == 1


def test_where_nobody_can_be_asked_it_is_not_found_out(
    console: Call, certbot: FakeCertbot, resolver: FakeResolver
) -> None:
    resolver.usable = False
    code, out, _ = console("rejoin")
    assert (code, certbot.commands) == (3, [])
    assert "a.net: could not find out: nobody could be asked" in out


def test_as_json(console: Call, certbot: FakeCertbot) -> None:
    del certbot
    (found,) = json.loads(console("rejoin", "--json")[1])
    assert found == {
        "lineage": "a.net",
        "action": "rejoined",
        "held": ["good.net", "bad.net"],
        "passing": ["good.net"],
        "back": ["good.net"],
        "failing": {
            "bad.net": "While processing CAA for bad.net: CAA record for bad.net prevents issuance"
        },
        "why": None,
    }


@pytest.mark.parametrize("target", ["/proc/nowhere", "/proc/self"], ids=["no folder", "no file"])
def test_without_a_place_for_its_lock_it_is_wrong_usage(
    target: str, configuration: Configuration, console: Call, certbot: FakeCertbot
) -> None:
    """Not even root can write there."""
    (configuration.folder / "caa-guard").symlink_to(target)
    code, _, err = console("rejoin")
    assert (code, certbot.commands) == (2, [])
    assert "cannot write to" in err
