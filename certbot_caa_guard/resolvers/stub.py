"""Asking a recursive resolver: over UDP with TCP for long answers, or over TCP alone."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import struct
import time
from collections.abc import Iterable

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.resolver
from zope.interface import implementer

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import wire
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.pace import Pace
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.verdict import Perspective

_EDNS_SIZE = 1232
_FIRST_RESEND = 1.0  # seconds; each further one waits twice as long
_MOST_ATTEMPTS = 5

_RESOLV_CONF = "/etc/resolv.conf"


class _NoAnswerError(Exception):
    """The resolver gave no answer, for a reason other than time."""


@implementer(IResolver)
class StubResolver:
    """One recursive resolver at a time, out of a list of them.

    The next address is asked when one does not answer or fails, as stub resolvers do; what the
    last one said counts.
    """

    def __init__(
        self,
        perspective: Perspective,
        servers: list[tuple[str, int]],
        *,
        tcp_only: bool = False,
    ) -> None:
        """:param servers: addresses and ports, asked in this order."""
        self.perspective = perspective
        self._servers = servers
        self._tcp_only = tcp_only
        local = all(ipaddress.ip_address(address).is_loopback for address, _ in servers)
        self._pace = Pace.unlimited_rate() if local else Pace.gentle()

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether the resolver resolves the root."""
        try:
            message = await self._ask(".", "NS", timeout)
        except (TimeoutError, asyncio.TimeoutError, OSError, _NoAnswerError):
            return False
        has_answer = struct.unpack("!H", message[6:8])[0] > 0
        return wire.response_code(message) == dns.rcode.NOERROR and has_answer

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*."""
        async with self._pace:
            start = time.monotonic()
            try:
                message = await self._ask(owner, "CAA", timeout)
            except (TimeoutError, asyncio.TimeoutError):
                return Lookup(owner, Outcome.TIMEOUT, seconds=time.monotonic() - start)
            except (OSError, _NoAnswerError):
                return Lookup(owner, Outcome.NETWORK, seconds=time.monotonic() - start)
            except dns.exception.DNSException:
                return Lookup(owner, Outcome.MALFORMED, seconds=time.monotonic() - start)
            return wire.read(owner, message, time.monotonic() - start)

    def close(self) -> None:
        """Nothing is held between questions."""

    async def _ask(self, owner: str, rdtype: str, timeout: float) -> bytes:
        each = timeout / len(self._servers)
        failure: BaseException | None = None
        message = None
        for server in self._servers:
            try:
                message = await asyncio.wait_for(self._ask_one(server, owner, rdtype), each)
            except (TimeoutError, asyncio.TimeoutError, OSError, _NoAnswerError) as error:
                failure = error
                continue
            if wire.response_code(message) not in {dns.rcode.SERVFAIL, dns.rcode.REFUSED}:
                return message
        if message is not None:
            return message
        raise failure or _NoAnswerError

    async def _ask_one(self, server: tuple[str, int], owner: str, rdtype: str) -> bytes:
        message = await self._exchange(server, make_query(owner, rdtype))
        if wire.response_code(message) in {dns.rcode.FORMERR, dns.rcode.NOTIMP}:
            # It may be EDNS that it does not know (RFC 6891 section 7).
            return await self._exchange(server, make_query(owner, rdtype, edns=False))
        return message

    async def _exchange(self, server: tuple[str, int], query: bytes) -> bytes:
        if self._tcp_only:
            return await _ask_tcp(server, query)
        message = await _ask_udp(server, query)
        if wire.is_truncated(message):
            return await _ask_tcp(server, query)
        return message


def system(spec: Spec) -> StubResolver:
    """The resolvers that this machine is set up to use.

    :raises ResolverError: when there are none.
    """
    return from_resolv_conf(spec, _RESOLV_CONF)


def from_resolv_conf(spec: Spec, path: str) -> StubResolver:
    """The resolvers that the file at *path* names (resolv.conf(5)).

    :raises ResolverError: when there are none.
    """
    try:
        configured = dns.resolver.Resolver(filename=path)
        addresses = [str(ipaddress.ip_address(str(one))) for one in configured.nameservers]
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise ResolverError(f"{path} names no resolver: {error}") from error
    servers = [(address, configured.port) for address in addresses]
    if not servers:
        raise ResolverError(f"{path} names no resolver")
    return StubResolver(_perspective(spec, servers, public=False), servers)


def udp(spec: Spec) -> StubResolver:
    """The resolver at an address."""
    servers = [(spec.host, spec.port)]
    return StubResolver(_perspective(spec, servers, public=True), servers)


def tcp(spec: Spec) -> StubResolver:
    """The resolver at an address, over TCP only."""
    servers = [(spec.host, spec.port)]
    return StubResolver(_perspective(spec, servers, public=True), servers, tcp_only=True)


def _perspective(spec: Spec, servers: list[tuple[str, int]], *, public: bool) -> Perspective:
    return Perspective(spec.text, public, address_set(servers))


def address_set(servers: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Who is asked in the end, whatever the transport: perspectives that share one agree for free.

    Only a port that no transport has of its own tells one resolver at an address from another.
    """
    usual = {"53", "443", "853"}
    return frozenset(
        address if str(port) in usual else f"{address}#{port}" for address, port in servers
    )


def make_query(owner: str, rdtype: str, *, edns: bool = True) -> bytes:
    """A question for a recursive resolver, on the wire."""
    if not edns:
        return dns.message.make_query(owner, rdtype).to_wire()
    return dns.message.make_query(owner, rdtype, use_edns=0, payload=_EDNS_SIZE).to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers the query."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        if not self.answer.done() and wire.answers(self._query, data):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_udp(server: tuple[str, int], query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(query), remote_addr=server
    )
    try:
        wait = _FIRST_RESEND
        for _ in range(_MOST_ATTEMPTS):
            transport.sendto(query)
            done, _pending = await asyncio.wait({protocol.answer}, timeout=wait)
            if done:
                break
            wait *= 2
        return await protocol.answer
    finally:
        protocol.answer.cancel()
        transport.close()


async def _ask_tcp(server: tuple[str, int], query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        message = await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise _NoAnswerError from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not wire.answers(query, message):
        raise _NoAnswerError
    return message
