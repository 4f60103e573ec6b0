"""``certbot-caa-guard status``: every lineage, what is held from it, and what comes next."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certbot_caa_guard.checking import Checked
from certbot_caa_guard.console import lineages
from certbot_caa_guard.console.lineages import Lineage, day
from certbot_caa_guard.console.recheck import Outcome, Recheck
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.history import History, Kind
from certbot_caa_guard.names import is_ip_address
from certbot_caa_guard.report import text
from certbot_caa_guard.verdict import Verdict

_ALL_WELL, _TO_MEND, _NOT_FOUND_OUT = 0, 1, 3
_ROUNDS = 2
_FAILS = frozenset({Verdict.DENIED, Verdict.BROKEN, Verdict.FLAKY})


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "status",
        help="show certbot's certificates, the names held from them, and what comes next",
        description="Show certbot's certificates, the names that are held from them, and what "
        "comes next. Reads certbot's files, and changes nothing.",
        epilog="Exit status: 0 nothing is held, 1 something to mend, 2 wrong usage, 3 could not "
        "find out.",
    )
    parser.set_defaults(run=run)
    lineages.add_config_dir(parser)
    parser.add_argument("--cert-name", metavar="NAME", help="this certificate only")
    parser.add_argument(
        "--due",
        action="store_true",
        help="only those that certbot renew would renew now, or that cannot be read",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="look CAA up now for every wanted name, with the certificate's own options",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="only those with something to mend"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: argparse.Namespace) -> int:
    """Show, and return the exit status.

    :raises UsageError: when certbot's configuration is not to be had, or lacks that certificate.
    """
    config_dir = Path(options.config_dir)
    known = choose(lineages.read_all(config_dir), options.cert_name)
    chosen = [one for one in known if _may_be_due(one)] if options.due else known
    outcome = _check(config_dir, chosen) if options.check else Outcome({}, {})
    seen = last_seen(config_dir, chosen)
    if options.json:
        shown = [_as_json(one, outcome, seen) for one in chosen]
        print(json.dumps(shown, indent=1))
    elif chosen:
        _print(chosen, outcome, seen, quiet=options.quiet)
    elif not options.quiet:
        print("No certificate is due." if known else "There are no certificates here.")
    return _status(chosen, outcome)


def choose(known: Sequence[Lineage], name: str | None) -> list[Lineage]:
    """All of them, or the one called *name*.

    :raises UsageError: when there is none of that name; it tells those that there are.
    """
    if name is None:
        return list(known)
    found = [one for one in known if one.name == name]
    if not found:
        there = text.listing([one.name for one in known]) or "none at all"
        raise UsageError(f"no certificate is called {text.printable(name)!r}; there is {there}")
    return found


def _may_be_due(one: Lineage) -> bool:
    """Whether certbot would renew it now; of one that cannot be read there is no telling."""
    return one.trouble is not None or (one.due is not None and one.due <= time.time())


def last_seen(config_dir: Path, chosen: Sequence[Lineage]) -> Mapping[str, float]:
    """When each held name was last seen to fail, in seconds since the epoch, if that is known."""
    with History.to_read(lineages.history_file(config_dir), now=time.time) as history:
        known = {
            name: history.last(Kind.HELD, name) for one in chosen for name in one.kept.held_names
        }
    return {name: at for name, at in known.items() if at is not None}


def _check(config_dir: Path, chosen: Sequence[Lineage]) -> Outcome:
    asked = [
        (one, [name for name in one.wanted if not is_ip_address(name)])
        for one in chosen
        if one.conf is not None and one.trouble is None
    ]
    return Recheck(config_dir).ask(asked, rounds=_ROUNDS)


def _print(
    chosen: Sequence[Lineage], outcome: Outcome, seen: Mapping[str, float], *, quiet: bool
) -> None:
    for one in chosen:
        if quiet and _is_well(one, outcome):
            continue
        trouble = one.trouble or outcome.troubles.get(one.name)
        if trouble is not None:
            # Beside the rest, so that the table stays one.
            sys.stdout.flush()
            print(text.escaped(f"{one.name}: {trouble}"), file=sys.stderr, flush=True)
        if one.trouble is None:
            print("\n".join(map(text.escaped, _lines(one, outcome, seen))))


def _lines(one: Lineage, outcome: Outcome, seen: Mapping[str, float]) -> Iterator[str]:
    if one.certificate is None:
        yield f"{one.name}: no certificate yet"
    else:
        there = f"{len(one.certificate.names)} of {text.count(len(one.wanted), 'wanted name')}"
        yield f"{one.name}: {there} in the certificate, which ends {day(one.certificate.ends)}"
    for held in one.kept.held:
        since = f"since {held.since[:10]}"
        if held.name in seen:
            since += f", last seen {day(seen[held.name])}"
        at = f", at {held.owner}" if held.owner != held.name else ""
        yield text.printable(f"  held: {held.name}: {held.verdict} {since}{at}")
    for name in one.wanted:
        checked = outcome.checked.get((one.name, name))
        if checked is not None:
            yield from _verdict(checked)
    yield from text.paragraph(text.escaped(next_step(one)), 2, hanging=2).splitlines()


def _verdict(checked: Checked) -> Iterator[str]:
    yield text.printable(f"  now: {checked.identifier}: {checked.verdict.value}")
    if checked.verdict is not Verdict.PERMITTED and checked.ca_problem is not None:
        yield text.printable(f"    {checked.ca_problem['detail']}")


def next_step(one: Lineage) -> str:
    """What comes next for a lineage, as a sentence."""
    if one.certificate is None:
        return (
            "Its first order did not end: run the same certbot command again, for "
            f"{text.listing(one.wanted)}."
        )
    overdue = "since " if one.due is not None and one.due <= time.time() else ""
    renewal = f"Renewal is due {overdue}{day(one.due)}"
    if not one.switched_off:
        renewal += f"; from {day(one.grace_begins)} on without a covered name that fails"
    if not one.kept.held:
        return f"{renewal}."
    back = (
        f"What is held does not come back, since {one.switched_off}."
        if one.switched_off
        else "What is held comes back then, if it passes; before: certbot-caa-guard rejoin."
    )
    return f"{renewal}. {back} To let a name go: certbot-caa-guard forget NAME."


def _as_json(one: Lineage, outcome: Outcome, seen: Mapping[str, float]) -> dict[str, Any]:
    certificate = one.certificate
    checked = {
        name: outcome.checked[one.name, name].as_json()
        for name in one.wanted
        if (one.name, name) in outcome.checked
    }
    document: dict[str, Any] = {
        "lineage": one.name,
        "names": list(certificate.names) if certificate else [],
        "wanted": one.wanted,
        "held": [
            {
                "name": held.name,
                "verdict": held.verdict,
                "since": held.since,
                "owner": held.owner,
                "last_seen": lineages.moment(seen.get(held.name)),
            }
            for held in one.kept.held
        ],
        "not_after": lineages.moment(certificate.ends if certificate else None),
        "renewal_due": lineages.moment(one.due),
        "grace_begins": lineages.moment(one.grace_begins),
        "next": None if one.trouble else next_step(one),
        "trouble": one.trouble or outcome.troubles.get(one.name),
    }
    return document | ({"checked": checked} if checked else {})


def _is_well(one: Lineage, outcome: Outcome) -> bool:
    return _status([one], outcome) == _ALL_WELL


def _status(chosen: Sequence[Lineage], outcome: Outcome) -> int:
    names = {one.name for one in chosen}
    verdicts = {made.verdict for (name, _), made in outcome.checked.items() if name in names}
    if any(one.kept.held for one in chosen) or verdicts & _FAILS:
        return _TO_MEND
    if any(one.trouble for one in chosen) or names & set(outcome.troubles):
        return _NOT_FOUND_OUT
    return _NOT_FOUND_OUT if Verdict.UNKNOWN in verdicts else _ALL_WELL
