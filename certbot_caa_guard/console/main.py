"""``certbot-caa-guard``: the entry point, its commands and its exit status.

0 all well, 1 something to mend, 2 wrong usage, 3 could not find out; and as shells have it 130 when
interrupted, 141 when nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Sequence

import certbot_caa_guard
from certbot_caa_guard.console.output import Output, UnwrittenError
from certbot_caa_guard.console.usage import NotFoundOutError, UsageError

# Each is a module beside this one, loaded when it is called, or all are to be told of.
_COMMANDS = ("check", "audit", "explain", "status", "rejoin", "forget")

_WRONG_USAGE, _NOT_FOUND_OUT = 2, 3
# 128 and the number of the signal, SIGINT and SIGPIPE, as shells have it.
_INTERRUPTED, _UNREAD = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    :param arguments: without the command's own name; the process's when None.
    """
    output = Output()
    try:
        with output:
            return _run(sys.argv[1:] if arguments is None else arguments, output)
    except UnwrittenError as error:
        return _end_unwritten(error, output)


def _run(arguments: Sequence[str], output: Output) -> int:
    """Run the command; tell how it ended, if that was badly, and return the exit status."""
    parser = _parser([name for name in _COMMANDS if [name] == list(arguments[:1])] or _COMMANDS)
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return _WRONG_USAGE
    try:
        return int(options.run(options))
    except UsageError as error:
        _tell(str(error))
        return _WRONG_USAGE
    except NotFoundOutError as error:
        _tell(str(error))
        return _NOT_FOUND_OUT
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is: Python's own status for it is 1
        if output.error is None:
            _tell_fault(error)
        return _NOT_FOUND_OUT


def _tell(line: str) -> None:
    from certbot_caa_guard.report import text  # only here, as it takes a while

    with contextlib.suppress(OSError):
        print(f"certbot-caa-guard: {text.escaped(line)}", file=sys.stderr)


def _tell_fault(error: Exception) -> None:
    """Tell of a fault of ours, with all that is needed to find it: it may not come again."""
    import traceback

    from certbot_caa_guard.report import text

    where = "".join(traceback.format_exception(error)).splitlines()
    with contextlib.suppress(OSError):
        print("\n".join(map(text.printable, where)), file=sys.stderr)
    what = text.printable(f"{type(error).__name__}: {error}")
    _tell(f"a fault of the guard itself ({what}). Please report it, with the lines above.")


def _end_unwritten(error: UnwrittenError, output: Output) -> int:
    """Tell that the output could not be written, if anybody listens; return the exit status."""
    if isinstance(error.why, BrokenPipeError):
        # Whoever read it has seen enough, which is no error.
        status = _UNREAD
    else:
        _tell(str(error))
        status = _NOT_FOUND_OUT
    output.give_up()
    return status


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
