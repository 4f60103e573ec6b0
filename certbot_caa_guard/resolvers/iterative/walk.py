"""One lookup, from the root to its end (RFC 1034 section 5.3.3), without any I/O.

`Walk.next` says which question to ask whom, `Walk.feed` takes what came back, until `Walk.next`
says what it all came to.  Addresses of name servers that came without glue are looked up on the
way: they are goals on a stack above the one that needs them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import dns.rcode

from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.resolvers.iterative.addresses import Reachability
from certbot_caa_guard.resolvers.iterative.finding import (
    Absent,
    Alias,
    Finding,
    Found,
    Referral,
    Useless,
    address_text,
    examine,
    is_lame_recursion,
)
from certbot_caa_guard.resolvers.iterative.memory import Addresses, Memory
from certbot_caa_guard.resolvers.iterative.message import (
    Echo,
    Name,
    Question,
    Reply,
    is_at_or_below,
)
from certbot_caa_guard.resolvers.iterative.visit import Trouble, Visit

MOST_QUESTIONS = 100
MOST_ALIASES = 11  # in one lookup, as many as Unbound follows
MOST_GOALS = 5  # the lookup itself, and servers' addresses needed for servers' addresses
# Lookups of servers' addresses, as many as Unbound makes for one question: delegations that lead
# to one another are soon known, and then cost no questions, but still time.
MOST_SERVER_LOOKUPS = 64

_TCP_PATIENCE = 3.0
# Less than the 8 s for which the CA's resolver does not wait either before the CA gives up.
_LONGEST_PATIENCE = 6.4


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to be asked.

    :ivar mixed: in mixed case.
    :ivar patience: seconds to wait for the answer.
    :ivar zone: the one whose server is asked.
    :ivar cut: the zone whose servers are asked, and the one below it that they may refer to:
        whoever asks first asks for all.
    """

    address: str
    question: Question
    patience: float
    zone: Name = ()
    cut: tuple[Name, Name] | None = None
    edns: bool = True
    mixed: bool = True
    tcp: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a walk came to.

    :ivar rdatas: the RDATA of the records found.
    :ivar zone: the zone that the name asked for is in.
    :ivar alias_of: the name that it is an alias of, behind all aliases; None where it is none.
    """

    outcome: Outcome
    rdatas: tuple[bytes, ...] = ()
    zone: Name | None = None
    alias_of: Name | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer.

    :ivar trouble: why.
    :ivar for_good: whether there is no use in asking that address again.
    """

    trouble: Trouble
    for_good: bool = False


class _Goal:
    """A question, and how far it has got.

    :ivar deadline: when to give it up, and go on without; for those that the lookup can do without.
    :ivar name: asked now, at the end of the aliases followed so far.
    :ivar aliases: those, in order.
    :ivar doubtful: if it fails, then for the way it was asked, and through no fault of its own.
    """

    def __init__(self, question: Question, deadline: float = math.inf) -> None:
        self.question = question
        self.deadline = deadline
        self.name = question.name
        self.aliases: list[Name] = []
        self.zone: Name | None = None
        self.visit: Visit | None = None
        self.doubtful = False

    @property
    def asked(self) -> Question:
        return Question(self.name, self.question.type)


class Walk:
    """One lookup; times are seconds of the caller's clock.

    :ivar deadline: when to give up; it may be moved.
    """

    def __init__(
        self,
        question: Question,
        memory: Memory,
        reachability: Reachability,
        *,
        dice: random.Random,
        deadline: float,
    ) -> None:
        self.deadline = deadline
        self._memory = memory
        self._reachability = reachability
        self._dice = dice
        self._goals = [_Goal(question)]
        self._again: Ask | None = None
        self._questions = 0
        self._server_lookups = 0
        self._done: Done | None = None

    def next(self, now: float) -> Ask | Done:
        """What to do next; the same again if nothing was fed or learnt since."""
        while self._done is None:
            goal = self._goals[-1]
            if now >= self.deadline:
                self._done = Done(Outcome.TIMEOUT)
            elif self._questions >= MOST_QUESTIONS:
                self._done = Done(Outcome.SERVFAIL)
            elif now >= goal.deadline:
                goal.doubtful = True
                self._finish(goal, Outcome.TIMEOUT, now)
            elif (ask := self._advance(goal, now)) is not None:
                return ask
        return self._done

    def feed(self, ask: Ask, result: Reply | Failure, now: float, seconds: float) -> None:
        """Take what came of *ask*, the newest question.

        :param seconds: how long it took.
        """
        self._questions += 1
        self._again = None
        goal = self._goals[-1]
        visit = goal.visit
        if visit is None:
            raise RuntimeError("fed without having been asked for a question")
        if isinstance(result, Failure):
            if result.trouble is Trouble.SILENT:
                self._memory.missed(ask.address)
            visit.fail(ask.address, result.trouble, for_good=result.for_good)
            return
        if not ask.tcp:
            self._memory.heard(ask.address, seconds)
        self._again = _adapted(ask, result)
        if self._again is not None:
            if self._again.mixed is not ask.mixed:
                visit.lose_case()
            return
        self._take(goal, visit, ask, result, now)

    def _advance(self, goal: _Goal, now: float) -> Ask | None:
        """The next question for *goal*; None when something else had to be done first."""
        if self._again is not None:
            return self._with_patience(self._again, goal, now)
        if self._recall(goal, now):
            return None
        closest = self._memory.closest(goal.name, now)
        if goal.visit is None or len(closest.zone) > len(goal.visit.zone):
            goal.visit = Visit(closest, self._memory, self._reachability, self._dice, now)
        visit = goal.visit
        address = visit.next_address
        if address is None or visit.tries(address):
            # Everybody was asked once: others may know better than those who failed.
            if visit.provisional is not None:
                self._settle(goal, visit.provisional, now)
                return None
            if visit.unresolved:
                self._look_up_server(visit, visit.unresolved.pop(0), now)
                return None
        if address is None:
            if not visit.fall_back():
                self._finish(goal, visit.outcome, now)
            return None
        patience = self._memory.patience(address) * 2 ** visit.tries(address)
        cut = _cut(goal.name, visit.zone)
        ask = Ask(address, goal.asked, patience, visit.zone, cut, mixed=visit.mixed)
        return self._with_patience(ask, goal, now)

    def _with_patience(self, ask: Ask, goal: _Goal, now: float) -> Ask:
        patience = max(ask.patience, _TCP_PATIENCE) if ask.tcp else ask.patience
        left = min(self.deadline, goal.deadline) - now
        return replace(ask, patience=min(patience, _LONGEST_PATIENCE, left))

    def _recall(self, goal: _Goal, now: float) -> bool:
        """Finish a goal for which somebody else found the addresses meanwhile."""
        if goal is self._goals[0]:
            return False
        addresses = self._memory.addresses(goal.question, now)
        if addresses is None:
            return False
        self._pop(addresses)
        return True

    def _look_up_server(self, visit: Visit, question: Question, now: float) -> None:
        sought_below = any(
            goal.visit is not None and goal.visit.zone == visit.zone for goal in self._goals[:-1]
        )
        if sought_below and is_at_or_below(question.name, visit.zone):
            # One server's address is not sought by way of another that is sought as well.
            visit.do_without()
            return
        asked = {goal.question for goal in self._goals} | {goal.asked for goal in self._goals}
        if (
            question in asked
            or len(self._goals) >= MOST_GOALS
            or self._server_lookups >= MOST_SERVER_LOOKUPS
        ):
            # Nothing of this is any other lookup's business, which may come another way.
            for goal in self._goals:
                goal.doubtful = True
            visit.do_without()
            return
        self._server_lookups += 1
        left = min(self.deadline, self._goals[-1].deadline) - now
        is_last_hope = visit.next_address is None and not visit.unresolved
        self._goals.append(_Goal(question, now + (left if is_last_hope else left / 3)))

    def _take(self, goal: _Goal, visit: Visit, ask: Ask, reply: Reply, now: float) -> None:
        if reply.echo is Echo.MISSING or reply.truncated:
            visit.fail(ask.address, Trouble.ERROR)
            return
        finding = examine(reply, ask.question, visit.zone)
        if isinstance(finding, Useless):
            visit.fail(ask.address, Trouble.ERROR, for_good=finding.lame)
        elif isinstance(finding, Referral):
            self._memory.learn_delegation(finding.delegation, now)
            goal.visit = Visit(
                finding.delegation, self._memory, self._reachability, self._dice, now
            )
        elif is_lame_recursion(reply, finding):
            visit.provisional = visit.provisional or finding
            visit.fail(ask.address, Trouble.ERROR, for_good=True)
        elif visit.holds_back(finding):
            visit.fail(ask.address, Trouble.ERROR)
        else:
            self._settle(goal, finding, now)

    def _settle(self, goal: _Goal, finding: Finding, now: float) -> None:
        """Take *finding* for the answer to what is asked now."""
        if not isinstance(finding, (Found, Alias, Absent)):
            raise TypeError("a finding that settles nothing")
        if goal.zone is None:
            goal.zone = finding.zone
        if isinstance(finding, Alias):
            goal.aliases.append(goal.name)
            if finding.target in goal.aliases or len(goal.aliases) > MOST_ALIASES:
                self._finish(goal, Outcome.SERVFAIL, now)
                return
            goal.name = finding.target
            goal.visit = None
        elif isinstance(finding, Found):
            self._finish(goal, Outcome.RECORDS, now, finding)
        else:
            self._finish(goal, Outcome.NXDOMAIN if finding.nxdomain else Outcome.NOTHING, now)

    def _finish(
        self, goal: _Goal, outcome: Outcome, now: float, found: Found | None = None
    ) -> None:
        rdatas = found.rdatas if found is not None else ()
        if goal is self._goals[0]:
            answered = outcome in {Outcome.RECORDS, Outcome.NOTHING, Outcome.NXDOMAIN}
            alias_of = goal.name if goal.aliases else None
            self._done = Done(outcome, rdatas, goal.zone, alias_of) if answered else Done(outcome)
            return
        texts = [address_text(goal.question.type, rdata) for rdata in rdatas]
        found_there = tuple(text for text in texts if text is not None)
        addresses = Addresses(outcome, found_there, self._memory.glue(goal.question.name, now))
        if addresses.found or not goal.doubtful:
            ttl = found.ttl if found is not None else 0.0
            self._memory.learn_addresses(goal.question, addresses, ttl, now)
        self._pop(addresses)

    def _pop(self, addresses: Addresses) -> None:
        """Hand the addresses of a server to the goal that wanted them."""
        self._goals.pop()
        self._again = None
        visit = self._goals[-1].visit
        if visit is not None:
            visit.receive(addresses)


def _cut(name: Name, zone: Name) -> tuple[Name, Name] | None:
    depth = len(name) - len(zone)
    return (zone, name[depth - 1 :]) if depth else None


def _adapted(ask: Ask, reply: Reply) -> Ask | None:
    """The question put in the way that the server may understand, if there is another way."""
    # RFC 6891 section 7: EDNS may be what it does not know.
    if ask.edns and reply.rcode in {dns.rcode.FORMERR, dns.rcode.NOTIMP}:
        return replace(ask, edns=False)
    if ask.mixed and reply.echo is Echo.CASE_LOST:
        return replace(ask, mixed=False)
    # RFC 7766 section 5.
    if reply.truncated and not ask.tcp:
        return replace(ask, tcp=True)
    return None
