"""How fast, how gentle and how small the guard is, measured.

::

    make bench                        # all of it, and docs/benchmarks.md is written anew
    make bench PARTS='c d'            # these parts alone; the others stay as they were
    python -m benchmarks --list       # what there is
    python -m benchmarks c --quick    # a small version of one part, printed only

A part is a module of this package: its docstring says what it measures and how, the first line
being its title, and its function ``run`` measures.  :data:`PARTS` is the list of them.  A part
imports what is not in the standard library, the guard or ``tests`` only while it runs, so that
the list and the tests need nothing that is not there anyway.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Result

COMMON_PAGE = "benchmarks.md"
PARTS = {
    "a": "benchmarks.throughput",
    "b": "benchmarks.preflight",
    "c": "benchmarks.questions",
    "d": "benchmarks.memory",
    "e": "benchmarks.start",
    "f": "benchmarks.soak",
    "r": "benchmarks.renewals",
    "s": "benchmarks.simulation",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure.

    :ivar quick: a small version that shows that all works; its numbers mean little.
    :ivar directory: for files of this run; it is empty, and goes when the run ends.
    """

    quick: bool
    directory: Path

    def choose(self, full: int, quick: int) -> int:
        """How many: of a full run, or of a quick one."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to measure.

    :ivar letter: what it is called on the command line.
    :ivar title: what it measures, in a line.
    :ivar description: how, in Markdown.
    :ivar page: the page in docs/ that tells of it; a module may say ``PAGE`` to have its own.
    """

    letter: str
    title: str
    description: str
    run: Callable[[Settings], Result]
    page: str


def load(letter: str) -> Part:
    """The part of that letter.

    :raises KeyError: when there is none.
    """
    module = importlib.import_module(PARTS[letter])
    title, _, description = (module.__doc__ or "").partition("\n")
    page = getattr(module, "PAGE", COMMON_PAGE)
    return Part(letter, title.strip().rstrip("."), description.strip(), module.run, page)
