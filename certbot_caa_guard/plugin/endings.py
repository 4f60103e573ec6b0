"""What the user is told of how an issuance ends, and of what becomes of names."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence

from certbot_caa_guard.history import Closed
from certbot_caa_guard.plugin.certificate import Certificate
from certbot_caa_guard.report import text
from certbot_caa_guard.split import Course

_MOMENT = "%Y-%m-%d %H:%M UTC"

_ALONE = (
    "use --no-caa-guard. certbot remembers that for all later renewals: to have the guard back, "
    "write caa_guard_enabled = True in renewal/NAME.conf."
)

COURSES_WITHOUT_ORDER = frozenset(
    {Course.PUT_OFF, Course.NEVER_DROP, Course.NOTHING_LEFT, Course.STOP}
)


def of_course(course: Course, failing: Sequence[str], certificate: Certificate | None) -> str:
    """Why there is no order, and what to do.

    :param failing: the names that the CA would refuse.
    :param certificate: the one that the lineage has now.
    """
    names = text.listing(failing)
    if course is Course.PUT_OFF and certificate is not None:
        return (
            f"CAA guard: this renewal is put off: {names} would fail, and is in the certificate, "
            f"which is good until {certificate.end.strftime(_MOMENT)}. No order was placed. "
            f"{_mend(failing)} From {certificate.waits_until.strftime(_MOMENT)} on it is renewed "
            "without what still fails."
        )
    if course is Course.NEVER_DROP:
        return (
            f"CAA guard: {names} would fail, and --caa-guard-never-drop keeps this certificate "
            f"from being ordered without. No order was placed. {_mend(failing)}"
        )
    if course is Course.STOP:
        return (
            f"CAA guard: stopped before the order, because {names} would fail. {_mend(failing)} "
            "Or leave such names out with --caa-guard-on-fail split."
        )
    return (
        "CAA guard: nothing is left to order: every name would fail. No order was placed. "
        f"{_mend(failing)}"
    )


def of_exhausted(failing: Sequence[str]) -> str:
    """Why there is no order for names that failed at the CA again and again."""
    return (
        f"CAA guard: {text.listing(failing)} failed too often at the CA lately, for want of CAA: "
        "one more failure may bring it to stop issuing for longer. No order was placed. "
        f"{_mend(failing)} Then try again in an hour; to try at once, {_ALONE}"
    )


def of_limit(closed: Closed) -> str:
    """Why there is no order for names that met a rate limit of the CA."""
    until = datetime.datetime.fromtimestamp(closed.until, datetime.timezone.utc)
    return (
        f"CAA guard: the CA takes no order for these names before {until.strftime(_MOMENT)}: in an "
        f"earlier run a rate limit of it was met ({text.printable(closed.why)}). No order was "
        f"placed. Run certbot again after that time; to try before, {_ALONE}"
    )


def of_csr(failing: Sequence[str]) -> str:
    """Why a CSR is not sent to the CA."""
    return (
        f"CAA guard: {text.listing(failing)} in the CSR would fail, and a CSR cannot be split. "
        f"{_mend(failing)} Or make a CSR without."
    )


def _mend(failing: Sequence[str]) -> str:
    return f"Run certbot-caa-guard check {shlex.quote(failing[0])} for what to mend."


def of_let_go(names: Sequence[str]) -> str:
    """What became of held names that a person asks for no more."""
    return (
        f"CAA guard: {text.listing(names)} was held for this certificate, and is forgotten now, "
        "since you ask for the certificate without it."
    )


def of_spared(course: Course) -> str:
    """What becomes of a failing name that is not left out."""
    return "not ordered" if course in COURSES_WITHOUT_ORDER else "ordered all the same"
