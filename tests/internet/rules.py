"""Which questions a scripted action applies to, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.name
import dns.rdatatype

from tests.internet.actions import Action, drop
from tests.internet.question import Question, Transport

# The longest pause between two questions of one lookup. Unbound follows an error at once; after
# silence it waits, at first 0.1 s or more and in the end 8 to 12 s.
AFTER_ANSWER, AFTER_SILENCE = 2.0, 20.0


@dataclass(frozen=True)
class Condition:
    """What must hold of a question; None leaves open."""

    owner: dns.name.Name | None = None
    below: dns.name.Name | None = None
    qtype: dns.rdatatype.RdataType | None = None
    source: str | None = None
    transport: Transport | None = None
    edns: bool | None = None
    mixed_case: bool | None = None

    def holds(self, question: Question) -> bool:
        return (
            self.owner in (None, question.owner)
            and (self.below is None or question.owner.is_subdomain(self.below))
            and self.qtype in (None, question.qtype)
            and self.source in (None, question.source)
            and self.transport in (None, question.transport)
            and (self.edns is None or self.edns == question.edns)
            and (self.mixed_case is None or self.mixed_case == question.mixed_case)
        )


@dataclass(eq=False)
class Rule:
    """One line of a server's script. Made by `FaultyServer.script`, which explains the arguments.

    `hits` counts the questions it was applied to, `lookups_hit` the lookups they belong to.
    """

    action: Action
    condition: Condition
    times: int | None = None
    lookups: float | None = None
    probability: float | None = None
    when: Callable[[], bool] | None = None
    dice: random.Random | None = None
    hits: int = 0
    lookups_hit: int = 0
    _forget: Callable[[Rule], None] = field(default=lambda _: None, repr=False)
    _bursts: dict[tuple[str, ...], tuple[float, bool]] = field(default_factory=dict, repr=False)

    def remove(self) -> None:
        """Stop applying it; the counts remain."""
        self._forget(self)

    def end_lookups(self) -> None:
        """Let the next question be the first of a new lookup."""
        self._bursts.clear()

    def claims(self, question: Question, now: float, dice: random.Random) -> bool:
        """Decide, once for each question that the server gets, whether the rule applies."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not self.condition.holds(question) or not (self.when is None or self.when()):
            return False
        dice = self.dice or dice
        claimed = self._throw(dice) if self.lookups is None else self._burst(question, now, dice)
        self.hits += claimed
        return claimed

    def _burst(self, question: Question, now: float, dice: random.Random) -> bool:
        """The decision for the lookup this question is part of, made at its first question."""
        key = (*question.key, question.source)
        last, claimed = self._bursts.get(key, (float("-inf"), False))
        if now - last > (AFTER_SILENCE if self.action is drop else AFTER_ANSWER):
            claimed = self.lookups_hit < (self.lookups or 0) and self._throw(dice)
            self.lookups_hit += claimed
        self._bursts[key] = now, claimed
        return claimed

    def _throw(self, dice: random.Random) -> bool:
        return self.probability is None or dice.random() < self.probability
