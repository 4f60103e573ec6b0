"""Why lookups fail is found out beside other work, once for each failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from certbot_caa_guard.audit import explaining
from certbot_caa_guard.audit.explaining import Explainer
from certbot_caa_guard.audit.reasons import Reasons, failed_at, may_ask
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.names import parse
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.verdict import Determination, Evidence, Perspective, Result
from tests.internet import Internet, refused

BAD = "www.refused.net"


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {"refused.net": "", "fine.net": "", "top.net": "", "down.top.net": ""}
    with Internet(tmp_path_factory.mktemp("internet"), zones) as internet:
        internet.servers.script(refused, below="refused.net", qtype="CAA")
        yield internet


@pytest.fixture
def hints(internet: Internet, tmp_path: Path) -> str:
    return str(internet.hints(tmp_path / "named.root"))


def evidence(name: str, *failed: str) -> Evidence:
    lookups = tuple(
        Lookup(owner, Outcome.SERVFAIL if owner in failed else Outcome.NOTHING)
        for owner in parse(name).owners
    )
    perspective = Perspective("iterative", public=True)
    made = Determination(perspective, 1, 0.0, Result.ERROR, lookups)
    return Evidence(parse(name), (made,) if failed else ())


def test_the_main_finding_of_each_name_that_fails_is_found(hints: str) -> None:
    known = [
        evidence(BAD, BAD, "refused.net"),
        evidence("fine.net", "fine.net"),
        evidence("a.fine.net"),
    ]
    with Reasons(hints, None) as reasons:
        found = reasons.main(known, 60.0)
        explained = reasons.explained(known, 60.0)
    assert {name: finding.code for name, finding in found.items()} == {BAD: "InvalidRcode"}
    assert explained == {BAD}


def test_nobody_is_blamed_for_what_fails_elsewhere(internet: Internet, hints: str) -> None:
    internet.servers.script(refused, owner="top.net", qtype="CAA")
    internet.servers.script(refused, owner="x.down.top.net", qtype="CAA")
    known = [
        evidence("x.down.top.net", "x.down.top.net", "top.net"),
        evidence("www.top.net", "top.net"),
        evidence("*.top.net", "top.net"),
    ]
    with Reasons(hints, None) as reasons:
        futures = [reasons.of(one) for one in known]
        zones = [[one.zone for one in future.result()] for future in futures if future]
    assert zones == [["down.top.net", "top.net"], ["top.net"], ["top.net"]]


def test_what_is_not_known_in_time_is_left_out(hints: str) -> None:
    with Reasons(hints, None) as reasons:
        assert reasons.main([evidence(BAD, BAD)], 0.0) == {}


def test_nothing_is_loaded_or_asked_before_a_name_fails() -> None:
    with Reasons("/nowhere", None) as reasons:
        assert reasons.main([], 1.0) == {}


def test_root_hints_that_are_of_no_use_are_told() -> None:
    with Reasons("/nowhere", None) as reasons, pytest.raises(ResolverError):
        reasons.main([evidence(BAD, BAD)], 1.0)


def test_what_fails_is_audited_once(internet: Internet, hints: str) -> None:
    with Explainer(hints, signed_root=False) as explainer:
        first = explainer.explain("refused.net")
        assert explainer.explain("refused.net") is first
        assert [one.code for one in first.result()] == ["InvalidRcode"]
    assert not internet.errors


def test_there_is_an_end_to_audits(hints: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "_MOST", 0)
    with Explainer(hints, signed_root=False) as explainer:
        assert explainer.explain(BAD).result() == ()


def test_where_no_root_answers_nothing_is_found(tmp_path: Path) -> None:
    nobody = tmp_path / "named.root"
    nobody.write_text(". 60 NS a.root.\na.root. 60 A 127.255.255.253\n", encoding="ascii")
    with Explainer(nobody, signed_root=False) as explainer:
        assert explainer.explain(BAD).result() == ()
        assert explainer.audit(parse(BAD)).result() is None


def test_an_audit_that_nobody_waits_for_is_called_off(hints: str) -> None:
    explainer = Explainer(hints, signed_root=False)
    future = explainer.audit(parse(BAD))
    explainer.close()
    assert future.done()


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        ([], None),
        (["net"], "net"),
        (["net", "www.a.net", "a.net"], "a.net"),
        (["www.a.net"], "www.a.net"),
        (["x.www.a.net", "a.net"], "x.www.a.net"),
        (["y.x.www.a.net", "x.www.a.net", "a.net", "net"], "x.www.a.net"),
    ],
)
def test_the_highest_of_the_lowest_names_that_fail_is_explained(
    failed: list[str], told: str | None
) -> None:
    assert failed_at(failed) == told


@pytest.mark.parametrize(
    ("resolvers", "hints", "may"),
    [
        ("auto", None, True),
        ("system,iterative", None, True),
        ("unbound", None, True),
        ("system", None, False),
        ("udp://192.0.2.1,tls://dns.example", None, False),
        ("udp://192.0.2.1", "/etc/named.root", True),
    ],
)
def test_who_names_other_resolvers_may_be_cut_off(
    resolvers: str, hints: str | None, may: bool
) -> None:
    assert may_ask(resolvers, hints) is may
