"""Climbing with a program that only asks questions, level by level (RFC 8659 section 3)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

_DIG = ["dig", "+noall", "+answer", "+question", "-t", "CAA"]
_ADNSHOST = ["adnshost", "-a", "-f", "-t", "type257"]
_ADNS_AT_ONCE = 100

# Asks about owners; returns those that have records.
Ask = Callable[[Sequence[str]], set[str]]


def climb(names: Sequence[str], ask: Ask) -> tuple[dict[str, str | None], int]:
    """Find for each name where its relevant set stands, asking about each owner once.

    :returns: where, or None; and how many questions that took.
    """
    found: dict[str, str | None] = {}
    asked: dict[str, bool] = {}
    left = {name: name for name in names}
    while left:
        owners = [owner for owner in dict.fromkeys(left.values()) if owner not in asked]
        having = ask(owners) if owners else set()
        asked |= {owner: owner in having for owner in owners}
        above: dict[str, str] = {}
        for name, owner in left.items():
            if asked[owner]:
                found[name] = owner
            elif parent := owner.partition(".")[2]:
                above[name] = parent
            else:
                found[name] = None
        left = above
    return found, len(asked)


def dig(address: str, directory: Path) -> Ask:
    """``dig -f``: one question after the other."""

    def ask(owners: Sequence[str]) -> set[str]:
        file = directory / "dig"
        file.write_text("".join(f"{owner}\n" for owner in owners), encoding="ascii")
        return read_dig(_output([*_DIG, f"@{address}", "-f", str(file)], ""))

    return ask


def adnshost(address: str) -> Ask:
    """``adnshost -a -f``: so many questions at once.

    With some hundreds of them it loses answers, and waits for seconds before it asks again.
    """
    command = [*_ADNSHOST, "--config", f"nameserver {address}"]

    def ask(owners: Sequence[str]) -> set[str]:
        having: set[str] = set()
        for start in range(0, len(owners), _ADNS_AT_ONCE):
            some = owners[start : start + _ADNS_AT_ONCE]
            having |= read_adnshost(_output(command, "".join(f"{owner}\n" for owner in some)))
        return having

    return ask


def read_dig(text: str) -> set[str]:
    """The owners of the CAA records in what dig prints."""
    lines = (line.split() for line in text.splitlines() if not line.startswith(";"))
    return {words[0].rstrip(".") for words in lines if len(words) > 3 and words[3] == "CAA"}


def read_adnshost(text: str) -> set[str]:
    """The owners that have records, in what ``adnshost -a`` prints."""
    lines = (line.split() for line in text.splitlines())
    return {words[5] for words in lines if len(words) > 5 and words[2:4] == ["ok", "0"]}


def _output(command: list[str], given: str) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.stdout
