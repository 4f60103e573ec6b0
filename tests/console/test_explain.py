"""``certbot-caa-guard explain`` as a user calls it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.console import explain
from certbot_caa_guard.console.main import main

Call = Callable[..., tuple[int, str, str]]

_DENIED = "While processing CAA for www.a.example: CAA record for a.example prevents issuance"
_SERVFAIL = "While processing CAA for *.b.example: DNS problem: SERVFAIL looking up CAA for {}"
_BOGUS = "While processing CAA for c.example: DNS problem: looking up CAA for c.example: DNSSEC: {}"
_BOGUS_TLD = _BOGUS.format("Bogus").replace("for c.example: DNSSEC", "for example: DNSSEC")
_FINALIZE = "Error finalizing order :: rechecking caa: "
_RATE_LIMITED = "urn:ietf:params:acme:error:rateLimited"


class _Stdin(io.TextIOWrapper):
    def __init__(self, text: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(text.encode()))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command; without *stdin* it has a terminal there."""

    def call(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
        terminal = stdin is None
        monkeypatch.setattr("sys.stdin", _Stdin(stdin or "", terminal=terminal))
        status = main(["explain", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("error", "starts", "says"),
    [
        pytest.param(
            _FINALIZE + _DENIED,
            "www.a.example: denied: the CAA records at a.example do not allow this CA to issue at "
            "finalize.",
            "Add a CAA record at a.example",
            id="denied",
        ),
        pytest.param(
            "MPIC failed.. CAA record does not include ssl.com which is required to issue the "
            "certificate",
            "A name that the CA does not tell: denied: its CAA records do not allow this CA to "
            "issue at authorization, seen from the CA's remote perspectives.",
            "Add a CAA record at the name",
            id="denied, but nothing named",
        ),
        pytest.param(
            _SERVFAIL.format("b.example"),
            "*.b.example: transient: looking up CAA for b.example failed at authorization: "
            "SERVFAIL.",
            "It may pass",
            id="a failure",
        ),
        pytest.param(
            _SERVFAIL.format("example"),
            "*.b.example: transient",
            "not the fault of your DNS",
            id="a failure of the TLD",
        ),
        pytest.param(
            _SERVFAIL.format("example").replace("SERVFAIL", "NXDOMAIN"),
            "*.b.example: transient",
            "is the name misspelled?",
            id="a missing TLD",
        ),
        pytest.param(_BOGUS.format("Bogus"), "c.example: dnssec:", "Mend the DNSSEC", id="DNSSEC"),
        pytest.param(
            _BOGUS_TLD,
            "c.example: dnssec: looking up CAA for example failed",
            "The DNSSEC of the top-level domain example fails. This is not the fault of your DNS, "
            "and mostly passes: try again",
            id="DNSSEC of the TLD",
        ),
        pytest.param(
            'Error finalizing order :: Rechecking CAA for "a.example" and 2 more identifiers '
            "failed. Refer to sub-problems for more information",
            "a.example: transient: its CAA check and those of 2 more names failed at finalize.",
            "certbot-caa-guard check",
            id="several, not said which",
        ),
        pytest.param(
            _FINALIZE + "During secondary validation: Secondary validation RPC failed",
            "A name that the CA does not tell: transient: its CAA check failed at finalize, seen "
            "from the CA's remote perspectives (Secondary validation RPC failed).",
            "certbot-caa-guard check",
            id="whatever",
        ),
        pytest.param(
            "too many new orders (300) from this account in the last 3h0m0s, retry after "
            "2026-08-05 10:11:12 UTC: see https://ca.example/limits",
            "The order: rate-limited: too many new orders from this account.",
            "Wait until 2026-08-05 10:11:12 UTC; every order before that fails too. See "
            "https://ca.example/limits",
            id="a limit",
        ),
        pytest.param(
            "Service busy; retry later.",
            "The order: rate-limited: the CA is busy.",
            "Wait as the CA says",
            id="busy",
        ),
        pytest.param(
            "Your account is temporarily prevented from requesting certificates for a.example and "
            f"possibly others. Please visit: https://p.example/{'x' * 500}",
            "a.example: rate-limited: the CA has paused it",
            f"at https://p.example/{'x' * 500} and order again",
            id="paused",
        ),
        pytest.param(
            "Your account is temporarily prevented from requesting certificates for a.example and "
            f"possibly others. Please visit: https://p.example/{'x' * 5_000}",
            "a.example: rate-limited: the CA has paused it",
            "at the address that the CA gives",
            id="paused, with an endless URL",
        ),
    ],
)
def test_it_says_what_happened_and_what_to_do(
    call: Call, error: str, starts: str, says: str
) -> None:
    status, out, _ = call(error)
    assert status == 1
    assert out.startswith(starts)
    assert says in " ".join(out.split())


def test_what_is_not_about_caa_is_said_to_be_so(call: Call) -> None:
    status, out, _ = call("Timeout during connect (likely firewall problem)")
    assert status == 3
    assert out.startswith("This error: not-caa: nothing in it is about CAA")


def test_control_characters_do_not_reach_the_terminal(call: Call) -> None:
    _, out, _ = call(_BOGUS.format("Bogus: \x1b[2J\u202e"))
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            _FINALIZE + "During secondary validation: " + _DENIED,
            {
                "identifier": "www.a.example",
                "meaning": "denied",
                "owner": "a.example",
                "error": None,
                "secondary": True,
                "at": "finalize",
                "next": "hold",
            },
            id="denied",
        ),
        pytest.param(
            _SERVFAIL.format("example"),
            {
                "identifier": "*.b.example",
                "meaning": "transient",
                "owner": "example",
                "error": "SERVFAIL",
                "secondary": False,
                "at": "authorization",
                "next": "retry",
            },
            id="transient",
        ),
        pytest.param(
            "Nothing",
            {
                "identifier": None,
                "meaning": "not-caa",
                "owner": None,
                "error": None,
                "secondary": False,
                "at": None,
                "next": "give-back",
            },
            id="not about CAA",
        ),
    ],
)
def test_an_object_for_each_identifier_as_json(
    call: Call, error: str, expected: dict[str, Any]
) -> None:
    _, out, _ = call("--json", error)
    assert json.loads(out) == [expected]


@pytest.mark.parametrize(
    ("error", "error_code", "next_step"),
    [
        (_BOGUS.format("Bogus"), "DNSSEC: Bogus", "hold"),
        (_BOGUS_TLD, "DNSSEC: Bogus", "retry"),
        (_SERVFAIL.format("example").replace("SERVFAIL", "NXDOMAIN"), "NXDOMAIN", "hold"),
        ("too many new orders recently", "new-orders", "wait"),
        (
            (
                'too many failed authorizations (5) for "a.example" in the last 1h0m0s, retry '
                "after 2026-08-21 06:27:45 UTC: see https://ca.example/limits"
            ),
            "failed-authorizations",
            "wait until 2026-08-21T06:27:45Z",
        ),
        (
            (
                "Your account is temporarily prevented from requesting certificates for a.example "
                "and possibly others. Please visit: https://p.example/unpause?jwt=a.b.c"
            ),
            "paused",
            "visit https://p.example/unpause?jwt=a.b.c",
        ),
    ],
)
def test_the_next_step_starts_with_a_word_for_scripts(
    call: Call, error: str, error_code: str, next_step: str
) -> None:
    _, out, _ = call("--json", error)
    (explained,) = json.loads(out)
    assert (explained["error"], explained["next"]) == (error_code, next_step)


def _line(detail: str) -> str:
    return json.dumps({"type": "urn:ietf:params:acme:error:caa", "detail": detail})


def test_json_lines_give_a_list_a_line(call: Call) -> None:
    lines = "\n\n".join([_line(_DENIED), _line("Else"), _line(_SERVFAIL.format("example"))])
    status, out, _ = call("--json", stdin=lines)
    assert status == 1
    assert [[one["meaning"] for one in json.loads(line)] for line in out.splitlines()] == [
        ["denied"],
        ["not-caa"],
        ["transient"],
    ]


@pytest.mark.parametrize(
    "second",
    ["and a line that is none", '["a list"]', '{"half": "an object"', '{"a":' * 100_000],
    ids=["text", "list", "half", "deep"],
)
def test_other_lines_are_one_text(call: Call, second: str) -> None:
    _, out, _ = call("--json", stdin=f"{_line(_DENIED)}\n{second}")
    assert [one["meaning"] for one in json.loads(out)] == ["denied"]


def test_a_single_line_of_json_gives_a_single_line(call: Call) -> None:
    _, out, _ = call("--json", stdin=_line(_DENIED))
    assert len(out.splitlines()) == 1


def test_json_lines_for_a_person(call: Call) -> None:
    _, out, _ = call(stdin=f"{_line(_DENIED)}\n{_line(_SERVFAIL.format('example'))}\n")
    assert [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "www.a.example",
        "*.b.example",
    ]


def test_a_file_is_read(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "letsencrypt.log"
    path.write_bytes(b"\xff\n" + _DENIED.encode())
    assert call("-f", str(path))[0] == 1


def test_standard_input_can_be_named(call: Call) -> None:
    assert call("-f", "-", stdin=_DENIED)[0] == 1


@pytest.mark.parametrize("arguments", [[], ["-f", "-"]], ids=["usual", "named"])
def test_a_standard_input_that_is_closed_is_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["explain", *arguments]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_a_byte_order_mark_may_begin_it(call: Call) -> None:
    _, out, _ = call("--json", stdin=f"\ufeff{_line(_DENIED)}\n{_line('Else')}")
    assert len(out.splitlines()) == 2


def test_words_that_the_shell_has_split_are_one_text(call: Call) -> None:
    assert call(*_DENIED.split())[0] == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        pytest.param([], None, "nothing to explain", id="a terminal"),
        pytest.param([], " \n", "nothing to explain", id="nothing"),
        pytest.param(["a", "-f", "b"], None, "not both", id="both"),
        pytest.param(["-f", "/nonexistent"], None, "cannot read /nonexistent", id="no file"),
    ],
)
def test_wrong_usage_is_told(
    call: Call, arguments: list[str], stdin: str | None, says: str
) -> None:
    status, out, err = call(*arguments, stdin=stdin)
    assert (status, out) == (2, "")
    assert says in err


def test_a_huge_file_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "_LONGEST_INPUT", 10)
    status, _, err = call(stdin="x" * 11)
    assert status == 2
    assert "cut out the part" in err
