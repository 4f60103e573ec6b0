"""Records and zones as text, in a form that every name server in the bench accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer

ROOT_SERVER = dns.name.from_text("a.root-servers.")
ADDRESS_OR_ALIAS = frozenset({"A", "CNAME", "DNAME", "NS"})


def caa(flags: int, tag: str | bytes, value: str | bytes) -> str:
    r"""RDATA text of a CAA record in the generic form of RFC 3597: ``\# LENGTH HEX``.

    This form carries any bytes. NSD 4.6 refuses a zone with an upper-case tag written plainly.
    """
    tag = tag.encode() if isinstance(tag, str) else tag
    value = value.encode() if isinstance(value, str) else value
    return generic(bytes([flags, len(tag)]) + tag + value)


def generic(rdata: bytes) -> str:
    r"""RDATA bytes, however broken, as the text ``\# LENGTH HEX``."""
    return f"\\# {len(rdata)} {rdata.hex()}"


@dataclass(frozen=True)
class Record:
    """One line of a zone: `owner` is relative to the zone unless it ends with a dot."""

    owner: str
    rtype: str
    rdata: str
    ttl: int = 60

    def __str__(self) -> str:
        return f"{self.owner} {self.ttl} IN {self.rtype} {self.rdata}"


def parse_records(text: str | Sequence[str]) -> list[Record]:
    """Read ``owner [ttl] [IN] type rdata`` lines; a line that begins with a space has the same
    owner as the one before. CAA becomes generic, so that tags may be in any case.
    """
    records: list[Record] = []
    owner = "@"
    for line in text.splitlines() if isinstance(text, str) else text:
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        if not line[0].isspace():
            owner, line = (*line.split(None, 1), "")[:2]
        records.append(_parse_record(owner, line))
    return records


def _parse_record(owner: str, rest: str) -> Record:
    ttl, rtype = 60, ""
    while not rtype:
        if not rest.strip():
            raise ValueError(f"not a record: {owner!r} has no type")
        word, rest = (*rest.split(None, 1), "")[:2]
        if word.isdigit():
            ttl = int(word)
        elif word.upper() != "IN":
            rtype = word.upper()
    rdata = rest.strip()
    if rtype in {"CAA", "TYPE257"}:
        rtype, rdata = "TYPE257", _generic_caa(rdata)
    return Record(owner, rtype, rdata, ttl)


def _generic_caa(text: str) -> str:
    if text.startswith("\\#"):
        return text
    try:
        tokens = dns.tokenizer.Tokenizer(text)
        flags = tokens.get_uint8()
        tag, value = (tokens.get().unescape_to_bytes().value for _ in range(2))
    except dns.exception.DNSException as error:
        raise ValueError(f"not the RDATA of a CAA record: {text}") from error
    return caa(flags, tag, value)


def rdata_from_text(rtype: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    """RDATA of any type; the generic form is kept as bytes and so may hold broken RDATA."""
    if rtype == dns.rdatatype.CAA:
        text = _generic_caa(text)
    if text.startswith("\\#"):
        _, _, *digits = text.split()
        return dns.rdata.GenericRdata(dns.rdataclass.IN, rtype, bytes.fromhex("".join(digits)))
    if rtype == dns.rdatatype.TXT and not text.startswith('"'):
        text = f'"{text}"'  # what certbot calls a validation is one string without blanks
    return dns.rdata.from_text(dns.rdataclass.IN, rtype, text)


def nameserver(zone: dns.name.Name) -> dns.name.Name:
    """The name of a zone's (only) name server, which lies inside the zone and so needs glue."""
    return ROOT_SERVER if zone == dns.name.root else dns.name.Name((b"ns", *zone.labels))


@dataclass(frozen=True)
class Delegation:
    """A zone cut: `address` is the child's name server, `ds` its DS records' RDATA texts."""

    child: dns.name.Name
    address: str
    ds: tuple[str, ...] = ()

    def records(self) -> Iterable[Record]:
        server = str(nameserver(self.child))
        yield Record(str(self.child), "NS", server)
        yield Record(server, "A", self.address)
        for ds in self.ds:
            yield Record(str(self.child), "DS", ds)


def address_records(records: Sequence[Record], web: str) -> Iterable[Record]:
    """A records for the apex, a wildcard and the owners of CAA records, where there is none.

    A name that has a CAA record exists, so the wildcard does not cover it (RFC 4592 2.2.1),
    and a CA that validates it would find no address.
    """
    settled = {record.owner for record in records if record.rtype in ADDRESS_OR_ALIAS - {"NS"}}
    settled |= {r.owner for r in records if r.rtype == "NS" and r.owner != "@"}
    settled |= {"*"} & {record.owner for record in records}
    wanted = ["@", "*", *(record.owner for record in records if record.rtype == "TYPE257")]
    for owner in dict.fromkeys(wanted):
        if owner not in settled:
            yield Record(owner, "A", web)


def zone_text(
    zone: dns.name.Name,
    address: str,
    records: Sequence[Record],
    delegations: Iterable[Delegation],
) -> str:
    """A complete zone: SOA, NS and the server's address are added to what is given."""
    server = nameserver(zone)
    lines = [Record(str(zone), "SOA", f"{server} hostmaster.{server} 1 3600 600 86400 60")]
    if not any(record.rtype == "NS" and record.owner == "@" for record in records):
        lines.append(Record(str(zone), "NS", str(server)))
    lines.append(Record(str(server), "A", address))
    lines += records
    for delegation in delegations:
        lines += delegation.records()
    return f"$ORIGIN {zone}\n" + "".join(f"{line}\n" for line in lines)
