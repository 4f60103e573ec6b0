"""A CA on loopback that enforces CAA as Let's Encrypt's does: Pebble, with a front before it.

    with CA(tmp_path, address="127.77.1.9", web="127.77.1.8", resolver="127.77.1.2") as ca:
        ...  # a client of ca.directory_url that trusts ca.bundle

Pebble never looks at CAA. The front does, with code of its own, through the resolver; and it
answers with Boulder's problem documents. `address` must be the caller's alone.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from . import front
from .books import Books, Spent
from .boulder import Boulder, Conduct, Mode
from .certificates import make_server_certificate
from .front import Front
from .lookups import Resolver
from .pebble import Pebble, PebbleError

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from .problems import Problem

__all__ = ["CA", "Mode", "PebbleError", "Spent"]

_CERTIFICATE_SECONDS = 90 * 86400


class CA(Conduct):
    """The CA; a context manager. `mode`, `stale` and `check_at_authorization` may be changed."""

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        web: str,
        resolver: str,
        http_port: int = 5002,
        identities: tuple[str, ...] = ("letsencrypt.org",),
        certificate_seconds: int | None = None,
        patience: float = 10.0,
    ) -> None:
        """Make a CA that is not running yet.

        directory: for its files. address: where it listens. web: where http-01 is answered.
        resolver: IP of the recursive resolver that it asks, at port 53; http-01 goes to what
        its A records say, at `http_port`. identities: its caaIdentities; when empty the
        directory has none, and the CA is letsencrypt.org. certificate_seconds: lifetime of
        certificates, 90 days unless told. patience: seconds before a DNS lookup times out.
        """
        super().__init__()
        self._directory = Path(directory)
        self.address = address
        self.web = web
        self.http_port = http_port
        self._resolver = resolver
        self._identities = identities
        self._certificate_seconds = certificate_seconds or _CERTIFICATE_SECONDS
        self._patience = patience
        self._books = Books()

    def __enter__(self) -> CA:
        self._directory.mkdir(parents=True, exist_ok=True)
        files = make_server_certificate(self._directory, self.address)
        self.bundle = files.bundle
        with contextlib.ExitStack() as stack:
            pebble = stack.enter_context(
                Pebble(
                    self._directory,
                    address=self.address,
                    resolver=self._resolver,
                    files=files,
                    http_port=self.http_port,
                    certificate_seconds=self._certificate_seconds,
                )
            )
            resolver = stack.enter_context(Resolver(self._resolver, self._patience))
            self._boulder = Boulder(
                pebble,
                resolver,
                self,
                self._books,
                identities=self._identities,
                http_port=self.http_port,
            )
            stack.enter_context(Front(self.address, files, self._boulder.answer))
            self._running = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()

    @property
    def directory_url(self) -> str:
        return f"https://{self.address}:{front.PORT}/dir"

    @property
    def spent(self) -> Spent:
        """What clients have used up; a snapshot."""
        return self._books.spent

    @property
    def orders(self) -> list[tuple[str, ...]]:
        """The identifiers of each newOrder that was answered 201, sorted."""
        return self._books.orders

    @property
    def certificates(self) -> list[tuple[str, ...]]:
        """The identifiers of each certificate that was issued, sorted."""
        return self._books.certificates

    @property
    def profiles_ordered(self) -> list[str]:
        """The profile of each new order that named one."""
        return self._books.profiles

    @property
    def csr_hashes(self) -> list[str]:
        """The SHA-256 of the CSR (DER) of each POST to finalize, in hexadecimal."""
        return self._books.csr_hashes

    @property
    def lookups(self) -> list[tuple[str, str]]:
        """Each CAA check: the identifier, and 'authorization' or 'finalize'."""
        return self._books.lookups

    def inject(
        self, problem: Problem, at: str, times: int = 1, retry_after: int | None = None
    ) -> None:
        """Answer the next POSTs to a resource with this problem, its status as the HTTP status.

        `at` is a resource: new-account, new-order, order, authorization, challenge, finalize,
        certificate... or one of two that are no answers: 'validation' makes the next attempted
        challenge fail with the problem as its error, 'issuance' makes the next finalized order
        go to processing and then invalid with the problem as its error.
        """
        headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
        if problem.get("type", "").endswith(":rateLimited"):
            headers.append(("Link", '<https://letsencrypt.org/docs/rate-limits>;rel="help"'))
        self._boulder.injections.add(at, problem, headers, times)

    def lose_answers(self, places: Collection[str], probability: float, *, seed: int) -> None:
        """Break the connection instead of answering POSTs to these resources, now and then.

        What was asked is done all the same. `places` are as for `inject`; none ends it.
        """
        self._boulder.losses.schedule(places, probability, seed)

    @property
    def lost_answers(self) -> int:
        """How many answers were lost since `lose_answers` was called last."""
        return self._boulder.losses.count.total()

    def reset(self) -> None:
        """Set the counters to zero and forget the lists."""
        self._books.reset()
