"""What many tests need."""

from __future__ import annotations

import pytest

from tests.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
