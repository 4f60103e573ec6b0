"""What is kept of one of certbot's lineages, wherever it stands, and what the user lets go of."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin import pending

_FOLDER = "caa-guard"


def state_folder(config: Any) -> Path:
    """Where the guard keeps what is of no lineage."""
    return Path(config.config_dir) / _FOLDER


def pending_folder(config: Any) -> Path:
    """Where names stand until there is a certificate that they are left out of."""
    return state_folder(config) / "pending"


def pending_for(lineage: Any, config: Any) -> list[pending.Pending]:
    """What was kept for the certificate of *lineage* before it came about.

    The first issuance was killed before it could put that into the renewal configuration.
    """
    kept = pending.of(pending_folder(config), lineage.lineagename)
    return [one for one in kept if one.is_for(lineage.names())] if kept else []


def kept_of(lineage: Any, config: Any) -> state.Names:
    """What *lineage* wants and holds; names that are still pending count.

    :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be read.
    """
    kept = state.read(lineage.configfile.get(state.SECTION))
    waiting = [] if kept.held else pending_for(lineage, config)
    return waiting[0].names if waiting else kept


def held_from(lineage: Any) -> frozenset[str]:
    """The held names that are not in the certificate, by the file: certbot may have read it before.

    :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be read.
    """
    conf = state.load(Path(lineage.configfile.filename))
    return frozenset(state.read(conf.get(state.SECTION)).held_names) - set(lineage.names())


def may_hold(conf: Path, config: Any) -> bool:
    """Whether the lineage of *conf* may hold a name: a quick look, for there may be thousands."""
    if f"[{state.SECTION}]" in conf.read_text("utf-8", "replace"):
        return True
    return pending.is_any(pending_folder(config), conf.stem)


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
        waiting = pending_for(lineage, config)
        state.write(Path(lineage.configfile.filename), kept.without(*gone))
        for one in waiting:
            one.remove()
        # certbot writes the file anew at a renewal, from what it has read of it.
        lineage.configfile.reload()
    return gone
