"""certbot's orders, as one issuance drives them."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from typing import Any

from acme import errors as acme_errors
from acme import messages
from certbot import errors
from zope.interface import implementer

from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.issuance import Refused

_LOG = logging.getLogger(__name__)


@implementer(IOrders)
class CertbotOrders:
    """The orders for one CSR, placed, authorized and finalized by certbot's own functions.

    :ivar raised: the last exception that certbot's functions raised, so that it can be told from
        a fault of the guard.
    """

    def __init__(self, acme: Any, place: Callable[[], Any], finalize: Callable[..., Any]) -> None:
        """:param acme: certbot's acme client.
        :param place: certbot's function that places an order and has it authorized.
        :param finalize: the acme client's own ``finalize_order``.
        """
        self._acme = acme
        self._place = place
        self._finalize = finalize
        self._deadline = datetime.timedelta()
        self._fetch_alternative_chains = False
        self._invalid: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        self.raised: BaseException | None = None

    def finalize_within(self, deadline: datetime.datetime, *, alternative_chains: bool) -> None:
        """Set what certbot wants of a finalization; each retry gets the same time again."""
        self._deadline = deadline - datetime.datetime.now()  # certbot's deadlines are naive
        self._fetch_alternative_chains = alternative_chains

    def saw(self, authzr: Any) -> None:
        """Note a polled authorization: certbot's exception says nothing of why it failed."""
        if authzr.body.status != messages.STATUS_INVALID:
            return
        found = [
            dict(challenge.error.to_json())
            for challenge in authzr.body.challenges
            if challenge.error is not None
        ]
        self._invalid[authzr.uri] = (_identifier(authzr.body), found)

    def place(self) -> Any:
        """Place an order and have it authorized: certbot does both in one go."""
        self._invalid.clear()
        try:
            return self._place()
        except messages.Error as error:
            self.raised = error
            raise Refused([(None, error.to_json())], error) from error
        except errors.AuthorizationError as error:
            self.raised = error
            documents: list[tuple[str | None, Mapping[str, object]]] = [
                (identifier, document)
                for identifier, problems in self._invalid.values()
                for document in problems
            ]
            raise Refused(documents, error) from error
        except BaseException as error:
            self.raised = error
            raise

    def authorize(self, order: Any) -> Any:
        """Nothing is left to do: :meth:`place` did it."""
        return order

    def refresh(self, order: Any) -> str:
        """Fetch the order again; acme has no public way to (RFC 8555 section 7.4)."""
        try:
            response = self._acme.net.post(
                order.uri, None, new_nonce_url=self._acme.directory["newNonce"]
            )
            return str(response.json().get("status", ""))
        except Exception:  # noqa: BLE001 - the status is a help, not a need
            _LOG.debug("The CAA guard could not fetch the order again", exc_info=True)
            return ""

    def finalize(self, order: Any) -> Any:
        """Finalize, and wait for the certificate."""
        try:
            return self._finalize(
                order, datetime.datetime.now() + self._deadline, self._fetch_alternative_chains
            )
        except messages.Error as error:
            self.raised = error
            raise Refused([(None, error.to_json())], error, order) from error
        except acme_errors.IssuanceError as error:
            self.raised = error
            raise Refused([(None, error.error.to_json())], error, order) from error
        except BaseException as error:
            self.raised = error
            raise


def _identifier(body: Any) -> str:
    """The identifier as it was ordered: an authorization tells a wildcard by a flag."""
    value = str(body.identifier.value)
    return f"*.{value}" if body.wildcard else value
