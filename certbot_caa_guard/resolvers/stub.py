"""A recursive resolver as a perspective: over UDP with TCP for long answers, or over TCP alone."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from zope.interface import implementer

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IBulkResolver
from certbot_caa_guard.names import is_at_or_below
from certbot_caa_guard.resolvers import labels, wire
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.plain.engine import Engine, Question
from certbot_caa_guard.resolvers.plain.question import (
    TYPE_CAA,
    TYPE_NS,
    ask_for,
    encode,
    query,
)
from certbot_caa_guard.resolvers.plain.window import limits_for
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.resolvers.whereabouts import of_servers
from certbot_caa_guard.verdict import Perspective

_RESOLV_CONF = "/etc/resolv.conf"
_ROOT = b"\0"
# Tried only where a word begins: all that a resolver says may be one long word.
_DOTTED = re.compile(r"(?<![\w-])[\w-]+\.[\w.-]*")

_T = TypeVar("_T")


@implementer(IBulkResolver)
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
        rate: int | None = None,
    ) -> None:
        """:param servers: addresses and ports, asked in this order.
        :param rate: how many questions a second; the usual limits when None.
        """
        self.perspective = perspective
        self._servers = servers
        local = all(ipaddress.ip_address(address).is_loopback for address, _ in servers)
        self._engine = Engine(servers, limits_for(local=local, rate=rate), tcp_only=tcp_only)

    @property
    def mismatched(self) -> int:
        """How many datagrams were passed over as they answered no question: forged, or late."""
        return self._engine.mismatched

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether the resolver resolves the root."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(_question: Question, answer: bytes | Outcome, _seconds: float) -> None:
            if not answered.done():
                answered.set_result(isinstance(answer, bytes) and wire.has_answer(answer))

        # What it says decides about all the others.
        asked = self._engine.ask(_ROOT, TYPE_NS, timeout, done, first=True)
        return await self._wait(answered, asked)

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*."""
        found: asyncio.Future[Lookup] = asyncio.get_running_loop().create_future()

        def known(lookup: Lookup) -> None:
            if not found.done():
                found.set_result(lookup)

        return await self._wait(found, self._ask(owner, timeout, known))

    def ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> None:
        """Ask for the CAA records of *owner*, and give *known* what was found."""
        self._ask(owner, timeout, known)

    def close(self) -> None:
        """Give the sockets back that questions still use."""
        self._engine.close()

    def _ask(self, owner: str, timeout: float, known: Callable[[Lookup], None]) -> Question | None:
        try:
            name = encode(owner)
        except labels.LabelError:
            known(Lookup(owner, Outcome.MALFORMED))
            return None
        return self._engine.ask(name, TYPE_CAA, timeout, _read, (owner, known))

    async def _wait(self, result: asyncio.Future[_T], question: Question | None) -> _T:
        try:
            return await result
        finally:
            if question is not None:
                self._engine.withdraw(question)


def _read(question: Question, answer: bytes | Outcome, seconds: float) -> None:
    owner, known = question.about
    if not isinstance(answer, bytes):
        known(Lookup(owner, answer, seconds=seconds))
        return
    lookup = wire.read_matched(owner, answer, 12 + len(question.asked), seconds)
    known(lookup if lookup.extended_error is None else _without_mixed_case(lookup))


def _without_mixed_case(lookup: Lookup) -> Lookup:
    """The lookup as if we had not mixed upper and lower case in the question.

    Resolvers repeat the name, or a parent of it, in what they say of their failure.
    """
    extended = lookup.extended_error
    if extended is None or not extended.text:
        return lookup

    def fold(name: re.Match[str]) -> str:
        folded = name[0].lower()
        return folded if is_at_or_below(lookup.owner, folded.rstrip(".")) else name[0]

    text = _DOTTED.sub(fold, extended.text)
    return replace(lookup, extended_error=replace(extended, text=text))


def system(spec: Spec) -> StubResolver:
    """The resolvers that this machine is set up to use.

    :raises ResolverError: when there are none.
    """
    return from_resolv_conf(spec, _RESOLV_CONF)


def from_resolv_conf(spec: Spec, path: str) -> StubResolver:
    """The resolvers that the file at *path* names (resolv.conf(5)).

    :raises ResolverError: when there are none.
    """
    # Here, because they take a while, and only this kind of resolver needs them.
    import dns.exception
    import dns.resolver

    try:
        configured = dns.resolver.Resolver(filename=path)
        addresses = [str(ipaddress.ip_address(str(one))) for one in configured.nameservers]
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise ResolverError(f"{path} names no resolver: {error}") from error
    servers = [(address, configured.port) for address in addresses]
    if not servers:
        raise ResolverError(f"{path} names no resolver")
    perspective = _perspective(spec, servers, public=False)
    return StubResolver(perspective, servers, rate=spec.rate)


def udp(spec: Spec) -> StubResolver:
    """The resolver at an address."""
    servers = [(spec.host, spec.port)]
    return StubResolver(_perspective(spec, servers, public=True), servers, rate=spec.rate)


def tcp(spec: Spec) -> StubResolver:
    """The resolver at an address, over TCP only."""
    servers = [(spec.host, spec.port)]
    perspective = _perspective(spec, servers, public=True)
    return StubResolver(perspective, servers, tcp_only=True, rate=spec.rate)


def _perspective(spec: Spec, servers: list[tuple[str, int]], *, public: bool) -> Perspective:
    return Perspective(spec.text, public, of_servers(servers))


def make_query(owner: str, kind: int) -> bytes:
    """A question for a recursive resolver, on the wire.

    :raises labels.LabelError: when no message can hold the name.
    """
    return query(os.urandom(2), ask_for(encode(owner), kind))
