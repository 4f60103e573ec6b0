"""CAA records: reading them, and judging by them whether a CA may issue (RFC 8659, RFC 8657).

The judgement is the one that Boulder, Let's Encrypt's CA software, makes: what counts is what
the CA will do.  Where that differs from the letter of the RFCs, a :class:`Rules` says how.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# ACME's challenge types: RFC 8555 section 8, RFC 8737, and those of two drafts.
ACME_METHODS = frozenset({"http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"})

_BLANK = b" \t"
_PARAMETER_VALUE = re.compile(rb"[\x21-\x3a\x3c-\x7e]*")
_METHOD_LABEL = re.compile(rb"[0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Rules:
    """Where those who read the RFCs differ.

    :ivar critical: the bits of the flags octet that make a property critical.
    :ivar known: the property tags, besides issue and issuewild, that nothing forbids even if
        they are critical (RFC 8659 section 4.5).
    :ivar issuer: what an issuer domain name must look like; None for anything.
    :ivar parameter_tag: what the tag of a parameter must look like.
    :ivar fold_issuer: whether the case of an issuer domain name does not count.
    :ivar whole_method_list: whether one malformed label spoils a list of validation methods
        even after a match.
    :ivar missing_tld_fails: whether a TLD that does not exist is an error.
    """

    critical: int
    known: frozenset[bytes]
    issuer: re.Pattern[bytes] | None
    parameter_tag: re.Pattern[bytes]
    fold_issuer: bool
    whole_method_list: bool
    missing_tld_fails: bool


# As Boulder reads them. It takes the lowest bit of the flags for critical, too, which early
# software set by mistake for the highest.
BOULDER = Rules(
    critical=128 | 1,
    known=frozenset({b"iodef", b"issuemail", b"issuevmc"}),
    issuer=None,
    parameter_tag=re.compile(rb"[0-9A-Za-z]*"),
    fold_issuer=False,
    whole_method_list=False,
    missing_tld_fails=True,
)

# To the letter: RFC 8659 sections 4.1 and 4.2, RFC 8657 section 4, and for issuemail RFC 9495.
_LDH = rb"[0-9A-Za-z]+(?:-+[0-9A-Za-z]+)*"
STRICT = Rules(
    critical=128,
    known=frozenset({b"iodef", b"issuemail"}),
    issuer=re.compile(rb"(?:%b(?:\.%b)*)?" % (_LDH, _LDH)),
    parameter_tag=re.compile(_LDH),
    fold_issuer=True,
    whole_method_list=True,
    missing_tld_fails=False,
)


class MalformedRdataError(ValueError):
    """RDATA that is not CAA's; a CA takes the whole answer for a failed lookup."""


class MalformedValueError(ValueError):
    """The value of an issue or issuewild property breaks its grammar; it permits nobody."""


@dataclass(frozen=True, slots=True)
class Record:
    """One CAA record.

    :ivar flags: the flags octet.
    :ivar tag: the property tag, as it came.
    :ivar value: the property value, as it came.
    """

    flags: int
    tag: bytes
    value: bytes

    @property
    def property(self) -> bytes:
        """The tag as it is compared: tags ignore case (RFC 8659 section 4.1)."""
        return self.tag.lower()

    def __str__(self) -> str:
        return f'{self.flags} {_presentation(self.tag)} "{_presentation(self.value)}"'


@dataclass(frozen=True, slots=True)
class IssueValue:
    """The parsed value of an issue or issuewild property (RFC 8659 section 4.2)."""

    issuer: bytes
    parameters: tuple[tuple[bytes, bytes], ...] = ()

    def all_of(self, tag: bytes) -> list[bytes]:
        """The values of every parameter with this tag; parameter tags have case in Boulder."""
        return [value for name, value in self.parameters if name == tag]


@dataclass(frozen=True, slots=True)
class Requester:
    """Who wants to issue, for whom, and how: what the records are held against.

    :ivar issuers: the CA's issuer domain names; any of them permits.
    :ivar account_uri: the ACME account's URI, or None where it is not known: then no record
        with an ``accounturi`` matches (RFC 8657 section 3).
    :ivar methods: the validation methods that may be used (RFC 8657 section 4); a record that
        allows any of them matches.
    :ivar rules: how the CA reads the RFCs.
    """

    issuers: frozenset[str]
    account_uri: str | None
    methods: frozenset[str]
    rules: Rules = BOULDER


class Reason(enum.Enum):
    """Why a relevant set permits issuance or forbids it."""

    NO_RESTRICTION = "nothing in the set restricts this issuance"
    NAMED = "a record names the issuer"
    CRITICAL = "a critical property is unknown"
    MALFORMED = "the value of every record that counts is malformed"
    ISSUER = "no record names this CA"
    ACCOUNT = "this CA is named for another account only"
    METHOD = "this CA is named for other validation methods only"


_PERMITTING = frozenset({Reason.NO_RESTRICTION, Reason.NAMED})


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a relevant set says of one issuance."""

    reason: Reason

    @property
    def permitted(self) -> bool:
        """Whether the CA may issue."""
        return self.reason in _PERMITTING


def parse_rdata(rdata: bytes) -> Record:
    """Read the RDATA of one CAA record (RFC 8659 section 4.1).

    As in the CA's DNS library, RDATA that ends before its tag is a record with an empty tag,
    and an empty tag is merely one that nobody knows.

    :raises MalformedRdataError: when the tag is longer than the RDATA.
    """
    flags = rdata[0] if rdata else 0
    tag_length = rdata[1] if len(rdata) > 1 else 0
    end_of_tag = 2 + tag_length
    if tag_length and end_of_tag > len(rdata):
        raise MalformedRdataError(f"a tag of {tag_length} octets in RDATA of {len(rdata)}")
    return Record(flags, rdata[2:end_of_tag], rdata[end_of_tag:])


def parse_issue_value(value: bytes, rules: Rules = BOULDER) -> IssueValue:
    """Read the value of an issue or issuewild property (RFC 8659 section 4.2).

    ``issuer;`` is fine, but ``issuer; a=b;`` is not.

    :raises MalformedValueError: when it breaks the grammar.
    """
    first, *rest = value.split(b";")
    issuer = first.strip(_BLANK)
    if rules.issuer is not None and not rules.issuer.fullmatch(issuer):
        raise MalformedValueError(f"{issuer!r} is not a domain name")
    if len(rest) == 1 and not rest[0].strip(_BLANK):
        return IssueValue(issuer)
    return IssueValue(issuer, tuple(_parse_parameter(text, rules) for text in rest))


def is_parameter_value(text: str) -> bool:
    """Whether *text* can be the value of a parameter, such as accounturi (RFC 8659 section 4.2)."""
    return text.isascii() and _PARAMETER_VALUE.fullmatch(text.encode("ascii")) is not None


def judge(records: Iterable[Record], *, wildcard: bool, requester: Requester) -> Judgement:
    """Say whether a relevant RRset lets *requester* issue (RFC 8659 section 4).

    :param records: the relevant RRset; never empty, since an empty one is no restriction.
    :param wildcard: whether the identifier is a wildcard (RFC 8659 section 4.3).
    """
    rules = requester.rules
    issue: list[Record] = []
    issuewild: list[Record] = []
    for record in records:
        if record.property == b"issue":
            issue.append(record)
        elif record.property == b"issuewild":
            issuewild.append(record)
        elif record.property not in rules.known and record.flags & rules.critical:
            return Judgement(Reason.CRITICAL)
    # issuewild is for wildcards only, and then takes the place of issue altogether.
    deciding = issuewild if wildcard and issuewild else issue
    if not deciding:
        return Judgement(Reason.NO_RESTRICTION)
    return Judgement(_best_reason([_judge_record(record, requester) for record in deciding]))


def named_issuers(records: Iterable[Record], *, wildcard: bool) -> tuple[str, ...]:
    """The issuer domain names that a relevant set permits, for telling the user who may issue."""
    records = tuple(records)
    properties = {record.property for record in records}
    wanted = b"issuewild" if wildcard and b"issuewild" in properties else b"issue"
    issuers: dict[str, None] = {}
    for record in records:
        if record.property != wanted:
            continue
        try:
            issuer = parse_issue_value(record.value).issuer
        except MalformedValueError:
            continue
        if issuer:
            issuers[_presentation(issuer)] = None
    return tuple(issuers)


def _judge_record(record: Record, requester: Requester) -> Reason:
    try:
        parsed = parse_issue_value(record.value, requester.rules)
    except MalformedValueError:
        return Reason.MALFORMED
    if not _issuer_matches(parsed.issuer, requester):
        return Reason.ISSUER
    if not _account_matches(parsed, requester.account_uri):
        return Reason.ACCOUNT
    if not any(_method_matches(parsed, method, requester.rules) for method in requester.methods):
        return Reason.METHOD
    return Reason.NAMED


def _best_reason(reasons: Sequence[Reason]) -> Reason:
    """The reason nearest to permission: any one record that matches permits."""
    by_nearness = (Reason.NAMED, Reason.METHOD, Reason.ACCOUNT, Reason.ISSUER)
    return next((reason for reason in by_nearness if reason in reasons), Reason.MALFORMED)


def _issuer_matches(issuer: bytes, requester: Requester) -> bool:
    """Octet for octet, but for the case where the rules fold it; no final dot is stripped."""
    issuers = {name.encode() for name in requester.issuers}
    if requester.rules.fold_issuer:
        return issuer.lower() in {name.lower() for name in issuers}
    return issuer in issuers


def _account_matches(parsed: IssueValue, account_uri: str | None) -> bool:
    """RFC 8657 section 3: more than one accounturi in a record can never be satisfied."""
    uris = parsed.all_of(b"accounturi")
    if not uris:
        return True
    return len(uris) == 1 and account_uri is not None and uris[0] == account_uri.encode()


def _method_matches(parsed: IssueValue, method: str, rules: Rules) -> bool:
    """RFC 8657 section 4, read from left to right.

    A label that breaks the grammar ends the search; for Boulder only when it is reached before a
    match.
    """
    lists = parsed.all_of(b"validationmethods")
    if not lists:
        return True
    if len(lists) > 1:
        return False
    labels = lists[0].split(b",")
    if rules.whole_method_list and not all(map(_METHOD_LABEL.fullmatch, labels)):
        return False
    for label in labels:
        if not _METHOD_LABEL.fullmatch(label):
            return False
        if label == method.encode():
            return True
    return False


def _parse_parameter(text: bytes, rules: Rules) -> tuple[bytes, bytes]:
    tag, equals, value = text.partition(b"=")
    tag, value = tag.strip(_BLANK), value.strip(_BLANK)
    if not equals:
        raise MalformedValueError(f"the parameter {text!r} is not of the form tag=value")
    if not rules.parameter_tag.fullmatch(tag):
        raise MalformedValueError(f"the parameter tag {tag!r} has characters that are not allowed")
    if not _PARAMETER_VALUE.fullmatch(value):
        raise MalformedValueError(
            f"the parameter value {value!r} has characters that are not allowed"
        )
    return tag, value


def _presentation(text: bytes) -> str:
    """Octets as a zone file shows them, so that no control character gets any further."""
    return "".join(
        f"\\{octet:03d}" if octet < 0x20 or octet > 0x7E else
        f"\\{chr(octet)}" if octet in b'"\\' else
        chr(octet)
        for octet in text
    )  # fmt: skip
