"""The faults that an audit knows: what the CA makes of each, where it is written, how it is mended.

The codes are those of DNSViz (its classes of errors) where it has one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """What the CA will do, the worst first."""

    FAILS = "fails"
    FAILS_ON_1_18 = "fails on Unbound 1.18 only"
    MAY_FAIL = "may fail"
    SLOW = "slow"
    FINE = "fine"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    :ivar severity: what the CA does when all servers of a zone have it.
    :ivar what: it in a few words, for one who runs name servers.
    :ivar source: where the standards say how it should be.
    :ivar mend: what to do, in a sentence or two.
    :ivar by_record: whether a CAA record at the very name mends it, too, since it is only the
        answer without records that is wrong.
    """

    severity: Severity
    what: str
    source: str
    mend: str
    by_record: bool = False


_F, _F18, _MAY, _FINE = (
    Severity.FAILS,
    Severity.FAILS_ON_1_18,
    Severity.MAY_FAIL,
    Severity.FINE,
)
_RENEW = "Sign the zone anew, and see to it that its signatures are renewed in time."

# In the order in which they are told, for equal harm: causes before what they cause.
KINDS: dict[str, Kind] = {
    "NoSuchTLD": Kind(
        _F, "the top-level domain does not exist", "RFC 8659 section 3",
        "Check the spelling: no CA issues for a name whose top-level domain does not exist.",
    ),
    "NoAddressForNSName": Kind(
        _F, "name servers have no address", "RFC 1035 section 3.3.11",
        "Give the name server an A or AAAA record, or take it out of the zone's NS records and "
        "of the delegation.",
    ),
    "ErrorResolvingNSName": Kind(
        _F, "the addresses of name servers cannot be looked up", "RFC 1034 section 5.3.3",
        "Mend the zone that the name server's name is in, or name a server in another zone.",
    ),
    "MissingGlueForNSName": Kind(
        _F, "the delegation lacks the addresses of its name servers", "RFC 9471 section 3",
        "Have the registrar add the address (a glue record) of the name server.",
    ),
    "PrivateAddressNS": Kind(
        _F, "name servers have addresses that are not public", "RFC 8659 section 6.3",
        "Give the name server a public address, or take it out of the delegation.",
    ),
    "ServerUnresponsiveUDP": Kind(
        _F, "no answer to any question", "RFC 1035 section 4.2.1",
        "Bring the server up and let UDP and TCP port 53 through the firewall, or take it out of "
        "the delegation and of the zone's NS records.",
    ),
    "ServerNotAuthoritative": Kind(
        _F, "the server does not serve the zone it is delegated", "RFC 1034 section 4.2.2",
        "Configure the zone on the server and let it load, or take the server out of the "
        "delegation.",
    ),
    "AliasLoop": Kind(
        _F, "aliases lead in a circle", "RFC 1034 section 3.6.2",
        "Point one of the CNAME records at a name that has records of its own.",
    ),
    "AliasChainTooLong": Kind(
        _F, "a chain of more than 11 aliases", "RFC 1034 section 3.6.2",
        "Point the first CNAME record straight at the last name; the CA's resolver follows 11.",
    ),
    "InvalidRcode": Kind(
        _F, "an error in answer to CAA questions", "RFC 8659 section 6.2 and RFC 3597 section 3",
        "Let the server answer questions of type CAA (257) as it does any other: with the records, "
        "or with NOERROR and the zone's SOA. Old software, or a filter before it, needs an update.",
    ),
    "Timeout": Kind(
        _F, "no answer to CAA questions", "RFC 8659 section 6.1 and RFC 3597 section 3",
        "Let questions of type CAA (257) through: a firewall or load balancer that knows only "
        "some types drops them.",
    ),
    "MalformedResponse": Kind(
        _F, "answers that are no DNS messages", "RFC 1035 section 4.1",
        "Update the name server's software, or take away what rewrites its answers.",
    ),
    "MissingQuestion": Kind(
        _F, "answers without the question", "RFC 1035 section 4.1.2",
        "Update the name server's software: an answer repeats the question.",
    ),
    "UpwardReferral": Kind(
        _F, "a referral to the root instead of an answer", "RFC 1034 section 4.3.1",
        "Configure the zone on the server; where it is, let CAA questions be answered with NOERROR "
        "and the zone's SOA.",
    ),
    "MalformedCAA": Kind(
        _F, "a CAA record that cannot be read", "RFC 8659 section 4.1",
        "Remove the record and enter it anew as flags, tag and value.",
    ),
    "ResponseErrorWithEDNS": Kind(
        _F, "questions with EDNS are not answered", "RFC 6891 section 7",
        "Let the server, and the firewall before it, take questions with an OPT record; a server "
        "that does not know EDNS answers FORMERR.",
    ),
    "ResponseErrorWithEDNSFlag": Kind(
        _F, "questions with the DO bit are not answered", "RFC 3225 section 3",
        "Let the server, and the firewall before it, take questions that have the DO bit set.",
    ),
    "ResponseErrorWithMixedCase": Kind(
        _F, "names in mixed case are refused", "RFC 4343 section 3",
        "Let the server compare names without regard to case: the CA asks in mixed case.",
    ),
    "UnableToRetrieveDNSSECRecords": Kind(
        _F, "the zone's keys cannot be had", "RFC 4035 section 3.1",
        "Serve the zone's DNSKEY records, or have the DS record taken out of the zone above.",
    ),
    "NoSEP": Kind(
        _F, "no key of the zone fits the DS record above", "RFC 4035 section 5.2",
        "Have the registrar replace the DS record by that of the zone's present key, or remove it.",
    ),
    "ExpirationInThePast": Kind(
        _F, "signatures have expired", "RFC 4034 section 3.1.5", _RENEW,
    ),
    "InceptionInTheFuture": Kind(
        _F, "signatures are not valid yet", "RFC 4034 section 3.1.5",
        "Set the clock of the machine that signs, and sign the zone anew.",
    ),
    "MissingRRSIG": Kind(
        _F, "records without signatures in a signed zone", "RFC 4035 section 3.1.1", _RENEW,
    ),
    "SignatureInvalid": Kind(
        _F, "signatures are wrong", "RFC 4035 section 5.3", _RENEW,
    ),
    "MissingNSECForNODATA": Kind(
        _F, "no proof that there is no such record", "RFC 4035 section 3.1.3.1",
        "Let the server send NSEC or NSEC3 records with answers that have no records.",
        by_record=True,
    ),
    "MissingNSECForNXDOMAIN": Kind(
        _F, "no proof that there is no such name", "RFC 4035 section 3.1.3.2",
        "Let the server send NSEC or NSEC3 records with NXDOMAIN.", by_record=True,
    ),
    "InvalidNSEC": Kind(
        _F, "a proof of absence that proves something else", "RFC 4035 section 5.4",
        "Sign the zone anew, so that its NSEC or NSEC3 records fit what is in it.",
        by_record=True,
    ),
    "Bogus": Kind(
        _F, "DNSSEC validation fails", "RFC 8659 section 6.4",
        "Mend the zone's signatures, or have the DS record taken out of the zone above.",
    ),
    "MissingSOAForNODATA": Kind(
        _F18, "an empty answer without the zone's SOA", "RFC 2308 section 2.2",
        "Let the server put the zone's SOA into answers without records.", by_record=True,
    ),
    "SOAOwnerNotZoneForNODATA": Kind(
        _F18, "an empty answer with the SOA of another zone", "RFC 2308 section 2.2",
        "Let the server put the SOA of the zone itself into answers without records.",
        by_record=True,
    ),
    "IntermittentFailure": Kind(
        _MAY, "some questions fail, and others like them do not", "RFC 8906 section 2",
        "Look at the load and the limits of the server, and at what stands before it: like "
        "questions get unlike answers.",
    ),
    "InconsistentCAA": Kind(
        _MAY, "the servers have different CAA records", "RFC 1034 section 4.3.5",
        "Let all servers load the same version of the zone; see whether transfers work.",
    ),
    "RateLimited": Kind(
        _MAY, "bursts of questions are dropped or refused", "RFC 8906 section 2",
        "Raise the limit of answers a second: a CA asks about all names of an order at once.",
    ),
    "SlowResponse": Kind(
        Severity.SLOW, "slow answers", "RFC 1035 section 7.2",
        "Find out what holds the answers back: the CA waits some seconds, and asks several times.",
    ),
    "ServerUnresponsiveTCP": Kind(
        _FINE, "no answer over TCP", "RFC 7766 section 5",
        "Let TCP port 53 through the firewall: answers too large for UDP need it.",
    ),
    "CasePreservationError": Kind(
        _FINE, "the question comes back in other case", "RFC 4343 section 4.1",
        "Let the server repeat the question as it came; the CA asks such servers again.",
    ),
    "InconsistentNXDOMAIN": Kind(
        _FINE, "NXDOMAIN for a name that exists", "RFC 8020 section 2",
        "Let the server answer NOERROR for a name that has records of other types.",
    ),
    "MissingSOAForNXDOMAIN": Kind(
        _FINE, "NXDOMAIN without the zone's SOA", "RFC 2308 section 2.1",
        "Let the server put the zone's SOA into answers with NXDOMAIN.",
    ),
    "SOAOwnerNotZoneForNXDOMAIN": Kind(
        _FINE, "NXDOMAIN with the SOA of another zone", "RFC 2308 section 2.1",
        "Let the server put the SOA of the zone itself into answers with NXDOMAIN.",
    ),
    "NotAuthoritative": Kind(
        _FINE, "answers without the AA bit", "RFC 1035 section 4.1.1",
        "Let the server answer with authority for its zones.",
    ),
    "EmptyCAATag": Kind(
        _FINE, "a CAA record with an empty tag", "RFC 8659 section 4.1",
        "Remove the record; it means nothing.",
    ),
    "NSNameNotInChild": Kind(
        _FINE, "the zone above names servers that the zone does not", "RFC 1034 section 4.2.2",
        "Make the delegation and the zone's NS records the same.",
    ),
    "NSNameNotInParent": Kind(
        _FINE, "the zone names servers that the zone above does not", "RFC 1034 section 4.2.2",
        "Make the delegation and the zone's NS records the same.",
    ),
}  # fmt: skip


def rank(code: str) -> int:
    """The place of a code in the order in which faults are told."""
    return list(KINDS).index(code)
