"""Finding what a CA said in what a person pastes: a problem, a client's log, its terminal output.

Clients write a CA's problem as its JSON (certbot's log, acme.sh, Caddy), or as a line of their own
around its ``detail`` (certbot's terminal, lego, Caddy, cert-manager).  What is looked for in such a
line are the words of the detail, so that it does not matter which client it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from certbot_caa_guard import problem
from certbot_caa_guard.problem import Meaning, Reading

_MOST_FAILED_DECODINGS = 1_000
_DEEPEST = 20

_DECODER = json.JSONDecoder()
_OBJECT = re.compile(r'\{\s*"')

# A line that starts so does not go on with the one before it.
_NEW_RECORD = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]|\[\w{3}|[IWEF]\d{4} \d\d:|\w{3} [ \d]\d \d\d:|time=|level=|ts="
    r"|\{|\}|(?:Domain|Identifier|Type|Detail|Hint|Status): |\[(?:type|detail|status)\]"
    r"|Problem for |urn:|\(?\(?(?:sub)?problem |An unexpected |Certbot failed |Some challenges "
    r"|Ask for help|To fix these |IMPORTANT NOTES|Failed to |Renewing an |Saving debug "
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_QUOTING = re.compile(r"^[\s>|│*]+")
_DOMAIN = re.compile(r"(?:Domain|Identifier): (\S{1,300})\s*$")

# Where clients write the identifier that the CA's words come after: acme, certbot before 2.0, lego
# and cert-manager, acme.sh.  It is tried only where it begins, as it may have hundreds of labels.
_DNS_NAME = r"(?<![\w.*-])(?:\*\.)?[\w-]{1,63}(?:\.[\w-]{1,63})+"
_BEFORE = re.compile(
    rf"Problem for (?P<acme>{_DNS_NAME}): |(?P<certbot>{_DNS_NAME}) \([a-z-]+-\d\d\): urn:"
    rf"|\[(?:dns: )?(?P<lego>{_DNS_NAME})\] |authorization error for (?P<manager>{_DNS_NAME}): "
    rf"|(?P<sh>{_DNS_NAME}):Verify error:"
)
_HOW_FAR_BEFORE = 400

_NAME = r"[^\s\"',;:()\[\]{}\\]{1,300}"
_END = (
    r"(?=,? problem:? \"|, url: |; subproblems|\"?\)\)+|\"[,}\]]|\" \w+=|['\"]\s*$|\s*$"
    r"|, While processing CAA for )"
)
_PROCESSING = rf"(?:While processing CAA for {_NAME}: )?"
_MESSAGE = re.compile(
    r"(?:Error (?:finalizing order|creating new cert) :: )?"
    r"(?:"
    rf"Rechecking CAA for \"?{_NAME}\"? and \d{{1,6}} more identifiers failed\. Refer to "
    r"sub-problems for more information"
    r"|"
    r"(?:rechecking caa: |Rechecking CAA: )?(?:During secondary validation: )?(?:"
    rf"{_PROCESSING}CAA record for {_NAME} prevents issuance"
    rf"|{_PROCESSING}DNS problem: looking up CAA for {_NAME}: .*?{_END}"
    rf"|{_PROCESSING}DNS problem: [\w ()]{{1,60}} looking up CAA for {_NAME}(?<!\.)"
    rf"|(?:[A-Z]{{6,8}}|query timed out) looking up CAA for {_NAME}(?<!\.)"
    r")"
    rf"|(?:rechecking caa: |Rechecking CAA: )\w.{{0,300}}?{_END}"
    rf"|CAA check for {_NAME} failed"
    r"|(?:MPIC failed\.\. )?CAA record does not include \S{1,300} which is required to issue the "
    r"certificate"
    r")"
)
_LIMIT = re.compile(
    r"too many (?:certificates|failed auth|invalid auth|currently pending|pending auth|new orders"
    rf"|registrations|new registrations).*?{_END}"
    r"|Your account is temporarily prevented from requesting certificates for .{1,4000}?"
    r"Please visit: https?://[!#-&(-~]+"
    r"|Service busy; retry later"
    rf"|(?<=acme:error:rateLimited) :: .*?{_END}",
    re.IGNORECASE,
)
_RATE_LIMITED = "urn:ietf:params:acme:error:rateLimited"


@dataclass(frozen=True, slots=True)
class _Found:
    """A problem document, and what stands around it.

    :ivar identifier: that of the authorization that it stands in.
    :ivar near: an identifier that a client wrote near it, which knows of no wildcards.
    """

    document: Mapping[str, Any]
    identifier: str | None = None
    near: str | None = None


def read(text: str) -> tuple[Reading, ...]:
    """What the CA said of each identifier, in the order in which they are first named.

    Where a log tells of several tries, the last word counts.

    :returns: never none; a single reading with :attr:`Meaning.NOT_CAA` where nothing in *text* is
        about CAA or a rate limit.
    """
    alone = _alone(text.strip())
    readings = problem.read(alone) if alone is not None else ()
    if any(one.meaning is not Meaning.NOT_CAA for one in readings):
        return readings
    return _last_words(
        _near(reading, found)
        for found in _in_text(text, depth=0)
        for reading in problem.read(found.document, identifier=found.identifier)
    )


def _alone(text: str) -> Mapping[str, Any] | None:
    """The problem document that a text is, and nothing else; or what is the detail of one."""
    if text[:1] in {"{", "["}:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) and isinstance(value.get("detail"), str) else None
    return None if "\n" in text else {"detail": text}


def _near(reading: Reading, found: _Found) -> Reading:
    if reading.identifier is None and reading.meaning is not Meaning.NOT_CAA:
        return replace(reading, identifier=found.near)
    return reading


def _last_words(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    last: dict[str | None, Reading] = {}
    for reading in readings:
        known = last.get(reading.identifier)
        if reading.meaning is Meaning.NOT_CAA:
            continue
        if known is None or not _says_less(reading, known):
            last[reading.identifier] = reading
    named = {(one.meaning, one.owner) for name, one in last.items() if name is not None}
    unnamed = last.get(None)
    if unnamed is not None and (unnamed.meaning, unnamed.owner) in named:
        del last[None]
    return tuple(last.values()) or (Reading(Meaning.NOT_CAA),)


def _says_less(reading: Reading, known: Reading) -> bool:
    """Whether *reading* only counts identifiers, while of this one more is *known*."""
    return reading.owner is None and known.owner is not None


def _in_text(text: str, *, depth: int) -> Iterator[_Found]:
    """The problems in a text: those in its JSON objects, and those in what is left of it."""
    if depth > _DEEPEST:
        return
    prose, position, failed = [], 0, 0
    while failed < _MOST_FAILED_DECODINGS and (start := _OBJECT.search(text, position)):
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            failed += 1
            prose.append(text[position : start.end()])
            position = start.end()
            continue
        yield from _in_prose("".join([*prose, text[position : start.start()]]))
        yield from _in_value(value, None, depth=depth + 1)
        prose, position = [], end
    yield from _in_prose("".join([*prose, text[position:]]))


def _in_value(value: Any, identifier: str | None, *, depth: int) -> Iterator[_Found]:
    """The problems in a JSON value: an object with a detail is one."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _in_text(value, depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _in_value(item, identifier, depth=depth + 1)
    elif isinstance(value, dict):
        if isinstance(value.get("detail"), str):
            yield _Found(value, identifier)
            return
        identifier = _identifier(value) or identifier
        for member in value.values():
            yield from _in_value(member, identifier, depth=depth + 1)


def _identifier(value: Mapping[str, Any]) -> str | None:
    """The identifier of an authorization (RFC 8555 section 7.1.4), or that of a client's log."""
    member = value.get("identifier")
    if isinstance(member, str):
        return member
    name = member.get("value") if isinstance(member, dict) else None
    if not isinstance(name, str):
        return None
    return f"*.{name}" if value.get("wildcard") is True else name


def _in_prose(text: str) -> Iterator[_Found]:
    near = None
    for record in _records(text):
        if domain := _DOMAIN.search(record):
            near = domain[1]
        for before, detail in _messages(record):
            yield _Found({"detail": detail}, near=_name_in(before) or near)
        for limit in _LIMIT.finditer(record):
            yield _Found({"type": _RATE_LIMITED, "detail": limit[0]}, near=near)


def _messages(record: str) -> Iterator[tuple[str, str]]:
    """The CA's own words in a record, each with what stands before.

    A list of them, as it once was written, comes in one piece.
    """
    last = start = end = 0
    for match in _MESSAGE.finditer(record):
        continues = record[end : match.start()] == ", "
        if not (continues and "Rechecking CAA: " in record[start:end]):
            if end:
                yield record[last:start], record[start:end]
            last, start = end, match.start()
        end = match.end()
    if end:
        yield record[last:start], record[start:end]


def _name_in(before: str) -> str | None:
    """The identifier that a client writes before the CA's words."""
    found = [
        match.group(match.lastgroup or 0) for match in _BEFORE.finditer(before[-_HOW_FAR_BEFORE:])
    ]
    return found[-1] if found else None


def _records(text: str) -> Iterator[str]:
    """The lines of a text, those that were wrapped joined again."""
    unescaped = _COLOUR.sub("", text).replace("\\n", "\n").replace("\\t", " ").replace('\\"', '"')
    lines: list[str] = []
    for line in unescaped.splitlines():
        bare = " ".join(_QUOTING.sub("", line).split())
        if lines and (not bare or _NEW_RECORD.match(bare)):
            yield " ".join(lines)
            lines = []
        if bare:
            lines.append(bare)
    if lines:
        yield " ".join(lines)
