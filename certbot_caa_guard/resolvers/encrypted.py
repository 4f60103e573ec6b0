"""Asking a recursive resolver over TLS (RFC 7858) or HTTPS (RFC 8484).

A connection lasts as long as there are questions in flight and is shared by them, so that nothing
is left open between rounds, or when an event loop ends.  Meanwhile it may be lost, or die without
a word; then another takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import logging
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from zope.interface import implementer

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import labels, wire
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.pace import Pace
from certbot_caa_guard.resolvers.plain.question import TYPE_CAA, TYPE_NS
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.resolvers.stub import make_query
from certbot_caa_guard.resolvers.whereabouts import perspective_at_host
from certbot_caa_guard.verdict import Perspective

_LOG = logging.getLogger(__name__)

_LONGEST_MESSAGE = 0xFFFF
_MEDIA_TYPE = "application/dns-message"  # RFC 8484 section 6
_HTTP_OK = 200
_ROUNDS_TO_CLOSE = 3

_TALKATIVE = ("httpx", "httpcore", "hpack")  # loggers; certbot's log file is for DEBUG, too


class NoAnswerError(Exception):
    """The resolver gave no answer, for a reason other than time."""


class LostError(NoAnswerError):
    """The session failed before the answer came; another may bring it."""


class SetUpError(NoAnswerError):
    """Nobody can be asked, the way this machine is set up; the message says why."""


class Session(Protocol):
    """A connection to a resolver, made when the first question needs it."""

    async def exchange(self, query: bytes) -> bytes:
        """Send *query* and return what answers it.

        :raises OSError: when there is no connection.
        :raises LostError: when there is none any more.
        :raises NoAnswerError: when what came is no answer.
        """

    async def close(self) -> None:
        """End the connection; never raises."""


@implementer(IResolver)
class EncryptedResolver:
    """One recursive resolver, asked by one kind of session."""

    def __init__(
        self,
        perspective: Perspective,
        host: str,
        connect: Callable[[], Session],
        rate: int | None = None,
    ) -> None:
        """:param connect: makes a session; it is not to do any I/O yet.
        :param rate: how many questions a second; the usual limits when None.
        """
        self.perspective = perspective
        self._sessions = _Shared(connect)
        self._pace = Pace.for_resolver(local=_is_loopback(host), rate=rate)

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether the resolver resolves the root."""
        query = make_query(".", TYPE_NS)
        try:
            async with self._sessions.use() as exchange:
                message = await asyncio.wait_for(exchange(query), timeout)
        except SetUpError as error:
            # Nothing else would tell: to all others it is one more perspective that does not work.
            _LOG.warning("%s cannot be asked: %s", self.perspective.name, error)
            return False
        except (TimeoutError, asyncio.TimeoutError, OSError, NoAnswerError):
            return False
        return wire.has_answer(message)

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*."""
        try:
            query = make_query(owner, TYPE_CAA)
        except labels.LabelError:
            return Lookup(owner, Outcome.MALFORMED)
        # In this order, so that those who wait for their turn keep the connection open.
        async with self._sessions.use() as exchange, self._pace:
            start = time.monotonic()
            try:
                message = await asyncio.wait_for(exchange(query), timeout)
            except (TimeoutError, asyncio.TimeoutError):
                return Lookup(owner, Outcome.TIMEOUT, seconds=time.monotonic() - start)
            except (OSError, NoAnswerError):
                return Lookup(owner, Outcome.NETWORK, seconds=time.monotonic() - start)
            return wire.read(owner, message, time.monotonic() - start)

    def close(self) -> None:
        """Do nothing: between questions nothing is open."""


@dataclass(eq=False)
class _Used:
    """A session, and what has become of it.

    :ivar asking: how many wait for an answer from it.
    :ivar answered: when it brought one last, by the event loop's clock; None if it never did.
    """

    session: Session
    asking: int = 0
    answered: float | None = None

    def is_silent(self, since: float, now: float) -> bool:
        """Whether it has brought nothing for the better part of the time *since* then."""
        return self.answered is None or now - self.answered > (now - since) / 2


class _Shared:
    """One session for all who use it at the same time; the last one closes it.

    A session that fails, or is silent while somebody waits in vain, is replaced: the next question
    takes a new one.  Those who still wait for an answer from the old one may get it.
    """

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._current: _Used | None = None
        self._users = 0

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
        """Keep the session open, and give what sends a query and returns what answers it."""
        self._users += 1
        try:
            yield self._exchange
        finally:
            self._users -= 1
            if self._users == 0 and (last := self._current) is not None:
                self._current = None
                await last.session.close()

    async def _exchange(self, query: bytes) -> bytes:
        """Send *query*, again where it was lost, and return what answers it.

        Servers close connections as they see fit (RFC 7766 section 6.2.4), some after each few
        answers; but what is lost time and again, while nothing is answered, is lost for good.
        """
        before: _Used | None = None
        while True:
            if self._current is None:
                self._current = _Used(self._connect())
            used = self._current
            try:
                return await self._exchange_over(used, query)
            except LostError:
                # That of just now may have brought answers that others are only about to take.
                if before is not None and before.answered is None:
                    raise
                before = used

    async def _exchange_over(self, used: _Used, query: bytes) -> bytes:
        now = asyncio.get_running_loop().time
        asked = now()
        used.asking += 1
        try:
            message = await used.session.exchange(query)
        except asyncio.CancelledError:
            if used.is_silent(asked, now()):
                self._replace(used)
            raise
        except (LostError, OSError):
            self._replace(used)
            raise
        except NoAnswerError:
            used.answered = now()  # though with nothing of use
            raise
        else:
            used.answered = now()
            return message
        finally:
            used.asking -= 1
            if used is not self._current and not used.asking:
                await used.session.close()

    def _replace(self, used: _Used) -> None:
        if used is self._current:
            self._current = None


def tls(spec: Spec) -> EncryptedResolver:
    """The resolver at a host, over TLS (RFC 7858).  The host must prove its name or address.

    :raises ResolverError: when there is no TLS here.
    """
    context = default_context()
    return EncryptedResolver(
        perspective_at_host(spec),
        spec.host,
        lambda: TlsSession(spec.host, spec.port, context),
        spec.rate,
    )


def https(spec: Spec) -> EncryptedResolver:
    """The resolver at a URL (RFC 8484).

    :raises ResolverError: when what it takes is not installed.
    """
    try:
        httpx = importlib.import_module("httpx")
        importlib.import_module("h2")
    except ImportError as error:
        raise ResolverError(
            f"{spec} takes HTTP/2, which is not installed: pip install certbot-caa-guard[doh]"
        ) from error
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    context = default_context()
    return EncryptedResolver(
        perspective_at_host(spec),
        spec.host,
        lambda: HttpsSession(spec.text, context, httpx),
        spec.rate,
    )


def default_context() -> ssl.SSLContext:
    """What certificates this machine believes.

    :raises ResolverError: when they cannot be loaded.
    """
    try:
        return ssl.create_default_context()
    except OSError as error:
        raise ResolverError(f"the certificates of this machine cannot be read: {error}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class TlsSession:
    """A TLS connection with many questions on their way at once (RFC 7858 section 3.3)."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._connecting: asyncio.Task[_Pipeline] | None = None

    async def exchange(self, query: bytes) -> bytes:
        """Send *query* and return what answers it."""
        pipeline = await self._connected()
        return await pipeline.exchange(query)

    async def close(self) -> None:
        """End the connection."""
        if self._connecting is None:
            return
        self._connecting.cancel()
        try:
            pipeline = await self._connecting
        except (asyncio.CancelledError, OSError):
            await _let_transports_close()
            return
        pipeline.abort()
        await pipeline.closed

    async def _connected(self) -> _Pipeline:
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
        # All who wait get the same connection, or the same error, and none of them can cancel it.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Pipeline:
        loop = asyncio.get_running_loop()
        try:
            _, pipeline = await loop.create_connection(
                _Pipeline, self._host, self._port, ssl=self._context, server_hostname=self._host
            )
        except ValueError as error:  # of a host that nobody can be called
            raise OSError(str(error)) from error
        return pipeline


async def _let_transports_close() -> None:
    """Give the loop the rounds in which it closes half-made connections: they may be its last."""
    for _ in range(_ROUNDS_TO_CLOSE):
        await asyncio.sleep(0)


class _Pipeline(asyncio.Protocol):
    """Messages with their length before them (RFC 1035 section 4.2.2), answered in any order.

    :ivar closed: done when the connection is gone.
    """

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._incoming = bytearray()
        self._pending: dict[int, tuple[bytes, asyncio.Future[bytes]]] = {}
        self._next = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        while len(self._incoming) >= 2:
            end = 2 + int.from_bytes(self._incoming[:2], "big")
            if len(self._incoming) < end:
                return
            message = bytes(self._incoming[2:end])
            del self._incoming[:end]
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.abort()  # Python 3.10 wants to be told
        if not self.closed.done():
            self.closed.set_result(None)
        for _, answer in self._pending.values():
            if not answer.done():
                error = LostError("the resolver closed the connection")
                error.__cause__ = exc
                answer.set_exception(error)

    def abort(self) -> None:
        """Close it at once: a farewell would only have to be waited for."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, query: bytes) -> bytes:
        """Send *query* under a number of our own, and return what answers it.

        :raises LostError: when the connection is gone.
        :raises NoAnswerError: when what came is no answer.
        """
        if self._transport is None or self._transport.is_closing():
            raise LostError("the connection is closed")
        number = self._unused_number()
        query = number.to_bytes(2, "big") + query[2:]
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[number] = query, answer
        self._transport.write(struct.pack("!H", len(query)) + query)
        try:
            return await answer
        finally:
            del self._pending[number]

    def _unused_number(self) -> int:
        while True:
            self._next = (self._next + 1) & 0xFFFF
            if self._next not in self._pending:
                return self._next

    def _take(self, message: bytes) -> None:
        query, answer = self._pending.get(int.from_bytes(message[:2], "big"), (b"", None))
        if answer is None or answer.done():
            return
        if wire.answers(query, message):
            answer.set_result(message)
        else:
            answer.set_exception(NoAnswerError())


class HttpsSession:
    """An HTTP/2 client with many questions on their way at once (RFC 8484 section 5.2).

    It goes through the proxy that the environment names, if any: there may be no other way out.
    """

    def __init__(self, url: str, context: ssl.SSLContext, httpx: Any) -> None:
        """:param httpx: the module, which is an extra."""
        self._url = url
        self._context = context
        self._httpx = httpx
        self._client: Any = None

    async def exchange(self, query: bytes) -> bytes:
        """Send *query* and return what answers it.

        :raises SetUpError: when the proxies that the environment names cannot be used.
        """
        query = b"\0\0" + query[2:]  # RFC 8484 section 4.1: so that caches may answer
        if self._client is None:
            self._client = self._make_client()
        message = await self._post(query)
        if not wire.answers(query, message):
            raise NoAnswerError("the answer to another question")
        return message

    async def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            with contextlib.suppress(Exception):  # as below
                await self._client.aclose()
        await _let_transports_close()

    def _make_client(self) -> Any:
        try:
            # Time is our caller's to limit, and so is the number of questions.
            return self._httpx.AsyncClient(http2=True, verify=self._context, timeout=None)
        except Exception as error:  # no URL, an unknown scheme, a package that is missing
            raise SetUpError(f"the environment's proxies cannot be used: {error}") from error

    async def _post(self, query: bytes) -> bytes:
        headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
        try:
            async with self._client.stream(
                "POST", self._url, content=query, headers=headers
            ) as response:
                return await _body(response)
        except NoAnswerError:
            raise
        except (self._httpx.ConnectError, self._httpx.ProxyError) as error:
            raise OSError(str(error)) from error
        except Exception as error:
            # Of four packages that are not ours.  Where a server ends a connection, they fail all
            # that is on its way over it, in many words; and a question that was given up counts as
            # on its way until it is answered, so that there may be no room for another.
            raise LostError(str(error)) from error


async def _body(response: Any) -> bytes:
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code != _HTTP_OK or media_type != _MEDIA_TYPE:
        raise NoAnswerError(f"HTTP status {response.status_code}, {media_type}")
    message = b""
    async for chunk in response.aiter_bytes():
        message += chunk
        if len(message) > _LONGEST_MESSAGE:
            raise NoAnswerError("longer than a message may be")
    return message
