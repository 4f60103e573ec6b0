"""One question to one server."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rdatatype


def ask(
    address: str, owner: str, qtype: str, *, timeout: float = 10.0, transport: str = "udp"
) -> dns.message.Message:
    """The answer of the server at `address`, by TCP if `transport` is "tcp" or UDP is not enough.

    Raises dns.exception.Timeout when there is none after `timeout` seconds.
    """
    query = dns.message.make_query(owner, dns.rdatatype.from_text(qtype), use_edns=True)
    if transport == "tcp":
        return dns.query.tcp(query, address, timeout=timeout)
    answer, _ = dns.query.udp_with_fallback(query, address, timeout=timeout)
    return answer
