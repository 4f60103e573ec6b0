"""What the console's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from certbot_caa_guard.console.authority import Authority
from certbot_caa_guard.console.main import main
from certbot_caa_guard.console.recheck import authority
from certbot_caa_guard.resolvers import loader
from tests.console.configuration import Configuration
from tests.fakes import ISSUER, FakeResolver

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return Configuration(tmp_path / "letsencrypt")


@pytest.fixture
def console(configuration: Configuration, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command on the configuration: its status, output and errors."""

    def call(command: str, *arguments: str) -> tuple[int, str, str]:
        status = main([command, "--config-dir", str(configuration.folder), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> FakeResolver:
    """The one perspective of all lineages; the CA's directory is there, and nobody waits."""
    found = FakeResolver()
    monkeypatch.setattr(loader, "load_all", lambda _specs, _refuse: [found])
    monkeypatch.setattr(
        authority, "find", lambda _server, _issuer, account, _dir: Authority((ISSUER,), account)
    )
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr("certbot_caa_guard.checking.ROUND_INTERVAL", 0.0)
    return found
