"""The user's own certbot, which ends as it would by itself."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from certbot_caa_guard.console.lineages import Lineage

# Seconds.  In the latter certbot cleans its challenges up, and runs its post-hooks: they start the
# web server again that a pre-hook stopped.
_LONGEST_RUN = 3600.0
_LONGEST_END = 300.0


@dataclass(frozen=True)
class Certbot:
    """The certbot to run, and where its folders are."""

    program: str
    folders: tuple[str, ...]

    def renew(self, lineage: Lineage) -> tuple[int, str]:
        """Renew a lineage now: certbot's exit status and its output."""
        command = [
            self.program, "renew", "--cert-name", lineage.name, "--force-renewal",
            "--no-random-sleep-on-renew", "--caa-guard", *self.folders,
        ]  # fmt: skip
        return run_to_its_end(command)


def run_to_its_end(command: Sequence[str]) -> tuple[int, str]:
    """The exit status of a program and its output; why not, where it does not run or end.

    :raises KeyboardInterrupt: only when the program has ended, too.
    """
    try:
        program = subprocess.Popen(  # noqa: S603 - the user's own certbot
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return 1, str(error)
    with program:
        try:
            output, _ = program.communicate(timeout=_LONGEST_RUN)
        except KeyboardInterrupt:
            _await_end(program)
            raise
        except subprocess.TimeoutExpired as error:
            program.send_signal(signal.SIGINT)
            return 1, f"{_await_end(program)}\n{error}"
    return program.returncode, output


def _await_end(program: subprocess.Popen[str]) -> str:
    """All that an interrupted program says before it ends; it is killed if that takes too long."""
    end = time.monotonic() + _LONGEST_END
    while True:
        try:
            return program.communicate(timeout=max(0.0, end - time.monotonic()))[0]
        except KeyboardInterrupt:
            continue  # the terminal interrupts the program, too
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            return ""
