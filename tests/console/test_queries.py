"""Reading names from arguments, files and standard input."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from certbot_caa_guard.checking import Query
from certbot_caa_guard.console.queries import Queries, gather
from certbot_caa_guard.console.usage import UsageError

NOTHING = Query("")


def test_arguments_come_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("b.net\n")
    queries = gather(["a.net"], str(tmp_path / "names"), NOTHING)
    assert [query.text for query in queries] == ["a.net", "b.net"]


def test_blank_lines_and_comments_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("\n# shops\n  a.net  \n\n")
    assert gather([], str(tmp_path / "names"), NOTHING) == [Query("a.net")]


def test_a_json_line_says_its_own_method_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = '{"identifier": "*.a.net", "validation_method": "dns-01", "account_uri": "https://x"}\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert gather([], "-", NOTHING) == [Query("*.a.net", "dns-01", "https://x")]


def test_what_a_line_does_not_say_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = 'a.net\n{"identifier": "b.net", "validation_method": null}\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    queries = gather(["c.net"], "-", Query("", "http-01", "https://x"))
    assert queries == [Query(name, "http-01", "https://x") for name in ("c.net", "a.net", "b.net")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a..net", "line 2: 'a..net' is not a domain name"),
        ("{", "line 2: not JSON"),
        ("{}", 'line 2: an object needs "identifier"'),
        ('{"identifier": 1}', 'line 2: an object needs "identifier"'),
        ('{"identifier": "a.net", "method": "x"}', "line 2: unknown member 'method'"),
        ('{"identifier": "a.net", "account_uri": 1}', "line 2: account_uri must be a string"),
        (
            '{"identifier": "a.net", "validation_method": "http"}',
            "line 2: unknown validation method 'http'; known are dns-01, .*http-01",
        ),
        ("\ufeffa.net", "line 2: '.ufeffa.net' is not ASCII"),
        ("x" * 70_000, "line 2: too long to be a name"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "names").write_text(f"good.net\n{line}\n")
    with pytest.raises(UsageError, match=message):
        gather([], str(tmp_path / "names"), NOTHING)


@pytest.mark.parametrize("text", ["a.net\n", "# shops\na.net\n", '{"identifier": "a.net"}'])
def test_a_byte_order_mark_may_begin_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text, "utf-8-sig")
    assert gather([], str(tmp_path / "names"), NOTHING) == [Query("a.net")]


def test_a_byte_order_mark_may_begin_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffa.net\nb.net\n"))
    assert gather([], "-", NOTHING) == [Query("a.net"), Query("b.net")]


def test_a_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        gather([], "-", NOTHING)


def test_before_a_line_that_cannot_be_read_all_are_there(tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(b"a.net\nb.net\n\xff\nc.net\n")
    queries = Queries([], str(tmp_path / "names"), NOTHING)
    read = []
    with pytest.raises(UsageError, match="names, line 3: not UTF-8"):
        read.extend(query.text for query in queries if query is not None)
    assert read == ["a.net", "b.net"]


def test_a_last_line_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(b"a.net\n\xff")
    with pytest.raises(UsageError, match="names, line 2: not UTF-8"):
        gather([], str(tmp_path / "names"), NOTHING)


def test_an_object_too_deep_to_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "names").write_text('{"identifier":' + "[" * 60_000 + "\n")
    with pytest.raises(UsageError, match="line 1: not JSON"):
        gather([], str(tmp_path / "names"), NOTHING)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*missing"):
        gather([], str(tmp_path / "missing"), NOTHING)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"binary, line 1: not UTF-8"):
        gather([], str(tmp_path / "binary"), NOTHING)


def test_without_any_name_it_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no name is given"):
        gather([], None, NOTHING)


class TestPipe:
    """Names that come through a pipe, one now and then."""

    def test_while_none_is_there_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.pipe(monkeypatch) as write:
            queries = iter(Queries([], "-", NOTHING))
            assert next(queries) is None
            os.write(write, b"a.net\nb.n")
            assert next(queries) == Query("a.net")
            assert next(queries) is None
            os.write(write, b"et")
            os.close(write)
            assert [one for one in queries if one is not None] == [Query("b.net")]

    def test_it_is_waited_for_where_all_are_wanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.pipe(monkeypatch) as write:
            os.write(write, b"a.net\n\nb.net\n")
            os.close(write)
            assert gather([], "-", NOTHING) == [Query("a.net"), Query("b.net")]

    @pytest.mark.parametrize("octets", [b"x", "é".encode()])
    def test_a_line_without_end_is_too_long(
        self, monkeypatch: pytest.MonkeyPatch, octets: bytes
    ) -> None:
        with self.pipe(monkeypatch) as write:
            os.set_blocking(write, False)
            os.write(write, octets * (60_000 // len(octets)))
            queries = iter(Queries([], "-", NOTHING))
            assert next(queries) is None
            os.write(write, octets * (60_000 // len(octets)))
            with pytest.raises(UsageError, match="standard input, line 1: too long"):
                next(queries)
            os.close(write)

    @contextmanager
    def pipe(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
        read, write = os.pipe()
        with os.fdopen(read) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            yield write


def test_where_is_the_place_of_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("# shops\nb.net\n")
    queries = Queries(["a.net"], str(tmp_path / "names"), NOTHING)
    places = [queries.where for _ in queries]
    assert places == ["a.net", f"{tmp_path}/names, line 2"]
