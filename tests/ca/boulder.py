"""What makes a Pebble behave as Boulder does: CAA at authorization and at finalize.

A client's request comes in, an answer goes out; most of both are Pebble's. Own answers carry a
nonce fetched from Pebble (RFC 8555 section 6.5).
"""

from __future__ import annotations

import base64
import enum
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

from josepy.jwk import JWK

from .caa import Applicant
from .ledger import Authorization, Ledger, Order
from .losses import Losses
from .messages import AnswerLostError, Headers, Request, Response
from .problems import Problem, as_stored, at_finalize, problem
from .validation import Attempt, NotValidatedError, validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from .books import Books
    from .lookups import Resolver
    from .pebble import Pebble

# A client's poll waits this long for a check under way, so that quick checks cost it one poll.
_POLL_SECONDS = 1.0
# Pebble validates in the background; its verdict is there after this, mostly.
_VALIDATION_SECONDS = 0.05
# As many validations at a time: a client's small web server lets few connections wait, and one
# that finds no room is tried again by TCP only a second later.
_VALIDATIONS = 4

_RENEWAL_INFO = "/renewal-info"
_PLACES = {
    "/dir": "directory",
    "/nonce-plz": "new-nonce",
    "/sign-me-up": "new-account",
    "/my-account/": "account",
    "/order-plz": "new-order",
    "/my-order/": "order",
    "/finalize-order/": "finalize",
    "/authZ/": "authorization",
    "/chalZ/": "challenge",
    "/certZ/": "certificate",
    "/revoke-cert": "revoke-cert",
    "/rollover-account-key": "key-change",
    f"{_RENEWAL_INFO}/": "renewal-info",
}
_INNER_PLACES = ("validation", "issuance")


class Mode(enum.Enum):
    """What a failed CAA recheck at finalize does to the order.

    A: a 403 answer, the order stays ready. B: a 403 answer, the order becomes invalid.
    C: the order goes to processing, and becomes invalid later.
    """

    A = "A"
    B = "B"
    C = "C"


@dataclass
class Conduct:
    """How the CA behaves; may be changed while it runs.

    `stale`: every valid authorization counts as older than seven hours, so CAA is checked again
    at finalize. `check_at_authorization`: CAA is checked after domain control is validated.
    `profiles`: those that the directory offers. `renewal_window`: when certificates should be
    renewed (RFC 9773), as two moments in RFC 3339; the directory says so when there is one.
    """

    mode: Mode = Mode.A
    stale: bool = False
    check_at_authorization: bool = True
    profiles: tuple[str, ...] = ()
    renewal_window: tuple[str, str] | None = None


class Injections:
    """Canned problems, each for a place and a number of times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Problem, Headers]] = []

    def add(self, place: str, canned: Problem, headers: Headers, times: int) -> None:
        known = (*_PLACES.values(), *_INNER_PLACES)
        if place not in known:
            raise ValueError(f"no such place: {place}; there are {', '.join(known)}")
        with self._lock:
            self._waiting += [(place, canned, headers)] * times

    def take(self, place: str) -> tuple[Problem, Headers] | None:
        with self._lock:
            for index, (where, canned, headers) in enumerate(self._waiting):
                if where == place:
                    del self._waiting[index]
                    return canned, headers
        return None


def _place(path: str) -> str:
    for prefix, place in _PLACES.items():
        if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
            return place
    return ""


def _identifiers(request: Request) -> tuple[str, ...]:
    """Read a newOrder's identifiers; what is malformed is Pebble's to complain about."""
    listed = (request.payload or {}).get("identifiers")
    entries = [each for each in listed if isinstance(each, dict)] if listed else []
    return tuple(sorted({str(each.get("value", "")).lower() for each in entries}))


def _csr_hash(request: Request) -> str:
    csr = str((request.payload or {}).get("csr", ""))
    try:
        der = base64.urlsafe_b64decode(csr + "=" * (-len(csr) % 4))
    except ValueError:
        der = csr.encode()
    return hashlib.sha256(der).hexdigest()


class Boulder:
    """Answers clients, with Pebble behind it."""

    def __init__(
        self,
        pebble: Pebble,
        resolver: Resolver,
        conduct: Conduct,
        books: Books,
        *,
        identities: tuple[str, ...],
        http_port: int,
    ) -> None:
        self._pebble = pebble
        self._resolver = resolver
        self._conduct = conduct
        self._books = books
        self._identities = identities
        self._http_port = http_port
        self._ledger = Ledger()
        self.injections = Injections()
        self.losses = Losses()
        self._own_validations = threading.Semaphore(_VALIDATIONS)
        self._pebbles_validations = threading.Semaphore(_VALIDATIONS)
        self._handlers: dict[str, Callable[[Request], Response]] = {
            "directory": self._directory,
            "new-account": self._new_account,
            "new-order": self._new_order,
            "order": self._order,
            "authorization": self._authorization,
            "challenge": self._challenge,
            "finalize": self._finalize,
            "renewal-info": self._renewal_info,
        }

    def answer(self, request: Request) -> Response:
        """Answer one request, or raise AnswerLostError once it is dealt with."""
        place = _place(request.path)
        response = self._answer(request, place)
        if request.method == "POST" and self.losses.take(place):
            raise AnswerLostError
        return response

    def _answer(self, request: Request, place: str) -> Response:
        if place == "finalize":
            self._books.add_finalization(_csr_hash(request))
        canned = self.injections.take(place) if request.method == "POST" else None
        if canned is not None:
            return self._refuse(request, *canned)
        return self._handlers.get(place, self._pebble.send)(request)

    def _own(self, request: Request, response: Response) -> Response:
        """Add what every ACME answer to a POST carries (RFC 8555 sections 6.5 and 7.1)."""
        response.headers += [
            ("Replay-Nonce", self._pebble.nonce(request.host)),
            ("Cache-Control", "public, max-age=0, no-cache"),
            ("Link", f'<https://{request.host}/dir>;rel="index"'),
        ]
        return response

    def _refuse(self, request: Request, why: Problem, headers: Headers | None = None) -> Response:
        return self._own(request, Response.of(int(why.get("status", 500)), why, headers))

    def _directory(self, request: Request) -> Response:
        response = self._pebble.send(request)
        if response.status == 200:
            document = response.document
            meta = document.setdefault("meta", {})
            if self._identities:
                meta["caaIdentities"] = list(self._identities)
            if self._conduct.profiles:
                meta["profiles"] = {name: f"The profile {name}" for name in self._conduct.profiles}
            if self._conduct.renewal_window is not None:
                document["renewalInfo"] = f"https://{request.host}{_RENEWAL_INFO}"
            response.document = document
        return response

    def _renewal_info(self, _request: Request) -> Response:
        start, end = self._conduct.renewal_window or ("", "")
        window = {"suggestedWindow": {"start": start, "end": end}}
        return Response.of(200 if start else 404, window, [("Retry-After", "21600")])

    def _new_account(self, request: Request) -> Response:
        response = self._pebble.send(request)
        if response.status in (200, 201):
            key: JWK = JWK.from_json(request.protected["jwk"])  # type: ignore[assignment]
            thumbprint = base64.urlsafe_b64encode(key.thumbprint()).decode().rstrip("=")
            self._ledger.thumbprints[response.header("Location")] = thumbprint
        return response

    def _new_order(self, request: Request) -> Response:
        """Place an order, or give the account's pending or ready one for the same names again."""
        identifiers = _identifiers(request)
        profile = (request.payload or {}).get("profile")
        if profile is not None and profile not in self._conduct.profiles:
            why = problem("invalidProfile", 400, f"Profile {profile!r} is not offered")
            return self._refuse(request, why)
        order = self._ledger.reusable_order(request.account, identifiers)
        if order is not None:
            self._books.add_order(identifiers)
            location = [("Location", order.url)]
            return self._own(request, Response.of(201, order.show_again(), location))
        response = self._pebble.send(request)
        if response.status == 201:
            self._books.add_order(identifiers)
            self._ledger.add_order(
                response.header("Location"), request.account, identifiers, response.document
            )
            if profile is not None:
                response.document = {**response.document, "profile": profile}
                self._books.add_profile(profile)
        return response

    def _order(self, request: Request) -> Response:
        order = self._ledger.order(request.url)
        if order is not None:
            order.settled.wait(_POLL_SECONDS)
        response = self._pebble.send(request)
        if order is not None and response.status == 200:
            response.document = order.show(response.document)
            self._pace(response, response.document["status"])
        return response

    def _pace(self, response: Response, status: str) -> None:
        if status == "processing":
            asynchronous = self._conduct.mode is Mode.C
            response.set_header("Retry-After", "3" if asynchronous else "1")

    # Authorization

    def _authorization(self, request: Request) -> Response:
        authorization = self._ledger.authorization(request.url)
        if authorization is not None:
            authorization.settled.wait(_POLL_SECONDS)
        response = self._pebble.send(request)
        if authorization is not None and response.status == 200:
            if authorization.status == "pending" and response.document["status"] == "invalid":
                self._books.add("failed_authorizations")  # by Pebble, after all
            authorization.note(response.document)
            response.document = authorization.show(response.document)
            if authorization.attempted and response.document["status"] == "pending":
                response.set_header("Retry-After", "1")
        return response

    def _challenge(self, request: Request) -> Response:
        """Hold a client's answer to a challenge until domain control and CAA are checked."""
        authorization = self._ledger.authorization_of(request.url)
        if authorization is None or authorization.kind != "dns":
            return self._pebble.send(request)
        if request.payload is None:
            response = self._pebble.send(request)
            if response.status == 200:
                response.document = authorization.show_challenge(response.document)
            return response
        if self._ledger.begin(authorization, request.url):
            job = threading.Thread(
                target=self._authorize, args=(authorization, request), daemon=True
            )
            job.start()
        shown = authorization.show_challenge(authorization.challenges[request.url])
        up = [("Link", f'<{authorization.url}>;rel="up"'), ("Retry-After", "1")]
        return self._own(request, Response.of(200, shown, up))

    def _authorize(self, authorization: Authorization, held: Request) -> None:
        try:
            authorization.error = self._check_authorization(authorization, held.account)
            if authorization.error is None:
                authorization.error = self._pass_to_pebble(held)
        except Exception as error:  # noqa: BLE001 - told to the client; there is nobody else
            authorization.error = problem("serverInternal", 500, f"Test CA: {error!r}")
        finally:
            if authorization.error is not None:
                self._books.add("failed_authorizations")
            authorization.settled.set()

    def _pass_to_pebble(self, held: Request) -> Problem | None:
        with self._pebbles_validations:
            response = self._pebble.send(held)
            if response.status != 200:
                return response.document
            self._books.add("validations")
            threading.Event().wait(_VALIDATION_SECONDS)
        return None

    def _check_authorization(self, authorization: Authorization, account: str) -> Problem | None:
        canned = self.injections.take("validation")
        if canned is not None:
            return canned[0]
        challenge = authorization.challenges[str(authorization.attempted)]
        attempt = Attempt(
            name=authorization.identifier.removeprefix("*."),
            method=challenge["type"],
            token=challenge["token"],
            thumbprint=self._ledger.thumbprints.get(account, ""),
        )
        try:
            with self._own_validations:
                authorization.validation_record = validate(self._resolver, self._http_port, attempt)
        except NotValidatedError as refusal:
            return refusal.error
        if not self._conduct.check_at_authorization:
            return None
        return self._check_caa(authorization, account, "authorization")

    def _check_caa(self, authorization: Authorization, account: str, when: str) -> Problem | None:
        self._books.add_lookup(authorization.identifier, when)
        issuers = self._identities or ("letsencrypt.org",)
        return self._resolver.check_caa(
            Applicant(authorization.identifier, account, authorization.method, issuers)
        )

    # Finalize

    def _finalize(self, request: Request) -> Response:
        order = self._ledger.order_to_finalize(request.url)
        if order is None:
            return self._pebble.send(request)
        if order.status not in ("pending", "ready"):
            detail = f'Order\'s status ("{order.status}") is not acceptable for finalization'
            return self._refuse(request, problem("orderNotReady", 403, detail))
        canned = self.injections.take("issuance")
        if canned is not None:
            return self._process(request, order, lambda: as_stored(canned[0]))
        if self._conduct.stale and self._conduct.mode is Mode.C:
            return self._process(request, order, lambda: self._finish(request, order))
        failed = self._recheck(order) if self._conduct.stale else None
        if failed is None:
            return self._accept(request, order)
        if self._conduct.mode is Mode.B:
            order.error = as_stored(failed)
        return self._refuse(request, failed)

    def _recheck(self, order: Order) -> Problem | None:
        """Check CAA again for all of an order's names at once; failures as they come in."""
        names = [each for each in order.authorizations if each.kind == "dns"]
        failed: list[tuple[str, Problem]] = []
        with ThreadPoolExecutor(max(1, min(len(names), 64))) as pool:
            checks = {
                pool.submit(self._check_caa, each, order.account, "finalize"): each.identifier
                for each in names
            }
            for check in as_completed(checks):
                why = check.result()
                if why is not None:
                    failed.append((checks[check], why))
        return at_finalize(failed) if failed else None

    def _accept(self, request: Request, order: Order) -> Response:
        response = self._pebble.send(request)
        if response.status == 200:
            order.accepted = True
            self._books.add_certificate(order.identifiers)
            response.document = order.show(response.document)
            self._pace(response, response.document["status"])
        return response

    def _finish(self, request: Request, order: Order) -> Problem | None:
        failed = self._recheck(order)
        if failed is not None:
            return as_stored(failed)
        response = self._accept(request, order)
        return None if response.status == 200 else as_stored(response.document)

    def _process(
        self, request: Request, order: Order, finish: Callable[[], Problem | None]
    ) -> Response:
        """Answer at once that the order is processing; it becomes what `finish` makes of it."""

        def work() -> None:
            try:
                order.error = finish()
            except Exception as error:  # noqa: BLE001 - told to the client
                order.error = problem("serverInternal", 500, f"Test CA: {error!r}")
            finally:
                order.settled.set()

        order.settled.clear()
        headers = [("Location", order.url), ("Retry-After", "3")]
        response = Response.of(200, order.show(order.document), headers)
        threading.Thread(target=work, daemon=True).start()
        return self._own(request, response)
