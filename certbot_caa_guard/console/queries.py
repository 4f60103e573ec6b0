"""Reading the names that a command is asked about."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from certbot_caa_guard.checking import Query
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError

_LONGEST_LINE = 64 * 1024
_MEMBERS = {
    "identifier": "text",
    "validation_method": "validation_method",
    "account_uri": "account_uri",
}


def gather(names: Sequence[str], file: str | None, defaults: Query) -> list[Query]:
    """The queries of a command line.

    :param names: those given as arguments.
    :param file: the path of a file with one name or JSON object a line; ``-`` is standard input.
    :param defaults: method and account for the names that do not say their own.
    :raises UsageError: when there is none, or one cannot be read; it tells the line.
    """
    queries = [_checked(_with_defaults({"text": name}, defaults), name) for name in names]
    if file == "-":
        queries += _read(sys.stdin, "standard input", defaults)
    elif file is not None:
        try:
            with Path(file).open(encoding="utf-8") as lines:
                queries += _read(lines, file, defaults)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}") from error
    if not queries:
        raise UsageError("no name is given: write names as arguments, or -f FILE")
    return queries


def _read(lines: Iterable[str], source: str, defaults: Query) -> Iterator[Query]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        where = f"{source}, line {number}"
        if len(line) > _LONGEST_LINE:
            raise UsageError(f"{where}: too long to be a name")
        if not text or text.startswith("#"):
            continue
        members = _members(text, where) if text.startswith("{") else {"text": text}
        yield _checked(_with_defaults(members, defaults), where)


def _members(text: str, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
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
