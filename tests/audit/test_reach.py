"""Servers that there is no way to from here have no fault that could be seen."""

from __future__ import annotations

from pathlib import Path

import dns.message
import dns.rrset

from certbot_caa_guard.audit.findings import find
from tests.audit.laboratories import audit
from tests.internet import Internet, transform

REFERRALS = {
    # One has an IPv6 address only, and the root here none; the other's is known there.
    "six.net": ("ns.six.net.", [("ns.six.net.", 60, "IN", "AAAA", "2620:fe::9")]),
    "hosted.net": ("ns.six.net.", []),
}


def refer(zone: str) -> transform:
    server, glue = REFERRALS[zone]

    def change(
        _query: dns.message.Message, reply: dns.message.Message, _wire: bytes
    ) -> dns.message.Message:
        reply.authority = [dns.rrset.from_text(f"{zone}.", 60, "IN", "NS", server)]
        reply.additional = [dns.rrset.from_text(*one) for one in glue]
        return reply

    return transform(change)


def test_servers_that_there_is_no_way_to_have_no_fault(tmp_path: Path) -> None:
    with Internet(tmp_path, dict.fromkeys(REFERRALS, "")) as internet:
        for zone in REFERRALS:
            internet.tlds.script(refer(zone), below=zone)
        matrices = audit(internet, tmp_path, REFERRALS)
        assert internet.errors == []
    assert {name: find(matrix) for name, matrix in matrices.items()} == dict.fromkeys(REFERRALS, ())
    named = {name: matrix.zones[-1].servers for name, matrix in matrices.items()}
    assert all(one.is_out_of_reach for servers in named.values() for one in servers)
