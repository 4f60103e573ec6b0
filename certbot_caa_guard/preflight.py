"""The check before the order: drives the resolvers through the mind, round by round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from certbot_caa_guard import caa, verdict
from certbot_caa_guard.climb import Lookup
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.pausing import PausingLoop
from certbot_caa_guard.verdict import Determination, Evidence, Lasting, Perspective, Verdict
from certbot_caa_guard.witness import Witness

# Rounds are this far apart at least, because Unbound, the CA's too, remembers a SERVFAIL for 5 s.
ROUND_INTERVAL = 6.0

# So long may the first round take.
FIRST_TIMEOUT = 5.0

_PROBE_TIMEOUT = 5.0
# A CA waits for about so long before it calls a server silent; no name is held before that.
_PATIENT_TIMEOUT = 20.0
_TICK = 0.25

# However many names there are and however slow their servers: nobody waits for ever.
LONGEST_ROUND = 900.0

RequesterFor = Callable[[Identifier], caa.Requester]


class Preflight:
    """What the perspectives say of the identifiers of one issuance.

    A context manager: it holds an event loop.

    :ivar unusable: the perspectives that do not resolve the root in this run, or are at fault.
    """

    def __init__(
        self,
        resolvers: Sequence[IResolver],
        requester_for: RequesterFor,
        *,
        clock: Callable[[], float],
        lasting: Lasting,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
        longest: float = LONGEST_ROUND,
    ) -> None:
        """:param requester_for: who issues an identifier; the validation method may differ.
        :param clock: monotonic, in seconds.
        :param progress: told now and then how many lookups of a round are done, and of how many.
        :param longest: seconds for one round, in which something must have gone wrong by then.
        """
        self._requester_for = requester_for
        self._clock = clock
        self._lasting = lasting
        self._progress = progress
        self._longest = longest
        self._loop = PausingLoop()
        # Until the first round has told, all of them.
        self._usable: Sequence[Witness] = [Witness(resolver) for resolver in resolvers]
        self._rounds = 0
        self._evidence: dict[str, Evidence] = {}
        self.unusable: tuple[Perspective, ...] = ()
        self.clock_is_right = True

    def __enter__(self) -> Preflight:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.end()

    def round(self, identifiers: Iterable[Identifier]) -> None:
        """Ask every usable perspective once about *identifiers*.

        Each owner name is asked once, however many identifiers share it.

        :raises Exception: at a fault of ours, also in what goes on beside the questions, or where
            a resolver does not keep to the time that it is given.
        """
        wanted = list(dict.fromkeys(identifiers))
        self._rounds += 1
        made = self._loop.finish(lambda: asyncio.wait_for(self._round(wanted), self._longest))
        for identifier in wanted:
            self._evidence[str(identifier)] = self.evidence(identifier).with_determinations(
                made[str(identifier)]
            )

    def evidence(self, identifier: Identifier) -> Evidence:
        """All that is known of *identifier* so far."""
        known = self._evidence.get(str(identifier), Evidence(identifier))
        return replace(known, unusable=frozenset(self.unusable))

    def report(
        self,
        identifier: Identifier,
        *,
        ca_refused: bool = False,
        ca_failed: bool = False,
        explained: bool = False,
        failed_before: bool = False,
    ) -> None:
        """Add what is known from elsewhere: from the CA, or from earlier runs."""
        known = self.evidence(identifier)
        self._evidence[str(identifier)] = replace(
            known,
            ca_refused=known.ca_refused or ca_refused,
            ca_failed=known.ca_failed or ca_failed,
            explained=known.explained or explained,
            failed_before=known.failed_before or failed_before,
        )

    def verdict(self, identifier: Identifier) -> Verdict:
        """The verdict on all that is known of *identifier*."""
        return verdict.decide(
            self.evidence(identifier), self._lasting, clock_is_right=self.clock_is_right
        )

    def in_doubt(self, identifiers: Iterable[Identifier]) -> list[Identifier]:
        """Those that are not held yet, but may be after more rounds."""
        return [
            identifier
            for identifier in identifiers
            if verdict.could_be_held(
                self.evidence(identifier), self._lasting, clock_is_right=self.clock_is_right
            )
        ]

    def unexplained(self, identifiers: Iterable[Identifier]) -> list[Evidence]:
        """What is known of those that an audit could tell more about: nobody else saw them fail."""
        known = [self.evidence(identifier) for identifier in identifiers]
        return [
            one
            for one in known
            if verdict.wants_explanation(one, self._lasting, clock_is_right=self.clock_is_right)
        ]

    def next_round_in(self, identifiers: Iterable[Identifier]) -> float:
        """Seconds until another round about *identifiers* can tell more.

        The second comes soon, for what passes; the third when what lasts has lasted.
        """
        if not any(self.evidence(one).rounds >= 2 for one in identifiers):
            return ROUND_INTERVAL
        seen = [self.evidence(one).seconds for one in identifiers]
        return max(ROUND_INTERVAL, self._lasting.seconds - min(seen))

    @property
    def usable(self) -> tuple[Perspective, ...]:
        """The perspectives that resolve the root in this run; none before the first round."""
        return tuple(one.perspective for one in self._usable) if self._rounds else ()

    @property
    def saw_dnssec_failure(self) -> bool:
        """Whether a DNSSEC failure was seen, so that it matters that our clock is right."""
        return any(
            made.failure is not None and made.failure.is_dnssec_failure
            for evidence in self._evidence.values()
            for made in evidence.determinations
        )

    async def _round(
        self, identifiers: Sequence[Identifier]
    ) -> Mapping[str, Sequence[Determination]]:
        timeout = FIRST_TIMEOUT if self._rounds == 1 else _PATIENT_TIMEOUT
        owners = list(dict.fromkeys(owner for one in identifiers for owner in one.owners))
        asked = self._usable
        # The probes run beside the questions, so that they cost no time of their own; in each
        # round, since a perspective that dies has no say about names.
        answers, works = await asyncio.gather(
            self._ask_all(asked, owners, timeout),
            asyncio.gather(*(one.is_usable(_PROBE_TIMEOUT) for one in asked)),
        )
        self._keep(
            [one for one, does in zip(asked, works, strict=True) if does and not one.has_failed]
        )
        made: dict[str, list[Determination]] = {str(one): [] for one in identifiers}
        for witness, lookups in zip(asked, answers, strict=True):
            if witness not in self._usable:
                continue
            for identifier in identifiers:
                made[str(identifier)].append(
                    verdict.determine(
                        identifier,
                        lookups,
                        perspective=witness.perspective,
                        requester=self._requester_for(identifier),
                        round=self._rounds,
                        at=self._clock(),
                    )
                )
        return made

    async def _ask_all(
        self, witnesses: Sequence[Witness], owners: Sequence[str], timeout: float
    ) -> list[dict[str, Lookup]]:
        done, total = 0, len(owners) * len(witnesses)

        async def ask(witness: Witness, owner: str) -> Lookup:
            nonlocal done
            lookup = await witness.lookup(owner, timeout)
            done += 1
            return lookup

        async def show() -> None:
            while True:
                self._progress(done, total)
                await asyncio.sleep(_TICK)

        showing = asyncio.ensure_future(show())
        try:
            lookups = await asyncio.gather(
                *(ask(witness, owner) for witness in witnesses for owner in owners)
            )
        finally:
            showing.cancel()
        self._progress(total, total)
        each = len(owners)
        return [
            dict(zip(owners, lookups[place * each : (place + 1) * each], strict=True))
            for place in range(len(witnesses))
        ]

    def _keep(self, usable: Sequence[Witness]) -> None:
        """Ask the others no more."""
        self.unusable += tuple(one.perspective for one in self._usable if one not in usable)
        self._usable = usable
