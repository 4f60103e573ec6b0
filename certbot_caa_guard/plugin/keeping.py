"""What one issuance wants and holds, and where that stands on disk meanwhile."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certbot_caa_guard.plugin import kept, pending
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin.pending import Pending


class Keeping:
    """Keeps names from the moment that they are held until their fate is known.

    Until the certificate is there, what it held before stays held too, even what nobody asks for
    any more: the order may fail, and the lineage then goes on as it was.

    :ivar before: what the lineage wanted and held so far.
    :ivar held: what this issuance leaves out, by name.
    """

    def __init__(self, config: Any, lineage: Any) -> None:
        """:param lineage: certbot's object for the lineage that is renewed; None for a new one."""
        self.before = state.Names()
        self.held: dict[str, state.Held] = {}
        self._config = config
        self._lineage = lineage
        self._certname = ""
        self._others: frozenset[Path] = frozenset()  # of lineages that the new one may be called
        self._pending: list[Pending] = []

    def read(self) -> None:
        """Learn what the lineage wants and holds.

        :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be read.
        """
        if self._lineage is not None:
            self.before = kept.kept_of(self._lineage, self._config)
            self._pending = kept.pending_for(self._lineage, self._config)

    def names(self, certname: str) -> None:
        """Know what a new lineage is to be called, before its order."""
        self._certname = certname
        self._others = self._confs()

    def put(self, wanted: Sequence[str], ordered: Sequence[str]) -> None:
        """Put what is held on disk before the order that leaves it out.

        :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be written.
        """
        held = {one.name: one for one in self.before.held} | self.held
        names = state.Names(tuple(dict.fromkeys([*wanted, *held])), tuple(held.values()))
        if self._lineage is not None:
            state.write(Path(self._lineage.configfile.filename), names)
        else:
            folder = kept.pending_folder(self._config)
            self._pending = [pending.write(folder, self._certname, names, ordered)]

    def done(self, lineage: Any, wanted: Sequence[str]) -> None:
        """Put it where it belongs, now that the certificate is there.

        :raises certbot_caa_guard.plugin.lineage.StateError: when it cannot be written.
        """
        there = lineage.names()
        held = tuple(one for name, one in self.held.items() if name not in there)
        state.write(Path(lineage.configfile.filename), state.Names(tuple(wanted), held))
        for one in (*self._pending, *self._superseded(there, wanted)):
            one.remove()

    def failed(self) -> None:
        """Forget what was pending for a first certificate that has not come about.

        Where there is one after all, and only a later step failed, what is pending stays.
        """
        if self._lineage is None and self._confs() == self._others:
            for one in self._pending:
                one.remove()

    def _superseded(self, there: Sequence[str], wanted: Sequence[str]) -> list[Pending]:
        """What earlier requests kept that the new certificate makes an end of."""
        if self._lineage is not None:
            return []
        return [
            one
            for one in pending.of(kept.pending_folder(self._config), self._certname)
            if one.wants(wanted) or (one.is_for(there) and not self._others)
        ]

    def _confs(self) -> frozenset[Path]:
        """The renewal configurations of lineages of that name, numbered by certbot or not."""
        folder, name = Path(self._config.renewal_configs_dir), glob.escape(self._certname)
        return frozenset([*folder.glob(f"{name}.conf"), *folder.glob(f"{name}-????.conf")])
