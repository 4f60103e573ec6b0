"""What can be plugged in, and what one issuance drives.

``IResolver`` is looked up by the scheme of a resolver SPEC in the entry point group
``certbot_caa_guard.resolvers``; each entry point is a callable that takes the SPEC and returns
the resolver.  ``IOrders`` is what stands between an issuance and an ACME client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from certbot_caa_guard.climb import Lookup

# zope.interface describes methods without self.
# mypy: disable-error-code="empty-body"
# ruff: noqa: N805


class IResolver(Interface):
    """A way to ask DNS for CAA records: one perspective."""

    perspective = Attribute("The certbot_caa_guard.verdict.Perspective that it is.")

    async def is_usable(timeout: float) -> bool:
        """Tell whether it resolves the root now; never raises.

        :param timeout: seconds to wait at most.
        """

    async def lookup(owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*; never raises.

        :param owner: a name in lower case without a final dot.
        :param timeout: seconds after which the outcome is a timeout.
        """

    def close() -> None:
        """Give back what it holds; nothing is asked afterwards."""


class IBulkResolver(IResolver):
    """A resolver that needs no task for each question, for tens of thousands of them a second.

    It is asked this way where it can be; any IResolver will do.
    """

    def ask(owner: str, timeout: float, known: Callable[[Lookup], None]) -> None:
        """Ask for the CAA records of *owner*, in the running event loop; never raises.

        However many are asked for at once, the resolver itself keeps the rest waiting while
        enough are in flight; the time of waiting does not count.

        :param owner: a name in lower case without a final dot.
        :param timeout: seconds after which the outcome is a timeout.
        :param known: called once with what was found; maybe before this returns.
        """


class IOrders(Interface):
    """An ACME client, as far as one issuance needs it: one CSR and the orders for it.

    Whatever the CA refuses is raised as certbot_caa_guard.refusal.Refused, which carries the
    problem documents and the client's own exception; where an answer is lost on the way, and the
    client does not ask again by itself, certbot_caa_guard.refusal.Lost.  Any other exception passes
    through the issuance untouched.
    """

    def place() -> object:
        """Place a new order (RFC 8555 section 7.4) and return it.

        A client that places and authorizes in one go may do both here.
        """

    def authorize(order: object) -> object:
        """Get every authorization of *order* valid, reusing those that are, and return it."""

    def refresh(order: object) -> str:
        """Fetch *order* again and return its status; an empty text when that fails."""

    def finalize(order: object) -> object:
        """Finalize *order*, wait for the certificate, and return the order with it."""

    def poll(order: object) -> object:
        """Wait for the certificate of *order*, and return the order with it.

        Asked of an order that is processing or valid: it was finalized already.
        """

    def deactivate(order: object, identifiers: Collection[str]) -> Collection[str]:
        """Deactivate the valid authorizations of *identifiers* (RFC 8555 section 7.5.2).

        Never pending ones; and none where making them anew would need a person.

        :returns: the identifiers whose authorizations are deactivated; never raises.
        """
