"""``certbot-caa-guard check --jsonl``, as a user runs it, in a process of its own."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = Path(sys.executable).with_name("certbot-caa-guard")
_MEASURED = Path(__file__).with_name("measured.py")


@dataclass(frozen=True, slots=True)
class Checked:
    """How it went.

    :ivar seconds: from the start of the process to its end.
    :ivar peak: the most memory that it had, in bytes.
    :ivar permitted: how many names.
    """

    seconds: float
    peak: int
    permitted: int


def check(names: Path, resolver: str, output: Path) -> Checked:
    """Check the names in a file.

    :param output: where the program prints to.
    :raises RuntimeError: when it fails.
    """
    command = [str(_PROGRAM), "check", "--jsonl", "-f", str(names), *_without_audit()]
    command += ["--resolver", f"udp://{resolver}", "--issuer", "letsencrypt.org"]
    with output.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(_MEASURED), *command],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    status, seconds, peak = done.stderr.split()[-3:]
    if status not in {"0", "1"}:
        raise RuntimeError(f"{' '.join(command)} ended with {done.stderr[-1000:]}")
    with output.open("rb") as file:
        permitted = sum(b'"verdict": "permitted"' in line for line in file)
    return Checked(float(seconds), int(peak) * 1024, permitted)


@functools.cache
def _without_audit() -> tuple[str, ...]:
    """An audit asks name servers, which is not what is measured."""
    done = subprocess.run(
        [str(_PROGRAM), "check", "--help"], capture_output=True, text=True, check=True
    )
    return ("--no-audit",) if "--no-audit" in done.stdout else ()
