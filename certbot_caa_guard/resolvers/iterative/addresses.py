"""Which addresses of name servers are asked."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

# What the CA's resolver never asks (the do-not-query-address of its configuration), by RFC 6890
# and the IANA registries of special-purpose addresses.
_SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001:2::/48", "2001:db8::/32",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
]  # fmt: skip


_PRIVATE = frozenset(
    {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
     "::/127", "fc00::/7"}
)  # fmt: skip


class Reach(enum.Enum):
    """Whether an address can be asked."""

    OPEN = enum.auto()
    SPECIAL = enum.auto()
    NO_ROUTE = enum.auto()


def special_network(address: str) -> str | None:
    """The special-purpose network that *address* is in, as text; None for a public address."""
    parsed = ipaddress.ip_address(address)
    return next((str(network) for network in _SPECIAL if parsed in network), None)


def own_networks(root: Iterable[str]) -> frozenset[str]:
    """The special-purpose networks in which a DNS of one's own may be: private, and its root's.

    :param root: the addresses of the root's servers.
    """
    of_root = {special_network(address) for address in root}
    return _PRIVATE | {one for one in of_root if one is not None}


@dataclass(frozen=True, slots=True)
class Reachability:
    """What can be asked from here.

    :ivar families: the IP versions that this machine has a route for: 4, 6, both or none.
    :ivar own: the special-purpose networks in which name servers may be all the same.
    """

    families: frozenset[int] = frozenset({4, 6})
    own: frozenset[str] = frozenset()

    def of(self, address: str) -> Reach:
        """Tell whether *address*, an IP address as text, can be asked."""
        parsed = ipaddress.ip_address(address)
        special = special_network(address)
        if special is not None and special not in self.own:
            return Reach.SPECIAL
        return Reach.OPEN if parsed.version in self.families else Reach.NO_ROUTE
