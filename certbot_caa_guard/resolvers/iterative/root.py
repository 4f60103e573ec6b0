"""Where a walk starts: the root's servers (RFC 9609)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dns.exception
import dns.name
import dns.rdatatype
import dns.zone

from certbot_caa_guard.resolvers.iterative.memory import Delegation
from certbot_caa_guard.resolvers.iterative.message import Name, name_from_text
from certbot_caa_guard.resolvers.loader import ResolverError

# https://www.internic.net/domain/named.root; the newest change is of 2023-11-27 (b).
_ROOT_SERVERS = {
    "a": ("198.41.0.4", "2001:503:ba3e::2:30"),
    "b": ("170.247.170.2", "2801:1b8:10::b"),
    "c": ("192.33.4.12", "2001:500:2::c"),
    "d": ("199.7.91.13", "2001:500:2d::d"),
    "e": ("192.203.230.10", "2001:500:a8::e"),
    "f": ("192.5.5.241", "2001:500:2f::f"),
    "g": ("192.112.36.4", "2001:500:12::d0d"),
    "h": ("198.97.190.53", "2001:500:1::53"),
    "i": ("192.36.148.17", "2001:7fe::53"),
    "j": ("192.58.128.30", "2001:503:c27::2:30"),
    "k": ("193.0.14.129", "2001:7fd::1"),
    "l": ("199.7.83.42", "2001:500:9f::42"),
    "m": ("202.12.27.33", "2001:dc3::35"),
}

# Records need not have a TTL (RFC 1035 section 5.1), and the root's servers are not forgotten.
_DEFAULT_TTL = "$TTL 3600\n"


def built_in() -> Delegation:
    """The public root."""
    return _delegation(
        {
            name_from_text(f"{letter}.root-servers.net"): addresses
            for letter, addresses in _ROOT_SERVERS.items()
        }
    )


def from_file(path: str | os.PathLike[str]) -> Delegation:
    """The root that a file in the format of named.root names.

    :raises ResolverError: when it cannot be read, or names no server with an address.
    """
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - as text, whatever the path is
            zone = dns.zone.from_text(
                _DEFAULT_TTL + file.read(),
                origin=dns.name.root,
                relativize=False,
                allow_include=True,
                check_origin=False,
            )
    except (OSError, UnicodeDecodeError, dns.exception.DNSException) as error:
        raise ResolverError(f"the root hints in {os.fspath(path)}: {error}") from error
    servers = {_name(rdata.target): _addresses(zone, rdata.target) for rdata in _root_ns(zone)}
    if not any(servers.values()):
        raise ResolverError(
            f"the root hints in {os.fspath(path)} name no server of the root with an address"
        )
    return _delegation(servers)


def _delegation(servers: Mapping[Name, tuple[str, ...]]) -> Delegation:
    return Delegation((), tuple(servers), {name: held for name, held in servers.items() if held})


def _root_ns(zone: dns.zone.Zone) -> list[Any]:
    return list(zone.get_rdataset(dns.name.root, dns.rdatatype.NS) or ())


def _addresses(zone: dns.zone.Zone, name: dns.name.Name) -> tuple[str, ...]:
    found: list[Any] = []
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        found += zone.get_rdataset(name, kind) or ()
    return tuple(rdata.address for rdata in found)


def _name(name: dns.name.Name) -> Name:
    return tuple(label.lower() for label in name.labels if label)
