"""What many tests need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds of event loops' clocks pass at once."""
    skipped = 0.0
    real = asyncio.SelectorEventLoop.time

    def skip(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds

    monkeypatch.setattr(asyncio.SelectorEventLoop, "time", lambda loop: real(loop) + skipped)
    return skip
