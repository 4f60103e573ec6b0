"""For how long a certificate can wait for a name that it covers and that fails now.

While it can, it is not renewed without that name.  The remaining lifetime at which that ends is
the grace.
"""

from __future__ import annotations

import re
from datetime import timedelta

_DAY = timedelta(days=1)
_SHORTEST = timedelta(hours=48)

_TIME = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": _DAY}

# What certbot's renew_before_expiry mostly says; its own parser knows many more ways.
_INTERVAL = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(minute|hour|day|week|month|year)s?")
_INTERVALS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": _DAY,
    "week": 7 * _DAY,
    "month": 30 * _DAY,
    "year": 365 * _DAY,
}


class GraceError(ValueError):
    """A text that is no grace; the message says what is one."""


def parse(text: str) -> timedelta:
    """Read a grace as the user writes it: ``36h``, ``10d``, ``90m``, or ``0``.

    :raises GraceError: when it is none of these.
    """
    if text == "0":
        return timedelta()
    found = _TIME.fullmatch(text)
    if found is None:
        raise GraceError(f"{text!r} is not a time: write 36h, 10d or 90m, or 0 for none")
    number, unit = found.groups()
    return int(number) * _UNITS[unit]


def renewal_window(lifetime: timedelta, renew_before_expiry: str | None = None) -> timedelta:
    """How long before its end certbot starts to renew a certificate.

    :param renew_before_expiry: what the lineage says of it, in certbot's words (``30 days``, or
        ``30``); without, or where it cannot be read, half of a lifetime below ten days, else a
        third.
    """
    interval = (renew_before_expiry or "").strip()
    if interval.isdigit():
        interval += " days"
    said = _INTERVAL.fullmatch(interval)
    if said is None:
        return lifetime / (2 if lifetime < 10 * _DAY else 3)
    return min(lifetime, float(said[1]) * _INTERVALS[said[2]])


def remaining(lifetime: timedelta, window: timedelta, chosen: str | None) -> timedelta:
    """How much life a certificate has left when it stops waiting.

    :param chosen: the grace as the user wrote it, if at all; where it is none, a certificate does
        not wait at all.
    :raises GraceError: when it is no grace.
    """
    left = default(lifetime, window) if chosen is None else parse(chosen)
    return min(left or lifetime, lifetime)


def default(lifetime: timedelta, window: timedelta) -> timedelta:
    """The grace where the user names none.

    :param window: how long before its end certbot starts to renew the certificate.
    :returns: a ninth of the lifetime, at least 48 hours, at most 60 % of the window.
    """
    return min(max(lifetime / 9, _SHORTEST), 0.6 * window)
