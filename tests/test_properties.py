"""What holds for all input: nothing raises, and nothing is permitted that a CA would refuse.

The reference judge below is written from RFC 8659, RFC 8657 and Boulder's rules a second time,
as naively as can be: one regular expression for a whole value instead of a parser.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import configobj
import dns.edns
import dns.message
import dns.rcode
import pytest

from certbot_caa_guard import caa, prediction, problem, verdict
from certbot_caa_guard.caa import BOULDER, STRICT, Record, Requester, Rules
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome, climb
from certbot_caa_guard.names import Identifier, IdentifierError, parse
from certbot_caa_guard.plugin import lineage
from certbot_caa_guard.problem import At, Meaning
from certbot_caa_guard.resolvers import wire
from certbot_caa_guard.verdict import Perspective, Result
from tests.resolvers.responder import reply

pytest.importorskip("hypothesis")  # the environments of the older certbots lack it

from hypothesis import example, given, settings
from hypothesis import strategies as st

settings.register_profile("stable", derandomize=True, deadline=None, database=None)
settings.load_profile("stable")

_ISSUER = "letsencrypt.org"
_ACCOUNT = "https://acme-v02.api.letsencrypt.org/acme/acct/1234"
_PERSPECTIVE = Perspective("unbound", public=True)


# The reference


_BOULDER_VALUE = re.compile(
    rb"[ \t]*(?P<issuer>[^;]*?)[ \t]*"
    rb"(?:;[ \t]*|(?P<parameters>(?:;[ \t]*[0-9A-Za-z]*[ \t]*=[ \t]*[!-:<-~]*[ \t]*)*))"
)
_LABEL = rb"[0-9A-Za-z](?:-*[0-9A-Za-z])*"
_STRICT_VALUE = re.compile(
    rb"[ \t]*(?P<issuer>(?:%b(?:\.%b)*)?)[ \t]*"
    rb"(?:;[ \t]*|(?P<parameters>(?:;[ \t]*%b[ \t]*=[ \t]*[!-:<-~]*[ \t]*)*))"
    % (_LABEL, _LABEL, _LABEL)
)


def _reference_permits(
    records: Sequence[Record], *, wildcard: bool, account: str | None, method: str, strict: bool
) -> bool:
    tags = [record.tag.decode("latin-1").lower() for record in records]
    ignored = {"issue", "issuewild", "iodef", "issuemail"} | (set() if strict else {"issuevmc"})
    for record, tag in zip(records, tags, strict=True):
        critical = record.flags >= 128 or (not strict and record.flags % 2 == 1)
        if critical and tag not in ignored:
            return False
    which = "issuewild" if wildcard and "issuewild" in tags else "issue"
    values = [record.value for record, tag in zip(records, tags, strict=True) if tag == which]
    return not values or any(_reference_allows(one, account, method, strict) for one in values)


def _reference_allows(value: bytes, account: str | None, method: str, strict: bool) -> bool:
    match = (_STRICT_VALUE if strict else _BOULDER_VALUE).fullmatch(value)
    if not match:
        return False
    issuer = match["issuer"].lower() if strict else match["issuer"]
    if issuer != _ISSUER.encode():
        return False
    found: dict[str, list[str]] = {"accounturi": [], "validationmethods": []}
    for text in (match["parameters"] or b"").decode("ascii").split(";")[1:]:
        tag, parameter = re.split(r"[ \t]*=[ \t]*", text.strip(" \t"), maxsplit=1)
        found.setdefault(tag, []).append(parameter)
    uris, lists = found["accounturi"], found["validationmethods"]
    if uris and (account is None or uris != [account]):
        return False
    if not lists:
        return True
    if len(lists) > 1:
        return False
    labels = lists[0].split(",")
    well_formed = [bool(re.fullmatch(r"[0-9A-Za-z-]+", label)) for label in labels]
    if method not in labels:
        return False
    return all(well_formed if strict else well_formed[: labels.index(method)])


def _reference_climb(lookups: Sequence[Lookup], strict: bool) -> Lookup | str | None:
    """The lookup with the relevant set, None where there is none, or the name that failed."""
    for lookup in lookups:
        missing_tld = lookup.outcome is Outcome.NXDOMAIN and lookup.owner.count(".") == 0
        if missing_tld and not strict:
            return lookup.owner
        if lookup.outcome in {Outcome.RECORDS, Outcome.NOTHING, Outcome.NXDOMAIN}:
            if lookup.records:
                return lookup
        else:
            return lookup.owner
    return None


# What is drawn: mostly what is almost right

_BLANKS = st.sampled_from(["", "", "", "", " ", "\t", " \t ", "\n"])
_TAGS = st.sampled_from(
    [b"issue"] * 6
    + [b"issuewild"] * 4
    + [b"ISSUE", b"IssueWild", b"iodef", b"issuemail", b"issuevmc", b"tbs", b"", b"issue\xc3"]
)
_FLAGS = st.sampled_from([0] * 6 + [1, 2, 126, 127, 128, 129, 255])
_ISSUERS = st.sampled_from(
    [_ISSUER] * 12
    + ["LetsEncrypt.org", f"{_ISSUER}.", f".{_ISSUER}", "letsencrypt.or", f"x.{_ISSUER}"]
    + ["", "other.example", "lets encrypt.org", "xn--e.test", "-letsencrypt.org", "é.test"]
)
_METHODS = st.lists(
    st.sampled_from(["dns-01"] * 3 + ["http-01", "DNS-01", "", "x_y"]),
    min_size=1,
    max_size=3,
).map(",".join)
_URIS = st.sampled_from([_ACCOUNT] * 3 + [_ACCOUNT + "5", _ACCOUNT[:-1], _ACCOUNT.upper(), ""])
_PARAMETERS = st.one_of(
    st.tuples(st.just("accounturi"), _URIS),
    st.tuples(st.just("validationmethods"), _METHODS),
    st.tuples(st.sampled_from(["validationmethods", "ValidationMethods", "AccountURI"]), _METHODS),
    st.tuples(
        st.sampled_from(["policy", "a-b", "", "a-", "a_b"]),
        st.sampled_from(["", "a=b", "!", "~", "1 2", "é", "\x7f"]),
    ),
)
_PARAMETER_TEXTS = st.one_of(
    st.builds("{0}{1[0]}{0}={2}{1[1]}{2}".format, _BLANKS, _PARAMETERS, _BLANKS),
    st.builds("{0}{1[0]}={1[1]}".format, _BLANKS, _PARAMETERS),
    st.sampled_from(["", " ", "x", "accounturi"]),
)


@st.composite
def _values(draw: st.DrawFn) -> bytes:
    issuer = draw(_BLANKS) + draw(_ISSUERS) + draw(_BLANKS)
    few = draw(st.lists(_PARAMETER_TEXTS, max_size=3))
    times = draw(st.sampled_from([1, 1, 1, 2]))
    return ";".join([issuer, *few * times]).encode()


_RECORDS = st.lists(
    st.builds(
        Record,
        _FLAGS,
        _TAGS,
        st.one_of(
            _values(),
            st.builds("{};validationmethods={}".format, st.just(_ISSUER), _METHODS).map(str.encode),
            st.binary(max_size=20),
        ),
    ),
    min_size=1,
    max_size=3,
)
_ACCOUNTS = st.sampled_from([_ACCOUNT, _ACCOUNT, None])
_FAILURES = sorted(set(Outcome) - {Outcome.RECORDS, Outcome.NOTHING}, key=lambda one: one.value)
_LABELS = st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True)
_IDENTIFIERS = st.builds(
    Identifier, st.lists(_LABELS, min_size=1, max_size=4).map(".".join), st.booleans()
)
_OUTCOMES = st.one_of(
    st.just(Outcome.NOTHING),
    st.sampled_from([Outcome.RECORDS, Outcome.NXDOMAIN]),
    st.sampled_from(_FAILURES),
)
# Extended errors come with errors, and some resolvers tell half a novel there.
_EXTENDED = st.none() | st.builds(ExtendedError, st.integers(0, 30), st.text(max_size=30))


@st.composite
def _lookups(draw: st.DrawFn, identifier: Identifier) -> dict[str, Lookup]:
    lookups = {}
    for owner in identifier.owners:
        outcome = draw(_OUTCOMES)
        records = tuple(draw(_RECORDS)) if outcome is Outcome.RECORDS else ()
        extended = draw(_EXTENDED) if outcome in _FAILURES else None
        lookups[owner] = Lookup(owner, outcome, records, extended)
    return lookups


def _requester(rules: Rules, account: str | None = _ACCOUNT, method: str = "dns-01") -> Requester:
    return Requester(frozenset({_ISSUER}), account, frozenset({method}), rules)


def _determine(
    identifier: Identifier, lookups: dict[str, Lookup], requester: Requester
) -> verdict.Determination:
    return verdict.determine(
        identifier, lookups, perspective=_PERSPECTIVE, requester=requester, round=1, at=0.0
    )


# CAA records


@given(st.binary())
def test_any_rdata_is_read_or_malformed(rdata: bytes) -> None:
    try:
        record = caa.parse_rdata(rdata)
    except caa.MalformedRdataError:
        assert rdata[1] > len(rdata) - 2
        return
    assert record.tag + record.value == rdata[2:]
    assert str(record).isprintable()


@settings(max_examples=500)
@given(st.binary() | _values(), st.sampled_from([BOULDER, STRICT]))
def test_any_value_is_read_or_malformed(value: bytes, rules: Rules) -> None:
    grammar = _STRICT_VALUE if rules is STRICT else _BOULDER_VALUE
    try:
        parsed = caa.parse_issue_value(value, rules)
    except caa.MalformedValueError:
        assert not grammar.fullmatch(value)
        return
    match = grammar.fullmatch(value)
    assert match is not None
    assert parsed.issuer == match["issuer"]


@settings(max_examples=1_000)
@given(_RECORDS, st.booleans(), _ACCOUNTS, st.booleans())
def test_the_judge_agrees_with_the_reference(
    records: list[Record], wildcard: bool, account: str | None, strict: bool
) -> None:
    requester = _requester(STRICT if strict else BOULDER, account)
    expected = _reference_permits(
        records, wildcard=wildcard, account=account, method="dns-01", strict=strict
    )
    judgement = caa.judge(records, wildcard=wildcard, requester=requester)
    assert judgement.permitted == expected, judgement


def _without_known_differences(record: Record) -> Record:
    """Boulder minds an issuer's case, refuses hyphens in tags, and has two critical bits."""
    issuer, semicolon, parameters = record.value.partition(b";")
    parameters = re.sub(rb"-(?=[^;=]*=)", b"", parameters)
    return Record(record.flags & ~1, record.tag, issuer.lower() + semicolon + parameters)


@settings(max_examples=200)
@given(_RECORDS, st.booleans(), _ACCOUNTS)
def test_the_rfcs_permit_nothing_that_boulder_refuses_but_where_it_is_known_to_differ(
    records: list[Record], wildcard: bool, account: str | None
) -> None:
    records = [_without_known_differences(record) for record in records]
    strict = caa.judge(records, wildcard=wildcard, requester=_requester(STRICT, account))
    boulder = caa.judge(records, wildcard=wildcard, requester=_requester(BOULDER, account))
    assert boulder.permitted or not strict.permitted


@given(st.permutations([0, 1, 2]), _RECORDS, st.booleans())
def test_the_order_of_the_records_does_not_count(
    order: list[int], records: list[Record], wildcard: bool
) -> None:
    shuffled = [records[place] for place in order if place < len(records)]
    requester = _requester(BOULDER)
    assert caa.judge(shuffled, wildcard=wildcard, requester=requester) == caa.judge(
        records, wildcard=wildcard, requester=requester
    )


# Climbs


@settings(max_examples=200)
@given(st.data(), _IDENTIFIERS, _ACCOUNTS, st.booleans())
def test_a_determination_agrees_with_the_reference(
    data: st.DataObject, identifier: Identifier, account: str | None, strict: bool
) -> None:
    lookups = data.draw(_lookups(identifier))
    made = _determine(identifier, lookups, _requester(STRICT if strict else BOULDER, account))
    found = _reference_climb([lookups[owner] for owner in identifier.owners], strict)
    if isinstance(found, str):
        assert made.result is Result.ERROR
        assert made.failure is not None
        assert made.failure.owner == found
        return
    permitted = found is None or _reference_permits(
        found.records,
        wildcard=identifier.wildcard,
        account=account,
        method="dns-01",
        strict=strict,
    )
    assert made.result is (Result.PERMITTED if permitted else Result.DENIED)
    assert made.found_at == (None if found is None else found.owner)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_a_climb_through_any_answers_ends(messages: list[bytes]) -> None:
    identifier = Identifier("a.b.example.net")
    lookups = [
        wire.read(owner, message, 0.0)
        for owner, message in zip(identifier.owners, messages, strict=False)
    ]
    end = climb(lookups)
    assert end.failure is None or end.relevant is None
    _determine(identifier, {one.owner: one for one in lookups}, _requester(BOULDER))


# Answers on the wire

_OWNER = "www.example.net"
_BOGUS = dns.edns.EDECode.DNSSEC_BOGUS
_QUERY = dns.message.make_query(_OWNER, "CAA", use_edns=0).to_wire()
_ANSWERS = [
    reply(_QUERY, answer=[f"{_OWNER}. CNAME x.example.", 'x.example. CAA 0 issue ";"']),
    reply(_QUERY, authority=["example.net. SOA ns.example.net. . 1 2 3 4 5"]),
    reply(_QUERY, rcode=dns.rcode.SERVFAIL, extended=dns.edns.EDEOption(_BOGUS, "no signature")),
]


@st.composite
def _mutated_answers(draw: st.DrawFn) -> bytes:
    message = bytearray(draw(st.sampled_from(_ANSWERS)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(2, len(message) - 1))
        message[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
        if len(message) < 4:
            break
    return bytes(message[: draw(st.integers(0, len(message)))] if draw(st.booleans()) else message)


@settings(max_examples=500)
@given(st.binary() | _mutated_answers())
def test_any_message_is_an_outcome(message: bytes) -> None:
    found = wire.read(_OWNER, message, 0.0)
    assert bool(found.records) == (found.outcome is Outcome.RECORDS)
    assert found.zone is None or len(found.zone) <= 253
    assert not wire.answers(_QUERY, message) or message[:2] == _QUERY[:2]


# Problems

_MEMBERS = st.sampled_from(["type", "detail", "identifier", "value", "subproblems", "x"])
_TEXTS = st.text(max_size=20) | st.lists(
    st.sampled_from(
        [
            "urn:ietf:params:acme:error:rateLimited",
            "Error finalizing order :: ",
            "rechecking caa: ",
            "Rechecking CAA: ",
            'Rechecking CAA for "a.net" and ٣ more',
            " identifiers failed. Refer to sub-problems for more information",
            "During secondary validation: ",
            "While processing CAA for a.net: ",
            "CAA record for net prevents issuance",
            "DNS problem: ",
            "SERVFAIL",
            " looking up CAA for net",
            "looking up CAA for net: DNSSEC: Bogus",
            " - ",
            ", ",
        ]
    ),
    max_size=6,
).map("".join)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.dictionaries(_MEMBERS, _JSON, max_size=6), st.none() | st.just("b.net"))
def test_any_problem_gives_a_reading_for_each_identifier(
    document: dict[str, object], identifier: str | None
) -> None:
    readings = problem.read(document, identifier=identifier)
    named = [reading.identifier for reading in readings]
    assert readings
    assert len(set(named)) == len(named)
    assert all(reading.others >= 0 for reading in readings)


@settings(max_examples=200)
@given(st.data(), _IDENTIFIERS)
def test_a_predicted_problem_is_read_as_what_was_predicted(
    data: st.DataObject, identifier: Identifier
) -> None:
    made = _determine(identifier, data.draw(_lookups(identifier)), _requester(BOULDER))
    document = prediction.ca_problem(identifier, made)
    if made.result is Result.PERMITTED:
        assert document is None
        return
    assert document is not None
    (reading,) = problem.read(document)
    assert reading.identifier == str(identifier)
    assert reading.at is At.AUTHORIZATION
    if made.failure is None:
        assert (reading.meaning, reading.owner) == (Meaning.DENIED, made.found_at)
    else:
        dnssec = made.failure.is_dnssec_failure and "DNSSEC: " in document["detail"]
        assert reading.meaning is (Meaning.DNSSEC if dnssec else Meaning.TRANSIENT)
        assert reading.owner == made.failure.owner


# Names, and their state on disk

_NAMES = st.lists(_IDENTIFIERS.map(str), unique=True, max_size=5)
_TIMES = st.datetimes().map(lambda time: f"{time.isoformat(timespec='seconds')}+00:00")
_HELD = st.builds(
    lineage.Held,
    _IDENTIFIERS.map(str),
    st.sampled_from(["denied", "broken"]),
    _TIMES,
    _IDENTIFIERS.map(lambda identifier: identifier.domain),
)


@settings(max_examples=30)
@given(_NAMES, st.lists(_HELD, min_size=1, max_size=3))
@example(["*.a.net"], [lineage.Held("*.a.net", "denied", "2026-01-01T00:00:00+00:00", "a.net")])
def test_names_come_back_from_a_renewal_configuration(
    wanted: list[str], held: list[lineage.Held]
) -> None:
    names = lineage.Names(tuple(wanted), tuple(held))
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "a.net.conf")
        conf.write_text("version = 5.1.0\n[renewalparams]\nkey_type = ecdsa\n")
        lineage.write(conf, names)
        # As certbot reads it.
        config = configobj.ConfigObj(str(conf), encoding="utf-8", default_encoding="utf-8")
        assert lineage.read(config[lineage.SECTION]) == names
        assert config["renewalparams"] == {"key_type": "ecdsa"}


_LINES = st.sampled_from(
    [
        *b"[renewalparams] [[webroot_map]] [caa_guard] caa_guard=x a=1,2 #x x=%(a)s".split(),
        *[b'x = """y', b"''' z", b'"""', b"b = '", b"c = \"'", b"", b"d = \xc3\xa9", b"\xff"],
    ]
)


@settings(max_examples=150)
@given(st.lists(_LINES, max_size=8).map(b"\n".join))
@example(b'x = """y\n\'\'\' z\n"""\n')
@example(b"caa_guard = x\n")
def test_nothing_else_in_a_renewal_configuration_changes(content: bytes) -> None:
    """Whatever stands in it: that stays and the names come back, or nothing is written."""
    names = lineage.Names(("b.net",), (lineage.Held("b.net", "denied", "2026", "net"),))
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "a.net.conf")
        conf.write_bytes(content)
        try:
            lineage.write(conf, names)
        except lineage.StateError:
            assert conf.read_bytes() == content
            return
        before, after = (
            configobj.ConfigObj(file, encoding="utf-8", interpolation=False)
            for file in (io.BytesIO(content), str(conf))
        )
        assert lineage.read(after.pop(lineage.SECTION)) == names
        before.pop(lineage.SECTION, None)
        assert after == before


_WRITTEN = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "*.", "*.*.", "."]),
    _IDENTIFIERS.map(str),
    st.sampled_from(["", ".", "..", ". .", "\n", " ."]),
    st.sampled_from(["", "", ".", "x"]),
)


@settings(max_examples=300)
@given(st.text(max_size=20) | _WRITTEN | _WRITTEN.map(str.upper))
def test_an_identifier_once_read_is_read_as_itself(text: str) -> None:
    try:
        identifier = parse(text)
    except IdentifierError:
        return
    assert parse(str(identifier)) == identifier
    assert identifier.owners[0] == identifier.domain
