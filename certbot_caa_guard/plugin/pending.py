"""Names that wait for their first certificate, each request's in a file of its own.

A renewal configuration comes about with the certificate; until then what is held stands here.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from certbot_caa_guard.plugin.lineage import FORMAT, Held, Names, StateError, replace_file

_PRIVATE = 0o600

# certbot numbers a lineage whose name is taken.
_NUMBERED = re.compile(r"-\d{4}$")
# And so do we a file: requests for different names may give their lineage the same name.
_FURTHER = re.compile(r"\+\d+$")


@dataclass(frozen=True, slots=True)
class Pending:
    """What one request for a first certificate wants and holds.

    :ivar certname: what its lineage is to be called; certbot may add a number.
    :ivar ordered: the names in its order.
    """

    path: Path
    certname: str
    names: Names
    ordered: tuple[str, ...]

    def is_for(self, in_certificate: Collection[str]) -> bool:
        """Whether a certificate with these names is the one that was ordered."""
        return set(self.ordered) == set(in_certificate)

    def wants(self, names: Collection[str]) -> bool:
        """Whether it is a request for just these names."""
        return set(self.names.wanted) == set(names)

    def forget(self, name: str) -> None:
        """Forget one name, and the file with the last of them.

        :raises StateError: when it cannot be written.
        """
        names = self.names.without(name)
        if not names.held:
            self.remove()
            return
        _write(self.path, names, self.ordered)

    def remove(self) -> None:
        """Forget all of it."""
        with contextlib.suppress(OSError):
            self.path.unlink()


def write(folder: Path, certname: str, names: Names, ordered: Sequence[str]) -> Pending:
    """Keep *names* for a certificate that is not there yet, in place of what the same request kept.

    What others keep stays, and so does what cannot be read.

    :param ordered: the names that are ordered now.
    :raises StateError: when it cannot be written.
    """
    stem = certname.replace("/", "_")  # certbot itself refuses a slash
    path, number = folder / f"{stem}.json", 1
    while path.exists() and not ((other := _read(path)) and other.wants(names.wanted)):
        number += 1
        path = folder / f"{stem}+{number}.json"
    _write(path, names, ordered)
    return Pending(path, certname, names, tuple(ordered))


def all_in(folder: Path) -> list[Pending]:
    """All that is kept; what cannot be read is passed over."""
    found = map(_read, sorted(folder.glob("*.json")))
    return [one for one in found if one is not None]


def of(folder: Path, lineagename: str) -> list[Pending]:
    """What is kept for a lineage of that name, by whichever request."""
    names = _certnames(lineagename)
    return [one for one in all_in(folder) if one.certname in names or one.path.stem in names]


def is_any(folder: Path, lineagename: str) -> bool:
    """Whether something may be kept for a lineage of that name: a quick look."""
    names = _certnames(lineagename)
    return any(
        path.stem in names or _FURTHER.sub("", path.stem) in names for path in folder.glob("*.json")
    )


def _certnames(lineagename: str) -> set[str]:
    """What its request may have called a lineage."""
    return {lineagename, _NUMBERED.sub("", lineagename)}


def _read(path: Path) -> Pending | None:
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["format"] != FORMAT:
            return None
        held = tuple(Held(**held) for held in document["held"])
        return Pending(
            path,
            _FURTHER.sub("", path.stem),
            Names(tuple(document["wanted"]), held),
            tuple(document["ordered"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, names: Names, ordered: Sequence[str]) -> None:
    document: dict[str, Any] = {"format": FORMAT, **asdict(names), "ordered": list(ordered)}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, json.dumps(document, indent=1).encode(), mode=_PRIVATE)
    except OSError as error:
        raise StateError(f"cannot write to {path.parent}: {error}") from error
