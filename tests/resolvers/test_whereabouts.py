"""One resolver under two SPECs is one."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.resolvers import stub, whereabouts
from certbot_caa_guard.resolvers.spec import parse
from certbot_caa_guard.resolvers.whereabouts import find_addresses, perspective_at_host
from certbot_caa_guard.verdict import Perspective

# What the system knows.
HOSTS = {
    "dns.example": {"192.0.2.1", "2001:db8::1"},
    "other.example": {"192.0.2.2"},
    "localhost": {"127.0.0.1", "::1"},
    "mapped.example": {"::ffff:192.0.2.1"},
}


def perspective(text: str) -> Perspective:
    spec = parse(text)
    if spec.scheme in {"udp", "tcp"}:
        return getattr(stub, spec.scheme)(spec).perspective  # type: ignore[no-any-return]
    return perspective_at_host(spec, lambda host: HOSTS.get(host, ()))


@pytest.mark.parametrize(
    "specs",
    [
        "udp://192.0.2.1 tcp://192.0.2.1 tls://192.0.2.1 https://192.0.2.1/dns-query",
        "udp://192.0.2.1 tls://dns.example tls://DNS.example. https://dns.example/other",
        "udp://[2001:db8::1] tls://[2001:0db8:0::1] tls://dns.example",
        "udp://192.0.2.1 udp://[::ffff:192.0.2.1] udp://[::FFFF:c000:201] tls://mapped.example",
        "udp://192.0.2.1 tls://192.0.2.1:8853 https://192.0.2.1:8443/dns-query",
        "udp://127.0.0.1 tls://localhost https://localhost:8443/dns-query",
        "udp://127.0.0.1:5353 tcp://127.0.0.1:5353",
        "tls://unknown.example tls://unknown.example:8853",
    ],
)
def test_one_resolver_is_not_independent_of_itself(specs: str) -> None:
    for one, other in itertools.combinations(map(perspective, specs.split()), 2):
        assert not one.is_independent_of(other), (one, other)


@pytest.mark.parametrize(
    "specs",
    [
        "udp://192.0.2.1 udp://192.0.2.2 udp://[2001:db8::1]",
        "udp://192.0.2.1 tls://other.example",
        "tls://dns.example https://other.example/dns-query",
        "udp://127.0.0.1 udp://127.0.0.2 udp://127.0.0.1:5353",
    ],
)
def test_two_resolvers_are(specs: str) -> None:
    for one, other in itertools.combinations(map(perspective, specs.split()), 2):
        assert one.is_independent_of(other), (one, other)


@pytest.mark.parametrize("other", ["udp://192.0.2.2", "tls://dns.example", "tls://nowhere.example"])
def test_one_that_cannot_be_found_is_independent_of_no_other(other: str) -> None:
    assert not perspective("tls://unknown.example").is_independent_of(perspective(other))


def test_but_of_who_asks_authoritative_servers() -> None:
    iterative = Perspective("iterative", public=True)
    assert perspective("tls://unknown.example").is_independent_of(iterative)


def test_the_systems_resolvers_are_not_independent_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.2\nnameserver ::ffff:192.0.2.1\n")
    system = stub.from_resolv_conf(parse("system"), str(tmp_path / "resolv.conf"))
    assert not system.perspective.is_independent_of(perspective("tls://dns.example"))
    assert system.perspective.is_independent_of(perspective("udp://192.0.2.3"))


class TestFindAddresses:
    def test_asks_the_system(self) -> None:
        assert find_addresses("127.0.0.1") == {"127.0.0.1"}

    def test_what_the_system_does_not_find(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert find_addresses("dns.example") == set()

    def test_nobody_waits_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        over = threading.Event()

        def hang(*_: Any) -> list[Any]:
            over.wait()
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        monkeypatch.setattr(whereabouts, "_TIMEOUT", 0.01)
        try:
            assert find_addresses("dns.example") == set()
        finally:
            over.set()
