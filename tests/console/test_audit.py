"""``audit``: what it prints, and how it ends."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from certbot_caa_guard import checking
from certbot_caa_guard.console import audit
from certbot_caa_guard.console.explaining import reasons
from certbot_caa_guard.console.main import main
from tests.internet import Internet, refused, servfail

LONG_ACCOUNT = "https://ca.example/acct/" + "7" * 400

LINES = {
    # By IPv6 only, and there is none here.
    "net": ["far NS ns.far.net.", "ns.far AAAA 2001:500:2::c"],
    "shop.net": '@ CAA 0 issue "letsencrypt.org"',
    "plain.net": "",
    "denied.net": '@ CAA 0 issue "other-ca.example"',
    "long.net": f'@ CAA 0 issue "other-ca.example; accounturi={LONG_ACCOUNT}"',
    "refused.net": "",
    "bad.org": "",
}


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("internet")
    with Internet(directory, LINES) as internet:
        internet.servers.script(refused, below="refused.net", qtype="CAA")
        internet.tlds.script(servfail, owner="org", qtype="CAA")
        yield str(internet.hints(directory / "named.root"))


def run(hints: str, *arguments: str) -> int:
    return main(["audit", "--root-hints", hints, *arguments])


def test_a_name_without_fault_is_all_well(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "shop.net") == 0
    assert "2 servers of 2 zones asked" in capsys.readouterr().out


def test_lines_stay_and_no_control_character_is_printed() -> None:
    assert audit._printable_lines("one\x1b[2J\ntwo\u2028\r") == "one\\x1b[2J\ntwo\\u2028\\r"


def test_a_fault_is_something_to_mend(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "www.refused.net") == 1
    out = capsys.readouterr().out
    assert "fails: InvalidRcode: an error in answer to CAA questions (www.refused.net)" in out
    assert "ns.refused.net (127." in out
    assert "as-the-ca" in out
    assert "REFUSED" in out
    assert "does not mend" in out


def test_a_denial_is_something_to_mend(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "denied.net") == 1
    out = capsys.readouterr().out
    assert "allow other-ca.example" in out
    assert '+ denied.net. CAA 0 issue "letsencrypt.org"' in out


def test_a_record_that_ends_the_climb_is_told(
    hints: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hints, "www.bad.org") == 1
    out = capsys.readouterr().out
    assert "ends the climb" in out
    assert 'www.bad.org. CAA 0 issue "letsencrypt.org"' in out


def test_a_record_may_name_account_and_method(
    hints: str, capsys: pytest.CaptureFixture[str]
) -> None:
    account = "https://ca.example/acct/1"
    status = run(
        hints, "plain.net", "--restrict", "--account-uri", account, "--validation-method", "dns-01"
    )
    assert status == 0
    assert f"; accounturi={account}; validationmethods=dns-01" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["plain.net"], "--restrict needs to know what to allow plain.net", id="alone"),
        pytest.param(
            ["-f", "{names}", "--issuer", "ca.example"],
            "--restrict needs to know what to allow b.net",
            id="for one name of several",
        ),
        pytest.param(
            ["plain.net", "--account-uri", "https://ca.example/1;x=y"],
            "no CAA record can name the account 'https://ca.example/1;x=y'",
            id="an account that would break the record",
        ),
    ],
)
def test_a_record_that_would_not_restrict_is_not_written_on_the_wish_to_restrict(
    hints: str,
    arguments: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tmp_path / "names"
    names.write_text('{"identifier": "a.net", "validation_method": "dns-01"}\nb.net\n')
    assert run(hints, "--restrict", *(one.format(names=names) for one in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_a_server_without_an_account_of_certbots_does_not_restrict(
    hints: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        audit.authority,
        "_directory",
        lambda _server: audit.authority._Directory(("ca.example",), 0),
    )
    asking = ["--server", "https://ca.example/dir", "--config-dir", str(tmp_path)]
    assert run(hints, "--restrict", *asking, "plain.net") == 2
    assert "--account-uri" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "record"),
    [
        pytest.param(
            ["long.net"],
            f'long.net. CAA 0 issue "other-ca.example; accounturi={LONG_ACCOUNT}"',
            id="of another CA, that stays",
        ),
        pytest.param(
            ["plain.net", "--restrict", "--account-uri", LONG_ACCOUNT],
            f'plain.net. CAA 0 issue "letsencrypt.org; accounturi={LONG_ACCOUNT}"',
            id="of this CA",
        ),
    ],
)
def test_a_record_to_be_published_is_whole(
    hints: str, arguments: list[str], record: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(hints, *arguments)
    shown = [line.strip(" +") for line in capsys.readouterr().out.splitlines()]
    assert record in shown


def test_siblings_are_told_of_a_wildcard(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(hints, *(f"{label}.plain.net" for label in "abcd"))
    assert "*.plain.net would replace a.plain.net" in capsys.readouterr().out


def test_json_is_one_document_in_input_order(
    hints: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hints, "--json", "www.refused.net", "shop.net") == 1
    document = json.loads(capsys.readouterr().out)
    assert [one["identifier"] for one in document["audits"]] == ["www.refused.net", "shop.net"]
    assert document["wildcards"] == []
    (finding,) = document["audits"][0]["findings"]
    assert {"code", "servers", "mend", "severity", "evidence", "source", "ticket"} <= finding.keys()


def test_a_ticket_can_be_sent_as_it_is(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "--ticket", "www.refused.net", "refused.net") == 1
    out = capsys.readouterr().out
    assert out.startswith("Subject: refused.net: ")
    assert out.count("Subject: ") == 2


def test_a_burst_is_asked_for_only_on_wish(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "--burst", "shop.net") == 0
    assert "RateLimited" not in capsys.readouterr().out


def test_where_no_root_answers_nothing_is_found_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = tmp_path / "named.root"
    nobody.write_text(". 60 NS a.root.\na.root. 60 A 127.255.255.253\n", encoding="ascii")
    assert run(str(nobody), "shop.net") == 3
    assert "No server of the root answers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["bad..name"],
        [],
        ["--root-hints", "/nowhere", "a.net"],
        ["--trust-anchor", "/nowhere", "a.net"],
    ],
)
def test_wrong_usage_is_told(
    hints: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hints, *arguments) == 2
    assert capsys.readouterr().err


def test_where_no_server_of_a_zone_can_be_asked_that_is_told(
    hints: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hints, "www.far.net") == 3
    assert "No server of far.net could be asked from here" in capsys.readouterr().out


def test_an_ip_address_has_no_caa_to_audit(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hints, "192.0.2.1") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        "192.0.2.1 is an IP address, which has no CAA records (RFC 8738).\n",
    )


def test_check_tells_of_names_that_fail_why(hints: str, capsys: pytest.CaptureFixture[str]) -> None:
    asking = ["check", "--root-hints", hints, "--resolver", "iterative", "--rounds", "1"]
    assert main([*asking, "--json", "www.refused.net", "shop.net", "a.refused.net"]) == 3
    documents = json.loads(capsys.readouterr().out)
    assert [[one["code"] for one in document["findings"]] for document in documents] == [
        ["InvalidRcode"],
        [],
        ["InvalidRcode"],
    ]
    main([*asking, "www.refused.net"])
    assert "InvalidRcode: ns.refused.net" in capsys.readouterr().out


def verdict_printed(out: str, form: list[str]) -> str:
    if not form:
        return out.split()[1]
    documents = json.loads(out if "--json" in form else f"[{out}]")
    return str(documents[0]["verdict"])


@pytest.mark.parametrize(
    "form", [[], ["--json"], ["--jsonl"], ["--jsonl", "--ordered"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("rounds", "more", "verdict", "status"),
    [
        pytest.param("2", [], "broken", 1, id="lasting"),
        pytest.param("1", [], "unknown", 3, id="not lasting"),
        pytest.param("2", ["--no-audit"], "unknown", 3, id="not audited"),
    ],
)
def test_check_takes_what_an_audit_explains_for_broken_once_it_has_lasted(
    hints: str,
    form: list[str],
    rounds: str,
    more: list[str],
    verdict: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "ROUND_INTERVAL", 0.0)
    asking = ["check", "--root-hints", hints, "--resolver", "iterative", "--rounds", rounds]
    assert main([*asking, *more, *form, "www.refused.net"]) == status
    assert verdict_printed(capsys.readouterr().out, form) == verdict


@pytest.mark.parametrize("ordered", [True, False])
def test_check_streams_findings_and_holds_up_nobody(
    hints: str, ordered: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["www.refused.net", "shop.net", "denied.net", "bad..name"]
    asking = ["check", "--root-hints", hints, "--resolver", "iterative", "--rounds", "1", "--jsonl"]
    assert main([*asking, *(["--ordered"] if ordered else []), *names]) == 2
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_name = {one["identifier"]: one for one in documents}
    assert by_name.keys() == set(names[:3])
    assert [one["code"] for one in by_name["www.refused.net"]["findings"]] == ["InvalidRcode"]
    if ordered:
        assert list(by_name) == names[:3]


def test_check_asks_no_authoritative_server_against_the_users_wish(
    hints: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = ["check", "--root-hints", hints, "--resolver", "iterative", "--rounds", "1"]
    main([*asking, "--no-audit", "--json", "www.refused.net"])
    (document,) = json.loads(capsys.readouterr().out)
    assert document["findings"] == []


@pytest.mark.parametrize(
    ("resolver", "walks"),
    [("auto", True), ("system", False), ("udp://192.0.2.1,iterative", True), ("tls://a", False)],
)
def test_who_asks_other_resolvers_only_may_be_cut_off_from_authoritative_servers(
    resolver: str, walks: bool
) -> None:
    options = Namespace(resolver=resolver, no_audit=False, root_hints=None, trust_anchor=None)
    with reasons(options) as why:
        assert (why is not None) is walks
