"""DNS messages from resolvers and authoritative servers, through both of our readers."""

from __future__ import annotations

from tests.fuzz.engine import fuzz, imports

with imports(__name__):
    from certbot_caa_guard import caa
    from certbot_caa_guard.climb import Lookup, Outcome
    from certbot_caa_guard.resolvers import wire
    from certbot_caa_guard.resolvers.iterative import message

_OWNER = "www.example.net"
_QUERY = message.encode(
    message.Question(message.name_from_text(_OWNER), message.CAA), 0x1234, edns=True
)
_END = 12 + len(_OWNER) + 2 + 4  # of the question section
_LONGEST_NAME = 253


def TestOneInput(data: bytes) -> None:  # noqa: N802
    found = wire.read(_OWNER, data, 0.0)
    entry = _QUERY[12:_END]
    if data[12:_END].lower() == entry:
        assert wire.read_matched(_OWNER, data, _END, 0.0) == found
    assert bool(found.records) == (found.outcome is Outcome.RECORDS)
    assert found.zone is None or len(found.zone) <= _LONGEST_NAME
    assert not wire.answers(_QUERY, data) or data[:2] == _QUERY[:2]
    try:
        reply = message.decode(_QUERY, data)
    except message.MessageError:
        return
    for record in (*reply.answer, *reply.authority, *reply.additional):
        assert message.is_name(record.owner)
        assert message.is_name(record.target)
    if found.outcome is not Outcome.MALFORMED:
        _check_agreement(found, reply)


def _check_agreement(found: Lookup, reply: message.Reply) -> None:
    assert reply.truncated == (found.outcome is Outcome.TRUNCATED)
    if reply.truncated:
        return
    assert (reply.rcode == 0) == (found.outcome in {Outcome.RECORDS, Outcome.NOTHING})
    if reply.rcode == 0:
        # Of other classes than IN, one reader takes records and the other does not.
        records = [caa.parse_rdata(one.rdata) for one in reply.answer if one.type == message.CAA]
        assert all(record in found.records for record in records)


if __name__ == "__main__":
    fuzz(TestOneInput)
