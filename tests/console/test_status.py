"""``certbot-caa-guard status``: what certbot's folders say."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.console import lineages, status
from certbot_caa_guard.console.main import main
from certbot_caa_guard.history import History, Kind
from tests.console.configuration import Configuration
from tests.console.conftest import Call
from tests.fakes import FakeResolver, issue

DAY = 86400


def documents(out: str) -> dict[str, dict[str, object]]:
    return {one["lineage"]: one for one in json.loads(out)}


def test_nothing_is_held(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net", "www.a.net"])
    code, out, err = console("status")
    assert (code, err) == (0, "")
    assert out.startswith("a.net: 2 of 2 wanted names in the certificate, which ends 20")
    assert "Renewal is due" in out
    assert "forget" not in out


def test_what_is_held_is_told_with_since_when_and_why(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net", "*.c.net"])
    code, out, _ = console("status")
    assert code == 1
    assert out.startswith("a.net: 1 of 3 wanted names")
    assert "  held: b.net: denied since 2026-01-02\n" in out
    assert "  held: *.c.net: denied since 2026-01-02\n" in out
    assert "certbot-caa-guard rejoin" in out


def test_names_of_files_reach_the_terminal_without_control_characters(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a\x1b]0;title\x07", ["a.net"])
    assert console("status")[1].startswith(r"a\x1b]0;title\x07: 1 of 1 wanted name in the")


def test_when_a_held_name_was_last_seen_comes_from_the_history(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    path = lineages.history_file(configuration.folder)
    with History(path, now=time.time) as history:
        history.record(Kind.HELD, ["b.net"])
    assert f"last seen {time.strftime('%Y-%m-%d', time.gmtime())}" in console("status")[1]


def test_as_json(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"], age=30, days=90)
    code, out, _ = console("status", "--json")
    found = documents(out)["a.net"]
    assert code == 1
    assert found["names"] == ["a.net"]
    assert found["wanted"] == ["a.net", "b.net"]
    assert found["held"] == [
        {
            "name": "b.net",
            "verdict": "denied",
            "since": "2026-01-02T03:04:05Z",
            "owner": "b.net",
            "last_seen": None,
        }
    ]
    assert found["trouble"] is None
    assert str(found["renewal_due"]) < str(found["grace_begins"]) < str(found["not_after"])


@pytest.mark.parametrize(
    ("age", "days", "top", "due_in"),
    [
        pytest.param(0, 90, "", 60, id="a third of its lifetime before its end"),
        pytest.param(0, 6, "", 3, id="half of it, when it lives less than ten days"),
        pytest.param(70, 90, "", -10, id="due since"),
        pytest.param(0, 90, "renew_before_expiry = 10 days", 80, id="as the user set it"),
        pytest.param(0, 90, "renew_before_expiry = 1 fortnight", 60, id="not understood"),
    ],
)
def test_when_the_renewal_is_due(
    age: float, days: float, top: str, due_in: float, configuration: Configuration
) -> None:
    configuration.lineage("a.net", ["a.net"], age=age, days=days, top=top)
    (one,) = lineages.read_all(configuration.folder)
    assert one.due == pytest.approx(time.time() + due_in * DAY, abs=60)
    expected = "due since" if due_in < 0 else "is due 20"
    assert expected in status.next_step(one)


@pytest.mark.parametrize("off", ["False", "false"])
def test_where_the_guard_is_switched_off_nothing_comes_back_and_how_to_change_that(
    off: str, configuration: Configuration
) -> None:
    """certbot saves --no-caa-guard, be it used ever so seldom."""
    configuration.lineage("a.net", ["a.net"], held=["b.net"], caa_guard_enabled=off)
    (one,) = lineages.read_all(configuration.folder)
    said = status.next_step(one)
    assert "What is held does not come back, since the guard is switched off" in said
    assert "write caa_guard_enabled = True in renewal/a.net.conf" in said
    assert "without a covered name" not in said


@pytest.mark.parametrize("parameters", [{}, {"caa_guard_enabled": "True"}], ids=["unsaid", "on"])
def test_else_what_is_held_comes_back(
    parameters: dict[str, str], configuration: Configuration
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"], **parameters)
    (one,) = lineages.read_all(configuration.folder)
    assert "What is held comes back then, if it passes" in status.next_step(one)


def test_only_what_is_due_or_cannot_be_read(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net"], age=70)
    configuration.lineage("b.net", ["b.net"])
    configuration.conf("c.net").write_text("[x")
    assert list(documents(console("status", "--due", "--json")[1])) == ["a.net", "c.net"]


def test_where_none_is_due_that_is_told(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net"])
    assert console("status", "--due") == (0, "No certificate is due.\n", "")
    assert console("status", "--due", "--quiet") == (0, "", "")
    assert console("status", "--due", "--json") == (0, "[]\n", "")


def test_nothing_is_changed_though_the_history_is_corrupt(
    configuration: Configuration, console: Call, caplog: pytest.LogCaptureFixture
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    path = lineages.history_file(configuration.folder)
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    before = sorted(configuration.folder.rglob("*"))
    assert "  held: b.net: denied since 2026-01-02\n" in console("status")[1]
    assert sorted(configuration.folder.rglob("*")) == before
    assert path.read_bytes() == b"rubbish" * 1000
    assert "goes on without its history" in caplog.text


def test_one_of_them(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net"])
    configuration.lineage("b.net", ["b.net"])
    assert list(documents(console("status", "--cert-name", "b.net", "--json")[1])) == ["b.net"]
    code, _, err = console("status", "--cert-name", "c.net")
    assert code == 2
    assert "no certificate is called 'c.net'; there is a.net, b.net" in err


def test_names_of_a_first_order_that_was_killed(
    configuration: Configuration, console: Call
) -> None:
    """With a certificate or without one yet."""
    configuration.lineage("a.net", ["a.net"])
    configuration.pending("a.net", ["a.net"], ["b.net"])
    configuration.pending("c.net", ["c.net"], ["d.net"])
    code, out, _ = console("status")
    assert code == 1
    assert "a.net: 1 of 2 wanted names" in out
    assert "held: b.net" in out
    assert "c.net: no certificate yet" in out
    assert "run the same certbot command again, for c.net, d.net" in " ".join(out.split())


def test_a_pending_file_of_rubbish_is_passed_over(
    configuration: Configuration, console: Call
) -> None:
    configuration.pending("c.net", ["c.net"], ["d.net"])
    (lineages.pending_folder(configuration.folder) / "c.net.json").write_text("{")
    assert console("status")[0] == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cert = /nonexistent/cert.pem", "No such file"),
        ("[x", "cannot be read"),
        ("", "does not say where the certificate is"),
        ("cert = {pem}\n[caa_guard]\nformat = 1\nheld = rubbish,", "held name that cannot be read"),
        ("cert = {pem}\n[caa_guard]\nformat = 7", "written by another version"),
        ("cert = {pem}\ncaa_guard = x", "not a section"),
        ("cert = {conf}", ""),
    ],
)
def test_a_broken_configuration_is_told_and_the_others_shown(
    text: str, says: str, configuration: Configuration, console: Call
) -> None:
    sound = configuration.lineage("a.net", ["a.net"])
    pem = configuration.folder / "live" / "a.net" / "cert.pem"
    broken = configuration.conf("b.net")
    broken.write_text(text.format(pem=pem, conf=sound))
    code, out, err = console("status")
    assert code == 3
    assert out.startswith("a.net: 1 of 1 wanted name in")
    assert err.startswith(f"b.net: {broken}: ")
    assert says in err
    assert documents(console("status", "--json")[1])["b.net"]["next"] is None


def test_a_huge_configuration_is_none(
    configuration: Configuration, console: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineages, "_LARGEST_CONF", 10)
    configuration.lineage("a.net", ["a.net"])
    assert "too large" in console("status")[2]


def test_quietly_only_what_needs_somebody(configuration: Configuration, console: Call) -> None:
    configuration.lineage("a.net", ["a.net"])
    assert console("status", "-q") == (0, "", "")
    configuration.lineage("b.net", ["b.net"], held=["c.net"])
    code, out, _ = console("status", "-q")
    assert (code, out.partition(":")[0]) == (1, "b.net")


def test_no_lineage_at_all(configuration: Configuration, console: Call) -> None:
    del configuration
    assert console("status") == (0, "There are no certificates here.\n", "")


def test_no_configuration_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--config-dir", str(tmp_path / "nowhere")]) == 2
    assert "name certbot's with --config-dir" in capsys.readouterr().err


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(5, "Input/output error")])
def test_files_that_are_not_ours_to_read(
    error: OSError, configuration: Configuration, console: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.lineage("a.net", ["a.net"])

    def iterdir(path: Path) -> None:
        error.filename = str(path)
        raise error

    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, _, err = console("status")
    assert code == 2
    assert f"cannot read {configuration.folder}/renewal" in err


def test_checking_asks_about_each_wanted_name(
    configuration: Configuration, console: Call, resolver: FakeResolver
) -> None:
    configuration.lineage("a.net", ["a.net"], held=["b.net"])
    configuration.lineage("sound.org", ["sound.org"])
    resolver.answers = {"b.net": issue("other.example")}
    code, out, _ = console("status", "--check")
    assert code == 1
    assert "  now: a.net: permitted\n" in out
    assert "  now: b.net: denied\n    While processing CAA for b.net" in out
    assert console("status", "--check", "--cert-name", "sound.org")[0] == 0
    found = documents(console("status", "--check", "--json")[1])["a.net"]["checked"]
    assert isinstance(found, dict)
    assert found["b.net"]["verdict"] == "denied"


@pytest.mark.parametrize(
    ("answer", "code"), [(issue("other.example"), 1), (Outcome.SERVFAIL, 3), (Outcome.NOTHING, 0)]
)
def test_the_check_decides_the_status(
    answer: object, code: int, configuration: Configuration, console: Call, resolver: FakeResolver
) -> None:
    """One perspective alone that fails is no ground to call a name broken."""
    configuration.lineage("a.net", ["a.net"])
    resolver.answers = {"a.net": answer}  # type: ignore[dict-item]
    assert console("status", "--check")[0] == code


def test_where_nobody_can_be_asked_it_is_not_found_out(
    configuration: Configuration, console: Call, resolver: FakeResolver
) -> None:
    configuration.lineage("a.net", ["a.net"], caa_guard_resolver="udp://192.0.2.1")
    resolver.usable = False
    code, _, err = console("status", "--check")
    assert code == 3
    assert "a.net: nobody could be asked: none of udp://192.0.2.1 resolves the root now" in err


def test_a_lineages_own_options_judge_its_names(
    configuration: Configuration, console: Call, resolver: FakeResolver
) -> None:
    account = "https://ca.example/acct/7"
    configuration.account("abc", account)
    configuration.lineage("dns.net", ["dns.net"], account="abc", pref_challs="dns-01,")
    configuration.lineage("http.net", ["http.net"], account="abc")
    configuration.lineage("plugin.net", ["*.plugin.net"], authenticator="dns-rfc2136")
    configuration.lineage("any.net", ["*.any.net"], authenticator="manual", account="lost")

    def only(value: str) -> tuple[caa.Record, ...]:
        return (caa.Record(0, b"issue", f"letsencrypt.org; {value}".encode()),)

    by_dns = only("validationmethods=dns-01")
    resolver.answers = {
        "dns.net": by_dns,
        "http.net": only(f"validationmethods=http-01; accounturi={account}"),
        "plugin.net": by_dns,
        "any.net": only(f"accounturi={account}"),
    }
    found = documents(console("status", "--check", "--json")[1])
    verdicts = {
        one: checked["verdict"]
        for document in found.values()
        for one, checked in document["checked"].items()  # type: ignore[attr-defined]
    }
    assert verdicts == {
        "dns.net": "permitted",
        "http.net": "permitted",
        "*.plugin.net": "permitted",
        "*.any.net": "denied",
    }


def test_a_lineage_without_a_ca_cannot_be_checked(
    configuration: Configuration, console: Call, resolver: FakeResolver
) -> None:
    del resolver
    configuration.lineage("a.net", ["a.net"], server="")
    assert "does not say the CA" in console("status", "--check")[2]


def test_where_the_ca_cannot_be_reached_it_is_not_found_out(
    configuration: Configuration, console: Call
) -> None:
    configuration.lineage("a.net", ["a.net"], server="https://127.0.0.1:1/dir")
    code, out, err = console("status", "--check")
    assert code == 3
    assert out.startswith("a.net: 1 of 1 wanted name in the certificate")
    assert err.startswith("a.net: cannot read the CA's directory https://127.0.0.1:1/dir: ")
