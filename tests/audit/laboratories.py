"""Every zone of the cases, audited: alone at its server, and at one bad server of three."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from certbot_caa_guard.audit.auditor import Auditor
from certbot_caa_guard.audit.matrix import Matrix
from certbot_caa_guard.names import parse
from tests.internet import FaultyServer, Internet
from tests.internet.behaviours import BEHAVIOURS, Laboratory, cases

# Host numbers in the block.
GOOD, GOOD_TOO, BACKEND = 120, 121, 62
# Not by a server of the zone, or by none, or by the records themselves.
_ELSEWHERE = {"nons.lab", "dead.lab", "half.lab", "badcaa0.lab"}

AT_ONCE = 10


class Shared(Laboratory):
    """The same zones, each delegated to two servers more that do everything right."""

    @staticmethod
    def zones() -> list[str]:
        """The zones that have one bad server of three."""
        broken = {case["zone"] for case in cases() if case["server"] in BEHAVIOURS}
        wanted = {zone for zone in broken if zone.endswith(".lab")} - _ELSEWHERE
        return sorted(wanted | {"bogus.lab"})

    def _name_addresses(self) -> None:
        super()._name_addresses()
        more = []
        for zone in self.zones():
            label = zone.removesuffix(".lab")
            for number, host in ((2, GOOD), (3, GOOD_TOO)):
                more += [
                    f"{label} NS ns{number}.{zone}.",
                    f"ns{number}.{label} A {self.block.address(host)}",
                ]
        self._zones = {**self._zones, "lab": [*self._zones["lab"], *more]}

    def __enter__(self) -> Shared:
        super().__enter__()
        address = self.block.address
        good = FaultyServer(dict.fromkeys((address(GOOD), address(GOOD_TOO)), address(BACKEND)))
        self._stack.enter_context(good)
        return self


def audit(
    laboratory: Internet, directory: Path, identifiers: Collection[str], *, signed: bool = False
) -> dict[str, Matrix]:
    """The matrices of *identifiers*."""
    return asyncio.run(audit_all(laboratory, directory, list(identifiers), signed=signed))


async def audit_all(
    laboratory: Internet, directory: Path, identifiers: Sequence[str], *, signed: bool = False
) -> dict[str, Matrix]:
    auditor = Auditor(laboratory.hints(directory / "named.root"), signed_root=signed)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(identifier: str) -> Matrix:
        async with room:
            return await auditor.audit(parse(identifier))

    matrices = await asyncio.gather(*map(one, identifiers))
    return dict(zip(identifiers, matrices, strict=True))
