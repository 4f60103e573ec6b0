"""Which identifiers are ordered and which are held, and whether there is an order at all."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from certbot_caa_guard.verdict import Verdict


class OnFail(enum.Enum):
    """What ``--caa-guard-on-fail`` asks for."""

    SPLIT = "split"
    STOP = "stop"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Split:
    """How the wanted names of a certificate are divided.

    :ivar ordered: the names to order, in the order in which they were asked for.
    :ivar held: the names to hold.
    :ivar spared: names that would be held, but must not be left out: the current certificate
        covers them and can wait, or the user said so.
    """

    ordered: tuple[str, ...]
    held: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()

    @property
    def failing(self) -> tuple[str, ...]:
        """All names with a verdict that holds."""
        return self.held + self.spared


def split(
    wanted: Sequence[str],
    verdicts: Mapping[str, Verdict],
    *,
    on_fail: OnFail,
    spare: Collection[str] = (),
) -> Split:
    """Divide *wanted* by *verdicts*; a name without a verdict is ordered.

    :param spare: names that must not be left out.
    """
    failing = [name for name in wanted if name in verdicts and verdicts[name].holds]
    if on_fail is OnFail.WARN:
        return Split(tuple(wanted), spared=tuple(failing))
    held = tuple(name for name in failing if name not in spare)
    return Split(
        ordered=tuple(name for name in wanted if name not in held),
        held=held,
        spared=tuple(name for name in failing if name in spare),
    )


class Course(enum.Enum):
    """What becomes of an issuance."""

    ORDER = "what is not held is ordered"
    ASK_THE_CA = "the failing names are ordered too, and the CA judges"
    PUT_OFF = "the certificate waits for its failing names"
    NEVER_DROP = "a name fails that the user never wants to go without"
    NOTHING_LEFT = "every name fails"
    STOP = "the user wants no order when a name fails"


def course(
    division: Split,
    verdicts: Mapping[str, Verdict],
    *,
    on_fail: OnFail,
    covered: Collection[str],
    waited_for: Collection[str],
    asked_lately: bool,
) -> Course:
    """What becomes of an issuance whose names are divided.

    :param covered: the names in the current certificate.
    :param waited_for: those that it can wait for.
    :param asked_lately: whether the CA has judged the full order within the day.
    """
    if on_fail is OnFail.WARN or not division.failing:
        return Course.ORDER
    if on_fail is OnFail.STOP:
        return Course.STOP
    if not division.ordered:
        return Course.NOTHING_LEFT
    if not division.spared:
        return Course.ORDER
    # A denial is the owner's word: asking the CA would change nothing.
    may_pass = all(
        name in covered and verdicts[name] is not Verdict.DENIED for name in division.spared
    )
    if may_pass and not asked_lately:
        return Course.ASK_THE_CA
    waits = all(name in waited_for for name in division.spared)
    return Course.PUT_OFF if waits else Course.NEVER_DROP
