"""Where a resolver is: one that two SPECs name is still one, and agrees with itself for free."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable

from certbot_caa_guard.resolvers.spec import Spec, canonical
from certbot_caa_guard.verdict import Perspective

# Of UDP and TCP, TLS (RFC 7858) and HTTPS (RFC 8484).
_USUAL_PORTS = {53, 443, 853}

_TIMEOUT = 3.0  # seconds

# The addresses of a host; none where they cannot be found.
Find = Callable[[str], Iterable[str]]


def of_servers(servers: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Who is asked in the end at these addresses and ports, over UDP or TCP.

    Only a port that no transport has of its own tells one resolver at an address from another.
    """
    return frozenset(
        canonical(address) if port in _USUAL_PORTS else f"{canonical(address)}#{port}"
        for address, port in servers
    )


def find_addresses(host: str) -> frozenset[str]:
    """The addresses of *host*, as the system finds them; none where it does not in 3 s."""
    found: list[str] = []

    def find() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(str(one[4][0]) for one in socket.getaddrinfo(host, None))

    # The system sets no limit to the time that this takes, and nobody can end it.
    finding = threading.Thread(target=find, daemon=True)
    finding.start()
    finding.join(_TIMEOUT)
    return frozenset(found)


def perspective_at_host(spec: Spec, find: Find = find_addresses) -> Perspective:
    """The perspective of the resolver that answers over TLS or HTTPS at the host in *spec*.

    Whatever the port: that is the front door of a resolver which may have any.
    """
    host = spec.host  # canonical, by whoever made the SPEC of it
    if _is_address(host):
        return Perspective(spec.text, public=True, addresses=frozenset({host}))
    found = frozenset(map(canonical, find(host)))
    # The same name is the same resolver, too, if its addresses are not the same each time.
    return Perspective(spec.text, public=True, addresses=found | {host}, located=bool(found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
