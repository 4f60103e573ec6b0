"""What the CA says of each name of tests/data/dns-cases.json, our own walk says as well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard import caa, names, verdict
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers.iterative import IterativeResolver
from certbot_caa_guard.resolvers.stub import StubResolver
from certbot_caa_guard.verdict import Determination, Perspective
from tests.internet.behaviours import SIGNED, Laboratory, cases

# How long the CA waits; only silence takes so long.
PATIENCE = 20.0

# No signature is checked here.
UNSIGNED = [case for case in cases() if case["zone"] not in SIGNED]


async def determine(resolver: IResolver, case: Mapping[str, Any]) -> Determination:
    identifier = names.parse(case["identifier"])
    lookups = await asyncio.gather(*(resolver.lookup(one, PATIENCE) for one in identifier.owners))
    requester = caa.Requester(
        frozenset({"letsencrypt.org"}), case["account_uri"], frozenset({case["method"]})
    )
    return verdict.determine(
        identifier,
        {lookup.owner: lookup for lookup in lookups},
        perspective=resolver.perspective,
        requester=requester,
        round=1,
        at=0.0,
    )


@pytest.fixture(scope="module")
def determinations(
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Determination]:
    """Of all cases, found side by side, since some take as long as a CA waits.

    Each has a resolver of its own: in the bench all zones share an address, and what one case
    learns of it would be of no use to the next.
    """
    directory = tmp_path_factory.mktemp("laboratory")
    with Laboratory(directory) as internet:
        hints = internet.hints(directory / "root.hints")

        async def all_of_them() -> list[Determination]:
            resolvers = [IterativeResolver(Perspective("i", public=True), hints) for _ in UNSIGNED]
            return await asyncio.gather(*map(determine, resolvers, UNSIGNED))

        made = asyncio.run(all_of_them())
        assert internet.errors == []
    return {key(case): one for case, one in zip(UNSIGNED, made, strict=True)}


def key(case: Mapping[str, Any]) -> str:
    return f"{case['identifier']} {case['method']}: {case['case']}"


@pytest.mark.parametrize("case", UNSIGNED, ids=key)
def test_says_what_the_ca_says(
    case: Mapping[str, Any], determinations: Mapping[str, Determination]
) -> None:
    expected = case["resolvers"]["unbound-1.17.1"]
    made = determinations[key(case)]
    assert (made.result.value, made.found_at) == (expected["verdict"], expected.get("found_at"))


def test_the_ca_waited_where_we_did(determinations: Mapping[str, Determination]) -> None:
    """Nothing but silence and slowness takes longer than a moment."""
    slow = {one.lookups[0].owner for one in determinations.values() if one.lookups[0].seconds > 2}
    assert slow == {
        f"www.{zone}.lab" for zone in ("capsdrop", "ednsdrop", "slow1", "slow3", "slow8", "drop")
    }


CA_LIKE = ("unbound-1.24.2", "unbound-1.18.0", "unbound-1.17.1")


def is_quick_and_alike(case: Mapping[str, Any]) -> bool:
    """Whether every Unbound set up like the CA's says the same, and at once."""
    given = [case["resolvers"][one] for one in CA_LIKE]
    return len({one["verdict"] for one in given}) == 1 and max(one["seconds"] for one in given) < 1


def test_the_laboratory_is_the_one_of_the_cases(tmp_path: Path) -> None:
    """An Unbound set up like the CA's says of the rebuilt zones what it said of the real ones."""
    wanted = [case for case in cases() if is_quick_and_alike(case)]
    assert len(wanted) > 80
    with Laboratory(tmp_path, signed=SIGNED) as internet:
        unbound = StubResolver(Perspective("unbound", public=True), [(internet.resolver, 53)])

        async def all_of_them() -> list[Determination]:
            return await asyncio.gather(*(determine(unbound, case) for case in wanted))

        made = asyncio.run(all_of_them())
        assert internet.errors == []
    expected = {key(case): case["resolvers"]["unbound-1.17.1"]["verdict"] for case in wanted}
    assert {key(case): one.result.value for case, one in zip(wanted, made, strict=True)} == expected
