"""``certbot-caa-guard explain``: what a CA's error means for each identifier, and what to do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from certbot_caa_guard.console import transcript
from certbot_caa_guard.console.stdin import standard_input
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.ratelimit import Limit, RateLimit
from certbot_caa_guard.report import text

_TO_MEND, _NOT_FOUND_OUT = 1, 3
_LONGEST_INPUT = 16 * 1024 * 1024

_LIMITS = {
    Limit.NEW_ORDERS: "too many new orders from this account",
    Limit.FAILED_AUTHORIZATIONS: "too many failed authorizations",
    Limit.PENDING_AUTHORIZATIONS: "too many pending authorizations",
    Limit.CERTIFICATES_PER_DOMAIN: "too many certificates for this domain",
    Limit.DUPLICATE_CERTIFICATES: "too many certificates for exactly these names",
    Limit.NEW_ACCOUNTS: "too many new accounts",
    Limit.PAUSED: "the CA has paused it after months of failures",
    Limit.REQUESTS: "the CA is busy",
    Limit.OTHER: "a limit of the CA is reached",
}


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        help="say what a CA's error, or a log with one in it, means and what to do",
        description="Say what a CA's error means for each identifier, and what to do. The error is "
        "its text, its problem document as JSON, or a log or terminal output that has it in it.",
        epilog="Exit status: 1 something to mend or to wait for, 2 wrong usage, 3 nothing about "
        "CAA or a rate limit is in it.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the error; else standard input")
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help="read FILE (- is standard input); with a JSON object on every line, each is explained "
        "on its own",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON list with an object for each identifier; for JSON lines a list a line",
    )


def run(options: argparse.Namespace) -> int:
    """Explain, print, and return the exit status.

    :raises UsageError: when there is nothing to explain.
    """
    given = _input(options.text, options.file)
    if not given.strip():
        raise UsageError("there is nothing to explain: give the CA's error, or a log with it")
    explained = [transcript.read(piece) for piece in _lines_of_json(given) or [given]]
    for readings in explained:
        if options.json:
            print(json.dumps([as_json(reading) for reading in readings]))
        else:
            _print(readings)
    clear = any(one.meaning is not Meaning.NOT_CAA for readings in explained for one in readings)
    return _TO_MEND if clear else _NOT_FOUND_OUT


def as_json(reading: Reading) -> dict[str, Any]:
    """A reading as the console prints it."""
    return {
        "identifier": reading.identifier,
        "meaning": reading.meaning.value,
        "owner": reading.owner,
        "error": reading.limit.limit.value if reading.limit else reading.error,
        "secondary": reading.secondary,
        "at": reading.at.value if reading.at else None,
        "next": next_step(reading),
    }


def next_step(reading: Reading) -> str:
    """What the guard does next; the first word is one of a fixed set.

    ``hold``: leaves the identifier out, since it must fail again until its DNS is mended.
    ``retry``: tries again after a while.  ``wait``: places no order until the limit is over.
    ``visit``: places no order until somebody has visited the URL that follows.
    ``give-back``: gives the error back, as it is no matter of CAA.
    """
    if reading.limit is not None:
        return _next_after_limit(reading.limit)
    if reading.meaning is Meaning.NOT_CAA:
        return "give-back"
    return "hold" if reading.is_permanent else "retry"


def _next_after_limit(limit: RateLimit) -> str:
    if limit.limit is Limit.PAUSED and limit.url:
        return f"visit {limit.url}"
    if limit.until is not None:
        return f"wait until {limit.until:%Y-%m-%dT%H:%M:%SZ}"
    return "wait"


def _input(words: Sequence[str], file: str | None) -> str:
    if words and file is not None:
        raise UsageError("give the error either as an argument or with -f FILE, not both")
    if words:
        return " ".join(words)
    if file is None and standard_input().isatty():
        return ""
    try:
        if file in {None, "-"}:
            given = standard_input().buffer.read(_LONGEST_INPUT + 1)
        else:
            with Path(str(file)).open("rb") as opened:
                given = opened.read(_LONGEST_INPUT + 1)
    except OSError as error:
        source = "standard input" if file in {None, "-"} else file
        raise UsageError(f"cannot read {source}: {error.strerror}") from error
    if len(given) > _LONGEST_INPUT:
        raise UsageError("this is more than 16 MiB: cut out the part about the failure")
    return given.decode("utf-8-sig", "replace")


def _lines_of_json(given: str) -> list[str]:
    """The lines, where each is a JSON object and there is more than one; else none."""
    lines = [line for line in given.splitlines() if line.strip()]
    return lines if len(lines) > 1 and all(_is_object(line) for line in lines) else []


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _print(readings: Iterable[Reading]) -> None:
    for reading in readings:
        name = text.printable(reading.identifier or _nameless(reading))
        print(f"{name}: {reading.meaning.value}: {text.printable(_what(reading))}")
        print(text.paragraph(_mend(reading), 4))


_UNTIL_THEN = "Until then the guard leaves this name out and orders the rest."


def _nameless(reading: Reading) -> str:
    if reading.meaning is Meaning.NOT_CAA:
        return "This error"
    return "The order" if reading.limit else "A name that the CA does not tell"


def _what(reading: Reading) -> str:
    if reading.limit is not None:
        return f"{_LIMITS[reading.limit.limit]}."
    if reading.meaning is Meaning.NOT_CAA:
        return "nothing in it is about CAA or a rate limit."
    where = f" at {reading.at.value}" if reading.at else ""
    seen = ", seen from the CA's remote perspectives" if reading.secondary else ""
    if reading.meaning is Meaning.DENIED:
        owner = f"the CAA records at {reading.owner}" if reading.owner else "its CAA records"
        return f"{owner} do not allow this CA to issue{where}{seen}."
    if reading.owner is None:
        more = f" and those of {text.count(reading.others, 'more name')}" if reading.others else ""
        why = f" ({reading.error})" if reading.error else ""
        return f"its CAA check{more} failed{where}{seen}{why}."
    return f"looking up CAA for {reading.owner} failed{where}{seen}: {reading.error}."


def _mend(reading: Reading) -> str:
    if reading.limit is not None:
        return _mend_limit(reading.limit)
    if reading.meaning is Meaning.NOT_CAA:
        return "The guard leaves it to certbot: what it says is to be mended as without the guard."
    owner = text.printable(reading.owner or "the name")
    if reading.meaning is Meaning.DENIED:
        return (
            f"Add a CAA record at {owner} that names this CA, or order from one that is named "
            f"there. {_UNTIL_THEN}"
        )
    if reading.meaning is Meaning.DNSSEC and reading.is_permanent:
        return f"Mend the DNSSEC of the zone that {owner} is in. {_UNTIL_THEN}"
    if reading.owner is None:
        return (
            "See which names fail, and why, with: certbot-caa-guard check NAME... It may pass: the "
            "guard looks for itself and tries again."
        )
    if reading.is_permanent:
        return f"There is no top-level domain {owner}: is the name misspelled?"
    if reading.is_at_tld and reading.meaning is Meaning.DNSSEC:
        return (
            f"The DNSSEC of the top-level domain {owner} fails. This is not the fault of your DNS, "
            "and mostly passes: try again in a while, as the guard does."
        )
    if reading.is_at_tld:
        return "This is not the fault of your DNS, and mostly passes: the guard tries again."
    return (
        "It may pass: the guard tries again. If it does not, ask your DNS operator: the "
        f"nameservers of {owner} must answer CAA questions (type 257)."
    )


def _mend_limit(limit: RateLimit) -> str:
    url = text.address(limit.url)
    if limit.limit is Limit.PAUSED:
        where = url or "the address that the CA gives"
        return f"Mend what failed, then have it lifted at {where} and order again."
    when = f"until {limit.until:%Y-%m-%d %H:%M:%S} UTC" if limit.until else "as the CA says"
    see = f" See {url}" if url else ""
    return f"Wait {when}; every order before that fails too.{see}"
