"""A resolver may be anybody's code, and may do what it should not."""

from __future__ import annotations

import asyncio

import pytest

from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.witness import Witness
from tests.fakes import FakeResolver, FaultyLookup, FaultyProbe


def look_up(witness: Witness) -> Lookup:
    return asyncio.run(witness.lookup("a.net", 5.0))


def is_usable(witness: Witness) -> bool:
    return asyncio.run(witness.is_usable(5.0))


@pytest.mark.parametrize("usable", [True, False])
def test_it_says_what_the_resolver_says(usable: bool) -> None:
    witness = Witness(FakeResolver(answers={"a.net": Outcome.SERVFAIL}, usable=usable))
    assert look_up(witness) == Lookup("a.net", Outcome.SERVFAIL)
    assert is_usable(witness) is usable
    assert not witness.has_failed


def test_an_owner_that_the_resolver_spells_otherwise_is_ours() -> None:
    class Shouts(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            return await super().lookup(owner.upper(), timeout)

    assert look_up(Witness(Shouts())).owner == "a.net"


def test_a_lookup_that_raises_tells_nothing_of_the_name() -> None:
    assert look_up(Witness(FaultyLookup())) == Lookup("a.net", Outcome.NETWORK)


def test_so_does_one_that_gives_no_lookup() -> None:
    class Mistaken(FakeResolver):
        async def lookup(self, *_: object) -> Lookup:
            return None  # type: ignore[return-value]

    witness = Witness(Mistaken())
    assert look_up(witness) == Lookup("a.net", Outcome.NETWORK)
    assert witness.has_failed


def test_one_whose_probe_raises_is_not_usable() -> None:
    assert not is_usable(Witness(FaultyProbe()))


def test_one_that_has_raised_is_not_usable_any_more() -> None:
    witness = Witness(FaultyLookup())
    assert is_usable(witness)
    look_up(witness)
    assert not is_usable(witness)


def test_that_it_raised_is_told_once_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    witness = Witness(FaultyLookup(), lambda: told.append("failed"))
    for _ in range(2):
        look_up(witness)
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert line == (
        "The resolver udp://192.0.2.1 is at fault and has no say: "
        "RuntimeError('a bug at a.net after 5.0')"
    )
    assert told == ["failed"]


def test_an_interrupt_is_none_of_its_faults() -> None:
    class Interrupted(FakeResolver):
        async def lookup(self, owner: str, timeout: float) -> Lookup:
            raise KeyboardInterrupt(owner, timeout)

    witness = Witness(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        look_up(witness)
    assert not witness.has_failed
