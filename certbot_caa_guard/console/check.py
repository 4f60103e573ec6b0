"""``certbot-caa-guard check``: what the CA will say of names, ahead of time."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterable, Set
from typing import Any

from certbot_caa_guard import checking
from certbot_caa_guard.caa import ACME_METHODS
from certbot_caa_guard.checking import Checked, Options, Query
from certbot_caa_guard.console import authority, explaining, queries, roots
from certbot_caa_guard.console.queries import Queries
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import IdentifierError
from certbot_caa_guard.resolvers import spec
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.verdict import Verdict

_ALL_WELL, _TO_MEND, _NOT_FOUND_OUT = 0, 1, 3
_COLLECT_AFTER = 200_000


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="look CAA up for names as a CA would, and say what it will answer",
        description="Look CAA up for names as a CA would, and say what it will answer.",
        epilog="Exit status: 0 all permitted, 1 something to mend, 2 wrong usage, 3 could not "
        "find out.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a domain name; *.NAME too")
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help="read names from FILE (- is standard input): one a line, or JSON objects with "
        "identifier, validation_method and account_uri",
    )
    _add_asking(parser)
    _add_judging(parser)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON document")
    output.add_argument(
        "--jsonl", action="store_true", help="print a JSON object a line, as each is known"
    )
    parser.add_argument(
        "--ordered", action="store_true", help="with --jsonl, keep the order of the names"
    )


def run(options: argparse.Namespace) -> int:
    """Check, print, and return the exit status.

    :raises UsageError: when an argument or the input is wrong.
    :raises NotFoundOutError: when the CA's directory cannot be reached.
    """
    roots.is_signed(options)  # for what it refuses and tells
    who = authority.chosen(options)
    defaults = Query("", options.validation_method, who.account_uri)
    try:
        if options.jsonl:
            return _stream(Queries(options.names, options.file, defaults), options, who)
        asked = queries.gather(options.names, options.file, defaults)
        how = _options(options, who)
        report = checking.check(asked, how)
        with explaining.reasons(options) as why:
            checked = explaining.explained(report.checked, why, how)
    except (spec.SpecError, ResolverError) as error:
        raise UsageError(str(error)) from error
    _remark(who, report.unusable, report.perspectives, report.has_public_perspective)
    if options.json:
        print(json.dumps([one.as_json() for one in checked], indent=1))
    else:
        _print_table(checked, who.issuers)
    return _status({one.verdict for one in checked})


def _stream(asked: Queries, options: argparse.Namespace, who: authority.Authority) -> int:
    """Print a line for each as soon as it is known.

    A line of input that cannot be read ends it, when all before it are answered.
    """
    verdicts: set[Verdict] = set()
    how = _options(options, who)
    # Hardly anything refers to itself, and to look for it among all that is remembered is dear.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    with (
        explaining.reasons(options) as why,
        checking.check_stream(asked, how) as stream,
    ):
        try:
            for batch in explaining.explained_lines(stream, why, how):
                if batch:
                    told, texts = zip(*batch, strict=True)
                    sys.stdout.write("\n".join(texts) + "\n")
                    sys.stdout.flush()
                    if told.count(Verdict.PERMITTED) < len(told):
                        verdicts.update(told)
        except IdentifierError as error:
            raise UsageError(f"{asked.where}: {error}") from error
        usable = stream.usable
        _remark(who, stream.unusable, len(usable), any(one.public for one in usable))
    return _status(verdicts)


def _options(options: argparse.Namespace, who: authority.Authority) -> Options:
    return Options(
        resolvers=[options.resolver],
        issuers=who.issuers,
        rounds=options.rounds,
        strict=options.strict_rfc,
        clock_skew=who.clock_skew,
        root_hints=options.root_hints,
        trust_anchor=options.trust_anchor,
        rate=options.rate,
        ordered=options.ordered,
        progress=_progress,
    )


def _add_asking(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("asking")
    group.add_argument(
        "--resolver",
        default="auto",
        metavar="SPEC[,SPEC...]",
        help=f"how to ask DNS: {spec.FORMS} (default: auto: unbound where libunbound is, else "
        "iterative; and system)",
    )
    roots.add_arguments(group, anchor_is_for="for unbound; nothing else here validates")
    group.add_argument(
        "--rounds",
        type=_rounds,
        default=2,
        metavar="N",
        help="how often to ask about a name that fails (default: 2)",
    )
    group.add_argument(
        "--no-audit",
        action="store_true",
        help="do not ask the authoritative servers of names that fail why they do",
    )
    group.add_argument(
        "--rate",
        type=_rate,
        metavar="N",
        help="ask each resolver N questions a second at most (default: 500 where it is not on this "
        "machine)",
    )


def _add_judging(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("judging")
    authority.add_arguments(group)
    group.add_argument(
        "--validation-method",
        choices=sorted(ACME_METHODS),
        help="the challenge type to be used (default: any)",
    )
    group.add_argument(
        "--strict-rfc",
        action="store_true",
        help="judge by RFC 8659 and RFC 8657 to the letter, not as Let's Encrypt does",
    )


def _rounds(argument: str) -> int:
    return _number(argument, 100)


def _rate(argument: str) -> int:
    return _number(argument, 1_000_000)


def _number(argument: str, most: int) -> int:
    is_number = argument.isascii() and argument.isdecimal() and len(argument) < 10
    if not is_number or not 1 <= int(argument) <= most:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number from 1 to {most}")
    return int(argument)


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        shown = f"\r{done} of {of} names " if done < of else f"\r{'':40}\r"
        print(shown, end="", file=sys.stderr, flush=True)


def _remark(
    who: authority.Authority, unusable: Iterable[str], perspectives: int, has_public: bool
) -> None:
    remarks = [
        *who.remarks,
        *(f"The resolver {one} does not resolve the root now; it has no say." for one in unusable),
    ]
    if not perspectives:
        remarks.append("Nobody could be asked: name a resolver that works with --resolver udp://IP")
    elif not has_public:
        remarks.append(
            "Only this machine's own resolver was asked, which may see other records than the CA."
        )
    if not remarks:
        return
    from certbot_caa_guard.report import text  # only here, as it takes a while

    for line in remarks:
        print(text.escaped(line), file=sys.stderr)


def _print_table(checked: Iterable[Checked], issuers: tuple[str, ...]) -> None:
    from certbot_caa_guard.report import text

    rows = list(checked)
    width = max(len(one.identifier) for one in rows)
    for one in rows:
        row = f"{one.identifier:{width}}  {one.verdict.value:9}  {_where(one)}"
        print(text.escaped(row.rstrip()))
        if one.verdict is not Verdict.PERMITTED and one.evidence is not None:
            why = text.reason(one.evidence, one.verdict, issuers)
            print(text.paragraph(why, 4))
        for finding in one.findings[:1]:
            told = f"{text.printable(finding['line'])}. {text.escaped(finding['mend'])}"
            print(text.paragraph(told, 4))


def _where(checked: Checked) -> str:
    from certbot_caa_guard.report import text

    decisive = checked.decisive
    if decisive is None:
        return ""
    if decisive.found_at:
        records = ", ".join(str(record) for record in decisive.records[:3])
        return text.printable(f"{decisive.found_at}: {records}")
    return "no CAA records" if checked.verdict is Verdict.PERMITTED else ""


def _status(verdicts: Set[Verdict]) -> int:
    if verdicts & {Verdict.DENIED, Verdict.BROKEN, Verdict.FLAKY}:
        return _TO_MEND
    return _NOT_FOUND_OUT if Verdict.UNKNOWN in verdicts else _ALL_WELL
