"""What a part found, as data, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that shall hold, and what was measured.

    :ivar what: in a sentence, with the bound.
    :ivar measured: with its unit.
    """

    what: str
    measured: str
    met: bool

    @classmethod
    def at_most(cls, what: str, measured: float, bound: float, unit: str = "") -> Goal:
        """Less or as much is good."""
        return cls(what, f"{number(measured)}{unit}", measured <= bound)

    @classmethod
    def at_least(cls, what: str, measured: float, bound: float, unit: str = "") -> Goal:
        """More or as much is good."""
        return cls(what, f"{number(measured)}{unit}", measured >= bound)


@dataclass(frozen=True, slots=True)
class Result:
    """What one part found.

    :ivar columns: the heads of the table.
    :ivar rows: its lines, as they shall be shown.
    :ivar goals: what was wanted.
    :ivar remarks: what a reader must know to judge the numbers.
    :ivar numbers: for the plot; whatever JSON holds.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = ()
    remarks: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Read what :meth:`to_json` gave."""
        goals = [Goal(**goal) for goal in data["goals"]]
        return cls(data["columns"], data["rows"], goals, data["remarks"], data["numbers"])

    def markdown(self) -> str:
        """The table, the remarks and the goals."""
        parts = [table(self.columns, self.rows)]
        if self.remarks:
            parts.append("\n".join(f"- {remark}" for remark in self.remarks))
        if self.goals:
            lines = [(goal.what, goal.measured, _met(goal)) for goal in self.goals]
            parts.append(table(("goal", "measured", ""), lines))
        return "\n\n".join(parts)

    @property
    def all_met(self) -> bool:
        """Whether every goal is met."""
        return all(goal.met for goal in self.goals)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; what looks like a number stands to the right."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    rules = [
        "---:" if lines and all(_is_number(row[place]) for row in lines) else "---"
        for place in range(len(columns))
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(columns), rules, *lines])


def number(value: float) -> str:
    """Three digits that matter, thousands apart: 24,300, 51.2, 0.00123."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        digits = max(len(str(int(abs(value)))) - 3, 0)
        return f"{round(value, -digits):,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.6f}".rstrip("0")


def _met(goal: Goal) -> str:
    return "met" if goal.met else "**not met**"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _is_number(text: str) -> bool:
    return text.lstrip("+-")[:1].isdigit() or not text.strip("-")
