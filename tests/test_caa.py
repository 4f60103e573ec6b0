"""CAA records are read, and held against a requester, as Boulder does it."""

from __future__ import annotations

import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.caa import (
    IssueValue,
    Judgement,
    MalformedRdataError,
    MalformedValueError,
    Reason,
    Record,
    Requester,
)

_ACCOUNT = "https://letsencrypt.org/acct/reg/123"
_OTHER_ACCOUNT = "https://letsencrypt.org/acct/reg/321"
_LETS_ENCRYPT = Requester(frozenset({"letsencrypt.org"}), _ACCOUNT, frozenset({"http-01"}))

# A record as these tables write it: flags, tag, value.
Row = tuple[int, str, str]


def _records(*rows: Row) -> list[Record]:
    return [Record(flags, tag.encode(), value.encode()) for flags, tag, value in rows]


def _issue(*values: str) -> list[Row]:
    return [(0, "issue", value) for value in values]


def _judge(rows: list[Row], *, wildcard: bool = False, requester: Requester = _LETS_ENCRYPT) -> str:
    """The reason's name, which tells more than whether issuance is permitted."""
    return caa.judge(_records(*rows), wildcard=wildcard, requester=requester).reason.name


# RDATA


@pytest.mark.parametrize(
    ("rdata", "record"),
    [
        pytest.param(b"\x00\x05issueca.example", (0, b"issue", b"ca.example"), id="usual"),
        pytest.param(b"\x80\x03tbsx", (128, b"tbs", b"x"), id="flags"),
        pytest.param(b"\x00\x05ISSUE;", (0, b"ISSUE", b";"), id="the tag's case is kept"),
        pytest.param(b"\x00\x05issue", (0, b"issue", b""), id="the tag ends the RDATA: no value"),
        pytest.param(b"\x00\x01\xffa\x00\xff", (0, b"\xff", b"a\x00\xff"), id="any octets"),
        pytest.param(b"\x00\x00value", (0, b"", b"value"), id="an empty tag is read"),
        pytest.param(b"\x80\x00", (128, b"", b""), id="an empty tag and no value"),
        pytest.param(b"\x80", (128, b"", b""), id="flags only"),
        pytest.param(b"", (0, b"", b""), id="no RDATA"),
    ],
)
def test_rdata_is_read_as_flags_tag_and_value(
    rdata: bytes, record: tuple[int, bytes, bytes]
) -> None:
    assert caa.parse_rdata(rdata) == Record(*record)


@pytest.mark.parametrize(
    "rdata",
    [
        pytest.param(b"\x00\x06issue", id="longer by one"),
        pytest.param(b"\x00\xffissueca.example", id="longer by far"),
        pytest.param(b"\x00\x01", id="nothing after the length"),
    ],
)
def test_a_tag_longer_than_its_rdata_is_malformed(rdata: bytes) -> None:
    with pytest.raises(MalformedRdataError):
        caa.parse_rdata(rdata)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        pytest.param(Record(0, b"issue", b"ca.example"), '0 issue "ca.example"', id="usual"),
        pytest.param(Record(128, b"TBS", b""), '128 TBS ""', id="an empty value"),
        pytest.param(Record(0, b"issue", b'a"b\\c'), r'0 issue "a\"b\\c"', id="quotes"),
        pytest.param(Record(0, b"issue", b"\x1f[2J\x7f"), r'0 issue "\031[2J\127"', id="control"),
        pytest.param(Record(0, b"i\x00\xff", b" ~"), r'0 i\000\255 " ~"', id="the ends of ASCII"),
    ],
)
def test_a_record_is_shown_as_in_a_zone_file_in_printable_ascii(record: Record, text: str) -> None:
    assert str(record) == text
    assert str(record).isascii()
    assert str(record).isprintable()


# Values of issue and issuewild


@pytest.mark.parametrize(
    ("value", "issuer", "parameters"),
    [
        pytest.param(b"ca.example", b"ca.example", [], id="issuer only"),
        pytest.param(b"", b"", [], id="empty"),
        pytest.param(b";", b"", [], id="a semicolon"),
        pytest.param(b" \t;\t ", b"", [], id="a semicolon between blanks"),
        pytest.param(b"ca.example;", b"ca.example", [], id="issuer and semicolon"),
        pytest.param(b"ca.example;  \t", b"ca.example", [], id="issuer, semicolon and blanks"),
        pytest.param(b"  ca.example\t", b"ca.example", [], id="blanks around the issuer"),
        pytest.param(b"\nca.example", b"\nca.example", [], id="a newline is no blank"),
        pytest.param(b"Ca.Example.", b"Ca.Example.", [], id="case and final dot are kept"),
        pytest.param(b"%%%%%", b"%%%%%", [], id="the issuer is not checked"),
        pytest.param(b"ca example", b"ca example", [], id="nor for blanks inside"),
        pytest.param(b"\xc3\xa9.example", b"\xc3\xa9.example", [], id="nor for ASCII"),
        pytest.param(b"a;b=c", b"a", [(b"b", b"c")], id="one parameter"),
        pytest.param(b"a ; b = c ; d\t=\te ", b"a", [(b"b", b"c"), (b"d", b"e")], id="blanks"),
        pytest.param(b";b=c", b"", [(b"b", b"c")], id="a parameter of no issuer"),
        pytest.param(b"a;b=", b"a", [(b"b", b"")], id="an empty parameter value"),
        pytest.param(b"a;=c", b"a", [(b"", b"c")], id="an empty parameter tag"),
        pytest.param(b"a;b=c=d", b"a", [(b"b", b"c=d")], id="the first equals sign splits"),
        pytest.param(b"a;b=c;b=c", b"a", [(b"b", b"c"), (b"b", b"c")], id="twice the same"),
        pytest.param(b"a;B0=c", b"a", [(b"B0", b"c")], id="tags keep their case"),
        pytest.param(b"a;b=!\x3a<~", b"a", [(b"b", b"!:<~")], id="the ends of the value's range"),
    ],
)
def test_a_value_is_an_issuer_and_parameters(
    value: bytes, issuer: bytes, parameters: list[tuple[bytes, bytes]]
) -> None:
    assert caa.parse_issue_value(value) == IssueValue(issuer, tuple(parameters))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"ca.example;;", id="two semicolons"),
        pytest.param(b";;", id="nothing but two semicolons"),
        pytest.param(b"ca.example; a=b;", id="a semicolon after the parameters"),
        pytest.param(b"ca.example; ; a=b", id="a blank parameter before another"),
        pytest.param(b"ca.example; a", id="no equals sign"),
        pytest.param(b"ca.example; a;b", id="no equals sign, twice"),
        pytest.param(b"ca.example; a=b; c", id="no equals sign in the last"),
        pytest.param(b"ca.example; a-b=c", id="a hyphen in the tag, which the RFC allows"),
        pytest.param(b"ca.example; a_b=123", id="an underscore in the tag"),
        pytest.param(b"ca.example; a b=c", id="a space in the tag"),
        pytest.param(b"ca.example; \xc3\xa9=c", id="a tag outside ASCII"),
        pytest.param(b"ca.example; a\n=c", id="a newline after the tag"),
        pytest.param(b"ca.example; ab=1 2 3", id="spaces in the value"),
        pytest.param(b"ca.example; a=b\tc", id="a tab in the value"),
        pytest.param(b"ca.example; a=\xef\xb8\x8f", id="a value outside ASCII"),
        pytest.param(b"ca.example; a=b\n", id="a newline after the value"),
        pytest.param(b"ca.example; a=\x00", id="a NUL"),
        pytest.param(b"ca.example; a=\x7f", id="a DEL"),
    ],
)
def test_a_parameter_that_breaks_the_grammar_breaks_the_value(value: bytes) -> None:
    with pytest.raises(MalformedValueError):
        caa.parse_issue_value(value)


def test_all_of_gives_the_values_of_one_tag_in_order() -> None:
    value = IssueValue(b"a", ((b"x", b"2"), (b"y", b"3"), (b"X", b"4"), (b"x", b"1")))
    assert value.all_of(b"x") == [b"2", b"1"]


# The judgement: which records count


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([(128, "tbs", "x")], "CRITICAL", id="the flag of RFC 8659"),
        pytest.param([(1, "tbs", "x")], "CRITICAL", id="the flag that early software set"),
        pytest.param([(9, "tbs", "x")], "CRITICAL", id="with a reserved flag"),
        pytest.param([(255, "tbs", "x")], "CRITICAL", id="all flags"),
        pytest.param([(129, "", "x")], "CRITICAL", id="nobody knows an empty tag"),
        pytest.param([(128, "contactemail", "a@b")], "CRITICAL", id="contactemail"),
        pytest.param([(128, "issue ", ";")], "CRITICAL", id="a tag with a blank is another tag"),
        pytest.param(
            [(128, "tbs", "x"), *_issue("letsencrypt.org")], "CRITICAL", id="before a permission"
        ),
        pytest.param(
            [*_issue("letsencrypt.org"), (128, "tbs", "x")], "CRITICAL", id="after a permission"
        ),
        pytest.param([(0, "tbs", "x")], "NO_RESTRICTION", id="no flag"),
        pytest.param([(0x7E, "tbs", "x")], "NO_RESTRICTION", id="reserved flags only"),
        pytest.param([(2, "tbs", "x")], "NO_RESTRICTION", id="one reserved flag"),
        pytest.param([(0, "", "")], "NO_RESTRICTION", id="an empty tag without a flag"),
        pytest.param([(128, "iodef", "x")], "NO_RESTRICTION", id="iodef is known"),
        pytest.param([(128, "IODEF", "x")], "NO_RESTRICTION", id="iodef in capitals"),
        pytest.param([(128, "issuemail", "x")], "NO_RESTRICTION", id="issuemail is known"),
        pytest.param([(1, "issuevmc", "x")], "NO_RESTRICTION", id="issuevmc is known"),
    ],
)
@pytest.mark.parametrize("wildcard", [False, True], ids=["name", "wildcard"])
def test_an_unknown_property_forbids_issuance_when_it_is_critical(
    rows: list[Row], reason: str, wildcard: bool
) -> None:
    assert _judge(rows, wildcard=wildcard) == reason


@pytest.mark.parametrize(
    ("rows", "reason", "wildcard_reason"),
    [
        pytest.param(_issue("letsencrypt.org"), "NAMED", "NAMED", id="issue covers wildcards"),
        pytest.param(_issue("ca.test"), "ISSUER", "ISSUER", id="and refuses them"),
        pytest.param(_issue(";"), "ISSUER", "ISSUER", id="nobody"),
        pytest.param(
            [(0, "issuewild", ";")], "NO_RESTRICTION", "ISSUER", id="issuewild, for wildcards only"
        ),
        pytest.param(
            [(0, "issuewild", "letsencrypt.org")], "NO_RESTRICTION", "NAMED", id="issuewild alone"
        ),
        pytest.param(
            [*_issue("letsencrypt.org"), (0, "issuewild", "ca.test")],
            "NAMED",
            "ISSUER",
            id="issuewild takes the place of issue and refuses",
        ),
        pytest.param(
            [(0, "issuewild", "letsencrypt.org"), *_issue("ca.test")],
            "ISSUER",
            "NAMED",
            id="issuewild takes the place of issue and permits",
        ),
        pytest.param(
            [(0, "issuewild", "ca.test"), (0, "issuewild", "letsencrypt.org")],
            "NO_RESTRICTION",
            "NAMED",
            id="either issuewild permits",
        ),
        pytest.param(
            [*_issue("letsencrypt.org"), (0, "issuewild", "a;b")],
            "NAMED",
            "MALFORMED",
            id="a malformed issuewild still takes the place of issue",
        ),
        pytest.param(
            [(0, "iodef", "mailto:a@example.net")],
            "NO_RESTRICTION",
            "NO_RESTRICTION",
            id="iodef only",
        ),
        pytest.param(
            [(0, "iodef", "mailto:a@example.net"), *_issue("ca.test")],
            "ISSUER",
            "ISSUER",
            id="iodef beside a refusal",
        ),
        pytest.param([(0, "ISSUE", "ca.test")], "ISSUER", "ISSUER", id="ISSUE"),
        pytest.param([(0, "IsSuE", "letsencrypt.org")], "NAMED", "NAMED", id="IsSuE"),
        pytest.param([(0, "IssueWild", "ca.test")], "NO_RESTRICTION", "ISSUER", id="IssueWild"),
        pytest.param([(1, "issue", "letsencrypt.org")], "NAMED", "NAMED", id="flag 1 on issue"),
        pytest.param([(128, "issue", "ca.test")], "ISSUER", "ISSUER", id="flag 128 on issue"),
        pytest.param(
            [(1, "issue", "ca.test"), (1, "issue", "letsencrypt.org")],
            "NAMED",
            "NAMED",
            id="two issue records with flag 1",
        ),
    ],
)
def test_issuewild_is_for_wildcards_and_issue_for_all(
    rows: list[Row], reason: str, wildcard_reason: str
) -> None:
    assert (_judge(rows), _judge(rows, wildcard=True)) == (reason, wildcard_reason)


# The judgement: what a record says


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("letsencrypt.org", "NAMED", id="the issuer"),
        pytest.param("\t letsencrypt.org  ", "NAMED", id="blanks around it"),
        pytest.param("letsencrypt.org;", "NAMED", id="a semicolon"),
        pytest.param("letsencrypt.org;   ", "NAMED", id="a semicolon and blanks"),
        pytest.param("  letsencrypt.org ;foo=bar;baz=bar", "NAMED", id="unknown parameters"),
        pytest.param("LetsEncrypt.org", "ISSUER", id="case counts"),
        pytest.param("letsencrypt.org.", "ISSUER", id="a final dot counts"),
        pytest.param("letsencrypt.orgs", "ISSUER", id="longer by a letter"),
        pytest.param("xletsencrypt.org", "ISSUER", id="another one that ends alike"),
        pytest.param("sub.letsencrypt.org", "ISSUER", id="below the issuer"),
        pytest.param("letsencrypt.org ca.test", "ISSUER", id="two in one"),
        pytest.param("", "ISSUER", id="empty: nobody"),
        pytest.param(" ; ", "ISSUER", id="a semicolon between blanks: nobody"),
        pytest.param("; foo=bar", "ISSUER", id="nobody, with a parameter"),
        pytest.param("letsencrypt.org; a_b=123", "MALFORMED", id="an underscore in a tag"),
        pytest.param("letsencrypt.org; a-b=c", "MALFORMED", id="a hyphen in a tag"),
        pytest.param("letsencrypt.org; ab=1 2 3", "MALFORMED", id="spaces in a value"),
        pytest.param("letsencrypt.org; a;b", "MALFORMED", id="no equals sign"),
        pytest.param("letsencrypt.org; a=b;", "MALFORMED", id="a trailing semicolon"),
        pytest.param("letsencrypt.org;;", "MALFORMED", id="two semicolons"),
        pytest.param("letsencrypt.org; a=é", "MALFORMED", id="a value outside ASCII"),
    ],
)
def test_the_issuer_is_compared_octet_for_octet(value: str, reason: str) -> None:
    assert _judge(_issue(value)) == reason


_LE = "letsencrypt.org; accounturi="


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(_LE + _ACCOUNT, "NAMED", id="this account"),
        pytest.param(_LE + _OTHER_ACCOUNT, "ACCOUNT", id="another account"),
        pytest.param(_LE + _ACCOUNT + "4", "ACCOUNT", id="an account that starts alike"),
        pytest.param(_LE + _ACCOUNT.upper(), "ACCOUNT", id="case counts"),
        pytest.param(_LE, "ACCOUNT", id="an empty value"),
        pytest.param(_LE + "invalid", "ACCOUNT", id="not a URI"),
        pytest.param(
            f"{_LE}{_ACCOUNT}; accounturi={_ACCOUNT}", "ACCOUNT", id="twice the same in one record"
        ),
        pytest.param(
            f"{_LE}{_ACCOUNT}; accounturi={_OTHER_ACCOUNT}", "ACCOUNT", id="two in one record"
        ),
        pytest.param(
            f"letsencrypt.org; AccountURI={_OTHER_ACCOUNT}",
            "NAMED",
            id="another case of the tag is an unknown parameter",
        ),
    ],
)
def test_accounturi_must_be_this_account_and_stand_once(value: str, reason: str) -> None:
    assert _judge(_issue(value)) == reason


@pytest.mark.parametrize("value", [_LE + _ACCOUNT, _LE], ids=["an account", "an empty value"])
def test_where_the_account_is_not_known_no_accounturi_matches(value: str) -> None:
    stranger = Requester(frozenset({"letsencrypt.org"}), None, frozenset({"http-01"}))
    assert _judge(_issue(value), requester=stranger) == "ACCOUNT"


def test_where_the_account_is_not_known_records_without_accounturi_match() -> None:
    stranger = Requester(frozenset({"letsencrypt.org"}), None, frozenset({"http-01"}))
    assert _judge(_issue("letsencrypt.org"), requester=stranger) == "NAMED"


_METHODS = "letsencrypt.org; validationmethods="


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(_METHODS + "http-01", "NAMED", id="this method"),
        pytest.param(_METHODS + "http-01,dns-01", "NAMED", id="first of two"),
        pytest.param(_METHODS + "dns-01,http-01", "NAMED", id="second of two"),
        pytest.param(_METHODS + "ca-own,unknown,http-01", "NAMED", id="unknown ones are skipped"),
        pytest.param(_METHODS + "http-01,,", "NAMED", id="a match before what is malformed"),
        pytest.param(_METHODS + "dns-01", "METHOD", id="another method"),
        pytest.param(_METHODS + "unknown", "METHOD", id="unknown only"),
        pytest.param(_METHODS + "HTTP-01", "METHOD", id="case counts"),
        pytest.param(_METHODS + "http-0", "METHOD", id="shorter by a letter"),
        pytest.param(_METHODS, "METHOD", id="empty"),
        pytest.param(_METHODS + ",", "METHOD", id="a comma"),
        pytest.param(_METHODS + ",http-01", "METHOD", id="an empty label before the match"),
        pytest.param(_METHODS + "dns_01,http-01", "METHOD", id="a malformed one before the match"),
        pytest.param(_METHODS + "dns-01, http-01", "MALFORMED", id="a space after the comma"),
        pytest.param(_METHODS + "howdy !", "MALFORMED", id="a space in the label"),
        pytest.param(
            f"{_METHODS}http-01; validationmethods=http-01", "METHOD", id="twice in one record"
        ),
        pytest.param(
            "letsencrypt.org; ValidationMethods=dns-01",
            "NAMED",
            id="another case of the tag is an unknown parameter",
        ),
    ],
)
def test_validationmethods_must_list_this_method_and_stand_once(value: str, reason: str) -> None:
    assert _judge(_issue(value)) == reason


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        pytest.param({"dns-01", "http-01"}, "NAMED", id="one of two is allowed"),
        pytest.param({"tls-alpn-01"}, "METHOD", id="none is allowed"),
        pytest.param(set(), "METHOD", id="there is none"),
    ],
)
def test_any_method_that_may_be_used_will_do(methods: set[str], reason: str) -> None:
    requester = Requester(frozenset({"letsencrypt.org"}), _ACCOUNT, frozenset(methods))
    assert _judge(_issue(_METHODS + "dns-01"), requester=requester) == reason


@pytest.mark.parametrize(
    ("account", "method", "reason"),
    [
        pytest.param(_ACCOUNT, "http-01", "NAMED", id="both match"),
        pytest.param(_ACCOUNT, "dns-01", "METHOD", id="the method does not"),
        pytest.param(_OTHER_ACCOUNT, "http-01", "ACCOUNT", id="the account does not"),
        pytest.param(_OTHER_ACCOUNT, "dns-01", "ACCOUNT", id="neither does: the account is said"),
    ],
)
def test_account_and_method_must_both_match(account: str, method: str, reason: str) -> None:
    assert _judge(_issue(f"{_LE}{account}; validationmethods={method}")) == reason


@pytest.mark.parametrize("issuer", ["letsencrypt.org", "ca.test"])
def test_any_of_the_cas_issuer_domain_names_permits(issuer: str) -> None:
    requester = Requester(frozenset({"letsencrypt.org", "ca.test"}), None, frozenset({"http-01"}))
    assert _judge(_issue(issuer), requester=requester) == "NAMED"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([_LE + _OTHER_ACCOUNT, _LE + _ACCOUNT], "NAMED", id="the second permits"),
        pytest.param([_METHODS + "http-01", _METHODS + "dns-01"], "NAMED", id="the first permits"),
        pytest.param(
            ["letsencrypt.org;;", "letsencrypt.org"], "NAMED", id="one malformed, one not"
        ),
        pytest.param([";", "letsencrypt.org"], "NAMED", id="nobody and somebody are additive"),
        pytest.param(
            ["a;b", "ca.test", _LE, _METHODS], "METHOD", id="for want of a method, of all four"
        ),
        pytest.param(["a;b", _LE, "ca.test"], "ACCOUNT", id="for want of an account, of three"),
        pytest.param(["ca.test", "a;b"], "ISSUER", id="for want of the issuer, of two"),
        pytest.param(["a;b", ";;"], "MALFORMED", id="malformed, all of them"),
    ],
)
def test_one_record_that_matches_permits_and_else_the_nearest_reason_is_said(
    values: list[str], reason: str
) -> None:
    assert _judge(_issue(*values)) == reason


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_two_reasons_permit_and_the_others_forbid(reason: Reason) -> None:
    expected = reason in {Reason.NO_RESTRICTION, Reason.NAMED}
    assert Judgement(reason).permitted is expected


def test_every_method_of_acme_meets_a_record_that_allows_it() -> None:
    """Where the method is not known, any that could be used will do."""
    requester = Requester(frozenset({"letsencrypt.org"}), _ACCOUNT, caa.ACME_METHODS)
    methods = ["http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"]
    reasons = [_judge(_issue(_METHODS + method), requester=requester) for method in methods]
    assert reasons == ["NAMED"] * 5
    assert _judge(_issue(_METHODS + "ca-own"), requester=requester) == "METHOD"


def test_a_generator_of_records_is_judged() -> None:
    records = (record for record in _records(*_issue("ca.test")))
    judgement = caa.judge(records, wildcard=False, requester=_LETS_ENCRYPT)
    assert judgement == Judgement(Reason.ISSUER)


# Where Boulder and the letter of the RFCs differ

_STRICT = Requester(
    frozenset({"letsencrypt.org"}), _ACCOUNT, frozenset({"http-01"}), rules=caa.STRICT
)


@pytest.mark.parametrize(
    ("rows", "boulder", "strict"),
    [
        pytest.param([(1, "tbs", "x")], "CRITICAL", "NO_RESTRICTION", id="the lowest flag"),
        pytest.param([(128, "tbs", "x")], "CRITICAL", "CRITICAL", id="the highest flag"),
        pytest.param([(127, "tbs", "x")], "CRITICAL", "NO_RESTRICTION", id="all but the highest"),
        pytest.param([(128, "iodef", "x")], "NO_RESTRICTION", "NO_RESTRICTION", id="iodef"),
        pytest.param(
            [(128, "issuemail", "x")], "NO_RESTRICTION", "NO_RESTRICTION", id="issuemail (RFC 9495)"
        ),
        pytest.param([(128, "issuevmc", "x")], "NO_RESTRICTION", "CRITICAL", id="issuevmc"),
        pytest.param(_issue("letsencrypt.org"), "NAMED", "NAMED", id="the issuer"),
        pytest.param(_issue("LetsEncrypt.ORG"), "ISSUER", "NAMED", id="the issuer in capitals"),
        pytest.param(_issue("ca.test"), "ISSUER", "ISSUER", id="another issuer"),
        pytest.param(_issue(""), "ISSUER", "ISSUER", id="no issuer"),
        pytest.param(_issue(";"), "ISSUER", "ISSUER", id="no issuer, but a semicolon"),
        pytest.param(_issue("ca--1.a-b.test"), "ISSUER", "ISSUER", id="hyphens inside labels"),
        pytest.param(_issue("%%%%%"), "ISSUER", "MALFORMED", id="no domain name"),
        pytest.param(_issue("letsencrypt.org."), "ISSUER", "MALFORMED", id="a final dot"),
        pytest.param(_issue("-ca.test"), "ISSUER", "MALFORMED", id="a hyphen first"),
        pytest.param(_issue("ca-.test"), "ISSUER", "MALFORMED", id="a hyphen last"),
        pytest.param(_issue("c_a.test"), "ISSUER", "MALFORMED", id="an underscore"),
        pytest.param(_issue("letsencrypt.org; a-b=c"), "MALFORMED", "NAMED", id="a tag's hyphen"),
        pytest.param(
            _issue("letsencrypt.org; -a=c"), "MALFORMED", "MALFORMED", id="a tag's first hyphen"
        ),
        pytest.param(
            _issue("letsencrypt.org; a_b=c"), "MALFORMED", "MALFORMED", id="a tag's underscore"
        ),
        pytest.param(_issue("letsencrypt.org; =c"), "NAMED", "MALFORMED", id="an empty tag"),
        pytest.param(
            _issue("letsencrypt.org; a=b;"), "MALFORMED", "MALFORMED", id="a trailing semicolon"
        ),
        pytest.param(
            _issue(_METHODS + "http-01,dns-01"), "NAMED", "NAMED", id="a list without a fault"
        ),
        pytest.param(
            _issue(_METHODS + "http-01,"), "NAMED", "METHOD", id="a list with a fault after a match"
        ),
        pytest.param(
            _issue(_METHODS + ",http-01"), "METHOD", "METHOD", id="a list with a fault before it"
        ),
    ],
)
def test_the_letter_of_the_rfcs_may_be_held_against_a_set(
    rows: list[Row], boulder: str, strict: str
) -> None:
    assert (_judge(rows), _judge(rows, requester=_STRICT)) == (boulder, strict)


def test_to_the_letter_the_case_of_the_cas_own_name_does_not_count_either() -> None:
    shouting = Requester(frozenset({"CA.Test"}), None, frozenset({"dns-01"}), rules=caa.STRICT)
    assert _judge(_issue("ca.test"), requester=shouting) == "NAMED"


# The examples of RFC 8659 section 4 and RFC 8657 section 3, for two CAs

_CERTS = _issue("ca1.example.net", "ca2.example.org")
_WILD = [(0, "issue", "ca1.example.net"), (0, "issuewild", "ca2.example.org")]
_WILD3 = [(0, "issuewild", "ca2.example.org"), (0, "issue", ";")]
_NEW = [(0, "issue", "ca1.example.net"), (128, "tbs", "Unknown")]
_REPORT = [
    (0, "issue", "ca1.example.net"),
    (0, "iodef", "mailto:security@example.com"),
    (0, "iodef", "https://iodef.example.com/"),
]
_RFC_ACCOUNT = "https://example.com/acct/123"


@pytest.mark.parametrize(
    ("rows", "wildcard", "permitted"),
    [
        pytest.param(_CERTS, False, ["ca1.example.net", "ca2.example.org"], id="certs"),
        pytest.param(_issue(";"), False, [], id="nocerts"),
        pytest.param(_issue("%%%%%"), False, [], id="malformed"),
        pytest.param(
            _issue("ca1.example.net; account=230123"), False, ["ca1.example.net"], id="account"
        ),
        pytest.param(_WILD, False, ["ca1.example.net"], id="wild: names by issue"),
        pytest.param(_WILD, True, ["ca2.example.org"], id="wild: wildcards by issuewild"),
        pytest.param(_issue("ca1.example.net"), True, ["ca1.example.net"], id="wild2"),
        pytest.param(_WILD3, False, [], id="wild3: no names"),
        pytest.param(_WILD3, True, ["ca2.example.org"], id="wild3: wildcards only"),
        pytest.param(_NEW, False, [], id="new: a critical property"),
        pytest.param(_REPORT, False, ["ca1.example.net"], id="report"),
        pytest.param(
            _issue(f"ca1.example.net; accounturi={_RFC_ACCOUNT}"),
            False,
            ["ca1.example.net"],
            id="RFC 8657: the account",
        ),
        pytest.param(
            _issue("ca1.example.net; accounturi=https://example.com/acct/321"),
            False,
            [],
            id="RFC 8657: another account",
        ),
        pytest.param(
            _issue("ca1.example.net; validationmethods=dns-01,xyz-01"),
            False,
            ["ca1.example.net"],
            id="RFC 8657: the method",
        ),
        pytest.param(
            _issue(
                f"ca1.example.net; accounturi={_RFC_ACCOUNT}; validationmethods=http-01",
                "ca2.example.org; validationmethods=dns-01",
            ),
            False,
            ["ca2.example.org"],
            id="RFC 8657: each record by itself",
        ),
    ],
)
def test_the_rfcs_examples_permit_whom_they_say(
    rows: list[Row], wildcard: bool, permitted: list[str]
) -> None:
    def permits(issuer: str) -> bool:
        requester = Requester(frozenset({issuer}), _RFC_ACCOUNT, frozenset({"dns-01"}))
        records = _records(*rows)
        return caa.judge(records, wildcard=wildcard, requester=requester).permitted

    assert [ca for ca in ("ca1.example.net", "ca2.example.org") if permits(ca)] == permitted


# Who may issue


@pytest.mark.parametrize(
    ("rows", "issuers", "wildcard_issuers"),
    [
        pytest.param([], (), (), id="no records"),
        pytest.param(_CERTS, ("ca1.example.net", "ca2.example.org"), None, id="in their order"),
        pytest.param(_WILD, ("ca1.example.net",), ("ca2.example.org",), id="issuewild"),
        pytest.param(
            [(0, "ISSUE", "a.test"), (0, "IssueWild", "b.test")],
            ("a.test",),
            ("b.test",),
            id="tags in any case",
        ),
        pytest.param(_issue("a.test", "b.test", "a.test"), ("a.test", "b.test"), None, id="once"),
        pytest.param(_issue(";", ""), (), None, id="nobody"),
        pytest.param(_issue("a.test; b", "c.test"), ("c.test",), None, id="malformed ones do not"),
        pytest.param(
            [(0, "issuewild", ";"), *_issue("a.test")], ("a.test",), (), id="no wildcards"
        ),
        pytest.param(_issue("a\x1b.test"), (r"a\027.test",), None, id="in printable ASCII"),
        pytest.param([(0, "iodef", "mailto:a@b")], (), None, id="iodef names nobody"),
    ],
)
def test_the_issuers_are_those_that_the_set_names(
    rows: list[Row], issuers: tuple[str, ...], wildcard_issuers: tuple[str, ...] | None
) -> None:
    """None stands for the same as without a wildcard."""
    expected = (issuers, issuers if wildcard_issuers is None else wildcard_issuers)
    records = _records(*rows)
    assert (
        caa.named_issuers(records, wildcard=False),
        caa.named_issuers(records, wildcard=True),
    ) == expected


def test_the_issuers_in_a_generator_of_records_are_found() -> None:
    records = (record for record in _records(*_issue("ca.test")))
    assert caa.named_issuers(records, wildcard=False) == ("ca.test",)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("https://ca.example/acct/1?a=b", True),
        ("", True),
        ("https://ca.example/1;x=y", False),
        ("https://ca.example/a b", False),
        ("https://ca.example/\N{LATIN SMALL LETTER E WITH ACUTE}", False),
        ("https://ca.example/\udcff", False),
    ],
)
def test_what_can_stand_in_a_parameter(text: str, fits: bool) -> None:
    assert caa.is_parameter_value(text) is fits
