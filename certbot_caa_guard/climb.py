"""Lookups, and the climb from a name to its TLD that finds the relevant RRset (RFC 8659)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from certbot_caa_guard.caa import Record


class Outcome(enum.Enum):
    """What became of one CAA question.

    NETWORK is trouble on our own side of the resolver that was asked: it was not reached, or it
    has no way to any of the servers.  A server that refuses connections is silent: TIMEOUT.
    """

    RECORDS = "records"
    NOTHING = "nothing"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    FORMERR = "formerr"
    NOTIMP = "notimp"
    NOTAUTH = "notauth"
    OTHER_RCODE = "other-rcode"
    BOGUS = "bogus"
    TIMEOUT = "timeout"
    NETWORK = "network"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """An Extended DNS Error (RFC 8914): its INFO-CODE and EXTRA-TEXT."""

    code: int
    text: str = ""

    # INFO-CODEs that say that DNSSEC validation failed (RFC 8914 sections 4.2 to 4.3 and 4.6 to
    # 4.13, as the CA's software counts them).
    @property
    def is_dnssec(self) -> bool:
        """Whether it tells of a validation failure."""
        return self.code in {1, 2, 5, 6, 7, 8, 9, 10, 11, 12}


# Not frozen: that takes four times as long to make, and a scan makes tens of thousands a second.
@dataclass(slots=True, unsafe_hash=True)
class Lookup:
    """One CAA question for one owner name through one perspective, and what came back.

    :ivar owner: the name asked about: lower case, no final dot.
    :ivar records: the CAA records of the answer section, whatever their owner: following a
        CNAME or DNAME is the resolver's work.
    :ivar extended_error: what the resolver said of its failure.
    :ivar zone: the owner of the SOA in a negative answer: the zone that *owner* is in.
    :ivar seconds: how long it took.
    :ivar alias_of: where the aliases end that *owner* is the first of, in lower case, no final dot;
        None where the answer shows none.
    """

    owner: str
    outcome: Outcome
    records: tuple[Record, ...] = ()
    extended_error: ExtendedError | None = None
    zone: str | None = None
    seconds: float = 0.0
    alias_of: str | None = None

    @property
    def failed(self) -> bool:
        """Whether a CA would take this for an error.

        A name that does not exist has no CAA records and the climb goes on; but a TLD that does
        not exist is an error for Boulder.
        """
        if self.outcome is Outcome.NXDOMAIN:
            return "." not in self.owner
        return self.outcome not in {Outcome.RECORDS, Outcome.NOTHING}

    @property
    def is_dnssec_failure(self) -> bool:
        """Whether DNSSEC validation is what failed."""
        if self.outcome is Outcome.BOGUS:
            return True
        return self.failed and self.extended_error is not None and self.extended_error.is_dnssec


@dataclass(frozen=True, slots=True)
class Climb:
    """Where a climb ended: at a failure, at the relevant set, or above the TLD with neither."""

    failure: Lookup | None = None
    relevant: Lookup | None = None


def climb(lookups: Iterable[Lookup]) -> Climb:
    """Walk *lookups*, leftmost name first, to the first that failed or has records.

    Errors above the relevant set do not count, and of several errors the leftmost does.
    """
    for lookup in lookups:
        if lookup.failed:
            return Climb(failure=lookup)
        if lookup.records:
            return Climb(relevant=lookup)
    return Climb()
