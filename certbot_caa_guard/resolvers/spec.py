"""Resolver SPECs, as users write them: ``system``, ``udp://192.0.2.1``, ``https://…/dns-query``.

Only the standard library is used, since the plugin checks SPECs while it parses its options.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import SplitResult, urlsplit

GROUP = "certbot_caa_guard.resolvers"

_PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}
_ALONE = ("auto", "system", "unbound", "iterative")

FORMS = (
    "system, unbound, iterative, udp://IP[:PORT], tcp://IP[:PORT], tls://HOST[:PORT] or https://…"
)


class SpecError(ValueError):
    """A text that is not a SPEC; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One way to ask DNS.

    :ivar text: as the user wrote it; it names the perspective in all output.
    :ivar scheme: chooses the kind of resolver.
    :ivar host: an IP address, or for ``tls`` and ``https`` also a name, as :func:`canonical` has
        it; empty for a scheme alone.
    :ivar port: of the resolver.
    :ivar root_hints: the path of a file with root servers, for those that start at the root.
    :ivar trust_anchor: the path of a file with the root's keys, for those that validate.
    :ivar rate: how many questions a second, where the user has said so.
    """

    text: str
    scheme: str
    host: str = ""
    port: int = _PORTS["udp"]
    root_hints: str | None = None
    trust_anchor: str | None = None
    rate: int | None = None

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Spec:
    """Read one SPEC.

    :raises SpecError: when it is none.
    """
    text = text.strip()
    if not text.isprintable():
        raise SpecError(f"{text!r} is not a resolver: write {FORMS}")
    # A search of all that is installed takes a while, and a URL is looked at below.
    if text in _ALONE or ("://" not in text and text in installed()):
        return Spec(text, text)
    try:
        parts = urlsplit(text)
        given_port = parts.port
    except ValueError as error:
        raise SpecError(f"{text!r} is not a resolver: {error}; write {FORMS}") from error
    if parts.scheme not in _PORTS:
        if parts.scheme not in installed():
            raise SpecError(f"{text!r} is not a resolver: write {FORMS}")
        # What another package brings makes of the rest what it likes.
        return Spec(text, parts.scheme, parts.hostname or "", given_port or 0)
    host = _address(text, parts) if parts.scheme in {"udp", "tcp"} else _host(text, parts)
    if parts.scheme != "https" and (parts.path or parts.query or parts.fragment or parts.username):
        raise SpecError(f"{text!r} has more than an address and a port")
    return Spec(text, parts.scheme, host, given_port or _PORTS[parts.scheme])


def parse_list(text: str) -> list[Spec]:
    """Read a comma-separated list of SPECs, without repetitions.

    :raises SpecError: when one of them is none, or there is none at all.
    """
    specs = {item.strip(): parse(item) for item in text.split(",") if item.strip()}
    if not specs:
        raise SpecError(f"no resolver is named: write {FORMS}")
    return list(specs.values())


def canonical(host: str) -> str:
    """The one way to write *host*, a name or an IP address, of the many that there are.

    :raises UnicodeError: when no host can be called so.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # As it is done for every connection.
        return host.encode("idna").decode("ascii").lower().removesuffix(".")
    # RFC 4291 section 2.5.5.2.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def installed() -> set[str]:
    """The schemes for which a resolver is installed, by this package or another."""
    return {point.name for point in metadata.entry_points(group=GROUP)}


def _host(text: str, parts: SplitResult) -> str:
    host = parts.hostname
    if not host:
        raise SpecError(f"{text!r} names no host: write {parts.scheme}://HOST")
    try:
        return canonical(host)
    except UnicodeError as error:
        raise SpecError(f"{text!r} is not a resolver: no host is called {host!r}") from error


def _address(text: str, parts: SplitResult) -> str:
    try:
        return canonical(str(ipaddress.ip_address(parts.hostname or "")))
    except ValueError as error:
        raise SpecError(
            f"{text!r} is not a resolver: {error}; write {parts.scheme}://IP or "
            f"{parts.scheme}://IP:PORT, and an IPv6 address in brackets"
        ) from error
