"""Stand-ins for DNS, an ACME client, time, chance and the user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zope.interface import implementer

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IOrders, IResolver
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.problem import Reading
from certbot_caa_guard.refusal import Lost, Refused
from certbot_caa_guard.retry import Step
from certbot_caa_guard.verdict import Perspective

ACCOUNT = "https://ca.example/acct/1"
ISSUER = "letsencrypt.org"

Answer = Outcome | Lookup | tuple[caa.Record, ...]


def issue(issuer: str = ISSUER) -> tuple[caa.Record, ...]:
    """A relevant set that permits *issuer* only."""
    return (caa.Record(0, b"issue", issuer.encode()),)


def requester_for(_identifier: Identifier) -> caa.Requester:
    return caa.Requester(frozenset({ISSUER}), ACCOUNT, frozenset({"http-01"}))


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@implementer(IResolver)
class FakeResolver:
    """A perspective whose answers are written down: a list gives one answer a question.

    The last answer of a list is given again and again; other names have no records.
    """

    def __init__(
        self,
        address: str = "192.0.2.1",
        answers: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        public: bool = True,
        usable: bool = True,
    ) -> None:
        self.perspective = Perspective(f"udp://{address}", public, frozenset({f"{address}#53"}))
        self.answers = dict(answers or {})
        self.usable = usable
        self.asked: list[tuple[str, float]] = []
        self.probes = 0
        self.closed = False

    async def is_usable(self, timeout: float) -> bool:
        assert timeout <= 5
        self.probes += 1
        return self.usable

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        before = sum(name == owner for name, _ in self.asked)
        self.asked.append((owner, timeout))
        answer = self.answers.get(owner, Outcome.NOTHING)
        if isinstance(answer, list):
            answer = answer[min(before, len(answer) - 1)]
        if isinstance(answer, Lookup):
            return replace(answer, owner=owner)
        if isinstance(answer, Outcome):
            return Lookup(owner, answer)
        return Lookup(owner, Outcome.RECORDS, answer)

    def close(self) -> None:
        self.closed = True

    @property
    def owners_asked(self) -> list[str]:
        return [owner for owner, _ in self.asked]


class FaultyLookup(FakeResolver):
    """One with a bug, which shows when it is asked about a name."""

    async def lookup(self, owner: str, timeout: float) -> Lookup:
        raise RuntimeError(f"a bug at {owner} after {timeout}")


class FaultyProbe(FakeResolver):
    """One with a bug, which shows when it is asked whether it works."""

    async def is_usable(self, timeout: float) -> bool:
        raise RuntimeError(f"a bug after {timeout}")


class RefusedByCAError(Exception):
    """What the ACME client itself raises."""


@implementer(IOrders)
class FakeOrders:
    """An ACME client that does as its script says, and writes down what it was asked.

    :ivar placing: for each placing, what it raises, or None; then all succeed.
    :ivar finalizing: likewise.
    :ivar statuses: what each refresh tells; then ``ready``.
    """

    def __init__(
        self,
        placing: Sequence[Exception | None] = (),
        finalizing: Sequence[Exception | None] = (),
        statuses: Sequence[str] = (),
    ) -> None:
        self.placing = list(placing)
        self.finalizing = list(finalizing)
        self.statuses = list(statuses)
        self.calls: list[str] = []
        self.placed = 0
        self.polling: list[Exception | None] = []
        self.validates_alone = True

    def place(self) -> object:
        self.placed += 1
        self.calls.append(f"place {self.placed}")
        _raise_next(self.placing)
        return self.placed

    def authorize(self, order: object) -> object:
        self.calls.append(f"authorize {order}")
        return order

    def refresh(self, order: object) -> str:
        self.calls.append(f"refresh {order}")
        return self.statuses.pop(0) if self.statuses else "ready"

    def finalize(self, order: object) -> object:
        self.calls.append(f"finalize {order}")
        _raise_next(self.finalizing)
        return f"certificate of order {order}"

    def poll(self, order: object) -> object:
        self.calls.append(f"poll {order}")
        _raise_next(self.polling)
        return f"certificate of order {order}"

    def deactivate(self, order: object, identifiers: Collection[str]) -> Collection[str]:
        self.calls.append(f"deactivate {' '.join(identifiers)} in {order}")
        return identifiers if self.validates_alone else ()


def _raise_next(script: list[Exception | None]) -> None:
    error = script.pop(0) if script else None
    if error is not None:
        raise error


@dataclass
class FakeTeller:
    """Writes down what the user would be told."""

    doubts: list[tuple[tuple[str, ...], float]] = field(default_factory=list)
    refusals: list[list[Reading]] = field(default_factory=list)
    steps: list[tuple[Step, float]] = field(default_factory=list)

    def doubtful(self, names: Sequence[str], wait: float) -> None:
        self.doubts.append((tuple(names), wait))

    def refused(self, readings: Sequence[Reading]) -> None:
        self.refusals.append(list(readings))

    def next(self, step: Step, wait: float) -> None:
        self.steps.append((step, wait))


# What Boulder says. Type and text are both as it sends them.

SERVFAIL = "SERVFAIL looking up CAA for {owner} - the domain's nameservers may be malfunctioning"


def _document(kind: str, detail: str) -> dict[str, object]:
    return {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": 403}


def failed_lookup(name: str, owner: str | None = None) -> str:
    owner = owner or name.removeprefix("*.")
    return f"While processing CAA for {name}: DNS problem: {SERVFAIL.format(owner=owner)}"


def denial(name: str) -> str:
    found = name.removeprefix("*.")
    return f"While processing CAA for {name}: CAA record for {found} prevents issuance"


def at_finalize(text: str) -> dict[str, object]:
    """One name failed at finalize: no identifier and no subproblems."""
    return _document("caa", f"Error finalizing order :: rechecking caa: {text}")


def several_at_finalize(*names: str, text: Callable[[str], str]) -> dict[str, object]:
    """Several names failed at finalize, and the CA lists them."""
    document = without_subproblems(names[0], len(names) - 1)
    document["subproblems"] = [
        {**at_finalize(text(name)), "identifier": {"type": "dns", "value": name}} for name in names
    ]
    return document


def without_subproblems(name: str, more: int) -> dict[str, object]:
    """Several names failed at finalize in the asynchronous mode: only one is told."""
    return _document(
        "caa",
        f'Error finalizing order :: Rechecking CAA for "{name}" and {more} more identifiers '
        "failed. Refer to sub-problems for more information",
    )


def at_authorization(text: str) -> dict[str, object]:
    return _document("dns", text)


def lost() -> Lost:
    """The connection broke before the answer came."""
    return Lost(RefusedByCAError("connection reset"))


def rate_limited() -> dict[str, object]:
    return _document("rateLimited", "too many new orders (300) from this account in the last 3h")


def not_about_caa() -> dict[str, object]:
    return _document("unauthorized", "The key authorization file from the server did not match")


def refused(*documents: dict[str, object], identifier: str | None = None) -> Refused:
    return Refused([(identifier, document) for document in documents], RefusedByCAError("no"))
