"""Resolver SPECs as users write them."""

from __future__ import annotations

from importlib import metadata

import pytest

from certbot_caa_guard.resolvers import spec
from certbot_caa_guard.resolvers.spec import GROUP, Spec, SpecError, parse, parse_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("system", Spec("system", "system")),
        (" system ", Spec("system", "system")),
        ("udp://192.0.2.1", Spec("udp://192.0.2.1", "udp", "192.0.2.1", 53)),
        ("udp://192.0.2.1:5353", Spec("udp://192.0.2.1:5353", "udp", "192.0.2.1", 5353)),
        ("unbound", Spec("unbound", "unbound")),
        ("iterative", Spec("iterative", "iterative")),
        ("auto", Spec("auto", "auto")),
        ("tls://dns.example", Spec("tls://dns.example", "tls", "dns.example", 853)),
        (
            "tls://bücher.example",
            Spec("tls://bücher.example", "tls", "xn--bcher-kva.example", 853),
        ),
        ("tls://DNS.example.", Spec("tls://DNS.example.", "tls", "dns.example", 853)),
        (
            "tls://[2001:0DB8:0::1]",
            Spec("tls://[2001:0DB8:0::1]", "tls", "2001:db8::1", 853),
        ),
        (
            "udp://[::ffff:192.0.2.1]",
            Spec("udp://[::ffff:192.0.2.1]", "udp", "192.0.2.1", 53),
        ),
        ("tls://192.0.2.1:8853", Spec("tls://192.0.2.1:8853", "tls", "192.0.2.1", 8853)),
        (
            "https://dns.example/dns-query",
            Spec("https://dns.example/dns-query", "https", "dns.example", 443),
        ),
        ("tcp://[2001:db8::1]", Spec("tcp://[2001:db8::1]", "tcp", "2001:db8::1", 53)),
        ("tcp://[2001:DB8::1]:54", Spec("tcp://[2001:DB8::1]:54", "tcp", "2001:db8::1", 54)),
    ],
)
def test_a_spec_is_read(text: str, expected: Spec) -> None:
    assert parse(text) == expected


def test_a_spec_is_shown_as_the_user_wrote_it() -> None:
    assert str(parse("tcp://[2001:DB8::1]:54")) == "tcp://[2001:DB8::1]:54"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "write system, unbound, iterative, udp://IP"),
        ("192.0.2.1", "write system, unbound, iterative, udp://IP"),
        ("ftp://192.0.2.1", "write system, unbound, iterative, udp://IP"),
        ("udp://", "write udp://IP or udp://IP:PORT"),
        ("udp://resolver.example", "write udp://IP or udp://IP:PORT"),
        ("udp://[2001:db8::1", "write system, unbound"),
        ("tcp://192.0.2.1:99999", "write system, unbound"),
        ("tcp://192.0.2.1:dns", "write system, unbound"),
        ("tls://", "names no host"),
        ("tls://a..b", "no host is called 'a..b'"),
        (f"tls://{'x' * 64}.example", "no host is called"),
        ("https://a..b/dns-query", "no host is called 'a..b'"),
        ("tls://dns.example\x07", "write system, unbound, iterative, udp://IP"),
        ("https://dns.example/dns\n-query", "write system, unbound, iterative, udp://IP"),
        ("tls://dns.example/path", "more than an address and a port"),
        ("udp://192.0.2.1/path", "more than an address and a port"),
        ("udp://192.0.2.1?query", "more than an address and a port"),
        ("udp://192.0.2.1#fragment", "more than an address and a port"),
        ("udp://user@192.0.2.1", "more than an address and a port"),
    ],
)
def test_what_is_no_spec_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(SpecError, match=advice):
        parse(text)


def test_a_list_keeps_its_order() -> None:
    texts = [one.text for one in parse_list("udp://192.0.2.1, system")]
    assert texts == ["udp://192.0.2.1", "system"]


def test_a_list_has_no_repetitions_and_no_empty_items() -> None:
    texts = [one.text for one in parse_list("system,,udp://192.0.2.1,system,")]
    assert texts == ["system", "udp://192.0.2.1"]


def test_another_package_may_bring_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("doq", "nowhere:nothing", GROUP)
    monkeypatch.setattr(spec.metadata, "entry_points", lambda group: [point] * (group == GROUP))
    assert parse("doq://192.0.2.1:853") == Spec("doq://192.0.2.1:853", "doq", "192.0.2.1", 853)
    assert parse("doq") == Spec("doq", "doq")


@pytest.mark.parametrize("text", ["", " , ", ","])
def test_an_empty_list_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="no resolver is named"):
        parse_list(text)


def test_one_bad_item_spoils_the_list() -> None:
    with pytest.raises(SpecError, match="'nonsense' is not a resolver"):
        parse_list("system,nonsense")
