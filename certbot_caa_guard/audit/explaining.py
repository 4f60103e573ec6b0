"""Audits beside other work: a thread of their own, a few at a time, each failure once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from certbot_caa_guard.audit.auditor import Auditor
from certbot_caa_guard.audit.findings import Finding, find
from certbot_caa_guard.audit.matrix import Matrix
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.pausing import PausingLoop

_AT_ONCE = 8
_MOST = 200  # audits in all; whoever has more broken zones mends the first ones first
_ROOT_PATIENCE = 2.5

T = TypeVar("T")


class Explainer:
    """Finds out why lookups fail.

    A context manager; nothing is asked, and no thread started, before the first question.
    """

    def __init__(
        self,
        root_hints: str | os.PathLike[str] | None = None,
        *,
        signed_root: bool = True,
        with_burst: bool = False,
    ) -> None:
        """:param root_hints: a file in the format of named.root; the public root if None.
        :param signed_root: whether there is a trust anchor for the root.
        :param with_burst: ask many questions at once in the end, to find limits of rates.
        :raises ResolverError: when the root hints are of no use.
        """
        self._auditor = Auditor(root_hints, signed_root=signed_root, with_burst=with_burst)
        self._loop = PausingLoop()
        self._thread: threading.Thread | None = None
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._usable: asyncio.Task[bool] | None = None
        self._explained: dict[str, Future[tuple[Finding, ...]]] = {}

    def explain(self, failed: str) -> Future[tuple[Finding, ...]]:
        """What is wrong on the way of the name whose lookup failed.

        It is audited once, whoever else's lookups fail there.  Nothing is found where the root
        cannot be asked from here, and when there have been too many audits.
        """
        if failed not in self._explained:
            if len(self._explained) >= _MOST:
                return _done(())
            self._explained[failed] = self._run(self._find(Identifier(failed)))
        return self._explained[failed]

    def audit(self, identifier: Identifier) -> Future[Matrix | None]:
        """What the servers on the way of *identifier* answer; None when the root cannot be asked
        from here.
        """
        return self._run(self._audit(identifier))

    def close(self) -> None:
        """Ask nothing further."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.end()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _find(self, identifier: Identifier) -> tuple[Finding, ...]:
        matrix = await self._audit(identifier)
        return () if matrix is None else find(matrix)

    async def _audit(self, identifier: Identifier) -> Matrix | None:
        if self._usable is None:
            self._usable = asyncio.ensure_future(self._auditor.is_usable(_ROOT_PATIENCE))
        async with self._room:
            return await self._auditor.audit(identifier) if await self._usable else None

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="audit", daemon=True
            )
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _done(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future
