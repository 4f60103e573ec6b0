"""One guarded issuance inside the installed certbot, from the names to the state on disk."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acme import errors as acme_errors
from acme import messages
from certbot import errors
from certbot._internal import main, storage

from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.plugin import guard
from certbot_caa_guard.plugin.call import CertbotCall
from certbot_caa_guard.plugin.stopped import Stopped
from certbot_caa_guard.resolvers import loader
from tests.fakes import (
    at_authorization,
    at_finalize,
    denial,
    failed_lookup,
    issue,
    not_about_caa,
    rate_limited,
    several_at_finalize,
)
from tests.plugin.bench import RESOLVERS, Bench, Directory, certbot_names, texts
from tests.plugin.test_limits import fail_often

DENIED = issue("other.example")
NAMES = ("a.net", "b.net", "c.net")
REST = ["a.net", "c.net"]


def error(document: dict[str, object]) -> messages.Error:
    return messages.Error.from_json(dict(document))


def held(bench: Bench, name: str = "a.net") -> list[str]:
    return list(bench.kept(name).held_names)


class TestFirstIssuance:
    """No lineage is there yet."""

    def test_permitted_names_are_all_in_the_certificate(self, bench: Bench) -> None:
        assert bench.issue(*NAMES).names() == [*NAMES]

    def test_a_denied_name_is_left_out(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == REST

    def test_it_is_left_out_of_the_order(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_it_is_kept_in_the_renewal_configuration(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert bench.kept("a.net").wanted == NAMES
        assert str(bench.kept("a.net").held[0]).startswith("b.net denied ")

    def test_it_is_on_disk_before_the_order(self, bench: Bench) -> None:
        seen: list[dict[str, Any]] = []

        def look() -> None:
            seen.append(json.loads((bench.pending / "a.net.json").read_text()))

        bench.answers({"b.net": DENIED})
        bench.acme.before_order = look
        bench.issue(*NAMES)
        assert (seen[0]["wanted"], seen[0]["ordered"]) == ([*NAMES], REST)
        assert [one["name"] for one in seen[0]["held"]] == ["b.net"]

    def test_what_was_pending_is_gone_afterwards(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert list(bench.pending.iterdir()) == []

    def test_certbots_own_list_of_names_is_changed_in_place(self, bench: Bench) -> None:
        """certbot hands it to the installer afterwards."""
        bench.answers({"b.net": DENIED})
        names = certbot_names(NAMES)
        guard_call(bench, names)
        assert names == certbot_names(REST)

    def test_the_lineage_is_named_after_the_first_name_even_when_that_is_held(
        self, bench: Bench
    ) -> None:
        bench.answers({"a.net": DENIED})
        assert bench.issue(*NAMES).lineagename == "a.net"

    def test_a_wildcard_gives_its_base_to_the_lineage(self, bench: Bench) -> None:
        bench.answers({"a.net": DENIED})
        assert bench.issue("*.a.net", "b.net").lineagename == "a.net"

    def test_the_name_that_the_user_gave_the_lineage_stays(self, bench: Bench) -> None:
        bench.answers({"a.net": DENIED})
        assert bench.issue(*NAMES, certname="mine").lineagename == "mine"

    def test_without_a_held_name_certbot_names_the_lineage(self, bench: Bench) -> None:
        assert bench.issue(*NAMES).lineagename == "a.net"

    def test_nothing_is_kept_where_nothing_is_held(self, bench: Bench) -> None:
        bench.issue(*NAMES)
        assert "caa_guard]" not in bench.conf("a.net").read_text()

    def test_the_user_is_told_which_and_why(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert "b.net: denied: While processing CAA for b.net" in bench.said
        assert "remembered b.net" in bench.said

    def test_a_name_that_fails_for_long_is_held_as_broken(self, bench: Bench) -> None:
        bench.answers({"b.net": Outcome.SERVFAIL})
        bench.issue(*NAMES)
        assert bench.kept("a.net").held[0].verdict == "broken"

    def test_the_owner_of_the_failure_is_kept(self, bench: Bench) -> None:
        bench.answers({"b.c.net": Outcome.SERVFAIL})
        bench.issue("a.net", "a.b.c.net")
        assert bench.kept("a.net").held[0].owner == "b.c.net"

    def test_nothing_stays_pending_when_it_fails(self, bench: Bench) -> None:
        bench.answers({"b.net": DENIED})
        bench.acme.finalizing.append(error(rate_limited()))
        with pytest.raises(messages.Error):
            bench.issue(*NAMES)
        assert list(bench.pending.iterdir()) == []

    def test_what_is_pending_stays_when_only_a_later_step_fails(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: object) -> None:
            raise errors.HookCommandNotFound

        monkeypatch.setattr(main.hooks, "deploy_hook", fail)
        bench.answers({"b.net": DENIED})
        with pytest.raises(errors.HookCommandNotFound):
            bench.issue(*NAMES)
        assert [path.name for path in bench.pending.iterdir()] == ["a.net.json"]

    def test_another_certificate_of_that_name_leaves_what_is_pending(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the only record of what the first one holds: that was killed in its hooks."""
        bench.answers({"b.net": DENIED, "y.net": DENIED})
        with monkeypatch.context() as killed:
            killed.setattr(main.hooks, "deploy_hook", kill)
            with pytest.raises(KeyboardInterrupt):
                bench.issue(*NAMES)
        assert bench.issue("a.net", "x.net").lineagename == "a.net-0001"
        assert bench.issue("a.net", "y.net", "z.net").lineagename == "a.net-0002"
        bench.issue(lineage=bench.reload("a.net-0001"))
        bench.answers({})
        assert bench.issue(lineage=bench.reload("a.net")).names() == [*NAMES]
        assert list(bench.pending.iterdir()) == []

    def test_what_an_earlier_request_for_the_same_names_left_pending_is_gone_afterwards(
        self, bench: Bench
    ) -> None:
        bench.pending.mkdir(parents=True)
        (bench.pending / "a.net.json").write_text(pending_text())
        bench.issue(*NAMES)
        assert list(bench.pending.iterdir()) == []

    def test_nor_does_one_stay_for_names_that_nobody_wants_any_more(self, bench: Bench) -> None:
        bench.pending.mkdir(parents=True)
        (bench.pending / "a.net.json").write_text(pending_text())
        bench.issue(*REST)
        assert list(bench.pending.iterdir()) == []
        assert held(bench) == []

    def test_one_that_fails_leaves_nothing_for_an_older_lineage_of_that_name(
        self, bench: Bench
    ) -> None:
        bench.lineage("a.net", REST)
        bench.answers({"b.net": DENIED})
        bench.acme.finalizing.append(error(rate_limited()))
        with pytest.raises(messages.Error):
            bench.issue(*NAMES)
        assert list(bench.pending.iterdir()) == []

    def test_where_nothing_can_be_written_no_name_is_left_out(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """That is no fault of the guard's, and nothing to report."""
        bench.pending.parent.mkdir(parents=True, exist_ok=True)
        bench.pending.touch()
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == [*NAMES]
        assert "cannot write to" in caplog.text
        assert "leaves out no name that it cannot remember" in caplog.text
        assert "please report" not in caplog.text

    def test_an_ip_address_passes(self, bench: Bench) -> None:
        names = ["a.net", "192.0.2.7"]
        bench.acme.finalizing.append(error(rate_limited()))
        with pytest.raises(messages.Error):
            bench.issue(*names)
        assert bench.acme.ordered == [names]


def kill(*_arguments: object) -> None:
    raise KeyboardInterrupt


def guard_call(bench: Bench, names: list[Any]) -> Any:
    return main._get_and_save_cert(bench.client, bench.config, names, None, None)


class TestStop:
    """Before the order, with an error that says why."""

    def stopped(self, bench: Bench, *names: str, **call: Any) -> str:
        with pytest.raises(Stopped) as caught:
            bench.issue(*(names or NAMES), **call)
        assert bench.acme.calls == []
        return str(caught.value)

    def test_when_every_name_would_fail(self, bench: Bench) -> None:
        bench.answers(dict.fromkeys(NAMES, DENIED))
        assert "nothing is left to order" in self.stopped(bench)

    def test_when_the_user_asked_for_it(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-on-fail", "stop")
        bench.answers({"b.net": DENIED})
        assert "because b.net would fail" in self.stopped(bench)

    def test_when_the_user_says_no(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guard.display_util, "yesno", lambda *_args, **_kwargs: False)
        bench.config.noninteractive_mode = False
        bench.answers({"b.net": DENIED})
        assert "at your wish" in self.stopped(bench)

    def test_when_the_user_gives_no_answer(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-D, or the end of an input that is no terminal."""

        def end(*_args: object, **_kwargs: object) -> bool:
            raise EOFError

        monkeypatch.setattr(guard.display_util, "yesno", end)
        bench.config.noninteractive_mode = False
        bench.answers({"b.net": DENIED})
        assert "at your wish" in self.stopped(bench)

    def test_not_when_the_user_says_yes(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard.display_util, "yesno", lambda *_args, **_kwargs: True)
        bench.config.noninteractive_mode = False
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == REST

    def test_nothing_is_held_by_it(self, bench: Bench) -> None:
        bench.answers(dict.fromkeys(NAMES, DENIED))
        self.stopped(bench)
        assert not bench.pending.exists()

    def test_it_is_an_error_of_certbots(self) -> None:
        assert issubclass(Stopped, errors.Error)


class TestWarn:
    def test_all_names_are_ordered(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-on-fail", "warn")
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == [*NAMES]

    def test_the_user_is_told(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-on-fail", "warn")
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert "b.net: denied, ordered all the same" in bench.said


class TestRenewal:
    """A lineage is there."""

    def test_held_names_are_ordered_again(self, bench: Bench) -> None:
        lineage = self.with_held(bench)
        assert sorted(bench.issue(lineage=lineage).names()) == [*NAMES]

    def with_held(self, bench: Bench, **validity: float) -> Any:
        bench.lineage("a.net", REST, **(validity or {"age": 85}))
        bench.hold("a.net", "b.net")
        return bench.reload("a.net")

    def test_a_name_on_its_way_back_is_not_lost_when_certbot_is_killed(self, bench: Bench) -> None:
        """Another is held still: what is written for that one keeps both."""
        bench.lineage("a.net", REST, age=85)
        bench.hold("a.net", "b.net", "d.net")
        bench.answers({"d.net": DENIED})

        def killed() -> None:
            raise KeyboardInterrupt

        bench.acme.before_order = killed
        with pytest.raises(KeyboardInterrupt):
            bench.issue(lineage=bench.reload("a.net"))
        assert sorted(held(bench)) == ["b.net", "d.net"]
        bench.acme.before_order = lambda: None
        bench.issue(lineage=bench.reload("a.net"))
        assert held(bench) == ["d.net"]

    def test_a_name_that_is_back_is_held_no_more(self, bench: Bench) -> None:
        bench.issue(lineage=self.with_held(bench))
        assert held(bench) == []
        assert "back in the certificate: b.net" in bench.said

    def test_a_name_that_still_fails_stays_held(self, bench: Bench) -> None:
        lineage = self.with_held(bench)
        bench.answers({"b.net": DENIED})
        assert (bench.issue(lineage=lineage).names(), held(bench)) == (REST, ["b.net"])

    def test_it_stays_held_since_when_it_was(self, bench: Bench) -> None:
        lineage = self.with_held(bench)
        bench.answers({"b.net": DENIED})
        bench.issue(lineage=lineage)
        assert bench.kept("a.net").held[0].since == "2026-01-01T00:00:00Z"

    def test_a_covered_name_is_left_out_at_the_end(self, bench: Bench) -> None:
        lineage = bench.lineage("a.net", NAMES, age=81)
        bench.answers({"b.net": DENIED})
        assert bench.issue(lineage=lineage).names() == REST

    def test_a_new_name_is_left_out_though_the_others_can_wait(self, bench: Bench) -> None:
        lineage = bench.lineage("a.net", REST, age=1)
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES, lineage=lineage).names() == REST

    def test_held_names_are_in_the_renewal_configuration_before_the_order(
        self, bench: Bench
    ) -> None:
        seen: list[list[str]] = []
        lineage = bench.lineage("a.net", NAMES, age=85)
        bench.answers({"b.net": DENIED})
        bench.acme.before_order = lambda: seen.append(held(bench))
        bench.issue(lineage=lineage)
        assert seen == [["b.net"]]

    def test_a_renewal_by_the_name_of_the_lineage_is_for_all_wanted_names(
        self, bench: Bench
    ) -> None:
        """``certonly --cert-name a.net``: certbot looks the names up in the certificate."""
        lineage = self.with_held(bench)
        bench.config.certname = "a.net"
        names = certbot_names(REST)
        issued = main._get_and_save_cert(bench.client, bench.config, names, "a.net", lineage)
        assert sorted(issued.names()) == sorted(texts(names)) == [*NAMES]

    def test_a_lineage_that_a_person_renamed_keeps_its_names(self, bench: Bench) -> None:
        """As certbot's manual says: the configuration, and the folders that it names."""
        self.with_held(bench)
        config = bench.folder / "config"
        for kind in ("archive", "live"):
            (config / kind / "a.net").rename(config / kind / "mine")
        for link in (config / "live" / "mine").glob("*.pem"):
            target = str(link.readlink()).replace("/a.net/", "/mine/")
            link.unlink()
            link.symlink_to(target)
        text = bench.conf("a.net").read_text()
        bench.conf("a.net").unlink()
        for kind in ("archive", "live"):
            text = text.replace(f"/{kind}/a.net", f"/{kind}/mine")
        bench.conf("mine").write_text(text)
        assert sorted(bench.issue(lineage=bench.reload("mine")).names()) == [*NAMES]

    def test_a_lineage_that_was_deleted_leaves_nothing_behind(self, bench: Bench) -> None:
        self.with_held(bench)
        storage.delete_files(bench.config, "a.net")
        assert bench.issue(*REST).names() == REST
        assert held(bench) == []

    def test_a_backup_from_before_a_name_was_held_is_as_good_as_new(self, bench: Bench) -> None:
        lineage = bench.lineage("a.net", NAMES, age=85)
        before = bench.conf("a.net").read_text()
        bench.answers({"b.net": DENIED})
        bench.issue(lineage=lineage)
        for kind in ("cert", "chain", "fullchain", "privkey"):
            (bench.folder / f"config/archive/a.net/{kind}2.pem").unlink()
            link = bench.folder / f"config/live/a.net/{kind}.pem"
            link.unlink()
            link.symlink_to(f"../../archive/a.net/{kind}1.pem")
        bench.conf("a.net").write_text(before)
        bench.answers({})
        assert bench.issue(lineage=bench.reload("a.net")).names() == [*NAMES]

    def test_a_name_that_came_back_while_the_guard_was_off_is_held_no_more(
        self, bench: Bench
    ) -> None:
        bench.lineage("a.net", NAMES, age=85)
        bench.hold("a.net", "b.net")
        assert bench.issue(lineage=bench.reload("a.net")).names() == [*NAMES]
        assert held(bench) == []

    def test_names_that_the_user_asks_for_replace_the_wanted_ones(self, bench: Bench) -> None:
        lineage = self.with_held(bench)
        bench.issue(*REST, lineage=lineage)
        assert (bench.acme.ordered, held(bench)) == ([REST], [])

    def test_held_names_that_nobody_asks_for_any_more_are_forgotten_and_told(
        self, bench: Bench
    ) -> None:
        bench.issue("a.net", "d.net", lineage=self.with_held(bench))
        assert held(bench) == []
        assert "b.net was held for this certificate, and is forgotten" in bench.said

    @pytest.mark.parametrize("more", [(), ("e.net",)], ids=["alone", "with another held one"])
    def test_but_not_by_a_request_that_fails(self, bench: Bench, more: tuple[str, ...]) -> None:
        lineage = self.with_held(bench)
        bench.answers({"e.net": DENIED})
        bench.acme.failing = {"d.net": not_about_caa()}
        with pytest.raises(errors.AuthorizationError):
            bench.issue("a.net", "d.net", *more, lineage=lineage)
        assert held(bench) == ["b.net", *more]
        assert "forgotten" not in bench.said

    def test_rejoining_names_do_not_stop_the_renewal(self, bench: Bench) -> None:
        lineage = self.with_held(bench)
        bench.acme.finalizing.append(error(rate_limited()))
        assert sorted(bench.issue(lineage=lineage).names()) == REST
        assert held(bench) == ["b.net"]

    def test_what_is_pending_is_taken_over(self, bench: Bench) -> None:
        """The first issuance was killed after its certificate and before its configuration."""
        bench.lineage("a.net", REST, age=85)
        bench.pending.mkdir(parents=True)
        (bench.pending / "a.net.json").write_text(pending_text())
        lineage = bench.reload("a.net")
        assert sorted(bench.issue(lineage=lineage).names()) == [*NAMES]

    def test_what_was_pending_is_gone_after_a_renewal(self, bench: Bench) -> None:
        bench.lineage("a.net", REST, age=85)
        bench.pending.mkdir(parents=True)
        (bench.pending / "a.net.json").write_text(pending_text())
        bench.issue(lineage=bench.reload("a.net"))
        assert list(bench.pending.iterdir()) == []

    def test_what_was_pending_for_a_lineage_with_a_name_of_its_own_is_gone_after_a_renewal(
        self, bench: Bench
    ) -> None:
        bench.lineage("mine", REST, age=85)
        bench.pending.mkdir(parents=True)
        (bench.pending / "mine.json").write_text(pending_text())
        bench.issue(lineage=bench.reload("mine"))
        assert list(bench.pending.iterdir()) == []

    def test_state_of_another_version_leaves_certbot_alone(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        lineage = self.with_held(bench)
        lineage.configfile["caa_guard"]["format"] = "7"
        assert bench.issue(lineage=lineage).names() == REST
        assert "written by another version" in caplog.text

    def test_a_held_name_that_a_person_misspelled_does_not_stop_the_renewal(
        self, bench: Bench
    ) -> None:
        bench.lineage("a.net", REST, age=85)
        bench.hold("a.net", "b..net")
        assert set(REST) <= set(bench.issue(lineage=bench.reload("a.net")).names())


def pending_text() -> str:
    one = {"name": "b.net", "verdict": "denied", "since": "2026-01-01T00:00:00Z", "owner": "b.net"}
    return json.dumps({"format": 1, "wanted": NAMES, "held": [one], "ordered": REST})


class TestRefusals:
    """The CA says no after the guard said yes."""

    def test_a_failure_at_finalize_is_tried_again(self, bench: Bench) -> None:
        bench.acme.finalizing.append(error(at_finalize(failed_lookup("b.net"))))
        assert bench.issue(*NAMES).names() == [*NAMES]
        assert bench.acme.calls == ["new_order", "finalize 1", "finalize 1"]

    def test_a_dead_order_is_placed_again(self, bench: Bench) -> None:
        bench.acme.net.status = "invalid"
        bench.acme.finalizing.append(error(at_finalize(failed_lookup("b.net"))))
        bench.issue(*NAMES)
        assert bench.acme.calls == ["new_order", "finalize 1", "new_order", "finalize 2"]

    def test_an_order_that_fails_in_the_end_is_placed_again(self, bench: Bench) -> None:
        bench.acme.net.status = "invalid"
        problem = error(at_finalize(failed_lookup("b.net")))
        bench.acme.finalizing.append(acme_errors.IssuanceError(problem))
        assert bench.issue(*NAMES).names() == [*NAMES]

    def test_a_failed_authorization_is_tried_again(self, bench: Bench) -> None:
        bench.acme.failing["b.net"] = at_authorization(failed_lookup("b.net"))
        assert bench.issue(*NAMES).names() == [*NAMES]
        assert bench.acme.calls == ["new_order", "new_order", "finalize 2"]

    def test_a_denied_name_is_left_out_of_a_second_order(self, bench: Bench) -> None:
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        assert bench.issue(*NAMES).names() == REST
        assert bench.acme.ordered == [[*NAMES], REST]

    def test_it_is_remembered_as_denied(self, bench: Bench) -> None:
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        bench.issue(*NAMES)
        assert str(bench.kept("a.net").held[0]).split()[:2] == ["b.net", "denied"]

    def test_it_is_on_disk_before_the_second_order(self, bench: Bench) -> None:
        seen: list[bool] = []
        bench.acme.before_order = lambda: seen.append((bench.pending / "a.net.json").exists())
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        bench.issue(*NAMES)
        assert seen == [False, True]

    def test_certbots_own_list_of_names_follows(self, bench: Bench) -> None:
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        names = certbot_names(NAMES)
        guard_call(bench, names)
        assert names == certbot_names(REST)

    def test_names_can_be_left_out_one_after_the_other(self, bench: Bench) -> None:
        bench.acme.finalizing += [
            error(at_finalize(denial("b.net"))),
            error(at_finalize(denial("c.net"))),
        ]
        assert bench.issue(*NAMES).names() == ["a.net"]
        assert held(bench) == ["b.net", "c.net"]

    def test_several_names_can_be_left_out_at_once(self, bench: Bench) -> None:
        document = several_at_finalize("b.net", "c.net", text=denial)
        bench.acme.finalizing.append(error(document))
        assert bench.issue(*NAMES).names() == ["a.net"]

    def test_a_name_held_before_the_order_and_one_after_it_are_both_kept(
        self, bench: Bench
    ) -> None:
        bench.answers({"b.net": DENIED})
        bench.acme.finalizing.append(error(at_finalize(denial("c.net"))))
        bench.issue(*NAMES)
        assert held(bench) == ["b.net", "c.net"]

    @pytest.mark.parametrize("make", [rate_limited, not_about_caa])
    def test_what_is_not_about_caa_comes_back_as_it_was(
        self, bench: Bench, make: Callable[[], dict[str, object]]
    ) -> None:
        refusal = error(make())
        bench.acme.finalizing.append(refusal)
        with pytest.raises(messages.Error) as caught:
            bench.issue(*NAMES)
        assert caught.value is refusal

    def test_an_authorization_that_fails_otherwise_comes_back_as_it_was(self, bench: Bench) -> None:
        bench.acme.failing["b.net"] = not_about_caa()
        with pytest.raises(errors.AuthorizationError, match="Some challenges have failed"):
            bench.issue(*NAMES)

    def test_what_is_no_refusal_passes(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.acme.finalizing.append(OSError("the network is gone"))
        with pytest.raises(OSError, match="the network is gone"):
            bench.issue(*NAMES)
        assert "fault of the guard" not in caplog.text


class TestDryRun:
    """Nothing is written."""

    @pytest.fixture
    def dry(self, bench: Bench) -> Bench:
        bench.config.dry_run = True
        bench.answers({"b.net": DENIED})
        return bench

    def test_a_failing_name_is_left_out(self, dry: Bench) -> None:
        dry.issue(*NAMES)
        assert dry.acme.ordered == [REST]

    def test_nothing_is_kept(self, dry: Bench) -> None:
        dry.issue(*NAMES)
        assert [one for one in dry.folder.rglob("*") if "caa" in one.name] == []

    def test_the_renewal_configuration_stays_as_it_was(self, dry: Bench) -> None:
        lineage = dry.lineage("a.net", NAMES, age=85)
        before = dry.conf("a.net").read_text()
        dry.issue(lineage=lineage)
        assert dry.conf("a.net").read_text() == before

    def test_a_name_that_the_ca_denies_is_not_kept_either(self, dry: Bench) -> None:
        dry.acme.finalizing.append(error(at_finalize(denial("c.net"))))
        dry.issue(*NAMES)
        assert [one for one in dry.folder.rglob("*") if "caa" in one.name] == []

    def test_what_is_held_is_tried_as_in_earnest(self, dry: Bench) -> None:
        dry.answers({})
        dry.lineage("a.net", REST, age=85)
        dry.hold("a.net", "b.net")
        dry.issue(lineage=dry.reload("a.net"))
        assert dry.acme.ordered == [[*REST, "b.net"]]


class TestIssuer:
    """The CA's domain names in CAA records."""

    def test_those_of_the_directory(self, bench: Bench) -> None:
        bench.acme.directory = Directory(["x.example", "y.example"])
        bench.answers({"a.net": issue("y.example"), "b.net": issue()})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_those_that_the_user_says(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-issuer", "x.example, y.example")
        bench.answers({"a.net": issue("y.example"), "b.net": issue()})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_lets_encrypts_for_its_servers(self, bench: Bench) -> None:
        bench.acme.directory = Directory(None)
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_without_any_there_is_no_check(self, bench: Bench) -> None:
        bench.config = bench.make_config("--server", "https://ca.example/directory")
        bench.acme.directory = Directory(None)
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [[*NAMES]]
        assert "--caa-guard-issuer" in bench.said

    @pytest.mark.parametrize(
        "identities",
        [["ca.example\x1b]0;title\x07", "x" * 100_000], "letsencrypt.org"],
        ids=["hostile", "a text"],
    )
    def test_what_is_no_list_of_domain_names_is_as_none(
        self, bench: Bench, identities: Any
    ) -> None:
        bench.acme.directory = Directory(identities)
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [[*NAMES]]
        assert "--caa-guard-issuer" in bench.said
        assert "\x1b" not in bench.said

    def test_without_any_the_retry_works(self, bench: Bench) -> None:
        bench.config = bench.make_config("--server", "https://letsencrypt.org.evil.example/dir")
        bench.acme.directory = Directory(None)
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        assert bench.issue(*NAMES).names() == REST


class TestMethod:
    """The validation method that records may restrict."""

    HTTP_ONLY = issue("letsencrypt.org; validationmethods=http-01")
    DNS_ONLY = issue("letsencrypt.org; validationmethods=dns-01")

    def test_the_one_that_certbot_prefers(self, bench: Bench) -> None:
        bench.answers({"a.net": self.HTTP_ONLY, "b.net": self.DNS_ONLY})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_the_one_that_the_user_prefers(self, bench: Bench) -> None:
        bench.config = bench.make_config("--preferred-challenges", "dns")
        bench.answers({"a.net": self.DNS_ONLY, "b.net": self.HTTP_ONLY})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]

    def test_dns_for_a_wildcard(self, bench: Bench) -> None:
        bench.answers({"a.net": self.DNS_ONLY, "b.net": self.HTTP_ONLY})
        bench.issue("*.a.net", "*.b.net")
        assert bench.acme.ordered == [["*.a.net"]]

    def test_any_where_certbot_offers_none(self, bench: Bench) -> None:
        bench.config = bench.make_config("--preferred-challenges", "dns")
        bench.answers({"a.net": self.HTTP_ONLY})
        bench.config.pref_challs = ["tls-alpn-01"]
        bench.issue(*NAMES)
        assert bench.acme.ordered == [[*NAMES]]

    def test_the_account_is_certbots(self, bench: Bench) -> None:
        uri = "letsencrypt.org; accounturi=https://ca.example/acct/"
        bench.answers({"a.net": issue(f"{uri}1"), "b.net": issue(f"{uri}2")})
        bench.issue(*NAMES)
        assert bench.acme.ordered == [REST]


class TestSurroundings:
    """Time, resolvers, hooks and the CA's clock."""

    def test_the_deadline_bounds_the_waiting(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-deadline", "5")
        bench.answers({"b.net": Outcome.SERVFAIL})
        bench.issue(*NAMES)
        assert (bench.clock.slept, bench.acme.ordered) == ([], [[*NAMES]])

    def test_a_failure_lasts_after_a_tenth_of_the_deadline(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-deadline", "300")
        bench.answers({"b.net": Outcome.SERVFAIL})
        bench.issue(*NAMES)
        assert bench.clock.slept == [6.0, 24.0]

    def test_the_deadline_is_that_of_the_whole_process(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-deadline", "100")
        bench.acme.finalizing += [error(at_finalize(failed_lookup("x.net")))] * 2
        bench.issue("x.net")
        bench.acme.finalizing += [error(at_finalize(failed_lookup("y.net")))] * 9
        with pytest.raises(messages.Error):
            bench.issue("y.net")
        assert sum(bench.clock.slept) <= 100

    def test_one_lineage_that_never_waits_leaves_the_others_their_time(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-deadline", "0")
        bench.issue("x.net")
        bench.config = bench.make_config()
        bench.acme.finalizing.append(error(at_finalize(failed_lookup("b.net"))))
        assert bench.issue(*NAMES).names() == [*NAMES]

    def test_no_retry_where_the_user_wants_none(self, bench: Bench) -> None:
        bench.config = bench.make_config("--caa-guard-retries", "0")
        bench.acme.finalizing.append(error(at_finalize(failed_lookup("b.net"))))
        with pytest.raises(messages.Error):
            bench.issue(*NAMES)

    @pytest.mark.parametrize("kind", ["flag", "folder"])
    def test_after_a_pre_hook_nobody_waits_for_long(self, bench: Bench, kind: str) -> None:
        if kind == "flag":
            bench.config = bench.make_config("--pre-hook", "true")
        else:
            bench.config.directory_hooks = True
            for name in ("pre", "post", "deploy"):
                folder = Path(getattr(bench.config, f"renewal_{name}_hooks_dir"))
                folder.mkdir(parents=True)
            (Path(bench.config.renewal_pre_hooks_dir) / "stop-the-server").touch()
        bench.acme.finalizing += [error(at_finalize(failed_lookup("b.net")))] * 9
        with pytest.raises(messages.Error):
            bench.issue(*NAMES)
        assert sum(bench.clock.slept) <= 15

    def test_a_resolver_that_cannot_be_had_is_told(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load = loader.load

        def fail_one(spec: Any) -> Any:
            if spec.text == RESOLVERS[0]:
                raise loader.ResolverError("it is \x1b[31mred")
            return load(spec)

        monkeypatch.setattr(loader, "load", fail_one)
        bench.answers({"b.net": DENIED})
        assert bench.issue(*NAMES).names() == REST
        assert "it is \\x1b[31mred" in bench.said

    def test_with_no_resolver_all_are_ordered(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_spec: Any) -> Any:
            raise loader.ResolverError("none")

        monkeypatch.setattr(loader, "load", fail)
        assert bench.issue(*NAMES).names() == [*NAMES]
        assert "nobody could be asked" in bench.said

    BOGUS = Lookup("", Outcome.SERVFAIL, extended_error=ExtendedError(6))

    def test_a_dnssec_failure_is_believed_when_the_clock_is_right(self, bench: Bench) -> None:
        bench.answers({"b.net": self.BOGUS})
        assert bench.issue(*NAMES).names() == REST

    def test_no_dnssec_failure_is_believed_when_the_clock_is_wrong(self, bench: Bench) -> None:
        bench.acme.net.skew = 400.0
        bench.answers({"b.net": self.BOGUS})
        assert bench.issue(*NAMES).names() == [*NAMES]
        assert "Set the clock" in bench.said

    def test_a_ca_that_does_not_tell_the_time_is_no_reason_for_doubt(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            bench.acme.net, "head", lambda _url: type("Answer", (), {"headers": {}})
        )
        bench.answers({"b.net": self.BOGUS})
        assert bench.issue(*NAMES).names() == REST

    @pytest.mark.parametrize("trouble", ["no answer", "nonsense"])
    def test_a_ca_whose_time_cannot_be_read_does_not_switch_the_guard_off(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: str
    ) -> None:
        def head(_url: str) -> Any:
            if trouble == "no answer":
                raise OSError("no answer")
            return type("Answer", (), {"headers": {"Date": "nonsense"}})

        monkeypatch.setattr(bench.acme.net, "head", head)
        bench.answers({"b.net": self.BOGUS, "c.net": DENIED})
        assert "c.net" not in bench.issue(*NAMES).names()

    def test_under_q_only_what_needs_a_person_is_said(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.config = bench.make_config("--quiet")
        bench.answers({"b.net": DENIED})
        bench.issue(*NAMES)
        errors_said = [one.message for one in caplog.records if one.levelno == logging.ERROR]
        assert len(errors_said) == 1
        assert errors_said[0].startswith(
            "CAA guard: b.net: denied, left out of the certificate a.net: While processing"
        )

    def test_the_history_is_private(self, bench: Bench) -> None:
        bench.issue(*NAMES)
        (path,) = bench.folder.rglob("history.sqlite")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_failure_of_an_earlier_run_is_known(self, bench: Bench) -> None:
        bench.answers({"b.net": Outcome.SERVFAIL})
        bench.issue(*NAMES)
        bench.wait(hours=1)
        bench.clock.slept.clear()
        bench.issue("x.net", "b.net")
        assert bench.clock.slept == [6.0]

    def test_that_of_another_certificate_in_the_same_run_is_none(self, bench: Bench) -> None:
        bench.answers({"b.net": Outcome.SERVFAIL})
        bench.issue(*NAMES)
        bench.clock.slept.clear()
        bench.issue("x.net", "b.net")
        assert bench.clock.slept == [6.0, 84.0]


class TestQuestion:
    """On a terminal a person is asked before a first certificate is split, whoever refuses."""

    class Person:
        def __init__(self, *, agrees: bool) -> None:
            self.agrees = agrees
            self.questions: list[str] = []

        def __call__(self, question: str, **_more: object) -> bool:
            self.questions.append(question)
            return self.agrees

    @pytest.fixture(params=[True, False], ids=["yes", "no"])
    def person(
        self, request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> Person:
        person = self.Person(agrees=request.param)
        monkeypatch.setattr(guard.display_util, "yesno", person)
        bench.config.noninteractive_mode = False
        return person

    def test_where_the_ca_refused(
        self, bench: Bench, person: Person, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One who says no has the CA's own words, as without the guard."""
        refusal = error(at_finalize(denial("b.net")))
        bench.acme.finalizing.append(refusal)
        if person.agrees:
            assert bench.issue(*NAMES).names() == REST
        else:
            with pytest.raises(messages.Error) as caught:
                bench.issue(*NAMES)
            assert caught.value is refusal
            assert bench.acme.ordered == [[*NAMES]]
        assert person.questions == ["The CA refused. Get the certificate without b.net for now?"]
        assert "fault of the guard" not in caplog.text

    def test_where_the_ca_would_refuse(self, bench: Bench, person: Person) -> None:
        fail_often(bench, "b.net")
        if person.agrees:
            assert bench.issue(*NAMES).names() == REST
        else:
            with pytest.raises(Stopped, match="at your wish"):
                bench.issue(*NAMES)
            assert bench.acme.ordered == []
        (question,) = person.questions
        assert question.startswith("The CA would refuse for now. Get the certificate without b.net")

    def test_not_for_a_certificate_that_is_there(self, bench: Bench, person: Person) -> None:
        lineage = bench.lineage("a.net", NAMES, age=85)
        bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))
        assert bench.issue(lineage=lineage).names() == REST
        assert person.questions == []


class TestAfterAPreHook:
    """A web server may be down: 15 seconds in the whole process."""

    @pytest.fixture
    def hooked(self, bench: Bench) -> Bench:
        """A process in which a pre-hook has run; from now on each round takes five seconds."""
        bench.config = bench.make_config("--pre-hook", "true")
        bench.issue("x.net")
        lookup = bench.resolvers[RESOLVERS[0]].lookup

        async def slow(owner: str, timeout: float) -> Lookup:
            bench.clock.now += timeout if owner == "net" else 0.0
            return await lookup(owner, timeout)

        bench.resolvers[RESOLVERS[0]].lookup = slow  # type: ignore[method-assign]
        return bench

    def spend(self, bench: Bench) -> None:
        for number in range(3):
            bench.issue(f"n{number}.net")

    def test_questions_are_asked_for_no_longer(self, hooked: Bench) -> None:
        start = hooked.clock.now
        for number in range(9):
            assert hooked.issue(f"n{number}.net").names() == [f"n{number}.net"]
        assert hooked.clock.now - start == 15.0
        assert hooked.said.count("names not checked: a pre-hook has run") == 6

    def test_challenges_are_held_back_for_no_longer(
        self, hooked: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guard.time, "sleep", hooked.clock.sleep, raising=False)
        start = hooked.clock.now
        for number in range(3):
            client = hooked.client
            names = [f"n{one}.many{number}.net" for one in range(99)]
            hooked.acme.before_order = lambda client=client, names=names: [
                client.acme.answer_challenge(name, "response") for name in names
            ]
            hooked.issue(*names)
        # The first of them is asked about, too, of which a second is no wait.
        assert hooked.clock.now - start == pytest.approx(16.0, abs=0.2)

    def test_what_is_held_stays_so(self, hooked: Bench) -> None:
        hooked.lineage("a.net", REST, age=85)
        hooked.hold("a.net", "b.net")
        before = hooked.kept("a.net")
        self.spend(hooked)
        assert hooked.issue(lineage=hooked.reload("a.net")).names() == REST
        assert hooked.kept("a.net") == before

    def test_what_may_not_be_left_out_is_ordered(self, hooked: Bench) -> None:
        hooked.lineage("a.net", REST, age=85)
        hooked.hold("a.net", "b.net")
        self.spend(hooked)
        hooked.config.caa_guard_on_fail = "warn"
        assert sorted(hooked.issue(lineage=hooked.reload("a.net")).names()) == [*NAMES]


class TestSubset:
    """--allow-subset-of-names, which loses names for good."""

    @pytest.fixture
    def subset(self, bench: Bench) -> Bench:
        bench.config = bench.make_config("--allow-subset-of-names")
        return bench

    def test_it_is_off_during_the_issuance(self, subset: Bench) -> None:
        client = subset.client
        issue_by(client, subset)
        assert client.subset == [False]

    def test_it_is_back_afterwards(self, subset: Bench) -> None:
        subset.issue(*NAMES)
        assert subset.config.allow_subset_of_names is True

    def test_it_is_back_after_an_error(self, subset: Bench) -> None:
        subset.acme.finalizing.append(error(rate_limited()))
        with pytest.raises(messages.Error):
            subset.issue(*NAMES)
        assert subset.config.allow_subset_of_names is True

    def test_the_user_is_told_once_in_a_process(self, subset: Bench) -> None:
        subset.issue(*NAMES)
        subset.issue("x.net")
        assert subset.said.count("--allow-subset-of-names is switched off") == 1


def issue_by(client: Any, bench: Bench) -> Any:
    return main._get_and_save_cert(client, bench.config, certbot_names(NAMES), None, None)


def test_an_issuance_that_has_not_begun_is_not_there(bench: Bench) -> None:
    call = CertbotCall(bench.config, NAMES, None, None, bench.acme, "", lambda _name: [])
    with pytest.raises(RuntimeError, match="has not begun"):
        _ = guard.Session(call).issuance


def test_names_are_shown_as_text() -> None:
    assert texts(certbot_names(NAMES)) == [*NAMES]
