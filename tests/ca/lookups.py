"""The CA's DNS side: questions to its recursive resolver, and the climb over them.

Answers are read off the wire here, because dnspython refuses a whole message for a CAA record
with an empty tag, which Boulder's library accepts.
"""

from __future__ import annotations

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.wire

from .caa import Applicant, Record, parse_record, permits
from .problems import ExtendedError, LookupFailedError, Problem, caa_refuses, caa_unknown

if TYPE_CHECKING:
    from types import TracebackType

_OPT = 41
_EDE_OPTION = 15


@dataclass
class Answer:
    """What of a response matters: its code, its answer records and why it failed."""

    rcode: int
    truncated: bool
    records: list[tuple[int, bytes]] = field(default_factory=list)
    extended: ExtendedError | None = None


def _read_extended_error(options: bytes) -> ExtendedError | None:
    """Find the first EDE option (RFC 8914 section 2) among an OPT record's."""
    parser = dns.wire.Parser(options)
    while parser.remaining():
        code, length = parser.get_struct("!HH")
        data = parser.get_bytes(length)
        if code == _EDE_OPTION and length >= 2:
            text = data[2:].decode("utf-8", "replace").rstrip("\0")
            return ExtendedError(int.from_bytes(data[:2], "big"), text)
    return None


def _skip_name(parser: dns.wire.Parser) -> None:
    """Pass over a name, compressed or not (RFC 1035 section 4.1.4)."""
    _, length = dns.name.from_wire(parser.wire, parser.current)
    parser.get_bytes(length)


def read_answer(wire: bytes) -> Answer:
    """Read a response; dnspython's FormError when it is none (RFC 1035 section 4.1)."""
    parser = dns.wire.Parser(wire)
    _, flags, questions, answers, authorities, additionals = parser.get_struct("!HHHHHH")
    for _ in range(questions):
        _skip_name(parser)
        parser.get_struct("!HH")
    answer = Answer(flags & 0xF, bool(flags & dns.flags.TC))
    for index in range(answers + authorities + additionals):
        _skip_name(parser)
        rdtype, _, ttl, length = parser.get_struct("!HHIH")
        rdata = parser.get_bytes(length)
        if rdtype == _OPT:
            answer.rcode |= (ttl >> 24) << 4
            answer.extended = _read_extended_error(rdata)
        elif index < answers:
            answer.records.append((rdtype, rdata))
    return answer


def _receive_exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        piece = connection.recv(length - len(received))
        if not piece:
            raise EOFError
        received += piece
    return received


def suffixes(identifier: str) -> list[str]:
    """Give the names whose CAA is asked for, from the identifier's own up to the TLD."""
    labels = identifier.lower().removeprefix("*.").rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


class Resolver:
    """The CA's recursive resolver, at port 53 of `address`, waited for `patience` seconds."""

    def __init__(self, address: str, patience: float) -> None:
        self._server = (address, 53)
        self._patience = patience
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="ca-lookup")

    def __enter__(self) -> Resolver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask_datagram(self, question: bytes, deadline: float) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect(self._server)
            link.send(question)
            while True:
                link.settimeout(max(deadline - time.monotonic(), 0.001))
                wire = link.recv(65535)
                if wire[:2] == question[:2]:
                    return wire

    def _ask_stream(self, question: bytes, deadline: float) -> bytes:
        timeout = max(deadline - time.monotonic(), 0.001)
        with socket.create_connection(self._server, timeout=timeout) as link:
            link.sendall(struct.pack("!H", len(question)) + question)
            (length,) = struct.unpack("!H", _receive_exactly(link, 2))
            return _receive_exactly(link, length)

    def _exchange(self, name: str, qtype: str) -> Answer:
        """Ask as Boulder does (RD, AD, EDNS 4096); its HTTPS has no truncation, so TCP has it."""
        message = dns.message.make_query(name, qtype, use_edns=0, payload=4096)
        message.flags |= dns.flags.AD
        question = message.to_wire()
        deadline = time.monotonic() + self._patience
        answer = read_answer(self._ask_datagram(question, deadline))
        return read_answer(self._ask_stream(question, deadline)) if answer.truncated else answer

    def ask(self, name: str, qtype: str) -> Answer:
        """Look one name up; LookupFailedError when no response came."""
        try:
            return self._exchange(name, qtype)
        except TimeoutError:
            raise LookupFailedError(name, "query timed out", qtype=qtype) from None
        except OSError:
            raise LookupFailedError(name, "networking error", qtype=qtype) from None
        except (EOFError, dns.exception.DNSException, struct.error):
            raise LookupFailedError(name, "server failure at resolver", qtype=qtype) from None

    def records(self, name: str, qtype: str) -> list[bytes]:
        """Give the RDATA of the wanted type in a good answer; LookupFailedError for any other."""
        answer = self.ask(name, qtype)
        if answer.truncated:
            raise LookupFailedError(name, "response was truncated", qtype=qtype)
        if answer.rcode != dns.rcode.NOERROR:
            code = dns.rcode.to_text(dns.rcode.Rcode(answer.rcode))
            raise LookupFailedError(name, code, qtype=qtype, extended=answer.extended)
        wanted = int(dns.rdatatype.from_text(qtype))
        return [rdata for rdtype, rdata in answer.records if rdtype == wanted]

    def _caa(self, name: str) -> list[Record]:
        """Give the CAA records at one name; none when it does not exist, but for a TLD."""
        answer = self.ask(name, "CAA")
        if answer.truncated:
            raise LookupFailedError(name, "response was truncated")
        if answer.rcode == dns.rcode.NXDOMAIN and "." in name:
            return []
        if answer.rcode != dns.rcode.NOERROR:
            code = dns.rcode.to_text(dns.rcode.Rcode(answer.rcode))
            raise LookupFailedError(name, code, extended=answer.extended)
        try:
            return [parse_record(rdata) for rdtype, rdata in answer.records if rdtype == 257]
        except ValueError:
            raise LookupFailedError(name, "server failure at resolver") from None

    def relevant_set(self, identifier: str) -> tuple[str | None, list[Record]]:
        """Climb (RFC 8659 section 3): the first set, or the first failure, from the left decides.

        All names are asked at once; a failure above the relevant set does not count.
        """
        names = suffixes(identifier)
        lookups = [self._pool.submit(self._caa, name) for name in names]
        for name, lookup in zip(names, lookups, strict=True):
            found = lookup.result()
            if found:
                return name, found
        return None, []

    def check_caa(self, applicant: Applicant) -> Problem | None:
        """Check one identifier; the problem is worded as at authorization time."""
        try:
            found_at, records = self.relevant_set(applicant.identifier)
        except LookupFailedError as failure:
            return caa_unknown(applicant.identifier, failure)
        if found_at is None or permits(records, applicant):
            return None
        return caa_refuses(applicant.identifier, found_at)
