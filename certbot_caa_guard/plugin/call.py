"""One issuance as certbot asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from certbot_caa_guard import caa, directory
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.resolvers import spec
from certbot_caa_guard.resolvers.spec import Spec

_DNS_METHODS = ("dns-01", "dns-account-01", "dns-persist-01")


@dataclass(frozen=True)
class CertbotCall:
    """What the seams read off certbot's own objects, and what follows from that.

    :ivar config: certbot's configuration.
    :ivar names: the identifiers asked for; those in the certificate, at a renewal.
    :ivar certname: the name that the user gave the lineage, if any.
    :ivar lineage: certbot's object for the lineage that is renewed, if any.
    :ivar asked: whether the user named the identifiers; at a renewal nobody does.
    :ivar challenges: certbot's preferred challenge types for a name.
    :ivar may_order_anew: whether names can still be left out once an order is placed.
    """

    config: Any
    names: tuple[str, ...]
    certname: str | None
    lineage: Any
    acme: Any
    account_uri: str
    challenges: Callable[[str], Sequence[str]]
    asked: bool = True
    csr: bool = False
    may_order_anew: bool = True

    @property
    def issuers(self) -> tuple[str, ...]:
        """The CA's domain names in CAA records; none where nobody says them."""
        config = self.config
        if config.caa_guard_issuer:
            return tuple(name.strip() for name in config.caa_guard_issuer.split(","))
        return directory.issuers(directory.identities_of(self.acme), config.server)

    @property
    def resolvers(self) -> list[Spec]:
        """Who is to be asked."""
        config = self.config
        return [
            replace(
                one,
                root_hints=config.caa_guard_root_hints,
                trust_anchor=config.caa_guard_trust_anchor,
            )
            for one in spec.parse_list(config.caa_guard_resolver)
        ]

    @property
    def hooks_will_run(self) -> bool:
        """Whether a pre-hook runs before the challenges are answered."""
        config = self.config
        if config.pre_hook:
            return True
        folder = Path(config.renewal_pre_hooks_dir)
        return bool(config.directory_hooks) and folder.is_dir() and any(folder.iterdir())

    def requester_for(self, identifier: Identifier) -> caa.Requester:
        """Who would issue for *identifier*, and by the method that certbot takes for it."""
        preferred = [
            method
            for method in self.challenges(identifier.domain)
            if not identifier.wildcard or method in _DNS_METHODS
        ]
        return caa.Requester(
            frozenset(self.issuers),
            self.account_uri,
            frozenset(preferred[:1] or caa.ACME_METHODS),
            caa.STRICT if self.config.caa_guard_strict_rfc else caa.BOULDER,
        )

    def clock_skew(self) -> float | None:
        """How many seconds our clock is ahead of the CA's, by the Date of an answer of its own."""
        return directory.clock_skew_of(self.acme, time.time)
