"""The barrier between the guard and certbot: a fault of the guard never becomes certbot's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from certbot_caa_guard.plugin.stopped import Stopped

if TYPE_CHECKING:
    from certbot_caa_guard.plugin.orders import CertbotOrders

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


def safely(what: Callable[[], _T], otherwise: _T) -> _T:
    """Do *what*; where the guard itself is at fault, say so and return *otherwise*.

    What the guard raises on purpose passes.
    """
    try:
        return what()
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is
        report(error)
        return otherwise


def through(orders: CertbotOrders, step: Callable[[], _T], alone: Callable[[], _T]) -> _T:
    """Take a step of the order through the guard; at a fault of the guard, as certbot alone would.

    :param alone: the same step, by certbot alone.
    """
    from certbot_caa_guard.issuance import Hold

    orders.raised = None
    try:
        return step()
    except Hold:
        raise
    except Exception as error:
        refusal = orders.raised
        if error is refusal:
            raise
        report(error)
        if refusal is not None:
            raise refusal from None
        return alone()


def report(error: Exception) -> None:
    """Say that the guard, or what it must read and write, failed; certbot goes on without it."""
    from certbot_caa_guard.plugin.lineage import StateError

    if isinstance(error, StateError):
        from certbot_caa_guard.report import text

        _LOG.error(
            "CAA guard: %s. certbot goes on without the guard: it leaves out no name that it "
            "cannot remember.",
            text.escaped(str(error)),
        )
        return
    _LOG.error(
        # As repr has it: what is wrong may be text from outside.
        "CAA guard: a fault of the guard itself (%r); certbot goes on without it. The log "
        "file has the details; please report it.",
        error,
    )
    _LOG.debug("Traceback was:", exc_info=error)
