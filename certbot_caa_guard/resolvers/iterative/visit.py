"""The servers of one zone: in which order they are asked, and how often."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.iterative.addresses import Reach, Reachability
from certbot_caa_guard.resolvers.iterative.finding import Absent, Finding
from certbot_caa_guard.resolvers.iterative.memory import Addresses, Delegation, Memory
from certbot_caa_guard.resolvers.iterative.message import AAAA, A, Question, is_at_or_below

# As often as Unbound asks one server: four failures in a row go unnoticed.
TRIES = 5
_MOST_TRIES = 32  # of all servers of a zone together

# After so much silence the mixed case may be what is not liked; Unbound then asks without, too.
_SILENCES_FOR_PLAIN_CASE = 3
# An empty answer is believed the second time (Unbound since 1.19).
_EMPTY_BELIEVED = 2

_MOST_ADDRESSES = 40
_MOST_SERVER_LOOKUPS = 8


class Trouble(enum.Enum):
    """Why a server did not help."""

    ERROR = "it failed, or cannot be asked"
    SILENT = "it did not answer"
    LOCAL = "this machine could not ask it"


class Visit:
    """One question's time among the servers of one zone.

    :ivar provisional: what a recursive server's cache had, for want of better.
    :ivar unresolved: questions for more addresses of servers, to be asked in this order.
    """

    def __init__(
        self,
        delegation: Delegation,
        memory: Memory,
        reachability: Reachability,
        dice: random.Random,
        now: float,
    ) -> None:
        self.zone = delegation.zone
        self.provisional: Finding | None = None
        self.unresolved: list[Question] = []
        self._reachability = reachability
        self._attempts: dict[str, int] = {}
        self._by_glue: list[str] = []
        self._troubles: set[Trouble] = set()
        self._unfound: set[Trouble] = set()
        self._failures = 0
        self._silences = 0
        self._empties = 0
        self._case_lost = False
        addresses = list(delegation.addresses)
        for question in self._server_questions(delegation, dice):
            known = memory.addresses(question, now)
            if known is not None:
                addresses += known.found
                self._note(known)
            elif len(self.unresolved) < _MOST_SERVER_LOOKUPS:
                self.unresolved.append(question)
        dice.shuffle(addresses)
        self._add(sorted(addresses, key=memory.is_silent))

    def _server_questions(self, delegation: Delegation, dice: random.Random) -> list[Question]:
        """What to ask for more addresses: first of servers without glue, then of the others.

        Last of those inside the zone, which nobody but the zone's other servers can know; where
        these have glue, it is taken for all that there is.
        """
        servers = list(delegation.servers)
        dice.shuffle(servers)
        types = [
            kind for version, kind in ((4, A), (6, AAAA)) if version in self._reachability.families
        ]
        outside = [one for one in servers if not is_at_or_below(one, delegation.zone)]
        without = [one for one in outside if one not in delegation.glue]
        glued = [one for one in outside if one in delegation.glue]
        inside = [one for one in servers if one not in outside and one not in delegation.glue]
        # Most servers have an A record, so those come before any AAAA.
        return [
            Question(one, kind)
            for group in (without, glued, inside)
            for kind in types
            for one in group
        ]

    def receive(self, addresses: Addresses) -> None:
        """Take what came of the lookup of a server's addresses."""
        self._add(addresses.found)
        self._note(addresses)

    def fall_back(self) -> bool:
        """Ask where only glue says that a server is; tell whether there is such an address.

        For when all others were asked in vain: what the server's own zone says of its addresses,
        if it says anything, is the truth (RFC 2181 section 5.4.1).
        """
        self._add(self._by_glue)
        self._by_glue.clear()
        return self.next_address is not None

    def do_without(self) -> None:
        """Count a server whose addresses cannot be looked up."""
        self._unfound.add(Trouble.ERROR)

    def _add(self, addresses: Iterable[str]) -> None:
        """Ask these, too, as far as they can be asked."""
        for address in addresses:
            reach = self._reachability.of(address)
            if reach is Reach.SPECIAL:
                self._troubles.add(Trouble.ERROR)
            elif reach is Reach.NO_ROUTE:
                self._troubles.add(Trouble.LOCAL)
            elif len(self._attempts) < _MOST_ADDRESSES:
                self._attempts.setdefault(address, 0)

    def _note(self, addresses: Addresses) -> None:
        """Keep a server's glue, and count one that has no address: it matters if none has any."""
        self._by_glue += addresses.glue
        if addresses.found:
            return
        if addresses.outcome is Outcome.TIMEOUT:
            self._unfound.add(Trouble.SILENT)
        elif addresses.outcome is Outcome.NETWORK:
            self._unfound.add(Trouble.LOCAL)
        elif addresses.outcome is Outcome.NOTHING and len(self._reachability.families) == 1:
            # It has none of the one family that this machine has; the CA has both.
            self._unfound.add(Trouble.LOCAL)
        else:
            self._unfound.add(Trouble.ERROR)

    @property
    def next_address(self) -> str | None:
        """The address to ask next: one that was asked least; None when all were asked enough."""
        if self._failures >= _MOST_TRIES:
            return None
        waiting = [address for address, tried in self._attempts.items() if tried < TRIES]
        return min(waiting, key=self._attempts.__getitem__, default=None)

    def tries(self, address: str) -> int:
        """How often an address was asked in vain."""
        return self._attempts[address]

    @property
    def mixed(self) -> bool:
        """Whether questions are in mixed case."""
        return not self._case_lost and self._silences < _SILENCES_FOR_PLAIN_CASE

    def lose_case(self) -> None:
        """Ask in lower case from now on."""
        self._case_lost = True

    def fail(self, address: str, trouble: Trouble, *, for_good: bool = False) -> None:
        """Count one try that was in vain; *for_good* if another will be, too."""
        self._attempts[address] = TRIES if for_good else self._attempts[address] + 1
        self._troubles.add(trouble)
        self._failures += 1
        self._silences += trouble is Trouble.SILENT and not for_good

    def holds_back(self, finding: Finding) -> bool:
        """Tell whether *finding* is too empty to be believed yet."""
        if not (isinstance(finding, Absent) and finding.empty):
            return False
        self._empties += 1
        return self._empties < _EMPTY_BELIEVED

    @property
    def outcome(self) -> Outcome:
        """What it comes to when nobody helped."""
        troubles = self._troubles or self._unfound
        if Trouble.ERROR in troubles or not troubles:
            return Outcome.SERVFAIL
        return Outcome.TIMEOUT if Trouble.SILENT in troubles else Outcome.NETWORK
