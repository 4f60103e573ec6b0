"""What was seen over time, in one SQLite file that may be lost or corrupt without harm."""

from __future__ import annotations

import enum
import logging
import math
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    identifier TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_identifier ON event (identifier, kind, at);
CREATE TABLE IF NOT EXISTS closed (
    subject TEXT PRIMARY KEY,
    until REAL NOT NULL,
    why TEXT NOT NULL
);
"""
_KEPT_FOR = 90 * 86400.0
# What a CA says of later is not believed: its longest limit is one of seven days.
_LONGEST_CLOSED = 7 * 86400.0
_PATIENCE_WITH_OTHERS = 2.0  # seconds that another process may hold the file's lock


class Kind(enum.Enum):
    """What happened to an identifier, or to a lineage."""

    LOOKUP_FAILED = "lookup-failed"
    CA_REFUSED = "ca-refused"
    CA_FAILED = "ca-failed"
    AUTHORIZATION_FAILED = "authorization-failed"
    HELD = "held"
    AUTHORIZATION_DEACTIVATED = "authorization-deactivated"
    # Of an account, by its URI:
    ORDER_PLACED = "order-placed"
    # Of a lineage, by its name:
    ORDERED_IN_FULL = "ordered-in-full"
    PUT_OFF = "put-off"
    REJOIN_TRIED = "rejoin-tried"
    REJOIN_FAILED = "rejoin-failed"


@dataclass(frozen=True, slots=True)
class Closed:
    """What a CA takes no order for.

    :ivar until: seconds since the epoch.
    :ivar why: the limit that was met.
    """

    until: float
    why: str


class History:
    """The events of earlier runs and of this one.

    A context manager.  A file that cannot be used is said so once, in the log, and the events of
    this run are then kept in memory only.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float]) -> None:
        """:param path: the file, or None to keep nothing (a dry run).
        :param now: seconds since the epoch.
        """
        self._now = now
        self._connection = _open(path) or _in_memory()

    @classmethod
    def to_read(cls, path: Path, *, now: Callable[[], float]) -> History:
        """The events of earlier runs, from a file that is left as it is, be it corrupt or not
        there; what happens now is to be recorded elsewhere.
        """
        history = cls(None, now=now)
        if (connection := _open_to_read(path)) is not None:
            history._connection.close()
            history._connection = connection
        return history

    def __enter__(self) -> History:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def record(self, kind: Kind, identifiers: Iterable[str]) -> None:
        """Note that *kind* happened now to each of *identifiers*, and forget what is old."""
        now = self._now()
        for identifier in identifiers:
            self._execute("INSERT INTO event VALUES (?, ?, ?)", (identifier, kind.value, now))
        self._execute("DELETE FROM event WHERE at < ?", (now - _KEPT_FOR,))

    def count(self, kind: Kind, identifier: str, *, within: float, before: float = math.inf) -> int:
        """How often *kind* happened to *identifier* in the last so many seconds.

        :param before: seconds since the epoch; what is later does not count.
        """
        now = self._now()
        rows = self._execute(
            "SELECT at FROM event WHERE identifier = ? AND kind = ? AND at BETWEEN ? AND ? "
            "AND at < ?",
            # An event from the future is one from before the clock was set: it tells nothing.
            (identifier, kind.value, now - within, now, before),
        )
        return len(rows)

    def last(self, kind: Kind, identifier: str) -> float | None:
        """When *kind* last happened to *identifier*, in seconds since the epoch."""
        rows = self._execute(
            "SELECT MAX(at) FROM event WHERE identifier = ? AND kind = ? AND at <= ?",
            (identifier, kind.value, self._now()),
        )
        at = rows[0][0]
        return float(at) if isinstance(at, float | int) else None

    def close(self, subject: str, until: float, *, why: str) -> None:
        """Note that a CA takes no order for *subject* for a while.

        :param until: seconds since the epoch; seven days ahead at most.
        """
        now = self._now()
        self._execute("DELETE FROM closed WHERE until <= ?", (now,))
        self._execute(
            "INSERT OR REPLACE INTO closed VALUES (?, ?, ?)",
            (subject, min(until, now + _LONGEST_CLOSED), why),
        )

    def closed(self, subject: str) -> Closed | None:
        """Until when a CA takes no order for *subject*; None where it does."""
        now = self._now()
        # What lies further ahead was noted while the clock was ahead. It is forgotten: weeks later
        # it would look like a limit that was just met.
        self._execute("DELETE FROM closed WHERE until > ?", (now + _LONGEST_CLOSED,))
        rows = self._execute(
            "SELECT until, why FROM closed WHERE subject = ? AND until > ?", (subject, now)
        )
        return Closed(float(str(rows[0][0])), str(rows[0][1])) if rows else None

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        try:
            with self._connection:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            _LOG.warning("The CAA guard goes on without its history: %s", error)
            self._connection.close()
            self._connection = _in_memory()
            return self._connection.execute(statement, values).fetchall()


def _open(path: Path | None) -> sqlite3.Connection | None:
    if path is None:
        return None
    try:
        return _open_file(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            _LOG.warning("The CAA guard goes on without its history %s: %s", path, error)
            return None
        return _start_afresh(path, error)
    except OSError as error:
        _LOG.warning("The CAA guard goes on without its history %s: %s", path, error)
        return None


def _open_to_read(path: Path) -> sqlite3.Connection | None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
        address = f"{path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=_PATIENCE_WITH_OTHERS)
    except FileNotFoundError:
        return None
    except (OSError, sqlite3.Error) as error:
        _LOG.warning("The CAA guard goes on without its history %s: %s", path, error)
        return None


def _open_file(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(path, timeout=_PATIENCE_WITH_OTHERS)
    try:
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _start_afresh(path: Path, error: sqlite3.Error) -> sqlite3.Connection | None:
    aside = path.with_suffix(".corrupt")
    _LOG.warning("The CAA guard's history was unusable (%s); it is now %s", error, aside)
    try:
        path.replace(aside)
        return _open_file(path)
    except (OSError, sqlite3.Error) as second:
        _LOG.warning("The CAA guard goes on without its history %s: %s", path, second)
        return None


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_SCHEMA)
    return connection
