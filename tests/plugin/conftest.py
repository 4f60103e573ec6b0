"""certbot's own state, put back after each test, and a bench to try the guard on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from certbot._internal import client, main, renewal
from certbot.plugins import enhancements

from certbot_caa_guard.plugin import seams
from tests.fakes import Clock
from tests.plugin.bench import Bench, forget_process

WRAPPED = ("_get_and_save_cert", "_csr_get_and_save_cert", "_find_cert")
ITEMS = ("BOOL_CONFIG_ITEMS", "INT_CONFIG_ITEMS", "STR_CONFIG_ITEMS")


@pytest.fixture(autouse=True)
def fresh_certbot(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """certbot as it is without the guard, and a process in which nothing was said yet."""
    for owner, name in (*((main, name) for name in WRAPPED), (enhancements, "enable")):
        function = getattr(owner, name)
        monkeypatch.setattr(owner, name, getattr(function, seams._MARK, function))
    method = client.Client.obtain_certificate_from_csr
    monkeypatch.setattr(client.Client, "obtain_certificate_from_csr", method)
    for name in ITEMS:
        known = [one for one in getattr(renewal, name) if not one.startswith("caa_guard_")]
        monkeypatch.setattr(renewal, name, known)
    monkeypatch.setattr(seams, "_warned", set())
    forget_process()
    yield
    forget_process()


@pytest.fixture
def bench(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, clock)
    made.set_up(monkeypatch)
    seams.install()
    return made
