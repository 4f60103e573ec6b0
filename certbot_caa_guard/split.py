"""Which identifiers are ordered and which are held, once each has its verdict."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from certbot_caa_guard.verdict import Verdict

_HOUR = 3600.0
_SHORTEST_GRACE = 48 * _HOUR


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
    :ivar spared: names that would be held, but that are ordered all the same, because the
        current certificate covers them and can wait.
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

    :param spare: names that the current certificate covers and that it can wait for.
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


def default_grace(lifetime: float, renewal_window: float) -> float:
    """For how long before its end a certificate may be renewed without a name it now covers.

    :param lifetime: of the certificate, in seconds.
    :param renewal_window: how long before its end certbot starts to renew it, in seconds.
    :returns: a ninth of the lifetime, at least 48 hours, at most 60 % of the window.
    """
    return min(max(lifetime / 9, _SHORTEST_GRACE), 0.6 * renewal_window)
