"""What is kept of one of certbot's lineages, wherever it stands, and what the user lets go of."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from certbot_caa_guard.plugin import lineage as state

_FOLDER = "caa-guard"

# certbot numbers a lineage whose name is taken.
_NUMBERED = re.compile(r"-\d{4}$")


def state_folder(config: Any) -> Path:
    """Where the guard keeps what is of no lineage."""
    return Path(config.config_dir) / _FOLDER


def pending_folder(config: Any) -> Path:
    """Where names stand until there is a certificate that they are left out of."""
    return state_folder(config) / "pending"


def pending_names(lineagename: str) -> tuple[str, ...]:
    """What the names of a lineage may stand under in that folder."""
    return tuple(dict.fromkeys([lineagename, _NUMBERED.sub("", lineagename)]))


def kept_of(lineage: Any, config: Any) -> state.Names:
    """What *lineage* wants and holds.

    Names that are still pending count: the first issuance was killed before it could put them
    into the renewal configuration.

    :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be read.
    """
    kept = state.read(lineage.configfile.get(state.SECTION))
    for certname in pending_names(lineage.lineagename):
        if kept.held:
            break
        kept = state.read_pending(pending_folder(config), certname, lineage.names())
    return kept


def may_hold(conf: Path, config: Any) -> bool:
    """Whether the lineage of *conf* may hold a name: a quick look, for there may be thousands."""
    if f"[{state.SECTION}]" in conf.read_text("utf-8", "replace"):
        return True
    folder = pending_folder(config)
    return any((folder / f"{name}.json").exists() for name in pending_names(conf.stem))


def wants_just(lineage: Any, config: Any, names: Collection[str]) -> bool:
    """Whether *names* are those that *lineage* wants, of which it holds some."""
    kept = kept_of(lineage, config)
    return bool(kept.held) and set(kept.wanted_with(lineage.names())) == set(names)


def let_go(lineage: Any, config: Any, names: Collection[str]) -> list[str]:
    """Forget the held names that a user, who asks *lineage* for *names*, does not want any more.

    :returns: those that were forgotten.
    :raises certbot_caa_guard.plugin.lineage.StateError: when that cannot be written.
    """
    kept = kept_of(lineage, config)
    gone = [name for name in kept.held_names if name not in names]
    if gone:
        state.write(Path(lineage.configfile.filename), kept.without(*gone))
        for certname in pending_names(lineage.lineagename):
            state.remove_pending(pending_folder(config), certname)
        # certbot writes the file anew at a renewal, from what it has read of it.
        lineage.configfile.reload()
    return gone
