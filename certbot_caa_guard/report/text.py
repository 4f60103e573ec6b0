"""Plain text for a terminal: one line a name, with why and what to do.

Whatever came from DNS or from a CA passes through :func:`printable` on its way out, and all else
from outside through :func:`escaped`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from certbot_caa_guard import caa, prediction
from certbot_caa_guard.issuance import Survey
from certbot_caa_guard.names import is_at_or_below
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.ratelimit import Limit, RateLimit
from certbot_caa_guard.retry import Step
from certbot_caa_guard.verdict import Determination, Evidence, Verdict

_LONGEST = 300
_LONGEST_URL = 4096
_MOST_LISTED = 5
_WIDTH = 100


def printable(text: str) -> str:
    """*text* with its control characters escaped and its length bounded."""
    clean = escaped(text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def escaped(text: str) -> str:
    """*text* with its control characters escaped, so that it is one line of plain text."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def paragraph(line: str, indent: int = 0, *, hanging: int = 0) -> str:
    """*line* wrapped, between words only: names, URLs and records are to be copied.

    :param indent: of all lines, in columns.
    :param hanging: of all but the first, beyond that.
    """
    return textwrap.fill(
        line,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def address(url: str | None) -> str | None:
    """A URL that the CA gives, which is of use only whole; None for none, or one too long."""
    return escaped(url) if url and len(url) <= _LONGEST_URL else None


def count(number: int, noun: str) -> str:
    """``1 name``, ``2 names``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(names[:_MOST_LISTED])
    more = len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def survey(
    surveyed: Survey, issuers: Sequence[str], *, spared: str = "ordered all the same"
) -> list[str]:
    """The outcome of a preflight: a line that sums it up, and one for each name in trouble.

    :param spared: what becomes of the failing names that are not left out.
    """
    if surveyed.skipped:
        return ["CAA guard: names not checked: a pre-hook has run, and the time after it is over."]
    permitted = sum(one is Verdict.PERMITTED for one in surveyed.verdicts.values())
    checked = count(len(surveyed.verdicts), "name")
    took = f"{surveyed.seconds:.1f} s"
    lines = [f"CAA guard: checked {checked} in {took}, {permitted} permitted."]
    lines += [
        f"CAA guard: the resolver {escaped(name)} does not resolve the root now; it has no say."
        for name in surveyed.unusable
    ]
    if not surveyed.perspectives:
        lines.append(
            "CAA guard: nobody could be asked, so nothing is known of these names and all are "
            "ordered. Name a resolver that works with --caa-guard-resolver udp://IP."
        )
        return lines
    if not surveyed.clock_is_right:
        lines.append(
            "CAA guard: this machine's clock and the CA's differ by more than 5 minutes, so no "
            "DNSSEC failure is believed. Set the clock."
        )
    for name, verdict in surveyed.verdicts.items():
        if verdict is not Verdict.PERMITTED:
            fate = spared if name in surveyed.division.spared else ""
            lines.append(_line(surveyed.evidence[name], verdict, issuers, fate))
    return lines


def reason(evidence: Evidence, verdict: Verdict, issuers: Sequence[str]) -> str:
    """Why an identifier has its verdict, in the CA's words, and the mend."""
    denial, failure = evidence.main_denial, evidence.main_failure
    if verdict in {Verdict.DENIED, Verdict.UNKNOWN} and denial is not None:
        return f"{_said(evidence, denial)}. {_mend_denial(evidence, issuers)}"
    if failure is None:
        who = "Nobody" if verdict is Verdict.UNKNOWN else "Not everybody"
        return f"{who} could be asked about it."
    made = next(one for one in evidence.determinations if one.failure is failure)
    return f"{_said(evidence, made)}. {_mend_failure(evidence, verdict)}"


def _said(evidence: Evidence, made: Determination) -> str:
    """What the CA would say, bounded so that the mend behind it is always seen."""
    problem = prediction.ca_problem(evidence.identifier, made)
    return printable(problem["detail"]) if problem else ""


def dry_run(account_uri: str, server: str) -> str:
    """What a dry run does not tell of the real order: another account may place that."""
    return printable(
        "CAA guard: this is a dry run, and nothing is kept. CAA is judged for the account "
        f"{account_uri} of {server}; accounturi rules may end otherwise for another."
    )


def refusal(readings: Iterable[Reading]) -> str:
    """What the CA said, in one line: bounded, with the URLs behind it whole."""
    readings = list(readings)
    if not readings:
        return "CAA guard: the CA's answer was lost on the way."
    said = printable("CAA guard: the CA refused: " + "; ".join(map(_refusal, readings)))
    see = dict.fromkeys(_see(one.limit) for one in readings if one.limit is not None)
    return said + "".join(see)


def _refusal(reading: Reading) -> str:
    name = reading.identifier or "a name it does not tell"
    if reading.limit is not None:
        return f"{reading.identifier or 'the order'}: {_limit(reading.limit)}"
    if reading.meaning is Meaning.NOT_CAA:
        return "something that is not about CAA"
    if reading.owner is None:
        return f"{name}: its CAA check failed"
    if reading.error is None:
        return f"{name}: the CAA record at {reading.owner} prevents issuance"
    return f"{name}: {reading.error} looking up CAA for {reading.owner}"


def _limit(limit: RateLimit) -> str:
    """Which limit was met, and until when."""
    what = f"a rate limit of the CA is met ({limit.limit.value})"
    until = f" until {limit.until:%Y-%m-%d %H:%M:%S} UTC" if limit.until else ""
    return f"{what}{until}"


def _see(limit: RateLimit) -> str:
    """Where to go about it."""
    url = address(limit.url)
    if limit.limit is Limit.PAUSED:
        return f"; have it lifted at {url or 'the page that the CA names'}"
    return f"; see {url}" if url else ""


def next_step(step: Step, wait: float) -> str:
    """What comes next."""
    if step is Step.STOP:
        return "CAA guard: no further order is placed: try again when the limit is over."
    what = {
        Step.FINALIZE_AGAIN: "The order is still good and is finalized again",
        Step.ORDER_AGAIN: "A new order follows",
        Step.VALIDATE_AGAIN: "The failing names are validated anew in a new order",
        Step.LOOK_AGAIN: "The order is looked at again",
    }[step]
    return f"CAA guard: this may pass. {what} in {wait:.0f} s."


def _line(evidence: Evidence, verdict: Verdict, issuers: Sequence[str], fate: str) -> str:
    word = {
        Verdict.DENIED: "denied",
        Verdict.BROKEN: "broken",
        Verdict.FLAKY: "flaky, ordered all the same",
        Verdict.UNKNOWN: "not known, ordered all the same",
        Verdict.PERMITTED: "permitted",
    }[verdict]
    if fate:
        word += f", {fate}"
    return f"  {evidence.identifier}: {word}: {reason(evidence, verdict, issuers)}"


def _mend_denial(evidence: Evidence, issuers: Sequence[str]) -> str:
    denial = evidence.main_denial
    if denial is None or denial.judgement is None:
        return ""
    wildcard = evidence.identifier.wildcard
    wild_tag = any(record.property == b"issuewild" for record in denial.records)
    tag = "issuewild" if wildcard and wild_tag else "issue"
    issuer = escaped(issuers[0]) if issuers else "…"
    at, to = denial.found_at or "", ""
    target = evidence.alias_of(at)
    if target is not None:
        at, to = escaped(target), f" to the name that {at} is an alias of"
    add = f'add the record{to}: {at}. CAA 0 {tag} "{issuer}"'
    allowed = printable(", ".join(caa.named_issuers(denial.records, wildcard=wildcard)))
    mends = {
        caa.Reason.CRITICAL: "A critical property there is one that the CA does not know: "
        "remove it, or its critical flag.",
        caa.Reason.MALFORMED: f"The records there are malformed: mend them, or {add}",
        caa.Reason.ACCOUNT: "It names another ACME account: change accounturi to this account's "
        f"URI, or {add}",
        caa.Reason.METHOD: "It allows other validation methods only: use one of those, or add "
        "this one to validationmethods.",
        caa.Reason.ISSUER: f"It allows {allowed or 'no CA'}: {add}",
    }
    return mends.get(denial.judgement.reason, "")


def _mend_failure(evidence: Evidence, verdict: Verdict) -> str:
    failure = evidence.main_failure
    if failure is None:
        return ""
    if "." not in failure.owner:
        if failure.outcome.value == "nxdomain":
            return "There is no such top-level domain: is the name misspelled?"
        return "This is not the fault of your DNS, and mostly passes."
    if verdict is Verdict.FLAKY:
        return "It fails at times or for some: the retry watches it."
    cut = evidence.identifier.domain
    target = evidence.alias_of(cut)
    if is_at_or_below(failure.owner, cut):
        where = ""
    elif target is None:
        where = f" or publish CAA records at {cut}"
    else:
        where = f" or publish CAA records at {escaped(target)}, which {cut} is an alias of"
    if failure.is_dnssec_failure:
        return f"Mend the zone's DNSSEC{where}."
    return f"Its nameservers must answer CAA questions (type 257): ask your DNS operator{where}."
