"""What an identifier's issuance hangs on, and the record that cuts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from certbot_caa_guard.names import Identifier


@dataclass(frozen=True, slots=True)
class Exposure:
    """The lookups that may each end an issuance (RFC 8659 section 3).

    :ivar owners: the names whose lookup counts: up to the relevant set, or to the TLD.
    :ivar tld: whether the TLD's lookup is among them.
    :ivar cut: the CAA record at the name itself that would leave only one lookup to fail; None
        where a record stands there already, or an alias, beside which none can.
    """

    owners: tuple[str, ...]
    tld: bool
    cut: str | None


def exposure(
    identifier: Identifier, found_at: str | None, issuers: Sequence[str], *, is_alias: bool
) -> Exposure:
    """What *identifier* hangs on.

    :param found_at: where its relevant set stands, if it has one.
    :param issuers: the CA's domain names, the first of which the record names.
    :param is_alias: whether its name is an alias (RFC 1034 section 3.6.2).
    """
    owners = identifier.owners
    if found_at in owners:
        owners = owners[: owners.index(found_at) + 1]
    cut = None
    if found_at != identifier.domain and issuers and not is_alias:
        cut = f'{identifier.domain}. CAA 0 issue "{issuers[0]}"'
    return Exposure(owners, owners[-1] == identifier.owners[-1], cut)
