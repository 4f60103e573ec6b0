"""certbot's orders, as one issuance drives them."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from acme import errors as acme_errors
from acme import messages
from certbot import errors
from zope.interface import implementer

from certbot_caa_guard.acmeorders import identifier_of
from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.plugin.answers import Answers, is_loss
from certbot_caa_guard.refusal import Lost, Refused

_LOG = logging.getLogger(__name__)

_NEXT_POLL = 1.0  # seconds, as acme's own


@implementer(IOrders)
class CertbotOrders:
    """The orders for one CSR, placed, authorized and finalized by certbot's own functions.

    :ivar raised: the last exception that certbot's functions raised, so that it can be told from
        a fault of the guard.
    """

    def __init__(
        self,
        acme: Any,
        place: Callable[[], Any],
        finalize: Callable[..., Any],
        *,
        answers: Answers | None = None,
        validates_alone: bool = False,
        on_failed_authorization: Callable[[str], None] = lambda _identifier: None,
    ) -> None:
        """:param acme: certbot's acme client.
        :param place: certbot's function that places an order and has it authorized.
        :param finalize: the acme client's own ``finalize_order``.
        :param answers: what is seen of the CA's answers, beside what acme tells of them.
        :param validates_alone: whether names can be validated without a person.
        :param on_failed_authorization: told each identifier as soon as it is known.
        """
        self._acme = acme
        self._place = place
        self._finalize = finalize
        self._answers = answers or Answers()
        self._validates_alone = validates_alone
        self._on_failed_authorization = on_failed_authorization
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
        identifier = identifier_of(authzr.body)
        self._invalid[authzr.uri] = (identifier, found)
        self._on_failed_authorization(identifier)

    def place(self) -> Any:
        """Place an order and have it authorized: certbot does both in one go."""
        self._invalid.clear()
        return self._through(self._place)

    def authorize(self, order: Any) -> Any:
        """Nothing is left to do: :meth:`place` did it."""
        return order

    def refresh(self, order: Any) -> str:
        """Fetch the order again; acme has no public way to (RFC 8555 section 7.4)."""
        try:
            return str(self._fetch(order.uri).json().get("status", ""))
        except Exception:  # noqa: BLE001 - the status is a help, not a need
            _LOG.debug("The CAA guard could not fetch the order again", exc_info=True)
            return ""

    def finalize(self, order: Any) -> Any:
        """Finalize, and wait for the certificate."""
        return self._through(
            lambda: self._finalize(
                order, datetime.datetime.now() + self._deadline, self._fetch_alternative_chains
            ),
            order,
        )

    def poll(self, order: Any) -> Any:
        """Wait for the certificate, as acme does after it has finalized."""
        return self._through(lambda: self._polled(order), order)

    def deactivate(self, order: Any, identifiers: Collection[str]) -> Collection[str]:
        """Deactivate valid authorizations, unless a person would have to make them anew."""
        done: list[str] = []
        for authzr in order.authorizations if self._validates_alone else ():
            identifier = identifier_of(authzr.body)
            if identifier not in identifiers or authzr.body.status != messages.STATUS_VALID:
                continue
            try:
                self._acme.deactivate_authorization(authzr)
                done.append(identifier)
            except Exception:  # noqa: BLE001 - then it is reused, as without the guard
                _LOG.debug("The CAA guard could not deactivate %s", authzr.uri, exc_info=True)
        return done

    def _through(self, step: Callable[[], Any], order: Any = None) -> Any:
        """Take a step of certbot's own, and say what it raises in the issuance's words."""
        try:
            return step()
        except BaseException as error:
            self.raised = error
            told = self._told(error, order)
            if told is None:
                raise
            raise told from error

    def _told(self, error: BaseException, order: Any) -> Refused | Lost | None:
        """What an exception of certbot's is to an issuance; None where it means nothing to it."""
        if isinstance(error, messages.Error):
            return self._refused([(None, error.to_json())], error, order)
        if isinstance(error, acme_errors.IssuanceError):
            return self._refused([(None, error.error.to_json())], error, order)
        if isinstance(error, errors.AuthorizationError):
            documents: list[tuple[str | None, Mapping[str, Any]]] = [
                (identifier, document)
                for identifier, problems in self._invalid.values()
                for document in problems
            ]
            return self._refused(documents, error, order)
        if isinstance(error, Exception) and self._answers.is_busy(error):
            return self._refused([(None, self._answers.document())], error, order)
        if isinstance(error, Exception) and is_loss(error, self._new_nonce_url):
            return Lost(error)
        return None

    def _refused(
        self, documents: list[tuple[str | None, Mapping[str, Any]]], error: Exception, order: Any
    ) -> Refused:
        return Refused(documents, error, order, until=self._answers.retry_after)

    def _polled(self, order: Any) -> Any:
        """As ``poll_finalization`` of acme since 2.7, which never finalizes a second time here."""
        deadline = datetime.datetime.now() + self._deadline
        while True:
            body = messages.Order.from_json(self._fetch(order.uri).json())
            if body.status == messages.STATUS_INVALID and body.error is not None:
                raise acme_errors.IssuanceError(body.error)
            if body.status == messages.STATUS_INVALID:
                raise acme_errors.Error(
                    "The certificate order failed, and the CA does not say why."
                )
            if body.status == messages.STATUS_VALID and body.certificate is not None:
                return self._with_certificate(order.update(body=body))
            if datetime.datetime.now() >= deadline:
                raise acme_errors.TimeoutError
            time.sleep(_NEXT_POLL)

    def _with_certificate(self, order: Any) -> Any:
        response = self._fetch(order.body.certificate)
        order = order.update(fullchain_pem=response.text)
        if not self._fetch_alternative_chains:
            return order
        chains = [self._fetch(url).text for url in self._answers.alternates(response)]
        return order.update(alternative_fullchains_pem=chains)

    def _fetch(self, url: str) -> Any:
        """POST-as-GET (RFC 8555 section 6.3)."""
        return self._acme.net.post(url, None, new_nonce_url=self._new_nonce_url)

    @property
    def _new_nonce_url(self) -> str:
        return str(self._acme.directory["newNonce"])
