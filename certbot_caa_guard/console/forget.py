"""``certbot-caa-guard forget``: let a held name go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certbot_caa_guard import names
from certbot_caa_guard.console import lineages
from certbot_caa_guard.console.lineages import Lineage
from certbot_caa_guard.console.lock import LockedError, locked
from certbot_caa_guard.console.status import choose
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.report import text

_ALL_WELL, _NOT_FOUND_OUT = 0, 3


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "forget",
        help="let a held name go: it is not wanted any more",
        description="Let a held name go: it is not wanted any more, and does not come back.",
        epilog="Exit status: 0 forgotten, 2 wrong usage, 3 could not be done now.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("name", metavar="NAME", help="the name; *.NAME for a wildcard")
    lineages.add_config_dir(parser)
    parser.add_argument(
        "--cert-name", metavar="NAME", help="the certificate, where several hold the name"
    )


def run(options: argparse.Namespace) -> int:
    """Forget the name, and return the exit status.

    :raises UsageError: when it is not held, more than one certificate holds it, or nothing can be
        written.
    """
    config_dir = Path(options.config_dir)
    name = _name(options.name)
    # Before the lock: a wrong --config-dir is to get no lock file.
    lineages.read_all(config_dir)
    try:
        with locked(config_dir / ".certbot.lock"):
            holders = _holders(choose(lineages.read_all(config_dir), options.cert_name), name)
            for one in holders:
                _forget(one, name)
    except LockedError:
        print("A certbot is running: try again when it has ended. Nothing was changed.")
        return _NOT_FOUND_OUT
    except state.StateError as error:
        raise UsageError(str(error)) from error
    told = f"{name} is forgotten: {holders[0].name} neither wants nor holds it any more."
    print(text.escaped(told))
    return _ALL_WELL


def _name(argument: str) -> str:
    try:
        return str(names.parse(argument))
    except names.IdentifierError as error:
        raise UsageError(str(error)) from error


def _holders(known: Sequence[Lineage], name: str) -> list[Lineage]:
    """The certificate of one name that holds it, with or without what still waits for it.

    :raises UsageError: when none holds it, or several do.
    """
    holders = [one for one in known if name in one.kept.held_names]
    if len({one.name for one in holders}) == 1:
        return holders
    if holders:
        raise UsageError(
            f"{name} is held from {text.listing([one.name for one in holders])}: choose one with "
            "--cert-name"
        )
    held = sorted({held for one in known for held in one.kept.held_names})
    there = f"held are {text.listing(held)}" if held else "no name is"
    broken = [one.name for one in known if one.trouble]
    unread = f"; {text.listing(broken)} cannot be read, see certbot-caa-guard status"
    raise UsageError(f"{name} is not held; {there}{unread if broken else ''}")


def _forget(one: Lineage, name: str) -> None:
    """:raises StateError: when it cannot be written."""
    for waiting in one.waiting:
        waiting.forget(name)
    if one.conf is not None:
        state.write(one.conf, one.kept.without(name))
