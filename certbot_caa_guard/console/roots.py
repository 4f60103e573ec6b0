"""The root of DNS that a user names: its servers, and its keys."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from certbot_caa_guard.console.usage import UsageError

_LONGEST_FILE = 1 << 20
_KEY_TYPES = {"DS", "DNSKEY"}


def add_arguments(group: Any, *, anchor_is_for: str) -> None:
    """Add what :func:`is_signed` needs to a *group* of arguments."""
    group.add_argument("--root-hints", metavar="FILE", help="root servers, in named.root's format")
    group.add_argument(
        "--trust-anchor",
        metavar="FILE",
        help=f"the root's keys, as DS or DNSKEY records, {anchor_is_for}",
    )


def is_signed(options: argparse.Namespace) -> bool:
    """Whether there are keys for the root that *options* name.

    Where a file shall have them that is empty, such as after a download that failed, that is told:
    it switches validation off.

    :raises UsageError: when a file is of no use.
    """
    hints, anchor = options.root_hints, options.trust_anchor
    if hints is not None:
        _look_at_hints(hints)
    if anchor is None:
        return hints is None
    lines = [line.strip() for line in _text_of(anchor).splitlines()]
    records = [line.upper().split() for line in lines if line and not line.startswith(";")]
    if not records:
        from certbot_caa_guard.report import text  # only here, as it takes a while

        told = f"There is no key in the trust anchor {anchor}: DNSSEC is not checked."
        print(text.escaped(told), file=sys.stderr)
        return False
    if not any(_KEY_TYPES.intersection(words) for words in records):
        raise UsageError(f"the trust anchor {anchor} has neither DS nor DNSKEY records")
    return True


def _look_at_hints(path: str) -> None:
    from certbot_caa_guard.resolvers.iterative import root
    from certbot_caa_guard.resolvers.loader import ResolverError

    _must_last(path)
    try:
        root.from_file(path)
    except ResolverError as error:
        raise UsageError(str(error)) from error


def _must_last(path: str) -> None:
    """:raises UsageError: for a pipe, since resolvers and audits read the file after us."""
    if Path(path).is_fifo():
        raise UsageError(f"{path} is a pipe, which can be read only once: name a file")


def _text_of(path: str) -> str:
    _must_last(path)
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_FILE)
    except OSError as error:
        raise UsageError(f"cannot read the trust anchor {path}: {error.strerror}") from error
