"""Records that come and go while the zones stay as they are."""

from __future__ import annotations

import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

from tests.internet.question import Question
from tests.internet.records import rdata_from_text

TTL = 5


class Overlay:
    """RRsets that take the place of those in the zones below. May be changed from any thread.

    An RRset replaces the zone's own of that owner and type, as if the operator had edited the
    zone; withdrawing it brings the zone's own back. All else at the owner stays, even what a
    wildcard yields there, which is not quite RFC 4592, but a published TXT shall not make an
    address disappear. In a signed zone an overlay has no signature and so is bogus.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rrsets: dict[dns.name.Name, dict[dns.rdatatype.RdataType, list[dns.rdata.Rdata]]] = {}

    def publish(self, owner: str, rtype: str, text: str) -> None:
        """Add a record. Several at one owner and type make an RRset; twice the same is one."""
        kind = dns.rdatatype.from_text(rtype)
        rdata = rdata_from_text(kind, text)
        with self._lock:
            rdatas = self._rrsets.setdefault(dns.name.from_text(owner), {}).setdefault(kind, [])
            if rdata not in rdatas:
                rdatas.append(rdata)

    def withdraw(self, owner: str, rtype: str, text: str | None = None) -> None:
        """Remove one record, or all of the type; what is not there is not missed."""
        name, kind = dns.name.from_text(owner), dns.rdatatype.from_text(rtype)
        unwanted = None if text is None else rdata_from_text(kind, text)
        with self._lock:
            types = self._rrsets.get(name, {})
            kept = [r for r in types.pop(kind, []) if unwanted is not None and r != unwanted]
            if kept:
                types[kind] = kept
            if not types:
                self._rrsets.pop(name, None)

    def clear(self) -> None:
        with self._lock:
            self._rrsets.clear()

    def apply(self, question: Question, wire: bytes) -> bytes:
        """The zones' answer as it is with the overlay. Referrals and errors stay as they are."""
        with self._lock:
            if not any(owner.is_subdomain(question.owner) for owner in self._rrsets):
                return wire
            types = self._rrsets.get(question.owner, {})
            kind = dns.rdatatype.CNAME if dns.rdatatype.CNAME in types else question.qtype
            rdatas = list(types.get(kind, ()))
        response = dns.message.from_wire(wire, continue_on_error=True)
        if not response.flags & dns.flags.AA:
            return wire
        if rdatas:
            response.answer = [dns.rrset.from_rdata_list(question.owner, TTL, rdatas)]
            response.authority, response.additional = [], []
        elif response.rcode() != dns.rcode.NXDOMAIN:
            return wire
        # The name, or one below it, is in the overlay and therefore exists.
        response.set_rcode(dns.rcode.NOERROR)
        return question.encode(response) or wire
