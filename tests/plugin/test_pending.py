"""Names that wait for their first certificate, on disk."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.plugin import pending
from certbot_caa_guard.plugin.lineage import Held, Names, StateError

B = Held("b.net", "denied", "2026-01-01T00:00:00Z", "b.net")
WILD = Held("*.c.net", "broken", "2026-01-02T00:00:00Z", "c.net")
NAMES = Names(("a.net", "b.net", "*.c.net"), (B, WILD))
OTHER = Names(("a.net", "x.net"), (Held("x.net", "denied", "2026-01-03T00:00:00Z", "x.net"),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "caa-guard" / "pending"


def write(folder: Path, certname: str = "a.net") -> pending.Pending:
    return pending.write(folder, certname, NAMES, ["a.net"])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def die(*_arguments: object, **_more: object) -> None:
    raise KeyboardInterrupt


def test_what_is_written_is_read(folder: Path) -> None:
    written = write(folder)
    assert pending.all_in(folder) == [written]
    assert (written.certname, written.names, written.ordered) == ("a.net", NAMES, ("a.net",))


def test_where_nothing_was_written_nothing_is_read(folder: Path) -> None:
    assert pending.all_in(folder) == []
    assert pending.of(folder, "a.net") == []
    assert not pending.is_any(folder, "a.net")


@pytest.mark.parametrize(
    ("in_certificate", "expected"),
    [
        pytest.param(["d.net", "a.net"], True, id="those that were ordered, in whatever order"),
        pytest.param(["a.net", "x.net"], False, id="others"),
        pytest.param(["a.net"], False, id="fewer"),
    ],
)
def test_it_is_for_the_certificate_that_was_ordered(
    folder: Path, in_certificate: list[str], expected: bool
) -> None:
    written = pending.write(folder, "a.net", NAMES, ["a.net", "d.net"])
    assert written.is_for(in_certificate) is expected


@pytest.mark.parametrize(
    ("certname", "lineagename", "expected"),
    [
        pytest.param("a.net", "a.net", True, id="its name"),
        pytest.param("a.net", "a.net-0001", True, id="numbered by certbot"),
        pytest.param("mine", "mine", True, id="a name of the user's"),
        pytest.param("mine+2", "mine+2", True, id="one that looks numbered by us"),
        pytest.param("a.net", "x.net", False, id="another"),
        pytest.param("a.net", "a.net-1", False, id="what only looks like a number"),
    ],
)
def test_it_is_found_by_the_name_of_the_lineage(
    folder: Path, certname: str, lineagename: str, expected: bool
) -> None:
    write(folder, certname)
    assert bool(pending.of(folder, lineagename)) is expected
    assert pending.is_any(folder, lineagename) is expected


def test_the_file_is_private(folder: Path) -> None:
    assert stat.S_IMODE(write(folder).path.stat().st_mode) == 0o600


def test_the_folders_are_private(folder: Path) -> None:
    write(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_same_request_replaces_what_it_kept(folder: Path) -> None:
    write(folder)
    again = Names(NAMES.wanted[::-1], (B,))
    pending.write(folder, "a.net", again, ["a.net", "*.c.net"])
    assert [one.names for one in pending.all_in(folder)] == [again]


def test_another_request_for_the_same_lineage_replaces_nothing(folder: Path) -> None:
    write(folder)
    pending.write(folder, "a.net", OTHER, ["a.net"])
    pending.write(folder, "a.net", Names(("a.net", "y.net"), (B,)), ["a.net"])
    assert files(folder) == ["a.net+2.json", "a.net+3.json", "a.net.json"]
    assert {one.certname for one in pending.of(folder, "a.net")} == {"a.net"}
    pending.write(folder, "a.net", OTHER, ["a.net"])
    assert [one.names for one in pending.of(folder, "a.net")].count(OTHER) == 1


def test_a_kill_while_writing_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write(folder)
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            pending.write(folder, "a.net", Names(NAMES.wanted, (B,)), [])
    assert pending.all_in(folder) == [written]


def test_one_name_can_be_forgotten(folder: Path) -> None:
    write(folder).forget("b.net")
    (left,) = pending.all_in(folder)
    assert left.names == NAMES.without("b.net")
    assert left.ordered == ("a.net",)


def test_with_the_last_name_the_file_goes(folder: Path) -> None:
    pending.write(folder, "a.net", OTHER, ["a.net"]).forget("x.net")
    assert files(folder) == []


def test_removing_what_is_not_there_is_no_error(folder: Path) -> None:
    written = write(folder)
    written.remove()
    written.remove()
    assert files(folder) == []


def test_a_name_does_not_lead_out_of_the_folder(folder: Path) -> None:
    write(folder, "../../x")
    assert files(folder) == [".._.._x.json"]


def test_where_nothing_can_be_written_is_an_error(folder: Path) -> None:
    folder.parent.touch()
    with pytest.raises(StateError, match="cannot write to"):
        write(folder)


def spoilt(path: Path, spoil: Callable[[Any], Any]) -> bytes:
    return json.dumps(spoil(json.loads(path.read_text()))).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: {**document, "format": 2},
        lambda document: {**document, "held": [{"name": "b.net"}]},
        lambda document: {**document, "held": 7},
        lambda document: {k: v for k, v in document.items() if k != "wanted"},
        lambda _document: [],
        lambda _document: "x",
    ],
    ids=["format", "half a held name", "no list", "a member is missing", "a list", "a text"],
)
def test_what_cannot_be_read_is_passed_over_and_left(
    folder: Path, spoil: Callable[[Any], Any]
) -> None:
    path = write(folder).path
    content = spoilt(path, spoil)
    path.write_bytes(content)
    assert pending.all_in(folder) == []
    assert write(folder).path != path
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_corrupt_file_is_passed_over(folder: Path, content: bytes) -> None:
    write(folder).path.write_bytes(content)
    assert pending.all_in(folder) == []
