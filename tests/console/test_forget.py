"""``certbot-caa-guard forget``: a held name is let go."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from certbot_caa_guard.console import lineages, lock
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin import pending
from tests.console.configuration import Configuration
from tests.console.conftest import Call


def test_a_forgotten_name_is_neither_wanted_nor_held(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net", "*.b.net"])
    code, out, _ = console("forget", "*.B.net")
    assert (code, out) == (
        0,
        "*.b.net is forgotten: a.net neither wants nor holds it any more.\n",
    )
    assert configuration.kept("a.net") == configuration.names(["a.net"], ["b.net"])
    assert not (configuration.folder / ".certbot.lock").exists()


def test_with_the_last_name_the_section_goes(configuration: Configuration, console: Call) -> None:
    conf = configuration.lineage("a.net", ["a.net"], held=["b.net"])
    console("forget", "b.net")
    assert "[caa_guard]" not in conf.read_text()
    assert "server = https://ca.example/dir" in conf.read_text()


def test_a_name_that_several_hold_needs_the_certificates_name(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["c.net"])
    configuration.lineage("b.net", ["b.net"], held=["c.net"])
    code, _, err = console("forget", "c.net")
    assert code == 2
    assert "held from a.net, b.net: choose one with --cert-name" in err
    assert console("forget", "c.net", "--cert-name", "b.net")[0] == 0
    assert configuration.kept("a.net").held_names == ("c.net",)
    assert configuration.kept("b.net").held_names == ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x.net", "x.net is not held; held are b.net"),
        ("a.net", "a.net is not held; held are b.net"),
        ("x..net", "is not a domain name"),
    ],
)
def test_a_name_that_is_not_held_is_wrong_usage(
    name: str, says: str, configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    code, _, err = console("forget", name)
    assert code == 2
    assert says in err


def test_where_nothing_is_held_and_one_cannot_be_read(
    configuration: Configuration, console: Call
) -> None:
    configuration.conf("z.net").write_text("")
    code, _, err = console("forget", "x.net")
    assert code == 2
    assert "x.net is not held; no name is; z.net cannot be read" in err


def test_names_without_a_certificate_are_forgotten_too(
    configuration: Configuration, console: Call
) -> None:
    configuration.pending("a.net", ["a.net"], ["b.net", "c.net"])
    folder = lineages.pending_folder(configuration.folder)
    assert console("forget", "b.net")[0] == 0
    assert [one.names.held_names for one in pending.all_in(folder)] == [("c.net",)]
    assert console("forget", "c.net")[0] == 0
    assert not list(folder.iterdir())


def test_names_of_a_killed_order_whose_certificate_came_are_forgotten_too(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"])
    configuration.pending("a.net", ["a.net"], ["b.net", "c.net"])
    assert console("forget", "b.net")[0] == 0
    assert configuration.kept("a.net").held_names == ("c.net",)
    assert "1 of 2 wanted names" in console("status")[1]


def test_names_that_several_requests_for_one_certificate_hold_are_forgotten_everywhere(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    configuration.pending("a.net", ["a.net", "x.net"], ["b.net"])
    configuration.pending("a.net", ["a.net", "y.net"], ["b.net"])
    assert console("forget", "b.net")[0] == 0
    assert configuration.kept("a.net").held_names == ()
    assert not list(lineages.pending_folder(configuration.folder).iterdir())


def test_what_cannot_be_written_is_told(
    configuration: Configuration, console: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])

    def fail(*_args: object) -> None:
        raise state.StateError("cannot write to it")

    monkeypatch.setattr(state, "write", fail)
    code, _, err = console("forget", "b.net")
    assert (code, err) == (2, "certbot-caa-guard: cannot write to it\n")
    monkeypatch.setattr(os, "open", lambda *_args: (_ for _ in ()).throw(OSError(30, "read-only")))
    assert "read-only" in console("forget", "b.net")[2]


def test_nothing_is_changed_while_a_certbot_runs(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    path = configuration.folder / ".certbot.lock"
    hold = (
        "import fcntl,sys;f=open(sys.argv[1],'w');fcntl.lockf(f,2);print('held',flush=True);input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        code, out, _ = console("forget", "b.net")
        other.communicate("\n")
    assert code == 3
    assert "A certbot is running" in out
    assert configuration.kept("a.net").held_names == ("b.net",)
    assert console("forget", "b.net")[0] == 0


def test_a_lock_file_that_went_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever held it took it away between our opening and our locking it."""
    path = tmp_path / "lock"
    real, calls = fcntl.lockf, []

    def lockf(descriptor: int, operation: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            path.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with lock.locked(path):
        assert path.exists()
    assert len(calls) == 2
    assert not path.exists()


def test_a_lock_that_cannot_be_had_at_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "nowhere" / "lock"
    with pytest.raises(UsageError, match=f"cannot write to {nowhere}: "), lock.locked(nowhere):
        pytest.fail("it was not locked")

    def lockf(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    told = f"cannot lock {tmp_path / 'lock'}: No locks available"
    with pytest.raises(UsageError, match=told), lock.locked(tmp_path / "lock"):
        pytest.fail("it was not locked")
