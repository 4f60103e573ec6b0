"""certbots that have been loaded already: to import one takes longer than most runs of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_START = Path(__file__).with_name("start.py")

# Those that run nothing now, by their Python and what is loaded into it.  They end when we do.
_idle: dict[tuple[Path, str], list[Warm]] = {}
# A process forked off this one has no part in its pipes.
os.register_at_fork(after_in_child=_idle.clear)


def run(
    python: Path,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
    seconds: float,
) -> int:
    """Run a certbot's `command` line on its `python`; gives the exit status.

    :raises TimeoutError: if it takes more than so many `seconds`; it has been killed then.
    """
    library = environment.get("LD_PRELOAD", "")
    idle = _idle.setdefault((python, library), [])
    warm = idle.pop() if idle else Warm(python, library)
    request = {
        "command": list(command),
        "environment": dict(environment),
        "folder": str(folder),
        "output": str(output),
    }
    status = warm.run(request, seconds)
    idle.append(warm)
    return status


class Warm:
    """One process that has loaded certbot, and forks."""

    def __init__(self, python: Path, library: str) -> None:
        # libfaketime then looks at the clock that each run asks for.
        preload = {"LD_PRELOAD": library, "FAKETIME_NO_CACHE": "1"} if library else {}
        self._process = subprocess.Popen(
            [python, _START],
            env={**os.environ, **preload},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # To be killed with all that it has begun.
            start_new_session=True,
        )

    def run(self, request: Mapping[str, object], seconds: float) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = threading.Timer(seconds, os.killpg, (self._process.pid, signal.SIGKILL))
        timer.start()
        try:
            print(json.dumps(request), file=stdin, flush=True)
            answer = stdout.readline()
        finally:
            timer.cancel()
        if not answer:
            raise TimeoutError(f"{request['command']} took more than {seconds} seconds, or crashed")
        return int(answer)
