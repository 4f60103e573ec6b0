"""Identifiers are read as a CA reads them, and asked about name by name up to the TLD."""

from __future__ import annotations

import pytest

from certbot_caa_guard import names
from certbot_caa_guard.names import Identifier, IdentifierError

# 253 octets, the most that fit (RFC 1035 section 2.3.4).
_LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


@pytest.mark.parametrize(
    ("text", "domain", "wildcard"),
    [
        pytest.param("www.example.net", "www.example.net", False, id="plain"),
        pytest.param("WWW.Example.NET", "www.example.net", False, id="upper case is folded"),
        pytest.param("example.net.", "example.net", False, id="a final dot"),
        pytest.param("example.net..", "example.net", False, id="Boulder trims all final dots"),
        pytest.param(" \texample.net\r\n", "example.net", False, id="blanks around it"),
        pytest.param("*.example.net", "example.net", True, id="wildcard"),
        pytest.param("*.Example.net.", "example.net", True, id="wildcard with a final dot"),
        pytest.param("*.net", "net", True, id="wildcard of a TLD: the CA says no, not we"),
        pytest.param("localhost", "localhost", False, id="a single label"),
        pytest.param("_acme.example.net", "_acme.example.net", False, id="underscore"),
        pytest.param("xn--bcher-kva.example", "xn--bcher-kva.example", False, id="A-label"),
        pytest.param("-a-.example", "-a-.example", False, id="hyphens at the ends"),
        pytest.param("1.example", "1.example", False, id="a label of digits"),
        pytest.param("a" * 63 + ".example", "a" * 63 + ".example", False, id="longest label"),
        pytest.param(_LONGEST, _LONGEST, False, id="longest name"),
        pytest.param(_LONGEST + ".", _LONGEST, False, id="longest name and a final dot"),
        pytest.param("*." + _LONGEST, _LONGEST, True, id="longest name and a wildcard"),
    ],
)
def test_a_name_is_read_as_an_identifier(text: str, domain: str, wildcard: bool) -> None:
    assert names.parse(text) == Identifier(domain, wildcard)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("   ", "is empty", id="blank"),
        pytest.param(".", "is empty", id="the root"),
        pytest.param("*.", "is empty", id="wildcard of the root"),
        pytest.param("*", "the label '*'", id="a lone star"),
        pytest.param("*.*.example.net", "the label '*'", id="two stars"),
        pytest.param("www.*.example.net", "the label '*'", id="a star in the middle"),
        pytest.param("*www.example.net", "the label '*www'", id="a star in a label"),
        pytest.param("*..example.net", "the label ''", id="wildcard of a leading dot"),
        pytest.param(".example.net", "the label ''", id="a leading dot"),
        pytest.param("www..example.net", "the label ''", id="an empty label"),
        pytest.param("www example.net", "the label 'www example'", id="a space inside"),
        pytest.param("www/example.net", "the label 'www/example'", id="a slash"),
        pytest.param("a\x1b[31m.example", r"the label 'a\x1b[31m'", id="a control character"),
        pytest.param("example.net\n.x", r"the label 'net\n'", id="a newline inside"),
        pytest.param("::1", "the label '::1'", id="an IPv6 address"),
        pytest.param("a" * 64 + ".example", "1 to 63", id="a label too long by one"),
        pytest.param("b" + _LONGEST, "too long", id="a name too long by one"),
        pytest.param("bücher.example", "xn--", id="a U-label"),
        pytest.param("\u212a.example", "xn--", id="the Kelvin sign, which folds to k"),
        pytest.param("example。net", "xn--", id="an ideographic full stop"),
    ],
)
def test_what_no_ca_would_take_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(IdentifierError) as raised:
        names.parse(text)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 1_000_000, id="a huge label"),
        pytest.param("." * 1_000_000, id="a million dots"),
        pytest.param("é" * 1_000_000, id="a million letters outside ASCII"),
        pytest.param("a b" + " " * 1_000_000, id="a bad label and a million blanks"),
        pytest.param("\x1b" * 1_000_000, id="a million control characters"),
    ],
)
def test_the_reason_does_not_repeat_a_huge_text(text: str) -> None:
    with pytest.raises(IdentifierError) as raised:
        names.parse(text)
    assert len(str(raised.value)) < 400


def test_the_reason_holds_no_control_characters() -> None:
    with pytest.raises(IdentifierError) as raised:
        names.parse("a\x1b]0;title\x07.example\u202e")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("text", ["www.example.net", "*.example.net"])
def test_an_identifier_is_written_as_it_is_ordered(text: str) -> None:
    assert str(names.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        pytest.param(
            "a.b.example.com", ("a.b.example.com", "b.example.com", "example.com", "com"), id="four"
        ),
        pytest.param("*.example.com", ("example.com", "com"), id="a wildcard's base"),
        pytest.param("example.co.uk", ("example.co.uk", "co.uk", "uk"), id="no public suffix list"),
        pytest.param("com", ("com",), id="a TLD, and not the root"),
    ],
)
def test_the_owners_go_from_the_name_to_the_tld(text: str, owners: tuple[str, ...]) -> None:
    assert names.parse(text).owners == owners


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("192.0.2.1", True, id="IPv4"),
        pytest.param("2001:db8::1", True, id="IPv6"),
        pytest.param(" 192.0.2.1\n", True, id="blanks around it"),
        pytest.param("fe80::1%eth0", False, id="with a zone"),
        pytest.param("fe80::1%\x1b]0;title\x07", False, id="with a zone that is any text"),
        pytest.param("192.0.2", False, id="three octets"),
        pytest.param("192.0.2.256", False, id="an octet too large"),
        pytest.param("192.0.2.1.example", False, id="a name of digits"),
        pytest.param("example.net", False, id="a name"),
        pytest.param("", False, id="empty"),
    ],
)
def test_ip_identifiers_are_told_from_names(text: str, expected: bool) -> None:
    assert names.is_ip_address(text) is expected


@pytest.mark.parametrize(
    ("owner", "ancestor", "expected"),
    [
        pytest.param("example.net", "example.net", True, id="itself"),
        pytest.param("a.b.example.net", "example.net", True, id="two labels below"),
        pytest.param("example.net", "www.example.net", False, id="above"),
        pytest.param("badexample.net", "example.net", False, id="same ending, other label"),
        pytest.param("example.org", "example.net", False, id="elsewhere"),
    ],
)
def test_below_means_by_whole_labels(owner: str, ancestor: str, expected: bool) -> None:
    assert names.is_at_or_below(owner, ancestor) is expected
