"""Asking as the CA does: with an Unbound of our own, set up like the CA's.

Let's Encrypt resolves with Unbound, whose ideas of broken servers no other resolver shares; the
same library with the same settings is the best witness of what it will see.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zope.interface import implementer

from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import libunbound, wire
from certbot_caa_guard.resolvers.gate import Gate
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.manners import Manners, Reaction
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.verdict import Perspective

if TYPE_CHECKING:
    from certbot_caa_guard.resolvers.iterative import IterativeResolver

_LOG = logging.getLogger(__name__)

# What name servers get to bear is up to libunbound; what it gets is bounded by the zone that a name
# is probably in, which stands for its servers here, and by the TLD.  (Its own ``ratelimit`` would
# make failures of questions too many, which the CA would not see.)  More at the same time than of
# another's resolver, since a silent zone keeps a question for long; but no faster, since the
# servers asked are still other people's.
_MANNERS = Manners(lookups=400, zone_in_flight=100, in_flight=20, fewest_in_flight=4)
# Where nothing slows questions down, more than some 200 at once run over a server's receive buffer.
_AT_HOME = replace(_MANNERS, lookups=100, per_second=None, all_per_second=None)
# Until then an answer is to be expected; after it libunbound asks again ever more rarely.
_SOON = 1.0

# What libunbound makes of servers that there is no way to; it does not tell them from broken ones.
_MAY_BE_OUT_OF_REACH = {Outcome.SERVFAIL, Outcome.TIMEOUT}
# A walk that finds no way to any server asks nobody but the servers above, which answer at once.
_WALK_TIMEOUT = 3.0

_LONGEST_FILE = 1 << 20

_TYPE_NS = 2
_TYPE_DNSKEY = 48
_TYPE_CAA = 257

_BOGUS = 6
# What Unbound says in why_bogus, and the INFO-CODE (RFC 8914 section 4) that it sends with it.
_REASONS = (
    (r"signature expired", 7),
    (r"signature (before inception date|inception after expiration)", 8),
    (r"signatures from unknown keys|no dnskey (record|rrset)|did not match (ds|anchor) rrset", 9),
    (r"no signatures(?! (over|with))|signature missing", 10),
    (r"dnskey without zsk flag", 11),
    (r"no signatures over|no dnssec records", 12),
    (r"unsupported algorithm|algorithm refused|no known algorithms", 1),
    (r"no ds(?= from| for ds)", 23),
    (r"while building chain of trust", 9),
)

# Debian builds the library with Nettle and the daemon, as the CA does, with OpenSSL; the two have
# different words for a signature that is wrong.
_OF_NETTLE = re.compile(r"\b(DSA|RSA|ECDSA|ED25519) signature verification failed\b")
_OF_OPENSSL = "signature crypto failed"


@implementer(IResolver)
class UnboundResolver:
    """libunbound in a process of its own, which is started with the first question.

    One event loop at a time may use it, and :meth:`close` ends it.

    Where this machine has no way out by IPv4 or by IPv6, libunbound fails for zones whose servers
    have no address of the other: a failure is believed only where our own walk finds a server.
    """

    def __init__(
        self,
        name: str = "unbound",
        *,
        root_hints: str | None = None,
        trust_anchor: str | None = None,
        stub_zones: Mapping[str, Sequence[str]] | None = None,
        allow_localhost: bool | None = None,
        rate: int | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """:param name: what the perspective is called.

        :param root_hints: a file with the root's name servers, instead of the built-in ones.
        :param trust_anchor: a file with DS or DNSKEY records, instead of the root's; a file
            without any switches validation off.  By default the public root's keys, or none where
            the root hints are of a root in private networks, which cannot have those keys.
        :param stub_zones: zones and the addresses (``IP`` or ``IP@PORT``) to ask about them.
        :param allow_localhost: name servers may be on loopback and in private networks, which a
            CA never asks; by default when there are root hints or stub zones.
        :param rate: how many lookups a second; the usual limits if None.
        :param extra: further options of libunbound, named with a colon.
        :raises ResolverError: when a file cannot be read.
        """
        if allow_localhost is None:
            allow_localhost = root_hints is not None or bool(stub_zones)
        self.perspective = Perspective(name, public=True)
        self._root_hints = root_hints
        self._rate = rate
        self._files = [repr(path) for path in (root_hints, trust_anchor) if path is not None]
        hints = None if root_hints is None else _text_of(root_hints)
        usual = "" if hints is not None and _is_private(hints) else libunbound.ROOT_ANCHORS
        self._settings = libunbound.Settings.like_the_ca(
            hints=hints,
            anchors=usual if trust_anchor is None else _text_of(trust_anchor),
            stubs={zone: tuple(addresses) for zone, addresses in (stub_zones or {}).items()},
            special_addresses=allow_localhost,
            extra=extra,
        )
        self._child = libunbound.Child(self._settings)
        manners = _AT_HOME if allow_localhost else _MANNERS
        self._gate: Gate[str] = Gate(manners.at_rate(rate))

    @property
    def pid(self) -> int | None:
        """The process id of libunbound, while it runs."""
        return self._child.pid

    async def is_usable(self, timeout: float) -> bool:
        """Tell whether it resolves the root, and validates its keys if it validates at all."""
        questions = [self._child.ask(".", _TYPE_NS)]
        if self._settings.validates:
            questions.append(self._child.ask(".", _TYPE_DNSKEY))
        try:
            answers = await asyncio.wait_for(asyncio.gather(*questions), timeout)
        except (TimeoutError, asyncio.TimeoutError):
            return False
        except libunbound.ChildError:
            self._tell_why_it_never_started()
            return False
        if any(answer.rcode or answer.bogus or not answer.havedata for answer in answers):
            return False
        return answers[-1].secure or not self._settings.validates

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        """Ask for the CAA records of *owner*."""
        lookup = await self._lookup(owner, timeout)
        if lookup.outcome not in _MAY_BE_OUT_OF_REACH:
            return lookup
        if await self._is_out_of_reach(owner, min(timeout, _WALK_TIMEOUT)):
            return Lookup(owner, Outcome.NETWORK, seconds=lookup.seconds)
        return lookup

    async def _lookup(self, owner: str, timeout: float) -> Lookup:
        zone = probable_zone(owner)
        async with self._gate.turn(zone, zone.rpartition(".")[-1]) as turn:
            asking = asyncio.ensure_future(self._ask(owner, timeout))
            try:
                await asyncio.wait({asking}, timeout=_SOON)
                turn.reaction = _reaction(asking.result()) if asking.done() else Reaction.SILENT
                self._gate.settle(turn)
                return await asking
            finally:
                asking.cancel()

    async def _ask(self, owner: str, timeout: float) -> Lookup:
        start = time.monotonic()
        try:
            answer = await asyncio.wait_for(self._child.ask(owner, _TYPE_CAA), timeout)
        except (TimeoutError, asyncio.TimeoutError):
            return Lookup(owner, Outcome.TIMEOUT, seconds=time.monotonic() - start)
        except libunbound.ChildError:
            return Lookup(owner, Outcome.NETWORK, seconds=time.monotonic() - start)
        return read(owner, answer, time.monotonic() - start)

    async def _is_out_of_reach(self, owner: str, timeout: float) -> bool:
        """Whether there is no way from here to any server for *owner*."""
        if self._walker is None:
            return False
        walked = await self._walker.lookup(owner, timeout)
        return walked.outcome is Outcome.NETWORK

    @cached_property
    def _walker(self) -> IterativeResolver | None:
        """What finds out if there is a way to a server; None where that is not in question.

        It knows no stub zones, and may understand less of root hints than libunbound does.
        """
        if not self._settings.lacks_a_family or self._settings.stubs:
            return None
        # Here, because it takes a while, and is seldom needed.
        from certbot_caa_guard.resolvers.iterative import IterativeResolver

        with contextlib.suppress(ResolverError):
            return IterativeResolver(self.perspective, self._root_hints, rate=self._rate)
        return None

    def _tell_why_it_never_started(self) -> None:
        """Nothing else would: to all others it is one more perspective that does not work."""
        why = self._child.never_started
        if why is None:
            return
        # Of a file that it cannot parse libunbound says no more than this, or that memory ran out.
        blamed = f", most likely for what is in {' or '.join(self._files)}" if self._files else ""
        _LOG.warning("libunbound cannot start (%r)%s.", why, blamed)

    def close(self) -> None:
        """End the process; may be called again.  Later questions fail."""
        self._child.close()


def unbound(spec: Spec) -> UnboundResolver:
    """An Unbound of our own, which starts at the root that *spec* says.

    :raises ResolverError: when its files cannot be read.
    """
    return UnboundResolver(
        spec.text, root_hints=spec.root_hints, trust_anchor=spec.trust_anchor, rate=spec.rate
    )


def is_installed() -> bool:
    """Tell whether libunbound is there; this takes a process, and some 50 ms."""
    return libunbound.is_installed()


def probable_zone(owner: str) -> str:
    """The zone that *owner* is in, if it is where most are: below a TLD, or one like ``co.uk``."""
    labels = owner.split(".")
    is_below_second_level = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if is_below_second_level else labels[-2:])


def _reaction(lookup: Lookup) -> Reaction:
    if lookup.outcome is Outcome.TIMEOUT:
        return Reaction.SILENT
    if lookup.outcome is Outcome.NETWORK:
        return Reaction.NOT_ASKED
    return Reaction.REFUSED if lookup.outcome is Outcome.SERVFAIL else Reaction.ANSWERED


def read(owner: str, answer: libunbound.Answer, seconds: float) -> Lookup:
    """Read what libunbound says as the outcome of the lookup for *owner*.

    A bogus answer looks like any other but for the flag, so that comes first.
    """
    if answer.bogus:
        why = _OF_NETTLE.sub(_OF_OPENSSL, answer.why)
        error = ExtendedError(code_of(why), why)
        return Lookup(owner, Outcome.BOGUS, extended_error=error, seconds=seconds)
    return wire.read(owner, answer.packet, seconds)


def code_of(why: str) -> int:
    """The INFO-CODE that Unbound sends with *why*: the first that says more than Bogus.

    Names cannot imitate a reason, since Unbound writes no blanks in them.
    """
    why = why.lower()
    found = [
        (match.start(), code) for reason, code in _REASONS if (match := re.search(reason, why))
    ]
    return min(found)[1] if found else _BOGUS


def _text_of(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise ResolverError(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > _LONGEST_FILE:
        raise ResolverError(f"{path} is longer than 1 MiB")
    return text


def _is_private(hints: str) -> bool:
    """Whether no server in root hints is on the public internet."""
    addresses = []
    for word in hints.split():
        with contextlib.suppress(ValueError):
            addresses.append(ipaddress.ip_address(word))
    return bool(addresses) and all(address.is_private for address in addresses)
