"""``certbot-caa-guard rejoin``: have held names that pass now put back, ahead of the renewal."""

from __future__ import annotations

import argparse
import enum
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certbot_caa_guard import rejoining as mind
from certbot_caa_guard.console import lineages
from certbot_caa_guard.console.certbot import Certbot
from certbot_caa_guard.console.lineages import Lineage
from certbot_caa_guard.console.lock import LockedError, locked
from certbot_caa_guard.console.recheck import Recheck
from certbot_caa_guard.console.status import choose
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.history import History, Kind
from certbot_caa_guard.preflight import ROUND_INTERVAL
from certbot_caa_guard.report import text
from certbot_caa_guard.verdict import Verdict

_ALL_WELL, _TO_MEND, _NOT_FOUND_OUT = 0, 1, 3
_MONTH = 30 * mind.DAY
_MOST_LINES = 12

# What certbot says, in all versions, when another one has its lock.
_LOCKED = "Another instance of Certbot is already running"


class Action(enum.Enum):
    """What became of a lineage with held names."""

    NO_CERTIFICATE = "no-certificate"
    STILL_FAILING = "still-failing"
    NOT_FOUND_OUT = "not-found-out"
    WAITS = "waits"
    WOULD_RENEW = "would-renew"
    REJOINED = "rejoined"
    FAILED = "failed"
    LOCKED = "locked"


@dataclass(frozen=True)
class Result:
    """What was found and done for one lineage.

    :ivar passing: the held names that pass now.
    :ivar back: those that are in the certificate now.
    :ivar failing: why the others do not pass, in the CA's words.
    :ivar why: what kept it from being renewed, or what certbot said.
    """

    lineage: Lineage
    action: Action
    passing: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    failing: Mapping[str, str] = field(default_factory=dict)
    why: str | None = None


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rejoin",
        help="renew certificates whose held names pass now, so that these come back",
        description="Look CAA up for all held names, twice. Where some pass, renew the "
        "certificate, so that they come back: by certbot renew --force-renewal, at most once a day "
        "for each certificate and within the CA's limits.",
        epilog="Exit status: 0 nothing is held any more, 1 something to mend, 2 wrong usage, 3 "
        "could not find out, or another certbot is running.",
    )
    parser.set_defaults(run=run)
    lineages.add_config_dir(parser)
    for what in ("work", "logs"):
        parser.add_argument(f"--{what}-dir", metavar="DIR", help=f"certbot's --{what}-dir")
    parser.add_argument("--cert-name", metavar="NAME", help="this certificate only")
    parser.add_argument(
        "--certbot",
        metavar="PATH",
        help="the certbot to run (default: the one beside this command, else the one on PATH)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say only what was done, or went wrong"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: argparse.Namespace) -> int:
    """Bring back what passes, and return the exit status.

    :raises UsageError: when certbot or its configuration is not to be had.
    """
    config_dir = Path(options.config_dir)
    known = choose(lineages.read_all(config_dir), options.cert_name)
    certbot = Certbot(_program(options.certbot), tuple(_folders(options)))
    unread = [one for one in known if one.trouble is not None]
    for one in unread:
        print(text.escaped(f"{one.name}: {one.trouble}"), file=sys.stderr)
    held = [one for one in known if one.kept.held]
    results = [Result(one, Action.NO_CERTIFICATE) for one in held if one.conf is None]
    if holding := [one for one in held if one.conf is not None]:
        try:
            with _alone(config_dir, options):
                results += _Rejoin(config_dir, certbot, dry_run=options.dry_run).all(holding)
        except LockedError:
            print("Another certbot-caa-guard rejoin is running.", file=sys.stderr)
            return _NOT_FOUND_OUT
    if options.json:
        print(json.dumps([_as_json(one) for one in results], indent=1))
    else:
        _print(results, unread, quiet=options.quiet)
    return _status(results, unread)


def _program(chosen: str | None) -> str:
    """:raises UsageError: when there is none."""
    if chosen is not None:
        found = shutil.which(chosen)
        if found is None:
            raise UsageError(f"cannot run {chosen}: name certbot's own program with --certbot")
        return found
    beside = Path(sys.executable).with_name("certbot")
    if beside.exists():
        return str(beside)
    on_path = shutil.which("certbot")
    if on_path is None:
        raise UsageError("no certbot is to be found: name it with --certbot PATH")
    return on_path


def _folders(options: argparse.Namespace) -> Iterator[str]:
    for flag, value, default in (
        ("--config-dir", options.config_dir, lineages.DEFAULT_CONFIG_DIR),
        ("--work-dir", options.work_dir, None),
        ("--logs-dir", options.logs_dir, None),
    ):
        if value != default:
            yield flag
            yield str(Path(value).absolute())


def _alone(config_dir: Path, options: argparse.Namespace) -> AbstractContextManager[None]:
    """Let no second one run beside this one: both would renew the same.

    :raises UsageError: when the lock, or its folder, cannot be made.
    """
    if options.dry_run:
        return nullcontext()
    folder = lineages.state_folder(config_dir)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {config_dir}: {error.strerror}") from error
    return locked(folder / "rejoin.lock")


class _Rejoin:
    """One run over all lineages that hold names."""

    def __init__(self, config_dir: Path, certbot: Certbot, *, dry_run: bool) -> None:
        self._config_dir = config_dir
        self._certbot = certbot
        self._dry_run = dry_run
        self._recheck = Recheck(config_dir)
        self._failing: dict[str, dict[str, str]] = {}
        self._troubles: dict[str, str] = {}

    def all(self, holding: Sequence[Lineage]) -> list[Result]:
        """Bring back what passes, one lineage after the other."""
        passing = self._passing(holding)
        results: list[Result] = []
        with self._history() as history:
            if not self._dry_run:
                history.record(
                    Kind.HELD, [name for found in self._failing.values() for name in found]
                )
            for one in holding:
                if results and results[-1].action is Action.LOCKED:
                    break
                results.append(self._one(one, passing.get(one.name, ()), history))
        return results

    def _history(self) -> History:
        path = lineages.history_file(self._config_dir)
        if self._dry_run:
            return History.to_read(path, now=time.time)
        return History(path, now=time.time)

    def _passing(self, holding: Sequence[Lineage]) -> Mapping[str, tuple[str, ...]]:
        """The names that pass twice, by lineage."""
        asked = {one.name: (one, one.kept.held_names) for one in holding}
        asked = self._pass(asked)
        if asked:
            time.sleep(ROUND_INTERVAL)
            asked = self._pass(asked)
        return {name: names for name, (_, names) in asked.items()}

    def _pass(
        self, asked: Mapping[str, tuple[Lineage, tuple[str, ...]]]
    ) -> dict[str, tuple[Lineage, tuple[str, ...]]]:
        outcome = self._recheck.ask(asked.values(), rounds=1)
        self._troubles.update(outcome.troubles)
        passed = {}
        for one, names in asked.values():
            found = {
                name: outcome.checked[one.name, name]
                for name in names
                if (one.name, name) in outcome.checked
            }
            for name, checked in found.items():
                if checked.verdict is not Verdict.PERMITTED:
                    problem = checked.ca_problem or {}
                    said = problem.get("detail", f"it is {checked.verdict.value}")
                    self._failing.setdefault(one.name, {})[name] = said
            good = tuple(n for n, c in found.items() if c.verdict is Verdict.PERMITTED)
            if good:
                passed[one.name] = (one, good)
        return passed

    def _one(self, one: Lineage, passing: tuple[str, ...], history: History) -> Result:
        failing = self._failing.get(one.name, {})
        if not passing:
            trouble = self._troubles.get(one.name)
            action = Action.NOT_FOUND_OUT if trouble else Action.STILL_FAILING
            return Result(one, action, failing=failing, why=trouble)
        if why := self._must_wait(one, passing, history):
            return Result(one, Action.WAITS, passing, failing=failing, why=why)
        if self._dry_run:
            return Result(one, Action.WOULD_RENEW, passing, failing=failing)
        return self._renew(one, passing, failing, history)

    def _must_wait(self, one: Lineage, passing: tuple[str, ...], history: History) -> str | None:
        if one.switched_off:
            return one.switched_off
        now = time.time()
        past = mind.Past(
            history.last(Kind.REJOIN_TRIED, one.name),
            history.count(Kind.REJOIN_FAILED, one.name, within=_MONTH),
            tuple(
                (frozenset(made.names), made.begins)
                for made in lineages.issued(self._config_dir, since=now - mind.LIMIT_PERIOD)
            ),
        )
        there = one.certificate.names if one.certificate else ()
        wait = mind.wait(now, past, [there, [*there, *passing]])
        return None if wait is None else f"{wait.reason.value}; again from {_when(wait.until)} on"

    def _renew(
        self,
        one: Lineage,
        passing: tuple[str, ...],
        failing: Mapping[str, str],
        history: History,
    ) -> Result:
        status, output = self._certbot.renew(one)
        if _LOCKED in output:
            why = "another certbot is running; try again when it has ended"
            return Result(one, Action.LOCKED, passing, failing=failing, why=why)
        history.record(Kind.REJOIN_TRIED, [one.name])
        again = choose(lineages.read_all(self._config_dir), one.name)[0]
        there = again.certificate.names if again.certificate else ()
        back = tuple(name for name in one.kept.held_names if name in there)
        if set(passing) <= set(back):
            return Result(one, Action.REJOINED, passing, back, failing)
        history.record(Kind.REJOIN_FAILED, [one.name])
        why = f"certbot ended with status {status}:\n{_tail(output)}"
        return Result(one, Action.FAILED, passing, back, failing, why)


def _when(moment: float) -> str:
    return f"{lineages.moment(moment)}"


def _tail(output: str) -> str:
    lines = [text.printable(line) for line in output.splitlines() if line.strip(" -")]
    return "\n".join(lines[-_MOST_LINES:])


def _print(results: Sequence[Result], unread: Sequence[Lineage], *, quiet: bool) -> None:
    if not results and not quiet:
        known = " from the certificates that can be read" if unread else ""
        print(f"No name is held{known}.")
    for one in results:
        if quiet and one.action in {Action.STILL_FAILING, Action.WAITS, Action.WOULD_RENEW}:
            continue
        print(text.escaped(f"{one.lineage.name}: {_summary(one)}"))
        if one.action is Action.FAILED:
            print("".join(f"    {line}\n" for line in (one.why or "").splitlines()), end="")
        if not quiet:
            for name, why in one.failing.items():
                print(text.printable(f"  {name}: {why}"))


def _summary(one: Result) -> str:
    passing = text.listing(one.passing)
    sentences = {
        Action.NO_CERTIFICATE: "no certificate yet: run the same certbot command again.",
        Action.STILL_FAILING: "no held name passes now.",
        Action.NOT_FOUND_OUT: f"could not find out: {one.why}",
        Action.WAITS: f"{passing} would pass now, but {one.why}.",
        Action.WOULD_RENEW: f"would be renewed, to put {passing} back.",
        Action.REJOINED: f"renewed; back in the certificate: {text.listing(one.back)}.",
        Action.FAILED: f"{passing} passed, but the renewal did not put everything back.",
        Action.LOCKED: f"{passing} would pass now, but {one.why}.",
    }
    return sentences[one.action]


def _as_json(one: Result) -> dict[str, Any]:
    return {
        "lineage": one.lineage.name,
        "action": one.action.value,
        "held": list(one.lineage.kept.held_names),
        "passing": list(one.passing),
        "back": list(one.back),
        "failing": dict(one.failing),
        "why": one.why,
    }


def _status(results: Sequence[Result], unread: Sequence[Lineage]) -> int:
    actions = {one.action for one in results}
    if Action.LOCKED in actions:
        return _NOT_FOUND_OUT
    still = [one for one in results if set(one.lineage.kept.held_names) - set(one.back)]
    if any(one.action is not Action.NOT_FOUND_OUT for one in still):
        return _TO_MEND
    return _NOT_FOUND_OUT if unread or still else _ALL_WELL
