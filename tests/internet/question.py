"""A question as a name server received it, and the wire form of an answer to it."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

Transport = Literal["udp", "tcp"]
Answer = dns.message.Message | bytes | None
"""What may be sent back: a message, bytes as they are, or nothing."""

HEADER = struct.Struct("!HHHHHH")


@dataclass(frozen=True)
class Question:
    wire: bytes
    owner: dns.name.Name
    qtype: dns.rdatatype.RdataType
    source: str
    transport: Transport

    @classmethod
    def parse(cls, wire: bytes, source: str, transport: Transport) -> Question:
        """Read no more than the question; raise ValueError if there is not exactly one."""
        try:
            _, flags, count, *_ = HEADER.unpack_from(wire)
            owner, length = dns.name.from_wire(wire, HEADER.size)
            qtype, _ = struct.unpack_from("!HH", wire, HEADER.size + length)
        except (struct.error, dns.exception.DNSException) as error:
            raise ValueError("not a DNS question") from error
        if flags & dns.flags.QR or count != 1:
            raise ValueError("not a DNS question")
        return cls(wire, owner, dns.rdatatype.RdataType.make(qtype), source, transport)

    @functools.cached_property
    def message(self) -> dns.message.Message:
        return dns.message.from_wire(self.wire)

    @property
    def key(self) -> tuple[str, str]:
        """Owner in lower case without the final dot, and type: ``("example.net", "CAA")``."""
        return self.owner.to_text(omit_final_dot=True).lower(), self.qtype.name

    @property
    def edns(self) -> bool:
        return self.message.edns >= 0

    @property
    def mixed_case(self) -> bool:
        """Whether there is an upper-case letter. (0x20 may leave a name without, by chance.)"""
        return any(label != label.lower() for label in self.owner.labels)

    def rcode(self, rcode: dns.rcode.Rcode) -> dns.message.Message:
        """An answer with the question, an rcode and nothing else."""
        reply = dns.message.make_response(self.message)
        reply.set_rcode(rcode)
        return reply

    def encode(self, answer: Answer) -> bytes | None:
        """The answer's wire form, cut down to a TC answer if it is too large for UDP."""
        if not isinstance(answer, dns.message.Message):
            return answer
        room = max(512, self.message.payload) if self.transport == "udp" else 65535
        try:
            return answer.to_wire(max_size=room)
        except dns.exception.TooBig:
            short = self.rcode(answer.rcode())
            short.flags |= dns.flags.TC | (answer.flags & dns.flags.AA)
            return short.to_wire()


def unreadable(wire: bytes) -> bytes | None:
    """FORMERR to something that is not a question; nothing if it has no ID or is an answer."""
    if len(wire) < HEADER.size or wire[2] & 0x80:
        return None
    return HEADER.pack(
        int.from_bytes(wire[:2], "big"), dns.flags.QR | dns.rcode.FORMERR, 0, 0, 0, 0
    )
