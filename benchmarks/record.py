"""The pages of results in docs/: each part as it was measured last.

The results stand in a JSON file beside the page, so that a part can be measured anew and the
pages and the plot be made again without the others.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import COMMON_PAGE, PARTS, Part, load, machine, plot
from benchmarks.results import Result

_DOCS = Path(__file__).parent.parent / "docs"
PAGE = _DOCS / COMMON_PAGE
_PLOT = _DOCS / "benchmarks.svg"
_DATA = _DOCS / "benchmarks.json"

_HEAD = """\
# Benchmarks

How fast, how gentle and how small the guard is. `make bench` measures all of this anew and writes
this page; `make bench PARTS='c d'` does it for some parts. Each part says when and on what it was
measured.

![Names checked in a second, preflight of 100 names, and peak memory](benchmarks.svg)
"""


def write(part: Part, result: Result, load_before: float) -> None:
    """Put what *part* found in the place of what it found before.

    :param load_before: how many processes wanted a processor before it began.
    """
    data = _read()
    data[part.letter] = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": _commit(),
        "machine": machine.description(),
        "load": round(load_before, 1),
        "command": f"make bench PARTS={part.letter}",
        "result": result.to_json(),
    }
    _DATA.write_text(json.dumps(dict(sorted(data.items())), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(data), encoding="utf-8")
    if part.page != COMMON_PAGE:
        (_DOCS / part.page).write_text(_section(part, data[part.letter], "#"), encoding="utf-8")
    plot.draw(data, _PLOT)


def page(data: dict[str, Any]) -> str:
    """The whole page, from what was found of each part that has no page of its own."""
    parts = [load(letter) for letter in PARTS if letter in data]
    sections = [
        _section(part, data[part.letter], f"## {part.letter}.")
        for part in parts
        if part.page == COMMON_PAGE
    ]
    return "\n".join([_HEAD, *sections])


def _section(part: Part, found: dict[str, Any], mark: str) -> str:
    measured = (
        f"Measured on {found['date']} at {found['commit']} with `{found['command']}`: "
        f"{found['machine']}; load before it {found['load']}."
    )
    result = Result.from_json(found["result"])
    return f"{mark} {part.title}\n\n{part.description}\n\n{result.markdown()}\n\n{measured}\n"


def _read() -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(_DATA.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return data


def _commit() -> str:
    """The commit that is measured, and whether more than what is written here differs from it."""
    commit = _git("describe", "--always")
    if commit and _git("status", "--porcelain", "--", ".", f":!{_DOCS.name}"):
        commit += "-dirty"
    return commit or "an unknown commit"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_DOCS.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
