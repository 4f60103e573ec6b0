"""CAA RDATA from anybody's zone: read, and judged.

An input is records in a row, each an octet for the length of its RDATA and then that.  The
first octet of all says whether a wildcard is asked for, and whether the records are shown, too,
which is dear.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tests.fuzz.engine import fuzz, imports

with imports(__name__):
    from certbot_caa_guard import caa

_WILDCARD = 0x80
_SHOWN = 0x40
_MOST_RECORDS = 6  # more of them find no more, and take time

_ISSUER = "letsencrypt.org"
_ACCOUNT = "https://acme-v02.api.letsencrypt.org/acme/acct/1234"
_BOULDER, _STRICT = (
    caa.Requester(frozenset({_ISSUER}), _ACCOUNT, frozenset({"dns-01"}), rules)
    for rules in (caa.BOULDER, caa.STRICT)
)


def TestOneInput(data: bytes) -> None:  # noqa: N802
    mode = data[0] if data else 0
    wildcard = bool(mode & _WILDCARD)
    records = []
    for rdata in islice(_split(data), _MOST_RECORDS):
        try:
            record = caa.parse_rdata(rdata)
        except caa.MalformedRdataError:
            assert rdata[1] > len(rdata) - 2
            continue
        assert record.tag + record.value == rdata[2:]
        assert not mode & _SHOWN or str(record).isprintable()
        records.append(record)
    boulder = caa.judge(records, wildcard=wildcard, requester=_BOULDER)
    strict = caa.judge(records, wildcard=wildcard, requester=_STRICT)
    _check(records, wildcard, boulder)
    _check(records, wildcard, strict)
    if strict.permitted and not boulder.permitted:
        assert _rules_differ_on(records), (records, boulder, strict)


def _split(data: bytes) -> Iterator[bytes]:
    position = 1
    while position < len(data):
        end = position + 1 + data[position]
        yield data[position + 1 : end]
        position = end


def _check(records: list[caa.Record], wildcard: bool, judgement: caa.Judgement) -> None:
    """Permission comes of a record that counts, or of there being none."""
    counting = [one.value for one in records if one.tag.lower() == b"issue"]
    if wildcard:
        counting = [one.value for one in records if one.tag.lower() == b"issuewild"] or counting
    if judgement.permitted:
        assert not counting or any(_names_issuer(value) for value in counting), records
    if judgement.reason is caa.Reason.NO_RESTRICTION:
        assert not counting, records


def _names_issuer(value: bytes) -> bool:
    return value.lower().lstrip(b" \t").startswith(_ISSUER.encode())


def _rules_differ_on(records: list[caa.Record]) -> bool:
    """Where Boulder refuses what the RFCs permit: its critical bits, its letters, its tags."""
    for record in records:
        issuer, _, parameters = record.value.partition(b";")
        if record.flags & 1 or issuer != issuer.lower() or b"-" in parameters:
            return True
    return False


if __name__ == "__main__":
    fuzz(TestOneInput)
