"""``certbot-caa-guard check`` as a user calls it, against the bench."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from certbot_caa_guard.checking import Checked
from certbot_caa_guard.console import check
from certbot_caa_guard.console.main import main
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.spec import Spec
from certbot_caa_guard.verdict import Verdict
from tests.internet import Internet, Signing, servfail

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {
        "good.net": ['@ CAA 0 issue "letsencrypt.org"'],
        "plain.org": [],
        "denied.net": ['@ CAA 0 issue "other-ca.example"'],
        "broken.org": [],
        "bogus.net": [],
    }
    with Internet(
        tmp_path_factory.mktemp("internet"), zones, signed={"bogus.net": Signing.EXPIRED}
    ) as internet:
        internet.servers.script(servfail, below="broken.org", qtype="CAA")
        yield internet


@pytest.fixture
def call(
    internet: Internet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    """Call the command with two perspectives; the wait between rounds is skipped."""
    monkeypatch.setattr("certbot_caa_guard.checking.ROUND_INTERVAL", 0.0)
    hints = internet.hints(tmp_path / "root.hints")

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(
            [
                "check",
                "--resolver",
                f"unbound,udp://{internet.second_resolver}",
                "--root-hints",
                str(hints),
                "--trust-anchor",
                str(internet.trust_anchor),
                *arguments,
            ]
        )
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_all_permitted(call: Call) -> None:
    status, out, err = call("good.net", "www.plain.org")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        'good.net       permitted  good.net: 0 issue "letsencrypt.org"',
        "www.plain.org  permitted  no CAA records",
    ]


@pytest.mark.parametrize(
    ("name", "verdict", "says"),
    [
        ("denied.net", "denied", "It allows other-ca.example: add the record: denied.net. CAA 0"),
        ("broken.org", "broken", "SERVFAIL looking up CAA for broken.org"),
        ("bogus.net", "broken", "looking up CAA for bogus.net: DNSSEC: "),
        ("www.example.gonetld", "broken", "is the name misspelled?"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(
    call: Call, name: str, verdict: str, says: str
) -> None:
    status, out, _ = call(name)
    assert status == 1
    assert out.split()[:2] == [name, verdict]
    assert says in " ".join(out.split())


def test_a_line_for_each_as_json(call: Call) -> None:
    status, out, _ = call("--jsonl", "good.net", "*.denied.net")
    documents = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    # Whichever is known first comes first.
    assert sorted((one["index"], one["verdict"]) for one in documents) == [
        (0, "permitted"),
        (1, "denied"),
    ]


def test_one_document_as_json(call: Call) -> None:
    status, out, _ = call("--json", "good.net")
    assert status == 0
    assert [one["found_at"] for one in json.loads(out)] == ["good.net"]


def test_a_file_with_methods_and_accounts(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text('good.net\n{"identifier": "plain.org", "validation_method": "dns-01"}\n')
    assert call("-f", str(path))[0] == 0


def test_nobody_to_ask_is_not_found_out(
    internet: Internet, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = internet.block.address(250)
    assert main(["check", "--resolver", f"udp://{nobody}", "good.net"]) == 3
    captured = capsys.readouterr()
    assert "does not resolve the root" in captured.err
    assert "name a resolver that works" in captured.err


def test_the_systems_resolver_alone_is_remarked_upon(
    internet: Internet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "resolv.conf").write_text(f"nameserver {internet.resolver}\n")
    monkeypatch.setattr(
        "certbot_caa_guard.resolvers.stub._RESOLV_CONF", str(tmp_path / "resolv.conf")
    )
    assert main(["check", "--resolver", "system", "good.net"]) == 0
    assert "Only this machine's own resolver was asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "no name is given"),
        (["check", "a..b"], "is not a domain name"),
        (["check", "--resolver", "nonsense", "a.net"], "'nonsense' is not a resolver"),
        (["check", "--resolver", "unbound", "--root-hints", "/no", "a.net"], "/no"),
        (
            ["check", "--resolver", "unbound", "--root-hints", "/dev/null", "a.net"],
            "the root hints in /dev/null name no server of the root with an address",
        ),
        (
            ["check", "--resolver", "system", "--trust-anchor", "/no", "a.net"],
            "cannot read the trust anchor /no: No such file",
        ),
    ],
)
def test_wrong_usage_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("certbot-caa-guard: ")
    assert says in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("rounds", ["0", "101", "x", "-1"])
def test_rounds_are_a_number_in_bounds(capsys: pytest.CaptureFixture[str], rounds: str) -> None:
    with pytest.raises(SystemExit):
        main(["check", f"--rounds={rounds}", "a.net"])
    assert "is not a number from 1 to 100" in capsys.readouterr().err


def test_on_a_terminal_it_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    check._progress(3, 9)
    check._progress(9, 9)
    shown = capsys.readouterr().err
    assert "3 of 9 names" in shown
    assert shown.endswith("\r")


def test_lines_come_in_the_order_of_the_names_where_asked_for(call: Call) -> None:
    _, out, _ = call("--jsonl", "--ordered", "broken.org", "good.net", "plain.org")
    assert [json.loads(line)["index"] for line in out.splitlines()] == [0, 1, 2]


def test_a_line_that_cannot_be_read_ends_it_when_those_before_are_answered(
    call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "names"
    path.write_text("broken.org\ngood.net\na..b\nplain.org\n")
    status, out, err = call("--jsonl", "-f", str(path))
    assert status == 2
    assert [json.loads(line)["identifier"] for line in out.splitlines()] == [
        "good.net",
        "broken.org",
    ]
    assert "names, line 3: 'a..b' is not a domain name" in err


@pytest.mark.parametrize("rate", ["0", "-1", "x", "1000001", "9" * 5000])
def test_the_rate_is_a_number_in_bounds(capsys: pytest.CaptureFixture[str], rate: str) -> None:
    with pytest.raises(SystemExit):
        main(["check", f"--rate={rate}", "a.net"])
    assert "is not a number from 1 to 1000000" in capsys.readouterr().err


def test_the_rate_is_every_resolvers(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[int | None] = []

    def refuse(specs: Iterable[Spec], _refuse: object) -> list[object]:
        rates.extend(one.rate for one in specs)
        raise ResolverError("seen")

    monkeypatch.setattr("certbot_caa_guard.resolvers.loader.load_all", refuse)
    main(["check", "--rate", "77", "--resolver", "udp://192.0.2.1,system", "a.net"])
    assert rates == [77, 77]


def test_a_mend_is_told_whole_however_much_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    finding = {"line": "InvalidRcode: " + "ns.a.net, " * 50, "mend": "Ask " + "them " * 100 + "all"}
    check._print_table([Checked(0, "a.net", Verdict.BROKEN, findings=(finding,))], ())
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith(f"…. {finding['mend']}")
