"""Authoritative servers of other make, in their default settings, each with two zones.

One zone is plain, the other is signed by the server itself, or beforehand where it cannot sign.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype

from tests.internet import Nsd
from tests.internet.daemon import Daemon, DaemonError, find_program, probe
from tests.internet.signing import Signing, sign

ZONE = """\
$ORIGIN {zone}.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A {address}
www A 192.0.2.80
deep.down A 192.0.2.80
alias CNAME www
*.wild A 192.0.2.80
allowed CAA 0 issue "letsencrypt.org"
"""

# What is asked about: a name that exists, one that does not, records, an alias, a name without
# records of its own, and a wildcard.
LABELS = ("www", "absent", "allowed", "alias", "down", "x.wild")


@dataclass(frozen=True)
class Make:
    """A server, and how to run it.

    :ivar program: what must be installed, of the Debian package `package`.
    :ivar run: runs it in a directory, at an address, with the zones that are named; the second
        is to be signed.
    """

    program: str
    package: str
    run: Callable[[Path, str, str, str], contextlib.AbstractContextManager[str | None]]

    @property
    def is_installed(self) -> bool:
        path = shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin")
        return path is not None


@dataclass(frozen=True)
class Served:
    """What a server serves, and the DS of its signed zone."""

    plain: str
    signed: str
    address: str
    ds: str

    def records(self) -> list[str]:
        """The delegations, as records of the zone lab."""
        lines = []
        for zone in (self.plain, self.signed):
            label = zone.removesuffix(".lab")
            lines += [f"{label} NS ns.{zone}.", f"ns.{label} A {self.address}"]
        return [*lines, f"{self.signed.removesuffix('.lab')} DS {self.ds}"]

    @property
    def identifiers(self) -> list[str]:
        zones = (self.plain, self.signed)
        return [*zones, *(f"{label}.{zone}" for zone in zones for label in LABELS)]


@contextlib.contextmanager
def serve(name: str, directory: Path, address: str) -> Iterator[Served]:
    """Run the server of that make at *address*."""
    make = MAKES[name]
    directory.mkdir()
    plain, signed = f"{name}.lab", f"{name}-signed.lab"
    for zone in (plain, signed):
        text = ZONE.format(zone=zone, address=address)
        (directory / f"{zone}.zone").write_text(text, encoding="ascii")
    with make.run(directory, address, plain, signed) as ds:
        yield Served(plain, signed, address, ds or _ds(address, signed))


@contextlib.contextmanager
def _started(arguments: list[str], directory: Path, address: str, zone: str) -> Iterator[None]:
    daemon = Daemon(arguments, address, directory / "log")
    try:
        daemon.launch()
        daemon.wait_for(lambda: _serves(address, zone))
        yield
    finally:
        daemon.stop()


def _serves(address: str, zone: str) -> bool:
    """Whether the zone is loaded, and signed."""
    answer = probe(address, dns.message.make_query(zone, "SOA", want_dnssec=True))
    return answer is not None and any(
        rrset.rdtype == dns.rdatatype.RRSIG for rrset in answer.answer
    )


def _ds(address: str, zone: str) -> str:
    """The DS of the zone's key-signing key."""
    name = dns.name.from_text(zone)
    answer = dns.query.tcp(dns.message.make_query(name, "DNSKEY"), address, timeout=5)
    keys = [key for key in answer.find_rrset(answer.answer, name, 1, 48) if key.flags & 1]
    if not keys:
        raise DaemonError(f"{zone} has no key-signing key")
    return str(dns.dnssec.make_ds(name, keys[0], "SHA256"))


@contextlib.contextmanager
def _nsd(directory: Path, address: str, plain: str, signed: str) -> Iterator[str]:
    texts = {zone: (directory / f"{zone}.zone").read_text("ascii") for zone in (plain, signed)}
    # ldns reads no wildcards or blank lines of ours differently; NSD does not sign.
    name = dns.name.from_text(signed)
    texts[signed], ds = sign(name, texts[signed], Signing.VALID, directory / "keys")
    with Nsd(address, {f"{zone}.": text for zone, text in texts.items()}, directory / "nsd"):
        yield ds


@contextlib.contextmanager
def _bind(directory: Path, address: str, plain: str, signed: str) -> Iterator[None]:
    (directory / "named.conf").write_text(
        f"""\
options {{
    directory "{directory}";
    pid-file "{directory}/named.pid";
    session-keyfile "{directory}/session.key";
    listen-on {{ {address}; }};
    listen-on-v6 {{ none; }};
}};
controls {{ }};
zone "{plain}" {{ type primary; file "{plain}.zone"; }};
zone "{signed}" {{
    type primary; file "{signed}.zone"; dnssec-policy default; inline-signing yes;
}};
""",
        encoding="ascii",
    )
    named = find_program("named", "bind9")
    arguments = [named, "-f", "-4", "-n", "1", "-c", str(directory / "named.conf")]
    # It listens on the addresses that it finds on an interface, and on no others.
    with _on_loopback(address), _started(arguments, directory, address, signed):
        yield


@contextlib.contextmanager
def _knot(directory: Path, address: str, plain: str, signed: str) -> Iterator[None]:
    (directory / "knot.conf").write_text(
        f"""\
server:
    rundir: "{directory}"
    listen: {address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{directory}/db"
template:
  - id: default
    storage: "{directory}"
zone:
  - domain: {plain}
    file: "{plain}.zone"
  - domain: {signed}
    file: "{signed}.zone"
    dnssec-signing: on
""",
        encoding="ascii",
    )
    (directory / "db").mkdir()
    knotd = find_program("knotd", "knot")
    arguments = [knotd, "-c", str(directory / "knot.conf")]
    with _started(arguments, directory, address, signed):
        yield


@contextlib.contextmanager
def _powerdns(directory: Path, address: str, plain: str, signed: str) -> Iterator[None]:
    zones = "".join(
        f'zone "{zone}" {{ type master; file "{directory}/{zone}.zone"; }};\n'
        for zone in (plain, signed)
    )
    (directory / "named.conf").write_text(zones, encoding="ascii")
    (directory / "pdns.conf").write_text(
        f"""\
launch=bind
bind-config={directory}/named.conf
bind-dnssec-db={directory}/dnssec.sqlite
local-address={address}
socket-dir={directory}
""",
        encoding="ascii",
    )
    util = [find_program("pdnsutil", "pdns-server"), f"--config-dir={directory}"]
    for command in (["create-bind-db", f"{directory}/dnssec.sqlite"], ["secure-zone", signed]):
        subprocess.run([*util, *command], check=True, capture_output=True)
    server = find_program("pdns_server", "pdns-server")
    arguments = [server, f"--config-dir={directory}", "--guardian=no", "--daemon=no"]
    with _started(arguments, directory, address, signed):
        yield


@contextlib.contextmanager
def _on_loopback(address: str) -> Iterator[None]:
    assert ipaddress.ip_address(address).is_loopback
    ip = find_program("ip", "iproute2")
    subprocess.run([ip, "address", "add", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run([ip, "address", "del", f"{address}/32", "dev", "lo"], check=False)


MAKES = {
    "nsd": Make("nsd", "nsd", _nsd),
    "bind": Make("named", "bind9", _bind),
    "knot": Make("knotd", "knot", _knot),
    "powerdns": Make("pdns_server", "pdns-server", _powerdns),
}
