"""The orders of an ``acme.client.ClientV2``, as one issuance drives them.

acme's own polling sleeps on its own; this one is handed its clock and sleep, goes on when an answer
is lost on the way, and says which authorization failed and why.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from acme import errors, messages
from acme.client import ClientV2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.json_util import JSONObjectWithFields, field
from requests import RequestException, Response
from zope.interface import implementer

from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.issuance import Refused

_LOG = logging.getLogger(__name__)

# As often in a row may an answer be lost on the way before that is the caller's affair.
_MOST_LOST = 3
_SHORTEST_WAIT = 1.0
_LONGEST_WAIT = 60.0

Answer = Callable[[Sequence[messages.AuthorizationResource]], None]
Documents = Sequence[tuple[str | None, Mapping[str, object]]]


class _Finalization(JSONObjectWithFields):
    """The payload of a finalize request (RFC 8555 section 7.4).

    acme's own class for it takes another type from version to version.
    """

    csr: str = field("csr")


@dataclass(frozen=True)
class World:
    """Time, as the orders need it.

    :ivar clock: monotonic seconds.
    :ivar sleep: waits so many seconds.
    :ivar patience: for how many seconds the CA may take to validate, and to issue.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    patience: float = 90.0


@implementer(IOrders)
class AcmeOrders:
    """The orders for one CSR.

    :ivar placed: how many orders were placed.
    :ivar finalized: how often one was finalized.
    :ivar raised: the last exception that came of the CA, of the network or of the caller's own
        functions, so that it can be told from a fault of the guard.
    """

    def __init__(
        self,
        client: ClientV2,
        csr_pem: bytes,
        answer: Answer,
        world: World,
        *,
        profile: str | None = None,
        hear: Callable[[Documents], None] = lambda _documents: None,
    ) -> None:
        """:param answer: see :class:`certbot_caa_guard.client.GuardedClient`.
        :param hear: told what the CA says whenever it refuses.
        """
        self._client = client
        self._csr_pem = csr_pem
        self._answer = answer
        self._world = world
        self._profile = {} if profile is None else {"profile": profile}
        self.placed = 0
        self.finalized = 0
        self._hear = hear
        self.raised: BaseException | None = None

    def place(self) -> Any:
        """Place a new order; one whose answer was lost is placed again: most CAs return it."""
        self.placed += 1
        with self._refusals():
            return self._insist(lambda: self._client.new_order(self._csr_pem, **self._profile))

    def authorize(self, order: Any) -> Any:
        """Have the pending authorizations answered, and wait until all are valid."""
        with self._refusals(order):
            if order.body.status == messages.STATUS_READY:
                return order
            pending = [one for one in order.authorizations if _is_pending(one)]
            if pending:
                self._answer(pending)
            settled = self._settled(order.authorizations)
            failed = [one for one in settled if one.body.status != messages.STATUS_VALID]
            if failed:
                raise errors.ValidationError(failed)
            return order.update(authorizations=settled)

    def refresh(self, order: Any) -> str:
        """The order's status; acme has no public way to fetch it again (RFC 8555 section 7.4)."""
        try:
            return str(self._post(order.uri).json().get("status", ""))
        except (RequestException, messages.Error, errors.Error, ValueError, AttributeError):
            _LOG.debug("The order could not be fetched again", exc_info=True)
            return ""

    def finalize(self, order: Any) -> Any:
        """Finalize, and wait for the certificate.

        :raises acme.errors.TimeoutError: when the CA takes longer than there is patience.
        """
        self.finalized += 1
        with self._refusals(order):
            self._begin(order)
            return self._collected(order)

    def poll(self, order: Any) -> Any:
        """Wait for the certificate.

        :raises acme.errors.TimeoutError: when the CA takes longer than there is patience.
        """
        with self._refusals(order):
            return self._collected(order)

    def deactivate(self, order: Any, identifiers: Collection[str]) -> Collection[str]:
        """Deactivate valid authorizations; the program answers the challenges of the new ones."""
        done: list[str] = []
        for authorization in order.authorizations:
            identifier = identifier_of(authorization.body)
            valid = authorization.body.status == messages.STATUS_VALID
            if valid and identifier in identifiers:
                try:
                    self._client.deactivate_authorization(authorization)
                    done.append(identifier)
                except (RequestException, messages.Error, errors.Error, ValueError):
                    _LOG.debug("%s could not be deactivated", authorization.uri, exc_info=True)
        return done

    @contextmanager
    def _refusals(self, order: object = None) -> Iterator[None]:
        """Tell what the CA refuses from all that may be raised else."""
        try:
            yield
        except BaseException as error:
            self.raised = error
            documents = _documents(error)
            if documents is None:
                raise
            self._hear(documents)
            raise Refused(documents, error, order) from error  # type: ignore[arg-type]

    def _collected(self, order: messages.OrderResource) -> messages.OrderResource:
        deadline = self._world.clock() + self._world.patience
        while True:
            response = self._insist(lambda: self._post(order.uri))
            body = messages.Order.from_json(response.json())
            if body.status == messages.STATUS_VALID and body.certificate is not None:
                chain = self._insist(partial(self._post, body.certificate)).text
                done: messages.OrderResource = order.update(body=body, fullchain_pem=chain)
                return done
            if body.status == messages.STATUS_INVALID:
                if body.error is None:
                    raise errors.Error("The order failed, and the CA does not say why.")
                raise errors.IssuanceError(body.error)
            self._wait(response, deadline)
            if body.status == messages.STATUS_READY:
                # The request, or its answer, was lost; or it came before the order was ready.
                self._begin(order)

    def _begin(self, order: messages.OrderResource) -> None:
        """Ask for the certificate; whether that has arrived, the order's status tells."""
        der = x509.load_pem_x509_csr(self._csr_pem).public_bytes(Encoding.DER)
        csr = base64.urlsafe_b64encode(der).decode().rstrip("=")
        try:
            self._post(order.body.finalize, _Finalization(csr=csr))
        except messages.Error as error:
            if error.code != "orderNotReady":
                raise
        except (RequestException, ValueError) as error:
            if not _is_loss(error):
                raise
            _LOG.debug("The answer to the finalization was lost", exc_info=True)

    def _settled(
        self, authorizations: Sequence[messages.AuthorizationResource]
    ) -> list[messages.AuthorizationResource]:
        """The authorizations, once none of them is pending (RFC 8555 section 7.5.1)."""
        deadline = self._world.clock() + self._world.patience
        settled = []
        for authorization in authorizations:
            polled = authorization
            while _is_pending(polled):
                polled, response = self._insist(partial(self._client.poll, polled))
                if _is_pending(polled):
                    self._wait(response, deadline)
            settled.append(polled)
        return settled

    def _wait(self, response: Response, deadline: float) -> None:
        """Wait as long as the CA asks for.

        :raises acme.errors.TimeoutError: at the deadline.
        """
        wanted = response.headers.get("Retry-After", "")
        wait = float(wanted) if wanted.isascii() and wanted.isdecimal() else _SHORTEST_WAIT
        left = deadline - self._world.clock()
        if left <= 0:
            raise errors.TimeoutError
        self._world.sleep(min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT, left))

    def _insist(self, ask: Callable[[], Any]) -> Any:
        """Ask, and ask again where the answer is lost on the way."""
        for _ in range(_MOST_LOST):
            try:
                return ask()
            except (RequestException, ValueError) as error:
                if not _is_loss(error):
                    raise
                _LOG.debug("An answer was lost", exc_info=True)
                self._world.sleep(_SHORTEST_WAIT)
        return ask()

    def _post(self, url: str, payload: _Finalization | None = None) -> Response:
        # Without a payload it is a POST-as-GET (RFC 8555 section 6.3).
        net, nonces = self._client.net, self._client.directory["newNonce"]
        return net.post(url, payload, new_nonce_url=nonces)


def _is_loss(error: Exception) -> bool:
    """Whether the CA could not be reached; older versions of acme say so by a ValueError."""
    return isinstance(error, RequestException) or str(error).startswith("Requesting ")


def _is_pending(authorization: messages.AuthorizationResource) -> bool:
    return bool(authorization.body.status == messages.STATUS_PENDING)


def _documents(error: BaseException) -> Documents | None:
    """The problem documents in an exception of acme, by identifier; None where it is another."""
    if isinstance(error, messages.Error):
        return [(None, error.to_json())]
    if isinstance(error, errors.IssuanceError):
        return [(None, error.error.to_json())]
    if isinstance(error, errors.ValidationError):
        return [
            (identifier_of(failed.body), challenge.error.to_json())
            for failed in error.failed_authzrs
            for challenge in failed.body.challenges
            if challenge.error is not None
        ]
    return None


def identifier_of(body: messages.Authorization) -> str:
    """The identifier as it was ordered: a flag tells a wildcard (RFC 8555 section 7.1.4)."""
    value = str(body.identifier.value)
    return f"*.{value}" if body.wildcard else value
