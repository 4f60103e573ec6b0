"""The seams into the installed certbot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from acme import messages
from certbot._internal import client, main, renewal, storage
from certbot.plugins import enhancements

from certbot_caa_guard.plugin import flags, guard, pending, seams
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin.stopped import Stopped
from tests.fakes import at_authorization, at_finalize, denial, failed_lookup, issue, rate_limited
from tests.plugin.bench import Bench, certbot_names, texts
from tests.plugin.conftest import ITEMS, WRAPPED

DENIED = issue("other.example")
NAMES = ("a.net", "b.net", "c.net")
REST = ["a.net", "c.net"]

FAULT = "a fault of the guard itself"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


class TestInstall:
    """The wraps are put in place at each start of certbot."""

    @pytest.mark.parametrize("name", WRAPPED)
    def test_this_certbot_has_the_seam(self, name: str) -> None:
        seams.install()
        assert seams._is_wrapped(main, name)

    @pytest.mark.parametrize("name", WRAPPED)
    def test_a_seam_is_wrapped_once(self, name: str) -> None:
        seams.install()
        once = getattr(main, name)
        seams.install()
        assert getattr(main, name) is once

    @pytest.mark.parametrize(
        ("items", "ours"),
        list(zip(ITEMS, (flags.BOOLEANS, flags.INTEGERS, flags.STRINGS), strict=True)),
    )
    def test_the_flags_are_restored_at_a_renewal(self, items: str, ours: tuple[str, ...]) -> None:
        seams.install()
        assert set(ours) <= set(getattr(renewal, items))

    @pytest.mark.parametrize("items", ITEMS)
    def test_the_flags_are_added_once(self, items: str) -> None:
        seams.install()
        once = list(getattr(renewal, items))
        seams.install()
        assert getattr(renewal, items) == once

    def test_every_flag_is_restored(self) -> None:
        """certbot forgets at the first renewal what is not."""
        import argparse

        parser = argparse.ArgumentParser()
        flags._add_flags(parser)
        dests = {action.dest for action in parser._actions if action.dest.startswith("caa_guard")}
        assert dests == {*flags.BOOLEANS, *flags.INTEGERS, *flags.STRINGS}

    @pytest.mark.parametrize("items", ITEMS)
    def test_a_certbot_without_such_lists_is_left_alone(
        self, items: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(renewal, items)
        seams.install()
        assert seams._is_wrapped(main, "_get_and_save_cert")

    def test_a_stand_in_for_certbots_function_is_left_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """certbot's own tests put mocks there."""
        stand_in = SimpleNamespace()
        monkeypatch.setattr(main, "_get_and_save_cert", stand_in)
        seams.install()
        assert main._get_and_save_cert is stand_in

    def test_the_late_seam_is_not_used_where_s1_is_there(self) -> None:
        seams.install()
        assert not seams._is_wrapped(client.Client, "obtain_certificate_from_csr")

    def test_the_original_is_told_by_its_wrap(self) -> None:
        before = main._find_cert
        seams.install()
        assert main._find_cert.__wrapped__ is before


class TestFlagOff:
    """Without --caa-guard the originals are called, with the same arguments."""

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
        seen: list[tuple[Any, ...]] = []

        def get_and_save(
            le_client: Any, config: Any, domains: Any = None, certname: Any = None,
            lineage: Any = None,
        ) -> str:  # fmt: skip
            seen.append((le_client, config, domains, certname, lineage))
            return "lineage"

        def csr(config: Any, le_client: Any) -> str:
            seen.append((config, le_client))
            return "paths"

        def find(config: Any, domains: Any, certname: Any) -> str:
            seen.append((config, domains, certname))
            return "found"

        for name, function in zip(WRAPPED, (get_and_save, csr, find), strict=True):
            monkeypatch.setattr(main, name, function)
        seams.install()
        return seen

    OFF = SimpleNamespace(caa_guard_enabled=False)

    @pytest.mark.parametrize("config", [OFF, SimpleNamespace()], ids=["off", "unknown flag"])
    def test_s1(self, calls: list[tuple[Any, ...]], config: Any) -> None:
        le_client, names, lineage = object(), ["a.net"], object()
        result = main._get_and_save_cert(le_client, config, names, "name", lineage)
        assert (result, calls) == ("lineage", [(le_client, config, names, "name", lineage)])
        assert calls[0][2] is names

    def test_s1_with_keywords(self, calls: list[tuple[Any, ...]]) -> None:
        le_client, lineage = object(), object()
        main._get_and_save_cert(le_client, self.OFF, lineage=lineage)
        assert calls == [(le_client, self.OFF, None, None, lineage)]

    def test_s2(self, calls: list[tuple[Any, ...]]) -> None:
        le_client = object()
        assert main._csr_get_and_save_cert(self.OFF, le_client) == "paths"
        assert calls == [(self.OFF, le_client)]

    def test_s5(self, calls: list[tuple[Any, ...]]) -> None:
        names = ["a.net"]
        assert main._find_cert(self.OFF, names, "name") == "found"
        assert calls == [(self.OFF, names, "name")]

    def test_nothing_is_attached(self, bench: Bench) -> None:
        bench.config = bench.make_config(guarded=False)
        seen: list[tuple[list[str], list[str]]] = []
        le_client = bench.client
        bench.acme.before_order = lambda: seen.append((ours(le_client), ours(bench.acme)))
        main._get_and_save_cert(le_client, bench.config, certbot_names(NAMES), None, None)
        assert seen == [([], [])]

    def test_no_question_is_asked(self, bench: Bench) -> None:
        bench.config = bench.make_config(guarded=False)
        bench.issue(*NAMES)
        assert all(one.asked == [] for one in bench.resolvers.values())


METHODS = (
    "_get_order_and_authorizations",
    "obtain_certificate",
    "poll",
    "finalize_order",
    "new_order",
)


def ours(owner: Any) -> list[str]:
    """The attributes of an object that hide methods of its class."""
    return [name for name in vars(owner) if name in METHODS]


class TestAttached:
    """Attributes on certbot's client, for the duration of one issuance."""

    def issue(self, bench: Bench) -> Any:
        self.client = bench.client
        return main._get_and_save_cert(self.client, bench.config, certbot_names(NAMES), None, None)

    def test_they_are_there_during_the_issuance(self, bench: Bench) -> None:
        seen: list[list[str]] = []
        bench.acme.before_order = lambda: seen.append([*ours(self.client), *ours(bench.acme)])
        self.issue(bench)
        assert sorted(seen[0]) == sorted(set(METHODS) - {"new_order"})

    def test_they_are_gone_afterwards(self, bench: Bench) -> None:
        self.issue(bench)
        assert (ours(self.client), ours(bench.acme)) == ([], [])

    def test_they_are_gone_after_an_error(self, bench: Bench) -> None:
        bench.acme.finalizing.append(messages.Error.from_json(rate_limited()))
        with pytest.raises(messages.Error):
            self.issue(bench)
        assert (ours(self.client), ours(bench.acme)) == ([], [])

    def test_they_are_gone_after_certbot_is_interrupted(self, bench: Bench) -> None:
        bench.acme.finalizing.append(KeyboardInterrupt())  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            self.issue(bench)
        assert (ours(self.client), ours(bench.acme)) == ([], [])

    @pytest.mark.parametrize("name", ["poll", "finalize_order"])
    def test_a_method_of_the_acme_client_that_is_missing_is_told_and_done_without(
        self,
        bench: Bench,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        changed(monkeypatch, type(bench.acme), name)
        assert self.issue(bench).names() == [*NAMES]
        assert [one for one in warnings(caplog) if f"it lacks {name}" in one]

    @pytest.mark.parametrize("name", ["_get_order_and_authorizations", "obtain_certificate"])
    def test_a_method_of_the_client_that_is_missing_is_told_and_done_without(
        self,
        bench: Bench,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        changed(monkeypatch, type(bench.client), name)
        assert self.issue(bench).names() == [*NAMES]
        assert [one for one in warnings(caplog) if f"it lacks {name}" in one]

    def test_a_missing_method_is_told_once(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        changed(monkeypatch, type(bench.acme), "poll")
        self.issue(bench)
        self.issue(bench)
        assert len(warnings(caplog)) == 1

    def test_without_a_way_to_order_anew_a_denial_comes_back(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed(monkeypatch, type(bench.client), "obtain_certificate")
        refusal = messages.Error.from_json(at_finalize(denial("b.net")))
        bench.acme.finalizing.append(refusal)
        with pytest.raises(messages.Error) as caught:
            self.issue(bench)
        assert caught.value is refusal

    def test_without_s4_an_order_is_placed_by_the_acme_client(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed(monkeypatch, type(bench.client), "_get_order_and_authorizations")
        bench.acme.net.status = "invalid"
        bench.acme.finalizing.append(messages.Error.from_json(at_finalize(failed_lookup("b.net"))))
        assert self.issue(bench).names() == [*NAMES]
        assert bench.acme.calls == ["new_order", "finalize 1", "new_order", "finalize 2"]


def changed(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Give a method another signature, as another version of certbot might."""
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda self, *args, **kw: original(self, *args, **kw))


class TestMissingSeams:
    """A certbot that lacks a seam goes on, and says so once."""

    def strange(self, *_values: Any, **_more: Any) -> str:
        return "certbot's own"

    @pytest.fixture
    def without(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], Callable[..., Any]]:
        """Give one of main's functions another signature, and install the guard again."""

        def make(name: str) -> Callable[..., Any]:
            function = getattr(main, name).__wrapped__

            def other(*values: Any, **more: Any) -> Any:
                return function(*values, **more)

            monkeypatch.setattr(main, name, other)
            seams.install()
            return other

        del bench
        return make

    @pytest.mark.parametrize("name", WRAPPED)
    def test_a_function_with_another_signature_is_not_wrapped(
        self, without: Callable[[str], Callable[..., Any]], name: str
    ) -> None:
        other = without(name)
        assert getattr(main, name) is other

    @pytest.mark.parametrize("name", WRAPPED)
    def test_nothing_is_said_while_the_flag_is_off(
        self,
        without: Callable[[str], Callable[..., Any]],
        bench: Bench,
        name: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        without(name)
        bench.config = bench.make_config(guarded=False)
        bench.issue(*NAMES)
        assert warnings(caplog) == []

    @pytest.mark.parametrize("name", ["_csr_get_and_save_cert", "_find_cert"])
    def test_the_others_work_on(
        self,
        without: Callable[[str], Callable[..., Any]],
        bench: Bench,
        name: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        without(name)
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == REST
        assert ["not fully known to the guard" in one for one in warnings(caplog)] == [True]

    def test_it_is_said_once(
        self,
        without: Callable[[str], Callable[..., Any]],
        bench: Bench,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        without("_find_cert")
        bench.issue(*NAMES)
        bench.issue("x.net")
        assert len(warnings(caplog)) == 1

    def test_a_function_that_is_gone_is_said_too(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.delattr(main, "_find_cert")
        bench.issue(*NAMES)
        assert len(warnings(caplog)) == 1

    def test_without_s1_and_the_flag_nothing_happens(
        self, without: Callable[[str], Callable[..., Any]], late: Late
    ) -> None:
        without("_get_and_save_cert")
        late.config.caa_guard_enabled = False
        late.acme.finalizing.append(messages.Error.from_json(at_finalize(failed_lookup("b.net"))))
        with pytest.raises(messages.Error):
            late.obtain()

    def test_without_s1_the_finalization_is_tried_again(
        self,
        without: Callable[[str], Callable[..., Any]],
        late: Late,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        without("_get_and_save_cert")
        late.acme.finalizing.append(messages.Error.from_json(at_finalize(failed_lookup("b.net"))))
        late.obtain()
        assert late.acme.calls == ["new_order", "finalize 1", "finalize 1"]
        assert "unknown to the guard: names are not checked" in warnings(caplog)[0]

    def test_without_s1_and_an_order_certbot_is_left_alone(
        self, without: Callable[[str], Callable[..., Any]], late: Late
    ) -> None:
        without("_get_and_save_cert")
        late.obtain(with_order=False)
        assert late.acme.calls == ["new_order", "finalize 1"]

    @pytest.mark.usefixtures("bench")
    def test_what_cannot_be_looked_into_does_not_fit(self) -> None:
        assert not seams._fits(len.__class__, "_find_cert")  # type: ignore[arg-type]


class Late:
    """certbot's own Client, with our fake CA: its seam is used where S1 is missing."""

    def __init__(self, bench: Bench) -> None:
        self._fake = bench.client
        self.acme = bench.acme
        self.config = bench.config
        self.config.issuance_timeout = 90
        self.client = client.Client.__new__(client.Client)
        for name in ("config", "acme", "account", "auth", "auth_handler"):
            setattr(self.client, name, getattr(self._fake, name))

    def obtain(self, *, with_order: bool = True) -> Any:
        csr = SimpleNamespace(data=",".join(NAMES).encode())
        order = self._fake._get_order_and_authorizations(csr.data, False) if with_order else None
        return self.client.obtain_certificate_from_csr(csr, order)


@pytest.fixture
def late(bench: Bench) -> Late:
    return Late(bench)


class TestCsr:
    """S2: --csr."""

    @pytest.fixture
    def csr(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
        """certbot's function for CSRs, as far as the client is concerned."""

        def original(config: Any, le_client: Any) -> Any:
            assert config is bench.config
            csr = SimpleNamespace(data=",".join(NAMES).encode())
            return le_client.obtain_certificate_from_csr(csr)

        monkeypatch.setattr(main, "_csr_get_and_save_cert", original)
        seams.install()
        bench.config.domains = certbot_names(NAMES)
        return lambda: main._csr_get_and_save_cert(bench.config, bench.client)

    def test_a_failure_at_finalize_is_tried_again(
        self, bench: Bench, csr: Callable[[], Any]
    ) -> None:
        bench.acme.finalizing.append(messages.Error.from_json(at_finalize(failed_lookup("b.net"))))
        csr()
        assert bench.acme.calls == ["new_order", "finalize 1", "finalize 1"]

    def test_a_failed_authorization_is_tried_again(
        self, bench: Bench, csr: Callable[[], Any]
    ) -> None:
        bench.acme.failing["b.net"] = at_authorization(failed_lookup("b.net"))
        csr()
        assert bench.acme.calls == ["new_order", "new_order", "finalize 2"]

    def test_names_that_would_fail_stop_it(self, bench: Bench, csr: Callable[[], Any]) -> None:
        bench.answers({"b.net": DENIED})
        with pytest.raises(Stopped, match="a CSR cannot be split"):
            csr()

    def test_a_denial_comes_back(self, bench: Bench, csr: Callable[[], Any]) -> None:
        refusal = messages.Error.from_json(at_finalize(denial("b.net")))
        bench.acme.finalizing.append(refusal)
        with pytest.raises(messages.Error) as caught:
            csr()
        assert caught.value is refusal

    def test_nothing_is_kept(self, bench: Bench, csr: Callable[[], Any]) -> None:
        csr()
        assert not bench.pending.exists()

    def test_a_fault_of_the_guard_leaves_certbot_alone(
        self,
        bench: Bench,
        csr: Callable[[], Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(guard.Session, "begin", broken)
        csr()
        assert bench.acme.calls == ["new_order", "finalize 1"]
        assert FAULT in caplog.text


class TestAskedAgain:
    """S5: the names of a certificate, those held among them, asked for again."""

    @pytest.fixture
    def held(self, bench: Bench) -> Bench:
        bench.lineage("a.net", REST, age=1)
        bench.hold("a.net", "b.net")
        return bench

    @pytest.fixture
    def find(self, held: Bench) -> Callable[..., Any]:
        def call(*names: str, certname: str | None = None) -> tuple[bool, Any, list[str]]:
            asked = certbot_names(names)
            should_get, lineage = main._find_cert(held.config, asked, certname)
            return should_get, lineage, texts(asked)

        return call

    def test_nothing_is_due_for_names_that_are_held(self, find: Callable[..., Any]) -> None:
        should_get, lineage, _ = find(*NAMES)
        assert (should_get, lineage.lineagename) == (False, "a.net")

    def test_the_installer_is_not_given_names_without_a_certificate(
        self, find: Callable[..., Any]
    ) -> None:
        assert sorted(find(*NAMES)[2]) == REST

    def test_the_user_is_told(self, find: Callable[..., Any], held: Bench) -> None:
        find(*NAMES)
        assert "still held: b.net" in held.said

    def test_the_order_of_the_names_does_not_matter(self, find: Callable[..., Any]) -> None:
        assert find("c.net", "b.net", "a.net")[0] is False

    def test_the_lineage_may_be_named(self, find: Callable[..., Any]) -> None:
        assert find(*NAMES, certname="a.net")[0] is False

    def test_when_a_renewal_is_due_all_names_are_asked_for(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        held.config.renew_by_default = True
        should_get, lineage, names = find(*NAMES)
        assert (should_get, lineage.lineagename, names) == (True, "a.net", [*NAMES])

    def test_other_names_are_certbots_business(self, find: Callable[..., Any]) -> None:
        assert find("x.net") == (True, None, ["x.net"])

    def test_a_duplicate_is_certbots_business(self, find: Callable[..., Any], held: Bench) -> None:
        held.config.duplicate = True
        assert find(*NAMES) == (True, None, [*NAMES])

    def test_without_the_flag_it_is_certbots_business(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        held.config.caa_guard_enabled = False
        held.config.expand = True
        assert find(*NAMES)[0] is True

    def test_lineages_that_cannot_be_read_are_passed_over(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        held.conf("0").write_text("not = all\n")
        held.conf("00").write_text("[caa_guard]\n")
        held.lineage("1", ["x.net"])
        held.conf("1").write_text(held.conf("1").read_text() + "[caa_guard]\nformat = 7\n")
        assert find(*NAMES)[0] is False

    def test_a_lineage_with_all_the_names_comes_first(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        held.lineage("z.net", NAMES, age=1)
        assert find(*NAMES)[1].lineagename == "z.net"

    def test_names_that_are_still_pending_count(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        """The first issuance was killed after its certificate; certbot had numbered the lineage."""
        held.conf("a.net").unlink()
        held.lineage("b.net-0001", REST, age=1)
        one = state.Held("b.net", "denied", "2026-01-01T00:00:00Z", "b.net")
        pending.write(held.pending, "b.net", state.Names(NAMES, (one,)), REST)
        should_get, lineage, _ = find(*NAMES)
        assert (should_get, lineage.lineagename) == (False, "b.net-0001")

    def test_a_renewal_that_nobody_named_names_for_lets_nothing_go(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        """For ``--cert-name`` alone, certbot looks the names up in the certificate."""
        held.config.certname = "a.net"
        find(*REST, certname="a.net")
        assert held.kept("a.net").held_names == ("b.net",)

    @pytest.mark.parametrize("certname", [None, "a.net"])
    def test_the_names_of_the_certificate_alone_let_the_held_ones_go(
        self, find: Callable[..., Any], held: Bench, certname: str | None
    ) -> None:
        held.config.certname = certname
        held.config.domains = certbot_names(REST)
        assert find(*REST, certname=certname)[0] is False
        assert held.kept("a.net").held_names == ()
        assert "b.net was held for this certificate, and is forgotten" in held.said

    def test_where_a_certificate_follows_nothing_is_let_go_before_it(
        self, find: Callable[..., Any], held: Bench
    ) -> None:
        held.config.domains = certbot_names([*NAMES])
        held.config.expand = True
        held.hold("a.net", "b.net", "d.net")
        assert find(*NAMES)[0] is True
        assert held.kept("a.net").held_names == ("b.net", "d.net")

    def test_a_rehearsal_lets_nothing_go(self, find: Callable[..., Any], held: Bench) -> None:
        held.config.dry_run = True
        held.config.domains = certbot_names(REST)
        find(*REST)
        assert held.kept("a.net").held_names == ("b.net",)

    def test_a_fault_of_the_guard_leaves_it_to_certbot(
        self,
        find: Callable[..., Any],
        held: Bench,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        held.config.expand = True
        monkeypatch.setattr(seams, "_as_certbot_names", broken)
        assert find(*NAMES)[0] is True
        assert FAULT in caplog.text


class TestEnhancements:
    """Seam S7: certbot enhances the sites that it was asked for, but those of held names."""

    class Installer:
        def __init__(self) -> None:
            self.enhanced: list[str] = []

        def enable_autohsts(self, _lineage: Any, names: Any) -> None:
            self.enhanced += names

    @pytest.fixture
    def enable(self, bench: Bench) -> Callable[..., list[str]]:
        def enable(*, lineage: Any) -> list[str]:
            installer = self.Installer()
            bench.config.auto_hsts = True
            enhancements.enable(lineage, [*NAMES], installer, bench.config)
            return installer.enhanced

        return enable

    @pytest.mark.parametrize(
        ("covered", "held", "enhanced"),
        [
            pytest.param(REST, ["b.net"], REST, id="held"),
            pytest.param(["*.net"], [], [*NAMES], id="covered by a wildcard"),
            pytest.param(["*.net"], ["b.net"], REST, id="covered by a wildcard, but held"),
            pytest.param(NAMES, ["b.net"], [*NAMES], id="back"),
        ],
    )
    def test_held_names_are_passed_over(
        self,
        covered: list[str],
        held: list[str],
        enhanced: list[str],
        enable: Callable[..., list[str]],
        bench: Bench,
    ) -> None:
        lineage = bench.lineage("a.net", covered)
        bench.hold("a.net", *held)
        assert enable(lineage=lineage) == enhanced

    def test_without_the_guard_all_are_enhanced(
        self, enable: Callable[..., list[str]], bench: Bench
    ) -> None:
        lineage = bench.lineage("a.net", REST)
        bench.hold("a.net", "b.net")
        bench.config = bench.make_config(guarded=False)
        assert enable(lineage=lineage) == [*NAMES]

    def test_without_a_lineage_all_are_enhanced(self, enable: Callable[..., list[str]]) -> None:
        assert enable(lineage=None) == [*NAMES]

    def test_a_fault_of_the_guard_leaves_all_of_them(
        self,
        enable: Callable[..., list[str]],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(seams, "_without_held", broken)
        assert enable(lineage=object()) == [*NAMES]
        assert FAULT in caplog.text


def broken(*_args: Any, **_more: Any) -> Any:
    raise RuntimeError("a bug")


def test_the_types_of_names_are_certbots(bench: Bench) -> None:
    bench.issue(*NAMES)
    expected = [type(one) for one in certbot_names(["a.net"])]
    assert [type(one) for one in seams._as_certbot_names(["b.net"], [])] == expected


def test_names_that_are_there_are_used_again() -> None:
    names = certbot_names(["a.net"])
    assert seams._as_certbot_names(["a.net"], names)[0] is names[0]


def test_a_lineage_of_certbots_is_what_comes_back(bench: Bench) -> None:
    assert isinstance(bench.issue(*NAMES), storage.RenewableCert)
