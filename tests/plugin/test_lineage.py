"""Wanted and held names, on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import configobj
import pytest

from certbot_caa_guard.plugin import lineage
from certbot_caa_guard.plugin.lineage import Held, Names, StateError

CONF = """\
# renew_before_expiry = 30 days
version = 2.1.0
cert = /etc/letsencrypt/live/a.net/cert.pem

# Options used in the renewal process
[renewalparams]
account = 0123
pre_hook = "echo %(x)s, 'and' more"
[acme_renewal_info]
ari_retry_after = 2026-01-01T00:00:00
"""
B = Held("b.net", "denied", "2026-01-01T00:00:00Z", "b.net")
WILD = Held("*.c.net", "broken", "2026-01-02T00:00:00Z", "c.net")
NAMES = Names(("a.net", "b.net", "*.c.net"), (B, WILD))


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "a.net.conf"
    path.write_text(CONF, "utf-8")
    return path


def section(path: Path) -> Any:
    """As certbot reads it."""
    config = configobj.ConfigObj(str(path), encoding="utf-8", default_encoding="utf-8")
    return config.get(lineage.SECTION)


@pytest.mark.parametrize(
    "names",
    [NAMES, Names(("a.net", "b.net"), (B,)), Names((), (WILD,)), Names(("b.net",), (B,))],
    ids=["two held", "one held", "none wanted", "one wanted"],
)
def test_what_is_written_is_read(conf: Path, names: Names) -> None:
    lineage.write(conf, names)
    assert lineage.read(section(conf)) == names


def test_all_else_in_the_file_stays(conf: Path) -> None:
    lineage.write(conf, NAMES)
    assert conf.read_text("utf-8").startswith(CONF)


def test_all_is_as_before_once_nothing_is_held(conf: Path) -> None:
    lineage.write(conf, NAMES)
    lineage.write(conf, Names(("a.net",)))
    assert conf.read_text("utf-8") == CONF


def test_a_file_without_held_names_is_not_touched(conf: Path) -> None:
    before = conf.stat()
    lineage.write(conf, Names(("a.net",)))
    after = conf.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_writing_again_replaces(conf: Path) -> None:
    lineage.write(conf, NAMES)
    lineage.write(conf, Names(("a.net", "b.net"), (B,)))
    assert lineage.read(section(conf)).held == (B,)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_the_mode_of_the_file_stays(conf: Path, mode: int) -> None:
    conf.chmod(mode)
    lineage.write(conf, NAMES)
    assert stat.S_IMODE(conf.stat().st_mode) == mode


def test_certbots_configuration_can_still_be_interpolated(conf: Path) -> None:
    """Only A-labels, codes and timestamps are written: nothing that ConfigObj trips over."""
    lineage.write(conf, NAMES)
    assert not set("%\"'") & set(conf.read_text("utf-8").partition("[caa_guard]")[2])


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot write to"):
        lineage.write(tmp_path / "missing.conf", NAMES)


def test_a_file_that_is_no_configuration_is_an_error(conf: Path) -> None:
    conf.write_text("[unclosed\n")
    with pytest.raises(StateError, match="cannot write to"):
        lineage.write(conf, NAMES)


def die(*_arguments: object, **_more: object) -> None:
    raise KeyboardInterrupt


def fail(*_arguments: object, **_more: object) -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_kill_while_writing_leaves_the_old_file(
    conf: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*((Path, step) if step == "replace" else (os, step)), die)
    with pytest.raises(KeyboardInterrupt):
        lineage.write(conf, NAMES)
    assert conf.read_text("utf-8") == CONF


def test_a_failure_while_writing_leaves_nothing_beside_the_file(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StateError, match="no space left"):
        lineage.write(conf, NAMES)
    assert list(conf.parent.iterdir()) == [conf]


def test_what_a_killed_run_left_beside_the_file_is_no_harm(conf: Path) -> None:
    (conf.parent / f"{conf.name}.caa-guard").write_text("half of")
    lineage.write(conf, NAMES)
    assert lineage.read(section(conf)) == NAMES


def test_a_symlink_beside_the_file_is_not_followed(conf: Path, tmp_path: Path) -> None:
    (conf.parent / f"{conf.name}.caa-guard").symlink_to(tmp_path / "elsewhere")
    lineage.write(conf, NAMES)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_section_holds_nothing(nothing: Any) -> None:
    assert lineage.read(nothing) == Names()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"format": "2"},
        {"format": "", "wanted": []},
        {"format": "1", "held": ["b.net denied"]},
        {"format": "1", "held": ["b.net"]},
        {"format": "1", "held": ["b.net denied 2026-01-01T00:00:00Z b.net more"]},
    ],
    ids=repr,
)
def test_a_section_in_another_form_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(StateError, match=r"\[caa_guard\] has"):
        lineage.read({"x": "y", **values})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("format = 1", Names()),
        ("format = 1\nwanted = a.net", Names(("a.net",))),
        ("format = 1\nwanted = a.net, b.net", Names(("a.net", "b.net"))),
        ('format = 1\nwanted = ""\nheld = ""', Names()),
        (f"format = 1\nheld = {B}", Names((), (B,))),
        (f"format = 1\nheld = {B}, {WILD}", Names((), (B, WILD))),
    ],
    ids=repr,
)
def test_what_a_person_wrote_is_read(tmp_path: Path, text: str, expected: Names) -> None:
    path = tmp_path / "x.conf"
    path.write_text(f"[caa_guard]\n{text}\n")
    assert lineage.read(section(path)) == expected


def test_a_section_where_a_list_should_be_is_told() -> None:
    """Taken for nothing it would lose the names in it."""
    with pytest.raises(StateError, match="a section where a list should be"):
        lineage.read({"format": "1", "held": {"a": "b"}})


def test_the_held_names_are_told_alone() -> None:
    assert NAMES.held_names == ("b.net", "*.c.net")


@pytest.mark.parametrize(
    ("kept", "there", "expected"),
    [
        (Names(), ["a.net", "c.net"], ["a.net", "c.net"]),
        (Names(("a.net",), (B,)), ["a.net"], ["a.net", "b.net"]),
        (Names(("a.net", "b.net"), (B,)), ["a.net"], ["a.net", "b.net"]),
        (Names(("b.net", "a.net"), (B,)), ["a.net"], ["b.net", "a.net"]),
        (Names(("x.net", "b.net"), (B,)), ["a.net"], ["b.net", "a.net"]),
    ],
    ids=[
        "nothing kept",
        "one held that is missing from the list",
        "one held",
        "the order asked for",
        "one taken out meanwhile",
    ],
)
def test_what_is_wanted_follows_from_what_is_kept_and_what_is_there(
    kept: Names, there: list[str], expected: list[str]
) -> None:
    assert kept.wanted_with(there) == expected
