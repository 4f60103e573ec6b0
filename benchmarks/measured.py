"""Run a command and say on standard error, last of all, what it took.

A process's peak memory counts from the process that forked it, so that one must be small: this
file is run by its path, with nothing but ``os``, ``sys`` and ``time``.  Its last line is
``status seconds maxrss``, the last in kibibytes.
"""

import os
import sys
import time


def main(command: list[str]) -> None:
    """Run it."""
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    print(f"\n{os.waitstatus_to_exitcode(status)} {seconds} {used.ru_maxrss}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
