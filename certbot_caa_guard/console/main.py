"""``certbot-caa-guard``: the entry point, its commands and its exit status.

0 all well, 1 something to mend, 2 wrong usage, 3 could not find out.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import certbot_caa_guard
from certbot_caa_guard.console.usage import UsageError

# Each is a module beside this one, loaded when it is called, or all are to be told of.
_COMMANDS = ("check", "audit", "explain", "status", "rejoin", "forget")

_WRONG_USAGE = 2
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    :param arguments: without the command's own name; the process's when None.
    """
    _open_what_is_closed()
    if arguments is None:
        arguments = sys.argv[1:]
    parser = _parser([name for name in _COMMANDS if [name] == list(arguments[:1])] or _COMMANDS)
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return _WRONG_USAGE
    try:
        ended = options.run(options)
        sys.stdout.flush()
    except UsageError as error:
        from certbot_caa_guard.report import text  # only here, as it takes a while

        print(f"{parser.prog}: {text.escaped(str(error))}", file=sys.stderr)
        return _WRONG_USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing more is to be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(ended)


def _open_what_is_closed() -> None:
    """Have somewhere to write to, where a caller has closed standard output or error.

    The exit status still tells; and what is opened later must not take their places.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _parser(names: Sequence[str] = _COMMANDS) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certbot-caa-guard",
        description="Find out what a CA will say of CAA, ahead of time. The guard itself is a "
        "certbot plugin: certbot --caa-guard …",
        epilog="Exit status: 0 all well, 1 something to mend, 2 wrong usage, 3 could not find out.",
    )
    version = f"%(prog)s {certbot_caa_guard.__version__}"
    parser.add_argument("--version", action="version", version=version)
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in names:
        importlib.import_module(f"certbot_caa_guard.console.{name}").add_to(commands)
    return parser
