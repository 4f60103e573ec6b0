"""The files that ``--root-hints`` and ``--trust-anchor`` name."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest

from certbot_caa_guard.console import roots
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.resolvers.libunbound import ROOT_ANCHORS

HINTS = ". 60 NS a.root.\na.root. 60 A 127.0.0.1\n"


def is_signed(folder: Path, hints: str | None, anchor: str | None) -> bool:
    options = {}
    for name, content in {"root_hints": hints, "trust_anchor": anchor}.items():
        options[name] = None if content is None else str(folder / name)
        if content is not None:
            (folder / name).write_text(content)
    return roots.is_signed(Namespace(**options))


@pytest.mark.parametrize(
    ("hints", "anchor", "signed"),
    [
        pytest.param(None, None, True, id="the public root"),
        pytest.param(HINTS, None, False, id="another, of which no keys are known"),
        pytest.param(HINTS, ROOT_ANCHORS, True, id="another with its keys"),
        pytest.param(None, ". 5 in dnskey 257 3 8 AwEAAQ==", True, id="a key instead of its hash"),
    ],
)
def test_a_root_is_signed_where_there_are_keys_for_it(
    tmp_path: Path,
    hints: str | None,
    anchor: str | None,
    signed: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert is_signed(tmp_path, hints, anchor) is signed
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("anchor", ["", "\n ; nothing\n"], ids=["empty", "a comment"])
def test_where_a_file_without_keys_switches_validation_off_that_is_told(
    tmp_path: Path, anchor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not is_signed(tmp_path, None, anchor)
    told = f"There is no key in the trust anchor {tmp_path}/trust_anchor: DNSSEC is not checked.\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(
    ("hints", "anchor", "says"),
    [
        (None, "<html>not found</html>", "trust_anchor has neither DS nor DNSKEY records"),
        ("", None, "root_hints name no server of the root with an address"),
        ("<html>", None, "the root hints in .*root_hints: "),
    ],
)
def test_a_file_of_no_use_is_refused(
    tmp_path: Path, hints: str | None, anchor: str | None, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        is_signed(tmp_path, hints, anchor)


@pytest.mark.parametrize("name", ["root_hints", "trust_anchor"])
def test_a_pipe_is_refused_since_it_is_read_again(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    options = Namespace(root_hints=None, trust_anchor=None)
    setattr(options, name, str(tmp_path / "pipe"))
    with pytest.raises(UsageError, match="is a pipe, which can be read only once"):
        roots.is_signed(options)
