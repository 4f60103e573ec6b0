"""Wanted and held names, in a lineage's renewal configuration.

Rule: a held name is on disk before the order that leaves it out.  At a first issuance there is
no renewal configuration yet: see :mod:`certbot_caa_guard.plugin.pending`.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certbot_caa_guard import names

SECTION = "caa_guard"
FORMAT = 1
_TEMPORARY = ".caa-guard"


class StateError(Exception):
    """What is on disk cannot be read, or nothing can be written there."""


@dataclass(frozen=True, slots=True)
class Held:
    """A name that is left out of its certificate.

    :ivar name: the identifier: A-labels, ``*.`` before a wildcard.
    :ivar verdict: ``denied`` or ``broken``.
    :ivar since: when it was held first, ISO 8601 in UTC.
    :ivar owner: the name that the refusing record or the failing lookup stands at.
    """

    name: str
    verdict: str
    since: str
    owner: str

    def __str__(self) -> str:
        return f"{self.name} {self.verdict} {self.since} {self.owner}"


@dataclass(frozen=True, slots=True)
class Names:
    """What a lineage should have, and what of it is held."""

    wanted: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def held_names(self) -> tuple[str, ...]:
        """The held names alone."""
        return tuple(held.name for held in self.held)

    def wanted_with(self, in_certificate: Sequence[str]) -> list[str]:
        """All that is wanted, given the names that are in the certificate now.

        They are in the order in which they were asked for.  A name that is neither in the
        certificate nor held was taken out while the guard was off; one that is held is wanted,
        whatever a person did to the list.
        """
        there = dict.fromkeys([*in_certificate, *self.held_names])
        known = dict.fromkeys(name for name in self.wanted if name in there)
        return list(known | there)

    def without(self, *names: str) -> Names:
        """The same, but that *names* are neither wanted nor held any more."""
        return Names(
            tuple(name for name in self.wanted if name not in names),
            tuple(held for held in self.held if held.name not in names),
        )


def read(section: object) -> Names:
    """Read the section of a renewal configuration; without one, nothing is held.

    :raises StateError: when it is not in the form that :func:`write` gives it.
    """
    if not section:
        return Names()
    if not isinstance(section, dict):
        raise StateError(f"{SECTION} is not a section but {section!r}")
    # As it stands in the file: ConfigObj's own methods would interpolate.
    values = dict(dict.items(section))
    if str(values.get("format")) != str(FORMAT):
        raise StateError(
            f"[{SECTION}] has the format {values.get('format')!r}, not {FORMAT}: it was written "
            "by another version of the guard"
        )
    return Names(
        wanted=tuple(_list(values.get("wanted", []))),
        held=tuple(_read_held(text) for text in _list(values.get("held", []))),
    )


def write(conf: Path, state: Names) -> None:
    """Put *state* into the renewal configuration at *conf*; with nothing held, the section goes.

    All else in the file stays.  The file is replaced whole or not at all.

    :raises StateError: when it cannot be read or written.
    """
    # certbot's own way of keeping these files, and a dependency of each of its versions.
    import configobj

    try:
        config = _config(str(conf))
        if SECTION in config.scalars:
            del config[SECTION]  # or else the section would become its value, as text
        if state.held:
            config[SECTION] = {
                "format": str(FORMAT),
                "wanted": list(state.wanted),
                "held": [str(held) for held in state.held],
            }
        elif SECTION in config:
            del config[SECTION]
        else:
            return
        content = io.BytesIO()
        config.write(outfile=content)
        # ConfigObj can read values that it cannot write, such as one with quotes of both kinds.
        if _config(io.BytesIO(content.getvalue())) != config:
            raise StateError(f"cannot write to {conf}: something else in it would change")
        replace_file(conf, content.getvalue())
    except (OSError, UnicodeError, configobj.ConfigObjError) as error:
        raise StateError(f"cannot write to {conf}: {error}") from error


def load(conf: Path) -> Any:
    """The renewal configuration at *conf*, values as they stand in the file.

    :raises StateError: when it cannot be read.
    """
    import configobj

    try:
        return _config(str(conf))
    except (OSError, UnicodeError, configobj.ConfigObjError) as error:
        raise StateError(f"cannot be read: {error}") from error


def _read_held(text: str) -> Held:
    parts = text.split(" ")
    try:
        name, verdict, since, owner = parts
        return Held(str(names.parse(name)), verdict, since, owner)
    except ValueError as error:
        raise StateError(
            f"[{SECTION}] has a held name that cannot be read: {text!r}; mend it or take it out"
        ) from error


def _config(source: str | io.BytesIO) -> Any:
    import configobj

    return configobj.ConfigObj(
        source,
        encoding="utf-8",
        default_encoding="utf-8",
        file_error=True,
        interpolation=False,
    )


def _list(value: object) -> list[str]:
    """A list as ConfigObj gives it: a single item whose comma a person took away is a string."""
    if isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, list | tuple):
        raise StateError(f"[{SECTION}] has a section where a list should be; mend it")
    return [str(item) for item in value]


def replace_file(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write *content* beside *path* and move it there, so that a kill leaves the old or the new."""
    temporary = path.with_name(path.name + _TEMPORARY)
    if mode is None:
        mode = stat.S_IMODE(path.stat().st_mode)
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
