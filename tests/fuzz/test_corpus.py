"""Every seed, and every input that once broke something, goes through its target."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

_CORPUS = Path(__file__).parent / "corpus"
_INPUTS = sorted(path for path in _CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", _INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_nothing_comes_of_it(path: Path) -> None:
    target = importlib.import_module(f"tests.fuzz.fuzz_{path.parent.name}")
    target.TestOneInput(path.read_bytes())


@pytest.mark.parametrize(
    "target", sorted(Path(__file__).parent.glob("fuzz_*.py")), ids=lambda path: path.stem
)
def test_a_target_has_seeds_and_takes_an_empty_input(target: Path) -> None:
    assert list((_CORPUS / target.stem.removeprefix("fuzz_")).iterdir())
    importlib.import_module(f"tests.fuzz.{target.stem}").TestOneInput(b"")
