"""The guard for programs on ``acme.client.ClientV2``.

:class:`GuardedClient` does for them what the plugin does for certbot: it checks CAA for every name
before the order, leaves out those that are bound to fail, and outlives the failures that pass.  The
program answers the challenges, and makes the keys and CSRs; the guard reads and writes no private
keys.  A complete example is in ``examples/guarded_client.py``::

    guarded = GuardedClient(client, answer, on_held=remember)
    issued = guarded.obtain(["example.net", "www.example.net"], make_csr)
    save(issued.fullchain_pem)
    for held in issued.held:
        print(held.name, held.reason)

No name is lost as long as the program does its part: what is held is handed to ``on_held`` before
the order that leaves it out, for the program to write down, and to ask for again next time.
"""

from __future__ import annotations

import inspect
import ipaddress
import logging
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acme import messages
from acme.client import ClientV2
from cryptography import x509

from certbot_caa_guard import caa, checking, directory, names, problem
from certbot_caa_guard.acmeorders import AcmeOrders, Answer, Documents, World
from certbot_caa_guard.arguments import must_be_at_least, must_be_several
from certbot_caa_guard.history import History
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.issuance import (
    Hold,
    Issuance,
    Patience,
    Settings,
    Surroundings,
    Survey,
    Teller,
)
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.report import text
from certbot_caa_guard.retry import Step
from certbot_caa_guard.split import OnFail, Split
from certbot_caa_guard.verdict import Evidence, Lasting, Verdict

__all__ = [
    "Answer",
    "Attempt",
    "GuardedClient",
    "Held",
    "Issued",
    "NothingOrderedError",
    "OnFail",
    "Options",
    "Time",
]

_LOG = logging.getLogger(__name__)

# A program that goes on and on: what it saw so many seconds ago is as good as from an earlier run.
_RUN = 3600.0

MakeCsr = Callable[[Sequence[str]], bytes]


@dataclass(frozen=True)
class Options:
    """How to guard; the defaults are the plugin's.

    :ivar on_fail: leave failing names out and order the rest, stop before the order, or only
        report.
    :ivar resolvers: SPECs, or resolvers themselves; each is a perspective.
    :ivar issuers: the CA's domain names in CAA records; what its directory says when None.
    :ivar validation_methods: the challenge types that the program may use.
    :ivar strict: judge by the letter of RFC 8659 and RFC 8657, not as Boulder does.
    :ivar retries: orders or finalizations tried again in one issuance.
    :ivar deadline: seconds of waiting in one issuance.
    :ivar patience: seconds that the CA may take to validate, and to issue.
    :ivar spare: names that the current certificate covers and that it can wait for: they are
        ordered whatever is wrong with them.
    :ivar rejoining: names that were held and are to come back: whatever goes wrong with one of
        them, the others do not suffer for it.
    :ivar history: a file for what was seen over time, so that the next run knows it; None for none.
    :raises TypeError: when a text is given for several.
    :raises ValueError: when there is no such choice, or a number is too small.
    """

    on_fail: OnFail = OnFail.SPLIT
    resolvers: Sequence[str | IResolver] = ("auto",)
    issuers: Sequence[str] | None = None
    validation_methods: Collection[str] = caa.ACME_METHODS
    root_hints: str | None = None
    trust_anchor: str | None = None
    strict: bool = False
    retries: int = 4
    deadline: float = 900.0
    patience: float = 90.0
    spare: Collection[str] = ()
    rejoining: Collection[str] = ()
    history: Path | None = None

    def __post_init__(self) -> None:
        must_be_several(
            resolvers=self.resolvers,
            issuers=self.issuers,
            validation_methods=self.validation_methods,
            spare=self.spare,
            rejoining=self.rejoining,
        )
        must_be_at_least(0, retries=self.retries, deadline=self.deadline, patience=self.patience)
        if not self.resolvers:
            raise ValueError("resolvers must name one at least")
        for method in self.validation_methods:
            checking.must_be_known(method)
        # Its text will do as well; a word that is none would otherwise mean to leave names out.
        object.__setattr__(self, "on_fail", OnFail(self.on_fail))


@dataclass(frozen=True)
class Time:
    """Time and chance; tests hand in their own.

    :ivar clock: monotonic seconds.
    :ivar now: seconds since the epoch.
    :ivar chance: a random number from 0 up to 1.
    """

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Held:
    """A name that was left out.

    :ivar owner: at which owner name its CAA records, or the lookup of them, stand in the way.
    :ivar reason: what the CA says or would say of it, and the mend, for a person.
    """

    name: str
    verdict: Verdict
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A time that the CA refused.

    :ivar readings: what it said of each identifier.
    :ivar next: what followed.
    :ivar wait: after how many seconds.
    """

    readings: tuple[Reading, ...]
    next: Step
    wait: float = 0.0


@dataclass(frozen=True)
class Issued:
    """The outcome of an issuance.

    :ivar ordered: the names in the certificate.
    :ivar held: the names that were left out, and why.
    :ivar verdicts: what the check before the order found, by name.
    :ivar attempts: what the CA refused on the way.
    :ivar order: the order, valid, with its certificate.
    :ivar orders: how many orders were placed.
    :ivar finalizations: how often one was finalized.
    """

    ordered: tuple[str, ...]
    held: tuple[Held, ...]
    verdicts: Mapping[str, Verdict]
    attempts: tuple[Attempt, ...]
    order: messages.OrderResource
    orders: int
    finalizations: int

    @property
    def fullchain_pem(self) -> str:
        """The certificate and its chain (RFC 8555 section 9.1)."""
        return str(self.order.fullchain_pem)


class NothingOrderedError(Exception):
    """No order was placed: every name would fail, or one does and the program wants all or none.

    :ivar failing: the names that would fail, and why.
    :ivar verdicts: what the check found, by name.
    """

    def __init__(self, failing: Sequence[Held], verdicts: Mapping[str, Verdict]) -> None:
        listed = "; ".join(f"{held.name}: {held.reason}" for held in failing)
        super().__init__(f"no order was placed: {listed}")
        self.failing = tuple(failing)
        self.verdicts = verdicts


class GuardedClient:
    """An ACME client that checks CAA before the order, and outlives what passes.

    It may be used for many certificates, one after the other.
    """

    def __init__(
        self,
        client: ClientV2,
        answer: Answer,
        *,
        options: Options | None = None,
        profile: str | None = None,
        on_held: Callable[[Sequence[Held]], None] = lambda _held: None,
        teller: Teller | None = None,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
        time: Time | None = None,
    ) -> None:
        """:param client: with its account registered.
        :param answer: called with the pending authorizations of an order; it prepares a challenge
            of each and calls ``client.answer_challenge``.  It is called again for each order.
        :param profile: of the orders, where the CA has profiles; it takes acme 4.0.
        :param on_held: called with the names that an order leaves out, before it is placed.
        :param teller: told what goes on.
        :param progress: told how many lookups of a round are done, and of how many.
        :raises ValueError: when *profile* is given, and acme is too old for it.
        """
        if profile is not None and "profile" not in inspect.signature(client.new_order).parameters:
            raise ValueError("this acme knows no profiles: it takes acme 4.0 or later")
        self._client = client
        self._answer = answer
        self._options = options or Options()
        self._profile = profile
        self._on_held = on_held
        self._teller = teller
        self._progress = progress
        self._time = time or Time()
        self._began = self._time.now()

    def check(self, wanted: Iterable[str]) -> checking.Report:
        """Ask about names as the CA would, without ordering anything.

        :raises certbot_caa_guard.names.IdentifierError: when one of them is no identifier.
        """
        must_be_several(wanted=wanted)
        methods = list(self._options.validation_methods)
        method = methods[0] if len(methods) == 1 else None
        return checking.check(
            [checking.Query(name, method, self._account_uri) for name in wanted],
            replace(self._checking_options, clock_skew=self._clock_skew()),
        )

    def obtain(self, wanted: Sequence[str], make_csr: MakeCsr) -> Issued:
        """Get a certificate for *wanted*, or for as many of them as can be had.

        :param make_csr: called with the names to order, and returns a CSR for just these, in PEM.
            When names must be left out later it is called again.
        :raises NothingOrderedError: when no order was placed.
        :raises certbot_caa_guard.names.IdentifierError: when a name is no identifier.
        :raises ValueError: when no name is given, or the CSR is for other names.
        :raises acme.messages.Error: or another of acme's own, when the CA refuses for good.
        """
        must_be_several(wanted=wanted)
        ordered = _normal(wanted)
        if not ordered:
            raise ValueError("no name is given")
        with ExitStack() as stack:
            run = self._run(ordered, stack)
            self._check_first(run)
            while True:
                orders = self._orders(make_csr, run)
                try:
                    order = run.obtain(orders)
                except Hold as hold:
                    self._on_held(run.leave_out(hold.names))
                    continue
                return run.issued(order)

    def _check_first(self, run: _Run) -> None:
        survey = run.survey()
        division = survey.division
        if not division.held:
            return
        if self._options.on_fail is OnFail.STOP or not division.ordered:
            failing = [run.held(name) for name in division.held]
            raise NothingOrderedError(failing, survey.verdicts)
        self._on_held(run.leave_out(division.held))

    def _orders(self, make_csr: MakeCsr, run: _Run) -> AcmeOrders:
        ordered = tuple(run.issuance.names)
        csr_pem = make_csr(ordered)
        found = _names_in(csr_pem)
        if found != set(ordered):
            raise ValueError(
                f"the CSR must be for {', '.join(ordered)}, but it is for "
                f"{', '.join(sorted(found)) or 'no name'}"
            )
        return AcmeOrders(
            self._client,
            csr_pem,
            self._answer,
            World(self._time.clock, self._time.sleep, self._options.patience),
            profile=self._profile,
            hear=run.hear,
        )

    def _run(self, wanted: Sequence[str], stack: ExitStack) -> _Run:
        options = self._options
        preflight = self._preflight(stack)
        scribe = _Scribe(self._teller)
        issuance = Issuance(
            wanted,
            preflight=preflight,
            settings=Settings(
                on_fail=options.on_fail,
                retries=options.retries,
                spare=frozenset(_normal(options.spare)),
                rejoining=frozenset(_normal(options.rejoining)),
                account=self._account_uri or "",
            ),
            surroundings=Surroundings(
                clock=self._time.clock,
                sleep=self._time.sleep,
                chance=self._time.chance,
                teller=scribe,
                history=stack.enter_context(History(options.history, now=self._time.now)),
                patience=Patience(options.deadline),
                clock_skew=self._clock_skew,
                began=max(self._began, self._time.now() - _RUN),
            ),
        )
        return _Run(issuance, preflight, self._issuers, scribe)

    def _preflight(self, stack: ExitStack) -> Preflight | None:
        if not self._issuers:
            _LOG.warning("The CA does not say its CAA domain names: CAA is not checked")
            return None
        resolvers = checking.load_resolvers(self._checking_options)
        for resolver in resolvers:
            if resolver not in self._options.resolvers:
                stack.callback(resolver.close)
        return stack.enter_context(
            Preflight(
                resolvers,
                self._requester_for,
                clock=self._time.clock,
                lasting=Lasting(rounds=3, seconds=self._options.deadline / 10),
                progress=self._progress,
            )
        )

    def _requester_for(self, identifier: Identifier) -> caa.Requester:
        methods = frozenset(self._options.validation_methods)
        if identifier.wildcard:
            # No other proves control of all that is below (RFC 8555 section 8.4).
            methods = frozenset(one for one in methods if one.startswith("dns-")) or methods
        rules = caa.STRICT if self._options.strict else caa.BOULDER
        return caa.Requester(frozenset(self._issuers), self._account_uri, methods, rules)

    @property
    def _checking_options(self) -> checking.Options:
        options = self._options
        return checking.Options(
            resolvers=options.resolvers,
            issuers=self._issuers,
            root_hints=options.root_hints,
            trust_anchor=options.trust_anchor,
            strict=options.strict,
            clock=self._time.clock,
            sleep=self._time.sleep,
            progress=self._progress,
        )

    @property
    def _issuers(self) -> tuple[str, ...]:
        if self._options.issuers is not None:
            return tuple(self._options.issuers)
        identities = directory.identities_of(self._client)
        return directory.issuers(identities, self._client.directory["newNonce"])

    @property
    def _account_uri(self) -> str | None:
        account = self._client.net.account
        return str(account.uri) if account is not None else None

    def _clock_skew(self) -> float | None:
        return directory.clock_skew_of(self._client, self._time.now)


class _Run:
    """One issuance under way, and what has become of it so far."""

    def __init__(
        self,
        issuance: Issuance,
        preflight: Preflight | None,
        issuers: Sequence[str],
        scribe: _Scribe,
    ) -> None:
        self.issuance = issuance
        self._preflight = preflight
        self._issuers = issuers
        self._scribe = scribe
        self._verdicts: Mapping[str, Verdict] = {}
        self._held: list[Held] = []
        self._orders = 0
        self._finalizations = 0

    @property
    def hear(self) -> Callable[[Documents], None]:
        """What notes what the CA says."""
        return self._scribe.hear

    def survey(self) -> Survey:
        """Check every name; where the guard itself is at fault, nothing is known of them."""
        try:
            survey = self.issuance.survey()
        except Exception:  # noqa: BLE001 - whatever it is
            _LOG.exception("A fault of the CAA guard itself: names are not checked")
            division = Split(ordered=tuple(self.issuance.names))
            survey = Survey({}, {}, division, seconds=0.0, perspectives=0)
        self._verdicts = survey.verdicts
        return survey

    def obtain(self, orders: AcmeOrders) -> messages.OrderResource:
        """Order, and finalize.

        :raises Hold: when names must be left out first.
        """
        try:
            order = _unharmed(
                orders,
                lambda: self.issuance.authorized(orders),
                lambda: orders.authorize(orders.place()),
            )
            done: messages.OrderResource = _unharmed(
                orders,
                lambda: self.issuance.finalized(orders, order),
                lambda: orders.finalize(order),
            )
            return done
        except Hold:
            self._scribe.next(Step.HOLD, 0.0)
            raise
        finally:
            self._orders += orders.placed
            self._finalizations += orders.finalized

    def leave_out(self, failing: Sequence[str]) -> tuple[Held, ...]:
        """Go on without *failing*."""
        held = tuple(self.held(name) for name in failing)
        self._held += held
        self.issuance.without(failing)
        return held

    def held(self, name: str) -> Held:
        """Why *name* is held, by all that is known of it now."""
        identifier = Identifier(name.removeprefix("*."), name.startswith("*."))
        preflight = self._preflight
        known = preflight.evidence(identifier) if preflight else Evidence(identifier)
        said = [one for one in self._scribe.readings if one.identifier == name]
        denied = known.ca_refused or any(one.meaning is Meaning.DENIED for one in said)
        verdict = self._verdicts.get(name)
        if verdict is None or not verdict.holds:
            verdict = Verdict.DENIED if denied else Verdict.BROKEN
        seen = known.main_denial is not None or known.main_failure is not None
        reason = text.reason(known, verdict, self._issuers) if seen else self._scribe.refusal(said)
        return Held(name, verdict, _owner(known, said), reason)

    def issued(self, order: messages.OrderResource) -> Issued:
        """The outcome."""
        return Issued(
            ordered=tuple(self.issuance.names),
            held=tuple(self._held),
            verdicts=self._verdicts,
            attempts=tuple(self._scribe.attempts),
            order=order,
            orders=self._orders,
            finalizations=self._finalizations,
        )


class _Scribe:
    """A teller that writes down what the CA said, and tells it on."""

    def __init__(self, teller: Teller | None) -> None:
        self._teller = teller
        self._detail = ""
        self.readings: tuple[Reading, ...] = ()
        self.attempts: list[Attempt] = []

    def doubtful(self, doubtful: Sequence[str], wait: float) -> None:
        if self._teller is not None:
            self._teller.doubtful(doubtful, wait)

    def refused(self, readings: Sequence[Reading]) -> None:
        if self._teller is not None:
            self._teller.refused(readings)

    def next(self, step: Step, wait: float) -> None:
        self.attempts.append(Attempt(self.readings, step, wait))
        if self._teller is not None and step is not Step.HOLD:
            self._teller.next(step, wait)

    def refusal(self, readings: Sequence[Reading]) -> str:
        """What the CA just said; of some identifiers, where it did."""
        if readings:
            return text.refusal(readings).removeprefix("CAA guard: ")
        return text.printable(f"the CA refused the order: {self._detail}")

    def hear(self, documents: Documents) -> None:
        """Note what the CA just said."""
        self._detail = " ".join(str(document.get("detail", "")) for _, document in documents)
        self.readings = tuple(
            reading
            for identifier, document in documents
            for reading in problem.read(document, identifier=identifier)
        )


def _unharmed(orders: AcmeOrders, step: Callable[[], Any], alone: Callable[[], Any]) -> Any:
    """Take a step of the order; at a fault of the guard itself, as the client alone would.

    :raises Hold: when names must be left out first.
    """
    orders.raised = None
    try:
        return step()
    except Hold:
        raise
    except Exception as error:
        raised = orders.raised
        if error is raised:
            raise
        _LOG.exception("A fault of the CAA guard itself: the order goes on without it")
        if raised is not None:
            raise raised from None
        return alone()


def _owner(known: Evidence, said: Sequence[Reading]) -> str:
    """The owner name that stands in the way."""
    if known.main_denial is not None and known.main_denial.found_at is not None:
        return known.main_denial.found_at
    if known.main_failure is not None:
        return known.main_failure.owner
    owners = [reading.owner for reading in said if reading.owner is not None]
    return owners[0] if owners else known.identifier.domain


def _normal(wanted: Iterable[str]) -> list[str]:
    """The names as they are ordered, each once."""
    return list(dict.fromkeys(_normal_name(name) for name in wanted))


def _normal_name(name: str) -> str:
    if names.is_ip_address(name):
        return str(ipaddress.ip_address(name.strip()))
    return str(names.parse(name))


def _names_in(csr_pem: bytes) -> set[str]:
    """The identifiers that acme orders for a CSR."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
    except (ValueError, TypeError) as error:
        raise ValueError(f"make_csr must return a CSR in PEM, as bytes: {error}") from error
    common = csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    found = {str(name.value).lower() for name in common}
    try:
        extension = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return found
    found |= {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    found |= {str(address) for address in extension.value.get_values_for_type(x509.IPAddress)}
    return found
