"""certbot's own unit tests, which the plugin must not disturb."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.e2e.certbot import program
from tests.e2e.unplugged import link_packages

_TESTS = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "certbot"]
# Those of the installers know nothing of an issuance, and take long.
_TESTS += [f"--ignore-glob=/*/tests/plugins/{name}/*" for name in ("nginx", "apache")]


def test_certbots_own_tests_end_the_same_with_the_plugin_as_without(tmp_path: Path) -> None:
    python = str(program("newest").with_name("python"))
    link_packages("newest", tmp_path / "packages")
    unplugged = {**os.environ, "PYTHONPATH": str(tmp_path / "packages")}
    with_plugin = _run([python, *_TESTS], dict(os.environ), tmp_path)
    without = _run([python, "-S", *_TESTS], unplugged, tmp_path)
    assert with_plugin == without
    assert with_plugin["passed"] > 500
    assert "failed" not in with_plugin


def _run(command: list[str], environment: dict[str, str], folder: Path) -> dict[str, int]:
    """How many tests passed, failed and so on."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    closing = done.stdout.strip().splitlines()[-1]
    counts = re.findall(r"(\d+) (passed|failed|error|errors|skipped)", closing)
    return {what: int(number) for number, what in counts}
