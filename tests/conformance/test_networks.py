"""Whatever the network is like, no healthy name is held, and the output says what was wrong.

| network | what is said |
|---|---|
| port 53 is blocked | the perspectives that ask from the root do not resolve it |
| IPv6 is all there is | nothing is wrong |
| IPv4 is all there is, but the name servers have none | nobody could be asked |
| the system's resolver is dead | it does not resolve the root |
| the system's resolver lies: it refuses, or fails | the names are ordered all the same |
| our clock is a day off | the clocks differ |
| libunbound is missing, crashes or hangs | it does not resolve the root |
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from certbot_caa_guard.caa import ACME_METHODS, Requester
from certbot_caa_guard.climb import Lookup
from certbot_caa_guard.history import History
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.issuance import Issuance, Patience, Settings, Surroundings, Survey
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.report import text
from certbot_caa_guard.resolvers import libunbound, spec
from certbot_caa_guard.resolvers.iterative import IterativeResolver
from certbot_caa_guard.resolvers.stub import StubResolver, from_resolv_conf
from certbot_caa_guard.resolvers.unbound import UnboundResolver
from certbot_caa_guard.verdict import Lasting, Perspective, Verdict
from tests.fakes import FakeTeller
from tests.internet import Internet, Signing, servfail, transform
from tests.internet.nsd import Nsd
from tests.internet.silence import Silence

NAMES = ["good.net", "www.good.net", "plain.org"]
ZONES = {"good.net": ['@ CAA 0 issue "letsencrypt.org"'], "plain.org": []}
Survey_ = Callable[..., tuple[Survey, str]]


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[Internet]:
    with Internet(tmp_path / "internet", ZONES) as internet:
        yield internet


@pytest.fixture
def survey() -> Iterator[Survey_]:
    """Check names through resolvers as an issuance does; time passes at once."""
    with ExitStack() as stack:

        def survey(
            resolvers: Sequence[IResolver],
            names: Sequence[str] = NAMES,
            *,
            skew: float | None = None,
        ) -> tuple[Survey, str]:
            now = [0.0]
            for resolver in resolvers:
                stack.callback(resolver.close)
            preflight = stack.enter_context(
                Preflight(
                    resolvers,
                    lambda _one: Requester(frozenset({"letsencrypt.org"}), None, ACME_METHODS),
                    clock=lambda: now[0],
                    lasting=Lasting(rounds=3, seconds=12.0),
                )
            )

            def sleep(seconds: float) -> None:
                now[0] += seconds

            world = Surroundings(
                clock=lambda: now[0],
                sleep=sleep,
                chance=lambda: 0.5,
                teller=FakeTeller(),
                history=stack.enter_context(History(None, now=lambda: now[0])),
                patience=Patience(120.0),
                clock_skew=lambda: skew,
            )
            issuance = Issuance(names, preflight=preflight, settings=Settings(), surroundings=world)
            surveyed = issuance.survey()
            return surveyed, "\n".join(text.survey(surveyed, ["letsencrypt.org"]))

        yield survey


def system_at(folder: Path, address: str) -> StubResolver:
    """The system's resolver, of a system whose resolver is at *address*."""
    path = folder / "resolv.conf"
    path.write_text(f"nameserver {address}\n")
    return from_resolv_conf(spec.parse("system"), str(path))


def named(internet: Internet) -> StubResolver:
    return StubResolver(
        Perspective("udp://named", public=True, addresses=frozenset({internet.resolver})),
        [(internet.resolver, 53)],
    )


def hints_at(folder: Path, address: str, kind: str = "A") -> str:
    path = folder / "root.hints"
    path.write_text(f". 3600000 NS ns.root.\nns.root. 3600000 {kind} {address}\n")
    return str(path)


def test_port_53_is_blocked_but_the_system_resolves(
    internet: Internet, survey: Survey_, tmp_path: Path
) -> None:
    with Silence(internet.block.address(250)) as wall:
        hints = hints_at(tmp_path, wall.address)
        surveyed, said = survey(
            [
                UnboundResolver(root_hints=hints),
                IterativeResolver(Perspective("iterative", public=True), hints),
                system_at(tmp_path, internet.resolver),
            ]
        )
    assert set(surveyed.verdicts.values()) == {Verdict.PERMITTED}
    assert "unbound does not resolve the root" in said
    assert "iterative does not resolve the root" in said


def test_ipv6_is_all_there_is(survey: Survey_, tmp_path: Path) -> None:
    """One server on ::1 is the root and all below; nothing has an IPv4 address."""
    soa = "@ 3600 SOA ns.root. admin.root. 1 3600 900 86400 60\n@ 3600 NS ns.root.\n"
    zones = {
        ".": soa + "ns.root. AAAA ::1\n",
        "net": soa,
        "good.net": soa + '@ CAA 0 issue "letsencrypt.org"\n',
        "denied.net": soa + '@ CAA 0 issue "other-ca.example"\n',
    }
    with Nsd("::1", zones, tmp_path / "nsd"):
        hints = hints_at(tmp_path, "::1", "AAAA")
        surveyed, said = survey(
            [
                UnboundResolver(root_hints=hints),
                IterativeResolver(Perspective("iterative", public=True), hints),
            ],
            ["good.net", "www.good.net", "denied.net"],
        )
    assert [one.value for one in surveyed.verdicts.values()] == ["permitted"] * 2 + ["denied"]
    assert "does not resolve the root" not in said


def test_name_servers_have_none_of_the_addresses_that_can_be_asked(
    survey: Survey_, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver is on the same machine, and fails for the name as well."""
    monkeypatch.setattr(libunbound, "_has_route", socket.AF_INET.__eq__)

    def at_ipv6(
        _query: dns.message.Message, reply: dns.message.Message, _wire: bytes
    ) -> dns.message.Message:
        reply.additional = [dns.rrset.from_text("ns.six.net.", 60, "IN", "AAAA", "2620:fe::9")]
        return reply

    with Internet(tmp_path / "internet", {"six.net": []}) as internet:
        internet.tlds.script(transform(at_ipv6), below="six.net")
        hints = str(internet.hints(tmp_path / "root.hints"))
        surveyed, said = survey(
            [
                UnboundResolver(root_hints=hints),
                IterativeResolver(Perspective("iterative", public=True), hints),
                system_at(tmp_path, internet.resolver),
            ],
            ["six.net"],
        )
        system = surveyed.evidence["six.net"].failures
    assert [one.perspective.name for one in system] == ["system"]
    assert surveyed.division.held == ()
    assert "six.net: not known, ordered all the same" in said


def test_the_systems_resolver_is_dead(internet: Internet, survey: Survey_, tmp_path: Path) -> None:
    dead = system_at(tmp_path, internet.block.address(250))
    surveyed, said = survey([named(internet), dead])
    assert set(surveyed.verdicts.values()) == {Verdict.PERMITTED}
    assert "system does not resolve the root" in said


def test_the_systems_resolver_is_dead_and_there_is_no_other(
    internet: Internet, survey: Survey_, tmp_path: Path
) -> None:
    surveyed, said = survey([system_at(tmp_path, internet.block.address(250))])
    assert surveyed.division.held == ()
    assert "nobody could be asked" in said


def test_the_systems_resolver_lies_by_refusing(
    internet: Internet, survey: Survey_, tmp_path: Path
) -> None:
    inside = {"good.net": ['@ CAA 0 issue "inside-ca.example"'], "plain.org": []}
    with Internet(tmp_path / "inside", inside) as split_horizon:
        lying = system_at(tmp_path, split_horizon.resolver)
        surveyed, said = survey([named(internet), lying])
        alone, _ = survey([system_at(tmp_path, split_horizon.resolver)])
    assert surveyed.division.held == alone.division.held == ()
    assert surveyed.verdicts["good.net"] is Verdict.UNKNOWN
    assert "good.net: not known, ordered all the same" in said


def test_the_systems_resolver_lies_by_failing(
    internet: Internet, survey: Survey_, tmp_path: Path
) -> None:
    internet.servers.script(
        servfail, below="good.net", qtype="CAA", source=internet.second_resolver
    )
    surveyed, said = survey([named(internet), system_at(tmp_path, internet.second_resolver)])
    assert surveyed.division.held == ()
    assert "good.net: flaky, ordered all the same" in said


def test_our_clock_is_a_day_off(survey: Survey_, tmp_path: Path) -> None:
    """To a clock that is a day ahead, good signatures have expired, in every perspective."""
    with Internet(tmp_path, {"good.net": []}, signed={"good.net": Signing.EXPIRED}) as internet:
        hints = str(internet.hints(tmp_path / "root.hints"))
        anchor = str(internet.trust_anchor)
        resolvers = [UnboundResolver(root_hints=hints, trust_anchor=anchor), named(internet)]
        surveyed, said = survey(resolvers, ["good.net"], skew=86400.0)
        believed, _ = survey(
            [UnboundResolver(root_hints=hints, trust_anchor=anchor), named(internet)],
            ["good.net"],
            skew=1.0,
        )
    assert surveyed.division.held == ()
    assert "clock and the CA's differ" in said
    assert believed.division.held == ("good.net",)


def test_libunbound_is_missing(
    internet: Internet, survey: Survey_, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libunbound, "LIBRARY", "libnothing.so.8")
    unbound = UnboundResolver(root_hints=str(internet.hints(tmp_path / "root.hints")))
    surveyed, said = survey([unbound, named(internet)])
    assert set(surveyed.verdicts.values()) == {Verdict.PERMITTED}
    assert "unbound does not resolve the root" in said


class Struck(UnboundResolver):
    """libunbound, whose process gets a signal with the first question for a name."""

    signal = signal.SIGKILL

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        if self.pid is None:
            await self.is_usable(timeout)
        if self.pid is not None:
            os.kill(self.pid, self.signal)
        return await super().lookup(owner, 1.0)

    async def is_usable(self, timeout: float) -> bool:
        return await super().is_usable(min(timeout, 1.0))


class Stopped(Struck):
    signal = signal.SIGSTOP


@pytest.mark.parametrize("struck", [Struck, Stopped], ids=["crashes", "hangs"])
def test_libunbound_crashes_or_hangs(
    internet: Internet, survey: Survey_, tmp_path: Path, struck: type[Struck]
) -> None:
    unbound = struck(root_hints=str(internet.hints(tmp_path / "root.hints")))
    surveyed, said = survey([unbound, named(internet)])
    assert surveyed.division.held == ()
    assert "unbound does not resolve the root" in said or "ordered all the same" in said
    assert asyncio.run(named(internet).is_usable(5.0))
