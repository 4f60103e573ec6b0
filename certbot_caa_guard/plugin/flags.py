"""The plugin as certbot sees it: its entry point and its flags.

Only the standard library and certbot are imported here: certbot loads every plugin at every
start, and one that fails to load ends every command.  What reads the values of flags is imported
when one is given, so that a start without any costs next to nothing.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certbot import errors
from certbot.plugins import common

_LOG = logging.getLogger(__name__)

_ON_IN_CLI_INI = r"(?im)^\s*caa-guard\s*(?:=\s*(?:true|yes|1)\s*)?$"

DEFAULT_ON_FAIL = "split"
DEFAULT_RESOLVER = "auto"
DEFAULT_RETRIES = 4
DEFAULT_DEADLINE = 900

# By type, since certbot restores each type in a way of its own (seam S0).
BOOLEANS = ("caa_guard_enabled", "caa_guard_strict_rfc")
INTEGERS = ("caa_guard_retries", "caa_guard_deadline")
STRINGS = (
    "caa_guard_on_fail",
    "caa_guard_resolver",
    "caa_guard_issuer",
    "caa_guard_root_hints",
    "caa_guard_trust_anchor",
    "caa_guard_grace",
    "caa_guard_never_drop",
)


class CaaGuard(common.Plugin):
    """A plugin that neither authenticates nor installs: it watches over the issuance."""

    description = "Checks CAA before the CA does, and outlives failures that pass"

    @classmethod
    def inject_parser_options(cls, parser: argparse.ArgumentParser, name: str) -> None:
        """Add the flags, and get into certbot's way where the flag asks for it.

        certbot calls this at each start for each plugin; nothing happens while the flag is off.
        """
        del name
        _add_flags(parser)
        try:
            # certbot has loaded its inner parts by now, so this costs nothing.
            from certbot_caa_guard.plugin.seams import install

            install()
        except Exception:  # noqa: BLE001 - a plugin that raises here ends every command
            _LOG.debug("The CAA guard could not get into this certbot", exc_info=True)
            if _is_asked_for(sys.argv):
                _LOG.warning(
                    "CAA guard: this certbot is unknown to the guard, which does nothing; certbot "
                    "goes on alone. Look for a newer certbot-caa-guard."
                )

    @classmethod
    def add_parser_arguments(cls, add: Any) -> None:
        """Nothing: the flags are added by :meth:`inject_parser_options`."""

    def prepare(self) -> None:
        """Refuse to be an authenticator or installer.

        :raises certbot.errors.PluginError: always.
        """
        raise errors.PluginError(
            "caa-guard is neither an authenticator nor an installer: choose another one with "
            "-a or -i, and switch the guard on with --caa-guard"
        )

    def more_info(self) -> str:
        """What it does, for ``certbot plugins``."""
        return (
            "Looks CAA records up for every name before the order, as the CA will; leaves names "
            "out that are bound to fail, remembers them and brings them back. Switch it on with "
            "--caa-guard."
        )


def _is_asked_for(arguments: Sequence[str]) -> bool:
    """Whether the guard is switched on, found out without certbot's help."""
    if "--caa-guard" in arguments:
        return True
    for folder in ("/etc/letsencrypt", "~/.config/letsencrypt"):
        try:
            text = Path(folder, "cli.ini").expanduser().read_text("utf-8", "replace")
        except OSError:
            continue
        if re.search(_ON_IN_CLI_INI, text):
            return True
    return False


def _add_flags(parser: argparse.ArgumentParser) -> None:
    # Only plain actions: certbot before 2.7 parses twice, and rewrites any other for the second.
    _add_switches(parser)
    _add_asking(parser)
    _add_judging(parser)
    _add_retrying(parser)
    _add_keeping(parser)


def _add_switches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caa-guard",
        dest="caa_guard_enabled",
        action="store_true",
        default=False,
        help="Check CAA for every name before the order, leave names out that are bound to fail, "
        "and try again what fails in passing (default: False)",
    )
    parser.add_argument(
        "--no-caa-guard",
        dest="caa_guard_enabled",
        action="store_false",
        default=False,
        help="Switch the guard off, where cli.ini or the renewal configuration has it on; certbot "
        "remembers this for later renewals, too",
    )
    parser.add_argument(
        "--caa-guard-on-fail",
        choices=("split", "stop", "warn"),
        default=DEFAULT_ON_FAIL,
        help="What to do about names that are bound to fail: leave them out and order the rest "
        "(split), stop before the order (stop), or only report (warn) (default: split)",
    )


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caa-guard-resolver",
        type=_resolvers,
        metavar="SPEC[,SPEC...]",
        default=DEFAULT_RESOLVER,
        help="How to ask DNS: system, unbound (libunbound, set up like the CA's), iterative (from "
        "the root), udp://IP[:PORT], tcp://IP[:PORT], tls://HOST[:PORT], https://HOST/dns-query. "
        "Each is a perspective; a name that fails is left out only when two that share no "
        "resolver agree (default: auto: unbound where libunbound is, else iterative; and system)",
    )
    parser.add_argument(
        "--caa-guard-root-hints",
        type=_readable_file,
        metavar="FILE",
        default=None,
        help="Root servers for unbound and iterative (default: those of the public root)",
    )
    parser.add_argument(
        "--caa-guard-trust-anchor",
        type=_readable_file,
        metavar="FILE",
        default=None,
        help="The root's keys for unbound (default: those of the public root)",
    )


def _add_judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caa-guard-issuer",
        type=_issuers,
        metavar="DOMAIN[,DOMAIN...]",
        default=None,
        help="The CA's domain names in CAA records (default: what the CA's directory says)",
    )
    parser.add_argument(
        "--caa-guard-strict-rfc",
        action="store_true",
        default=False,
        help="Judge records by RFC 8659 and RFC 8657 to the letter, not as Let's Encrypt does "
        "(default: False)",
    )


def _add_retrying(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caa-guard-retries",
        type=_whole_number,
        metavar="N",
        default=DEFAULT_RETRIES,
        help="How many orders or finalizations to try again in one issuance (default: 4)",
    )
    parser.add_argument(
        "--caa-guard-deadline",
        type=_whole_number,
        metavar="SECONDS",
        default=DEFAULT_DEADLINE,
        help="How long to wait at most, in one issuance and in one run of certbot (default: 900)",
    )


def _add_keeping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caa-guard-grace",
        type=_grace,
        metavar="TIME",
        default=None,
        help="Renew a certificate without a name that it covers only once it has this much left "
        "to live: 36h, 10d; 0 is at once (default: a ninth of its lifetime, at least 48 hours, "
        "at most 60 %% of the time in which certbot renews it)",
    )
    parser.add_argument(
        "--caa-guard-never-drop",
        type=_never_drop,
        metavar="NAME[,NAME...]",
        default=None,
        help="Names that are never left out: rather than that, the issuance fails (default: none)",
    )


def _grace(text: str) -> str:
    from certbot_caa_guard import grace

    try:
        grace.parse(text)
    except grace.GraceError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _never_drop(text: str) -> str:
    """The names as certificates have them, so that they are found there."""
    from certbot_caa_guard import names

    try:
        return ",".join(str(names.parse(name)) for name in text.split(","))
    except names.IdentifierError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _resolvers(text: str) -> str:
    if text == DEFAULT_RESOLVER:  # argparse reads what is not given, too
        return text
    from certbot_caa_guard.resolvers import spec

    try:
        spec.parse_list(text)
    except spec.SpecError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _issuers(text: str) -> str:
    from certbot_caa_guard import names

    try:
        for domain in text.split(","):
            names.parse(domain)
    except names.IdentifierError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _readable_file(text: str) -> str:
    """The absolute path: renewals run from anywhere."""
    path = Path(text).expanduser().absolute()
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {path}: {error.strerror}") from error
    return str(path)


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)
