"""The certificate that a lineage has now, and until when it can wait for a name."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from certbot import crypto_util

from certbot_caa_guard import grace

LONGEST_OCSP = 10.0  # seconds; certbot's own

_UTC = datetime.timezone.utc


@dataclass(frozen=True, slots=True)
class Certificate:
    """What clients have of a lineage now.

    :ivar names: the names in it; none where no client is to trust it.
    :ivar end: when its life ends.
    :ivar waits_until: when it is to be renewed even without names of it that fail.
    """

    names: frozenset[str]
    end: datetime.datetime
    waits_until: datetime.datetime

    def names_at(self, now: datetime.datetime) -> frozenset[str]:
        """The names that it can wait for at a time."""
        return self.names if now < self.waits_until else frozenset()


def certificate_of(
    lineage: Any, *, chosen_grace: str | None, server: str, is_revoked: bool
) -> Certificate:
    """The certificate that certbot's *lineage* has now.

    :param chosen_grace: as the user wrote it, if at all.
    :param server: the CA that is asked for the next one.
    """
    begin, end = (
        moment.astimezone(_UTC)
        for moment in (crypto_util.notBefore(lineage.cert), crypto_util.notAfter(lineage.cert))
    )
    if is_revoked or (lineage.is_test_cert and lineage.server != server):
        return Certificate(frozenset(), end, begin)
    lifetime = end - begin
    window = grace.renewal_window(lifetime, lineage.configuration.get("renew_before_expiry"))
    left = grace.remaining(lifetime, window, chosen_grace)
    return Certificate(frozenset(lineage.names()), end, end - left)


def is_revoked(lineage: Any) -> bool:
    """Whether the CA has revoked it, by OCSP: certbot asks that before a renewal, too.

    Where the CA cannot be asked it is taken for valid, after LONGEST_OCSP at most.
    """
    return bool(lineage.ocsp_revoked(lineage.latest_common_version()))
