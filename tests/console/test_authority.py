"""Finding the CA's domains and certbot's account."""

from __future__ import annotations

import email.utils
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from certbot_caa_guard.console import authority
from certbot_caa_guard.console.authority import Authority, find
from certbot_caa_guard.console.main import main
from certbot_caa_guard.console.usage import NotFoundOutError, UsageError

SERVER = "https://ca.example:14001/dir"


class Answer:
    """What a CA's directory answers."""

    ok = True

    def __init__(self) -> None:
        self.identities: list[str] = []
        self.headers: dict[str, str] = {}
        self.document: object = None

    def json(self) -> object:
        meta = {"caaIdentities": self.identities} if self.identities else {}
        usual = {"newNonce": "https://ca.example/nonce", "meta": meta}
        return usual if self.document is None else self.document


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What the directory says."""
    said = Answer()
    monkeypatch.setattr("requests.get", lambda *_, **__: said)
    return said


@pytest.fixture
def identities(answer: Answer) -> list[str]:
    return answer.identities


def account(folder: Path, name: str, uri: str) -> None:
    path = folder / "accounts" / "ca.example:14001" / "dir" / name
    path.mkdir(parents=True)
    (path / "regr.json").write_text(json.dumps({"body": {}, "uri": uri}))


def test_without_a_server_it_is_lets_encrypt(tmp_path: Path) -> None:
    assert find(None, None, None, str(tmp_path)) == Authority(("letsencrypt.org",))


def test_the_user_outranks_the_directory(tmp_path: Path) -> None:
    found = find(None, "one.example, two.example", "https://x", str(tmp_path))
    assert found == Authority(("one.example", "two.example"), "https://x")


def test_the_user_outranks_the_directory_of_a_server(identities: list[str], tmp_path: Path) -> None:
    identities[:] = ["ca.example"]
    assert find(SERVER, "one.example", None, str(tmp_path)).issuers == ("one.example",)


@pytest.mark.parametrize(
    ("date", "is_told"),
    [
        ("Mon, 01 Jan 2024 00:00:00 GMT", True),
        (email.utils.formatdate(usegmt=True), False),
        ("nonsense", False),
        (None, False),
    ],
    ids=["off", "right", "nonsense", "none"],
)
def test_a_clock_that_is_off_is_told(
    answer: Answer, tmp_path: Path, date: str | None, is_told: bool
) -> None:
    answer.identities[:] = ["ca.example"]
    if date is not None:
        answer.headers["Date"] = date
    found = find(SERVER, None, None, str(tmp_path))
    assert any("clock" in remark for remark in found.remarks) == is_told


def test_the_directory_says_the_domains(identities: list[str], tmp_path: Path) -> None:
    identities[:] = ["ca.example", "old-ca.example"]
    assert find(SERVER, None, None, str(tmp_path)).issuers == ("ca.example", "old-ca.example")


def test_a_server_of_lets_encrypt_need_not_say(identities: list[str], tmp_path: Path) -> None:
    assert identities == []
    found = find("https://acme-v02.api.letsencrypt.org/directory", None, None, str(tmp_path))
    assert found.issuers == ("letsencrypt.org",)


def test_any_other_must(identities: list[str], tmp_path: Path) -> None:
    assert identities == []
    with pytest.raises(UsageError, match="name them with --issuer"):
        find(SERVER, None, None, str(tmp_path))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "cannot read the CA's directory .*: it is no JSON object"),
        ({"meta": 5}, "cannot read the CA's directory .*: its meta is no JSON object"),
        ({"meta": None}, "does not say its CAA domains"),
        ({"meta": {"caaIdentities": 5}}, "a list of domain names in caaIdentities"),
        ({"meta": {"caaIdentities": "ca.example"}}, "a list of domain names in caaIdentities"),
    ],
    ids=["a list", "a number for meta", "nothing for meta", "a number", "a text"],
)
def test_what_is_wrong_with_a_directory_is_told(
    answer: Answer, tmp_path: Path, document: object, says: str
) -> None:
    answer.document = document
    with pytest.raises(UsageError, match=says):
        find(SERVER, None, None, str(tmp_path))


def test_a_wrong_list_does_not_matter_where_the_user_says_the_domains(
    answer: Answer, tmp_path: Path
) -> None:
    answer.document = {"meta": {"caaIdentities": "ca.example"}}
    assert find(SERVER, "one.example", None, str(tmp_path)).issuers == ("one.example",)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://127.0.0.1:1/dir", id="refused"),
        pytest.param("https://ca.invalid/dir", id="no address"),
    ],
)
def test_a_directory_that_cannot_be_reached_may_be_right(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundOutError, match=f"cannot read the CA's directory {url}: "):
        find(url, None, None, str(tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "ca.example/dir",
        "ftp://ca.example/dir",
        "https://",
        "https://[::1/dir",
        "https://ca.example:99999/",
        f"https://{'a' * 70}.example/",
    ],
)
def test_what_is_no_url_is_wrong(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the CA's directory "):
        find(url, None, None, str(tmp_path))


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The URL of a web server that gives one answer to all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/dir"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (200, "<html>", UsageError, ": Expecting value: .*"),
        (200, "[" * 100_000, UsageError, ": .*recursion.*"),
        (404, "<html>", UsageError, ": HTTP status 404"),
        (
            405,
            '{"detail": "Method not allowed"}',
            UsageError,
            ": HTTP status 405: Method not",
        ),
        (429, '{"detail": "too many"}', NotFoundOutError, ": HTTP status 429: too many"),
        (500, "[" * 100_000, NotFoundOutError, ": HTTP status 500"),
        (503, "<html>", NotFoundOutError, ": HTTP status 503"),
        (503, "5", NotFoundOutError, ": HTTP status 503"),
    ],
)
def test_an_answer_that_is_no_directory_is_wrong_unless_the_ca_can_give_none_now(
    status: int, body: str, kind: type[Exception], says: str, tmp_path: Path
) -> None:
    with answering(status, body) as url, pytest.raises(kind, match=f"directory {url}{says}"):
        find(url, None, None, str(tmp_path))


def test_a_problem_of_the_ca_is_told_in_bounds(tmp_path: Path) -> None:
    problem = json.dumps({"detail": "no\x1b]0;title\x07" + "x" * 100_000})
    with (
        answering(403, problem) as url,
        pytest.raises(UsageError, match=r"HTTP status 403: no\\x1b\]0;title\\x07x+…") as raised,
    ):
        find(url, None, None, str(tmp_path))
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("command", ["check", "audit"])
def test_where_the_ca_cannot_be_reached_nothing_is_found_out_and_what_to_do_is_told(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--server", "https://127.0.0.1:1/dir", "a.net"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith(
        ". Try again later, or name the CA with --issuer DOMAIN instead of --server\n"
    )


def test_an_issuer_that_is_no_domain_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--issuer: 'a b' is not a domain name"):
        find(None, "a b", None, str(tmp_path))


def test_the_only_account_of_certbot_is_used(identities: list[str], tmp_path: Path) -> None:
    identities[:] = ["ca.example"]
    account(tmp_path, "0123", "https://ca.example/acct/1")
    assert find(SERVER, None, None, str(tmp_path)).account_uri == "https://ca.example/acct/1"


def test_of_several_accounts_none_is_guessed(identities: list[str], tmp_path: Path) -> None:
    identities[:] = ["ca.example"]
    account(tmp_path, "0123", "https://ca.example/acct/1")
    account(tmp_path, "4567", "https://ca.example/acct/2")
    found = find(SERVER, None, None, str(tmp_path))
    assert found.account_uri is None
    assert found.remarks[0].startswith("certbot has 2 accounts at https://ca.example")


def test_a_broken_account_is_none(identities: list[str], tmp_path: Path) -> None:
    identities[:] = ["ca.example"]
    account(tmp_path, "0123", "https://ca.example/acct/1")
    next(tmp_path.glob("**/regr.json")).write_text("rubbish")
    assert find(SERVER, None, None, str(tmp_path)) == Authority(("ca.example",))


def test_accounts_that_may_not_be_read_are_told(
    identities: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities[:] = ["ca.example"]

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(authority.Path, "glob", refuse)
    found = find(SERVER, None, None, str(tmp_path))
    assert "cannot be read" in found.remarks[0]
