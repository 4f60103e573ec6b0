"""``certbot-caa-guard audit``: what is wrong with the servers of a name, and how it is mended."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from certbot_caa_guard import caa
from certbot_caa_guard.audit.advice import Restriction, Wildcard, wildcards
from certbot_caa_guard.audit.audited import Audited, audited, situation
from certbot_caa_guard.audit.explaining import Explainer
from certbot_caa_guard.audit.faults import rcode_text
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.audit.matrix import Answer, Heard, Zone
from certbot_caa_guard.audit.questions import OVER_UDP, TCP
from certbot_caa_guard.caa import ACME_METHODS, Requester
from certbot_caa_guard.checking import Query
from certbot_caa_guard.console import authority, queries, roots
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.report import text
from certbot_caa_guard.resolvers.iterative.message import CAA

_ALL_WELL, _TO_MEND, _NOT_FOUND_OUT = 0, 1, 3
_AT_ONCE = 16


def add_to(commands: Any) -> None:
    """Add the command to the parser's *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "audit",
        help="ask a name's authoritative servers themselves, and say what is wrong with them",
        description="Ask the authoritative servers of each zone on a name's way themselves, say "
        "what is wrong, what the CA makes of it and how it is mended, and which CAA record to "
        "publish.",
        epilog="Exit status: 0 all well, 1 something to mend, 2 wrong usage, 3 could not find out.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a domain name; *.NAME too")
    parser.add_argument(
        "-f", "--file", metavar="FILE", help="read names from FILE (- is standard input)"
    )
    asking = parser.add_argument_group("asking")
    roots.add_arguments(asking, anchor_is_for="if it is not the public one and has any")
    asking.add_argument(
        "--burst",
        action="store_true",
        help="also ask each server 100 questions at once, to see whether it limits rates",
    )
    judging = parser.add_argument_group("advising")
    authority.add_arguments(judging)
    judging.add_argument(
        "--validation-method",
        choices=sorted(ACME_METHODS),
        help="the challenge type to be used (default: any)",
    )
    judging.add_argument(
        "--restrict",
        action="store_true",
        help="write records for the account and the validation method only (RFC 8657): one "
        "of them must be given, or certbot have one account at --server",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON document")
    output.add_argument(
        "--ticket", action="store_true", help="print texts to send to the DNS operators"
    )


def run(options: argparse.Namespace) -> int:
    """Audit, print, and return the exit status.

    :raises UsageError: when an argument or the input is wrong.
    :raises NotFoundOutError: when the CA's directory cannot be reached.
    """
    signed_root = roots.is_signed(options)
    who = authority.chosen(options)
    for remark in who.remarks:
        print(text.escaped(remark), file=sys.stderr)
    defaults = Query("", options.validation_method, who.account_uri)
    named: dict[Query, Identifier] = {}
    for query in queries.gather(options.names, options.file, defaults):
        if (identifier := query.identifier) is not None:
            named[query] = identifier
        else:
            told = f"{query.text} is an IP address, which has no CAA records (RFC 8738)."
            print(text.escaped(told), file=sys.stderr)
    restrictions = [_restriction(one, wanted=options.restrict) for one in named]
    explainer = Explainer(options.root_hints, signed_root=signed_root, with_burst=options.burst)
    done = _audit_all(named, restrictions, explainer, who.issuers)
    if done is None:
        print(
            "No server of the root answers from here: nothing could be found out.", file=sys.stderr
        )
        return _NOT_FOUND_OUT
    suggested = wildcards(situation(one.matrix) for one in done)
    if options.json:
        print(json.dumps(_as_json(done, suggested), indent=1))
    elif options.ticket:
        _print_tickets(done)
    else:
        _print_all(done, suggested)
    return _status(done)


def _restriction(query: Query, *, wanted: bool) -> Restriction | None:
    """To what the record for a name shall hold the CA.

    :raises UsageError: when that is wanted, and the name says nothing that a record can hold it to.
    """
    if not wanted:
        return None
    account = query.account_uri
    if not account and query.validation_method is None:
        raise UsageError(
            f"--restrict needs to know what to allow {query.text}: the account, by --account-uri "
            "URI or by --server URL where certbot has one account there; or --validation-method"
        )
    if account and not caa.is_parameter_value(account):
        raise UsageError(f"no CAA record can name the account {account!r} (RFC 8659 section 4.2)")
    return Restriction(account, query.validation_method)


def _audit_all(
    named: dict[Query, Identifier],
    restrictions: Iterable[Restriction | None],
    explainer: Explainer,
    issuers: tuple[str, ...],
) -> list[Audited] | None:
    """The audits in the order of the names; None when nothing can be asked from here."""
    done: list[Audited] = []
    with explainer:
        futures = {query: explainer.audit(identifier) for query, identifier in named.items()}
        for (query, future), restriction in zip(futures.items(), restrictions, strict=True):
            matrix = future.result()
            if matrix is None:
                return None
            methods = {query.validation_method} if query.validation_method else ACME_METHODS
            requester = Requester(frozenset(issuers), query.account_uri, frozenset(methods))
            done.append(audited(matrix, requester, restriction))
    return done


def _status(done: Sequence[Audited]) -> int:
    if any(one.main or one.advice.denied for one in done):
        return _TO_MEND
    return _NOT_FOUND_OUT if any(one.unasked for one in done) else _ALL_WELL


def _as_json(done: Iterable[Audited], suggested: Iterable[Wildcard]) -> dict[str, Any]:
    return {
        "audits": [one.as_json() for one in done],
        "wildcards": [
            {"identifier": one.identifier, "replaces": list(one.replaces), "needs": one.needs}
            for one in suggested
        ],
    }


def _print_tickets(done: Iterable[Audited]) -> None:
    tickets = dict.fromkeys(
        finding.ticket for one in done for finding in one.findings if finding.matters
    )
    print(("\n" + "-" * 72 + "\n\n").join(_printable_lines(ticket) for ticket in tickets), end="")


def _print_all(done: Sequence[Audited], suggested: Iterable[Wildcard]) -> None:
    for number, one in enumerate(done):
        if number:
            print()
        _print_one(one)
    for wildcard in suggested:
        print()
        _print(
            f"{wildcard.identifier} would replace {text.listing(wildcard.replaces)}. "
            f"{wildcard.needs}",
            0,
        )


def _print_one(one: Audited) -> None:
    asked = sum(len(zone.asked) for zone in one.matrix.zones)
    zones = text.count(len(one.matrix.zones), "zone")
    print(f"{one.matrix.identifier}: {text.count(asked, 'server')} of {zones} asked")
    for zone_name in one.unasked:
        _print(f"No server of {zone_name} could be asked from here.", 2)
    for finding in one.findings:
        _print_finding(finding)
    troubled = {finding.zone for finding in one.findings}
    for zone in one.matrix.zones:
        if str(zone) in troubled and zone.asked:
            _print_table(zone)
    _print_advice(one)


def _print_finding(finding: Finding) -> None:
    where = finding.owner or finding.zone
    _print(f"{finding.severity.value}: {finding.code}: {finding.kind.what} ({where})", 2)
    for server in finding.servers:
        _print(server, 6)
    _print(f"Seen: {finding.evidence}. {finding.kind.source}.", 4)
    _print(finding.mend, 4)


def _print_table(zone: Zone) -> None:
    """What each server made of the CA's question in each manner."""
    columns = [*OVER_UDP, TCP]
    widths = [max(len(str(column)), 11) for column in columns]
    width = max(len(str(server)) for server in zone.asked)
    name = text.printable(b".".join(zone.owners[0]).decode("ascii", "replace"))
    print(f"    CAA {name}")
    titles = "  ".join(f"{column!s:{size}}" for column, size in zip(columns, widths, strict=True))
    print(f"    {'':{width}}  {titles}".rstrip())
    for server in zone.asked:
        cells = [_cell(zone.answer(server, zone.owners[0], CAA, column)) for column in columns]
        row = "  ".join(f"{cell:{size}}" for cell, size in zip(cells, widths, strict=True))
        print(text.printable(f"    {server!s:{width}}  {row}").rstrip())


def _cell(answer: Answer) -> str:
    reply = answer.reply
    if reply is None:
        return "-" if answer.heard is Heard.NOT_ASKED else answer.heard.value
    if reply.truncated:
        return "truncated"
    records = sum(record.type == CAA for record in reply.answer)
    return f"{records} CAA" if records else rcode_text(reply.rcode)


def _print_advice(one: Audited) -> None:
    advice = one.advice
    if advice.denied:
        allowed = ", ".join(advice.allowed) or "no CA"
        _print(f"The CAA records at {one.matrix.identifier.domain} or above allow {allowed}.", 2)
    if advice.new:
        _print(_lead(one), 2)
        for record in advice.records:
            mark = "+" if record in advice.new else " "
            print(text.escaped(f"   {mark} {record}"))
    for note in advice.notes:
        _print(note, 2)


def _lead(one: Audited) -> str:
    advice = one.advice
    if advice.denied:
        return "To let this CA issue, publish all of:"
    if advice.helps:
        return "This ends the climb before the fault is met; publish all of:"
    if advice.helps is False:
        return "This does not mend the fault, but leaves less to go wrong:"
    return "This leaves less to go wrong:"


def _print(line: str, indent: int) -> None:
    print(text.paragraph(_printable_lines(line), indent))


def _printable_lines(lines: str) -> str:
    return "\n".join(map(text.escaped, lines.split("\n")))
