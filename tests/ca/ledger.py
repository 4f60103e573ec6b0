"""Orders and authorizations as clients are to see them, where that differs from Pebble's view.

Pebble learns of a challenge only when its CAA check has passed, so an authorization that CAA
failed stays pending there, is never reused, and the next order gets a new one (RFC 8555
section 7.4). What is kept here is only what Pebble cannot know: failures and checks under way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .validation import OFFERED

if TYPE_CHECKING:
    from .problems import Problem

Document = dict[str, Any]


def _settled() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Authorization:
    """One authorization; `status` is Pebble's word, `error` outranks it."""

    url: str
    identifier: str = ""
    kind: str = "dns"
    status: str = "pending"
    challenges: dict[str, Document] = field(default_factory=dict)
    attempted: str | None = None
    error: Problem | None = None
    validation_record: Document | None = None
    settled: threading.Event = field(default_factory=_settled)

    @property
    def method(self) -> str:
        """The type of the challenge that was attempted."""
        return str(self.challenges[self.attempted]["type"]) if self.attempted else ""

    def note(self, document: Document) -> None:
        """Take in what Pebble says of it."""
        wildcard = "*." if document.get("wildcard") else ""
        self.identifier = wildcard + document["identifier"]["value"].lower()
        self.kind = document["identifier"]["type"]
        self.status = document["status"]
        for challenge in document["challenges"]:
            self.challenges[challenge["url"]] = challenge
            if challenge["status"] == "valid":
                self.attempted = challenge["url"]

    def show(self, document: Document) -> Document:
        """Give Pebble's document the face that clients see."""
        challenges = [self.show_challenge(each) for each in document["challenges"]]
        shown = {**document, "challenges": [c for c in challenges if c["type"] in OFFERED]}
        if self.error is not None:
            shown["status"] = "invalid"
            shown["challenges"] = [c for c in challenges if c["url"] == self.attempted]
        return shown

    def show_challenge(self, challenge: Document) -> Document:
        if challenge["url"] != self.attempted:
            return challenge
        if self.error is not None:
            shown = {**challenge, "status": "invalid", "error": self.error}
            record = self.validation_record
            return {**shown, "validationRecord": [record]} if record else shown
        return challenge if self.settled.is_set() else {**challenge, "status": "processing"}


@dataclass
class Order:
    """One order; `error` is what made it invalid, if its finalization did."""

    url: str
    account: str
    identifiers: tuple[str, ...]
    authorizations: list[Authorization]
    document: Document
    error: Problem | None = None
    accepted: bool = False
    settled: threading.Event = field(default_factory=_settled)

    @property
    def status(self) -> str:
        """What the client is shown, as far as it is not Pebble's to say (RFC 8555 7.1.6)."""
        if self.error is not None or any(each.error for each in self.authorizations):
            return "invalid"
        if not self.settled.is_set():
            return "processing"
        return str(self.document["status"])

    @property
    def reusable(self) -> bool:
        """Boulder gives a pending or ready order again; ours must also be one nobody touched.

        A pending one whose challenges were attempted may be on its way to invalid at Pebble.
        """
        if self.accepted or self.status not in ("pending", "ready"):
            return False
        untouched = {each.status for each in self.authorizations if not each.attempted}
        attempted = {each.status for each in self.authorizations if each.attempted}
        return untouched <= {"pending"} and attempted <= {"valid"}

    def show(self, document: Document) -> Document:
        """Give Pebble's document the face that clients see; failed authorizations say why."""
        self.document = document
        shown = {**document, "status": self.status}
        shown.pop("error", None)
        return shown if self.error is None else {**shown, "error": self.error}

    def show_again(self) -> Document:
        """Give it from memory, to a client whose request Pebble does not get to see."""
        ready = all(each.status == "valid" for each in self.authorizations)
        if self.document["status"] == "pending" and ready:
            self.document = {**self.document, "status": "ready"}
        return self.show(self.document)


class Ledger:
    """All orders and authorizations, found by their URLs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[str, Order] = {}
        self._authorizations: dict[str, Authorization] = {}
        self.thumbprints: dict[str, str] = {}

    def add_order(
        self, url: str, account: str, identifiers: tuple[str, ...], document: Document
    ) -> Order:
        """Enter an order that Pebble made."""
        with self._lock:
            authorizations = [
                self._authorizations.setdefault(each, Authorization(each))
                for each in document["authorizations"]
            ]
            order = Order(url, account, identifiers, authorizations, document)
            self._orders[url] = order
            return order

    def order(self, url: str) -> Order | None:
        return self._orders.get(url)

    def order_to_finalize(self, url: str) -> Order | None:
        with self._lock:
            orders = list(self._orders.values())
        return next((each for each in orders if each.document["finalize"] == url), None)

    def reusable_order(self, account: str, identifiers: tuple[str, ...]) -> Order | None:
        with self._lock:
            orders = list(self._orders.values())
        mine = (o for o in orders if (o.account, o.identifiers) == (account, identifiers))
        return next((order for order in mine if order.reusable), None)

    def authorization(self, url: str) -> Authorization | None:
        return self._authorizations.get(url)

    def authorization_of(self, challenge: str) -> Authorization | None:
        with self._lock:
            authorizations = list(self._authorizations.values())
        return next((each for each in authorizations if challenge in each.challenges), None)

    def begin(self, authorization: Authorization, challenge: str) -> bool:
        """Mark a challenge as attempted; False when one was already."""
        with self._lock:
            if authorization.attempted or authorization.status != "pending":
                return False
            authorization.attempted = challenge
            authorization.settled.clear()
            return True
