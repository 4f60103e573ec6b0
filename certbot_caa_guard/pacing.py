"""How fast challenges are answered, so that the CA's questions do not arrive as a burst.

A CA validates as soon as a challenge is answered, and then looks CAA up from several places at
once.  Name servers that bound the rate of their answers drop what comes too fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from certbot_caa_guard.names import is_ip_address


@dataclass(frozen=True, slots=True)
class Pacing:
    """From how many names on, and how fast.

    :ivar above: up to so many names that share their name servers, nobody waits.
    :ivar per_second: answers.
    :ivar longest: seconds that all the waits of an issuance take together, at most.
    """

    above: int = 20
    per_second: float = 10.0
    longest: float = 15.0


def gap(names: Iterable[str], pacing: Pacing) -> float:
    """The seconds between two answers.

    Names that share their last two labels are taken to share their name servers.
    """
    domains = [name for name in names if not is_ip_address(name)]
    sharing = Counter(".".join(name.split(".")[-2:]) for name in domains)
    if not sharing or max(sharing.values()) <= pacing.above:
        return 0.0
    return min(1 / pacing.per_second, pacing.longest / len(domains))
