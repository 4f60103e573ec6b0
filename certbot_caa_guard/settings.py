"""What the user chose for an issuance, and what certificate it is for."""

from __future__ import annotations

from dataclasses import dataclass

from certbot_caa_guard.split import OnFail


@dataclass(frozen=True)
class Settings:
    """How to go about one issuance.

    :ivar retries: orders or finalizations tried again in one issuance.
    :ivar spare: names that the current certificate covers and that it can wait for.
    :ivar rejoining: names that were held and are to come back: whatever goes wrong with one of
        them, the rest must not suffer for it.
    :ivar may_split: False where the CSR is the user's own.
    :ivar is_urgent: False where the next run is the better one: then there is one short retry.
    :ivar account: the ACME account's URI, whose limits are watched.
    """

    on_fail: OnFail = OnFail.SPLIT
    retries: int = 4
    spare: frozenset[str] = frozenset()
    rejoining: frozenset[str] = frozenset()
    may_split: bool = True
    is_urgent: bool = True
    account: str = ""
