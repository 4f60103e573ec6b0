"""kill -9 of certbot at moments that chance chooses; ``make kill`` does it more often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.certbot import VERSIONS
from tests.simulation.kill import Killer, Occasion
from tests.simulation.world import World

_KILLS = 5
_CASES = [
    (version, occasion, at_authorization)
    for version, (occasion, at_authorization) in zip(
        VERSIONS,
        [(occasion, there) for occasion in Occasion for there in (False, True)],
        strict=True,
    )
]


@pytest.mark.parametrize(("version", "occasion", "at_authorization"), _CASES)
def test_a_kill_loses_no_name_no_lineage_and_no_budget(
    tmp_path: Path, version: str, occasion: Occasion, at_authorization: bool
) -> None:
    with World(tmp_path, version=version) as world:
        killer = Killer(world)
        deaths = [
            killer.kill(occasion, at_authorization=at_authorization, seed=seed)
            for seed in range(_KILLS)
        ]
    assert [death for death in deaths if death.complaints] == []
    assert any(death.was_killed for death in deaths)
