"""The plugin as certbot sees it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from certbot import errors

from certbot_caa_guard.plugin import flags, seams
from certbot_caa_guard.plugin.flags import CaaGuard
from tests.plugin.bench import Bench


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    flags._add_flags(parser)
    return parser.parse_args(arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit):
        parse(*arguments)
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("enabled", False),
        ("on_fail", "split"),
        ("resolver", "auto"),
        ("issuer", None),
        ("retries", 4),
        ("deadline", 900),
        ("grace", None),
        ("never_drop", None),
    ],
)
def test_a_flag_has_its_default(name: str, default: object) -> None:
    assert getattr(parse(), f"caa_guard_{name}") == default


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--caa-guard"], "enabled", True),
        (["--caa-guard", "--no-caa-guard"], "enabled", False),
        (["--no-caa-guard", "--caa-guard"], "enabled", True),
        (["--caa-guard-on-fail", "stop"], "on_fail", "stop"),
        (["--caa-guard-resolver", "system,udp://192.0.2.1"], "resolver", "system,udp://192.0.2.1"),
        (["--caa-guard-issuer", "ca.example,*.x.example"], "issuer", "ca.example,*.x.example"),
        (["--caa-guard-retries", "0"], "retries", 0),
        (["--caa-guard-deadline", "60"], "deadline", 60),
        (["--caa-guard-grace", "36h"], "grace", "36h"),
        (["--caa-guard-grace", "0"], "grace", "0"),
        (
            ["--caa-guard-never-drop", "a.net, *.B.net.,xn--p1ai"],
            "never_drop",
            "a.net,*.b.net,xn--p1ai",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_flag_is_read(arguments: list[str], name: str, value: object) -> None:
    assert getattr(parse(*arguments), f"caa_guard_{name}") == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--caa-guard-on-fail", "shrug"], "invalid choice: 'shrug'"),
        (["--caa-guard-resolver", "192.0.2.1"], "'192.0.2.1' is not a resolver"),
        (["--caa-guard-resolver", ","], "no resolver is named"),
        (["--caa-guard-issuer", "a b"], "'a b' is not a domain name"),
        (["--caa-guard-issuer", ""], "it is empty"),
        (["--caa-guard-retries", "-1"], "'-1' is not a whole number"),
        (["--caa-guard-retries", "four"], "'four' is not a whole number, 0 or more"),
        (["--caa-guard-grace", "10"], "'10' is not a time: write 36h, 10d or 90m, or 0 for none"),
        (["--caa-guard-never-drop", "a.net,"], "it is empty"),
        (["--caa-guard-never-drop", "bücher.example"], "write its A-label"),
        (["--caa-guard-deadline", "1.5"], "'1.5' is not a whole number"),
        (["--caa-guard-deadline", "٣"], "is not a whole number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_value_is_refused_with_a_reason(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refusal(capsys, *arguments)


@pytest.mark.parametrize("flag", ["root-hints", "trust-anchor"])
class TestFile:
    """A flag that names a file."""

    def value(self, flag: str, path: str) -> object:
        dest = f"caa_guard_{flag.replace('-', '_')}"
        return getattr(parse(f"--caa-guard-{flag}", path), dest)

    def test_the_path_is_absolute(
        self, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.chdir(tmp_path)
        assert self.value(flag, "file") == str(tmp_path / "file")

    def test_a_file_that_is_not_there_is_refused(
        self, flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = refusal(capsys, f"--caa-guard-{flag}", str(tmp_path / "missing"))
        assert "missing: No such file" in said


def test_only_actions_that_every_certbot_can_copy_are_used() -> None:
    """certbot before 2.7 rewrites all others to "store"."""
    parser = argparse.ArgumentParser(add_help=False)
    flags._add_flags(parser)
    plain = {argparse._StoreAction, argparse._StoreTrueAction, argparse._StoreFalseAction}
    assert {type(action) for action in parser._actions} <= plain


def test_every_flag_has_its_help() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    flags._add_flags(parser)
    assert all(action.help for action in parser._actions)


def test_certbots_own_parser_knows_the_flags(bench: Bench) -> None:
    config = bench.make_config("--caa-guard-retries", "2")
    assert (config.caa_guard_enabled, config.caa_guard_retries) == (True, 2)


@pytest.mark.parametrize("value", ["true", "True", "yes", "1"])
def test_cli_ini_can_switch_it_on(bench: Bench, value: str) -> None:
    ini = bench.folder / "cli.ini"
    ini.write_text(f"caa-guard = {value}\n")
    assert bench.make_config("--config", str(ini), guarded=False).caa_guard_enabled is True


def test_the_command_line_outranks_cli_ini(bench: Bench) -> None:
    ini = bench.folder / "cli.ini"
    ini.write_text("caa-guard = true\n")
    config = bench.make_config("--config", str(ini), "--no-caa-guard", guarded=False)
    assert config.caa_guard_enabled is False


def test_it_is_an_entry_point_of_certbot() -> None:
    (point,) = metadata.entry_points(group="certbot.plugins", name="caa-guard")
    assert point.load() is CaaGuard


class TestPlugin:
    """What certbot asks of every plugin."""

    plugin = CaaGuard(config=argparse.Namespace(), name="caa-guard")

    def test_it_authenticates_and_installs_nothing(self) -> None:
        with pytest.raises(errors.PluginError, match="choose another one with -a or -i"):
            self.plugin.prepare()

    def test_it_says_what_it_is(self) -> None:
        assert "--caa-guard" in self.plugin.more_info()

    def test_it_adds_no_options_of_an_authenticator(self) -> None:
        def add(*_arguments: Any, **_more: Any) -> None:
            raise AssertionError("an option was added")

        CaaGuard.add_parser_arguments(add)


class TestInject:
    """Flags and seams are put in at each start of certbot."""

    def inject(self) -> None:
        CaaGuard.inject_parser_options(argparse.ArgumentParser(), "caa-guard")

    @pytest.fixture
    def unknown_certbot(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        def fail() -> None:
            raise AttributeError("no such thing")

        monkeypatch.setattr(seams, "install", fail)
        monkeypatch.setattr(sys, "argv", ["certbot", "renew"])
        monkeypatch.setenv("HOME", str(tmp_path))
        folder = tmp_path / ".config" / "letsencrypt"
        folder.mkdir(parents=True)
        return folder / "cli.ini"

    def test_the_seams_are_installed(self) -> None:
        self.inject()
        assert seams._is_wrapped(seams.main, "_get_and_save_cert")

    @pytest.mark.usefixtures("unknown_certbot")
    def test_an_unknown_certbot_goes_on_in_silence_where_nobody_asked(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.inject()
        assert caplog.text == ""

    @pytest.mark.usefixtures("unknown_certbot")
    def test_an_unknown_certbot_goes_on_with_a_warning_where_the_flag_is_on(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["certbot", "renew", "--caa-guard"])
        self.inject()
        assert "this certbot is unknown to the guard" in caplog.text

    @pytest.mark.parametrize(
        ("line", "warned"),
        [
            ("caa-guard = true", True),
            ("caa-guard = YES", True),
            ("  caa-guard", True),
            ("caa-guard=1", True),
            ("caa-guard = false", False),
            ("# caa-guard = true", False),
            ("caa-guard-retries = 1", False),
        ],
    )
    def test_or_where_cli_ini_has_it_on(
        self, unknown_certbot: Path, caplog: pytest.LogCaptureFixture, line: str, warned: bool
    ) -> None:
        unknown_certbot.write_text(f"email = a@example.net\n{line}\n")
        self.inject()
        assert ("unknown to the guard" in caplog.text) is warned


def python(script: str, *options: str) -> Any:
    done = subprocess.run(
        [sys.executable, *options, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = """
import json, sys
import certbot.main
before = set(sys.modules)
import certbot_caa_guard.plugin.flags
{more}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
INJECT = "import argparse; certbot_caa_guard.plugin.flags.CaaGuard.inject_parser_options(\
argparse.ArgumentParser(), 'caa-guard')"


@pytest.mark.parametrize("more", ["", INJECT], ids=["loaded", "started"])
def test_only_the_standard_library_and_certbot_are_imported(more: str) -> None:
    """All the rest loads when the guard is on."""
    loaded = json.loads(python(LOADED.format(more=more)))
    roots = {name.partition(".")[0] for name in loaded}
    assert roots - set(sys.stdlib_module_names) <= {"certbot", "certbot_caa_guard"}


@pytest.mark.parametrize("module", ["dns", "zope", "sqlite3", "asyncio", "configobj"])
def test_what_costs_time_is_not_imported(module: str) -> None:
    loaded = json.loads(python(LOADED.format(more=INJECT)))
    assert [name for name in loaded if name.partition(".")[0] == module] == []


START = "import argparse; parser = argparse.ArgumentParser(); \
certbot_caa_guard.plugin.flags.CaaGuard.inject_parser_options(parser, 'caa-guard'); \
parser.parse_args([])"


def test_a_start_without_our_flags_loads_no_more_than_the_seams_need() -> None:
    loaded = json.loads(python(LOADED.format(more=START)))
    ours = {name for name in loaded if name.startswith("certbot_caa_guard.")}
    plugin = "certbot_caa_guard.plugin"
    parts = {f"{plugin}.{name}" for name in ("flags", "seams", "barrier", "stopped")}
    assert ours == {plugin, *parts}


def test_it_loads_without_a_warning() -> None:
    script = "import warnings, certbot.main; warnings.simplefilter('error');"
    python(f"{script} import certbot_caa_guard.plugin.flags; {INJECT}")
