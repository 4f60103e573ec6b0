"""How an order ends that gives no certificate, and what the CA says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from certbot_caa_guard import problem
from certbot_caa_guard.problem import Reading

Document = Mapping[str, Any]


class Refused(Exception):  # noqa: N818 - it is the CA's answer, not an error of ours
    """The CA refused a step of the order.

    :ivar documents: the problem documents, each with the identifier of the authorization that it
        was found in, or None.
    :ivar cause: the ACME client's own exception, to be raised again where nothing helps.
    :ivar order: the order it happened to, as the client knows it; None where none is known.
    :ivar until: when the CA wants to be asked again, by its Retry-After (RFC 8555 section 6.6), in
        seconds since the epoch; None where it does not say.
    """

    def __init__(
        self,
        documents: Sequence[tuple[str | None, Document]],
        cause: Exception,
        order: object = None,
        *,
        until: float | None = None,
    ) -> None:
        super().__init__(str(cause))
        self.documents = documents
        self.cause = cause
        self.order = order
        self.until = until


class Lost(Exception):  # noqa: N818 - a turn in the flow, not an error of ours
    """The answer to a step of the order was lost on the way: nobody knows what the CA did.

    :ivar cause: the ACME client's own exception, to be raised again where nothing helps.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Hold(Exception):  # noqa: N818 - a turn in the flow, not an error
    """These names must be left out, and the rest ordered anew with a CSR of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


def readings(refused: Refused, names: Iterable[str]) -> list[Reading]:
    """What the CA says, as far as it is about *names*, or about no name in particular."""
    known = {None, *names}
    return [
        reading
        for identifier, document in refused.documents
        for reading in problem.read(document, identifier=identifier)
        if reading.identifier in known
    ]
