"""Reading the names that a command is asked about."""

from __future__ import annotations

import json
import os
import select
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

from certbot_caa_guard.checking import Query
from certbot_caa_guard.console.stdin import standard_input
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError

_LONGEST_LINE = 64 * 1024
_CHUNK = 64 * 1024
_BYTE_ORDER_MARK = "\N{BYTE ORDER MARK}"  # some editors begin every file with it
_MEMBERS = {
    "identifier": "text",
    "validation_method": "validation_method",
    "account_uri": "account_uri",
}


class Queries:
    """The queries of a command line, read as they are wanted; None while there is none to read.

    :ivar where: the place of the last one, to be named in an error.
    """

    def __init__(
        self,
        names: Sequence[str],
        file: str | None,
        defaults: Query,
        *,
        patience: float | None = 0.0,
    ) -> None:
        """See :func:`gather`.

        :param patience: seconds to wait for a line to read; None for as long as it takes.
        """
        self._names = names
        self._file = file
        self._source = "standard input" if file == "-" else file or ""
        self._defaults = defaults
        self._patience = patience
        self._place: int | str = 0
        self._line = 0  # the last one that was read

    @property
    def where(self) -> str:
        """Where the last one comes from."""
        return (
            self._place if isinstance(self._place, str) else f"{self._source}, line {self._place}"
        )

    def __iter__(self) -> Iterator[Query | None]:
        """Read.

        :raises UsageError: when there is none, or one cannot be read; it tells the line.
        """
        none = True
        for name in self._names:
            none = False
            self._place = name
            yield _with_defaults({"text": name}, self._defaults)
        if self._file is not None:
            for query in self._read(self._file):
                none = none and query is None
                yield query
        if none:
            raise UsageError("no name is given: write names as arguments, or -f FILE")

    def _read(self, file: str) -> Iterator[Query | None]:
        try:
            with nullcontext(standard_input()) if file == "-" else Path(file).open("rb") as opened:
                yield from self._parsed(_lines(opened, self._patience))
        except UnicodeDecodeError as error:
            raise UsageError(f"{self._source}, line {self._line + 1}: not UTF-8") from error
        except OSError as error:
            raise UsageError(f"cannot read {self._source}: {error.strerror}") from error

    def _parsed(self, lines: Iterable[str | None]) -> Iterator[Query | None]:
        method, account = self._defaults.validation_method, self._defaults.account_uri
        for line in lines:
            if line is None:
                yield None
                continue
            if not self._line:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            self._line += 1
            self._place = self._line
            text = line.strip()
            if len(line) > _LONGEST_LINE:
                raise UsageError(f"{self.where}: too long to be a name")
            if not text or text[0] == "#":
                continue
            if text[0] == "{":
                yield _query(text, self._defaults, self.where)
            else:
                yield Query(text, method, account)


def gather(names: Sequence[str], file: str | None, defaults: Query) -> list[Query]:
    """All queries of a command line.

    :param names: those given as arguments.
    :param file: the path of a file with one name or JSON object a line; ``-`` is standard input.
    :param defaults: method and account for the names that do not say their own.
    :raises UsageError: when there is none, or one cannot be read; it tells the line.
    """
    queries = Queries(names, file, defaults, patience=None)
    return [_checked(query, queries.where) for query in queries if query is not None]


def _lines(file: IO[Any], patience: float | None) -> Iterator[str | None]:
    """The lines of *file*.

    Where they come from a pipe or a terminal, None while there is none: to wait for it would hold
    up all that is known of those before.
    """
    try:
        descriptor = file.fileno()
    except (OSError, ValueError):  # no file of the operating system
        yield from file
        return
    rest = b""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    while True:
        if not regular and not select.select([descriptor], [], [], patience)[0]:
            yield None
            continue
        chunk = os.read(descriptor, _CHUNK)
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield from _decoded(whole)
        if len(rest) > _LONGEST_LINE:
            yield rest.decode("latin-1")  # as many characters as octets: it is too long
            return
        if not chunk:
            yield rest.decode("utf-8")
            return


def _decoded(lines: bytes) -> Iterable[str]:
    """What is before a line that cannot be read counts."""
    try:
        return lines.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return (line.decode("utf-8") for line in lines.split(b"\n"))


def _query(text: str, defaults: Query, where: str) -> Query:
    members = _members(text, where)
    try:
        return _with_defaults(members, defaults)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _members(text: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    if not isinstance(document.get("identifier"), str):
        raise UsageError(f'{where}: an object needs "identifier", a string')
    members = {}
    for member, value in document.items():
        if member not in _MEMBERS:
            raise UsageError(f"{where}: unknown member {member!r}; known are {', '.join(_MEMBERS)}")
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{where}: {member} must be a string")
        members[_MEMBERS[member]] = value
    return members


def _with_defaults(members: dict[str, Any], defaults: Query) -> Query:
    return Query(
        members["text"],
        members.get("validation_method") or defaults.validation_method,
        members.get("account_uri") or defaults.account_uri,
    )


def _checked(query: Query, where: str) -> Query:
    try:
        _ = query.identifier
    except IdentifierError as error:
        raise UsageError(f"{where}: {error}") from error
    return query
