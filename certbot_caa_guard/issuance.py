"""One issuance, whole: preflight, split, order, and what follows when the CA says no.

It drives an ACME client through :class:`~certbot_caa_guard.interfaces.IOrders` and knows
nothing of certbot.  Decisions are the mind's; what is here asks it what to do next, does it, and
tells it what happened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from certbot_caa_guard.history import Closed, Kind
from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.lookout import Lookout
from certbot_caa_guard.names import Identifier, IdentifierError, is_ip_address, parse
from certbot_caa_guard.patience import Patience
from certbot_caa_guard.preflight import FIRST_TIMEOUT, Preflight
from certbot_caa_guard.recovery import Recovery
from certbot_caa_guard.refusal import Hold, Lost, Refused
from certbot_caa_guard.retry import Status, Step
from certbot_caa_guard.settings import Settings
from certbot_caa_guard.spending import Spending
from certbot_caa_guard.split import Split, split
from certbot_caa_guard.verdict import Evidence, Verdict
from certbot_caa_guard.world import Surroundings, Teller

# All that a client of an issuance needs.
__all__ = [
    "Hold",
    "Issuance",
    "Lost",
    "Patience",
    "Refused",
    "Settings",
    "Surroundings",
    "Survey",
    "Teller",
]


@dataclass(frozen=True)
class Survey:
    """The outcome of a preflight.

    :ivar verdicts: by identifier, in the order in which they were asked for.
    :ivar seconds: how long it took.
    :ivar unusable: the SPECs of perspectives that do not resolve the root.
    :ivar perspectives: how many perspectives answered.
    :ivar skipped: whether there was no time left to ask anybody.
    """

    verdicts: Mapping[str, Verdict]
    evidence: Mapping[str, Evidence]
    division: Split
    seconds: float
    perspectives: int
    unusable: tuple[str, ...] = ()
    clock_is_right: bool = True
    skipped: bool = False


class Issuance:
    """One issuance of one certificate.

    :ivar names: the identifiers that are ordered.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        preflight: Preflight | None,
        settings: Settings,
        surroundings: Surroundings,
    ) -> None:
        """:param names: the identifiers wanted; IP addresses have no CAA and pass untouched.
        :param preflight: None where the issuer is not known: then CAA cannot be judged.
        """
        self.names = list(names)
        self._identifiers = _parse_all(names)
        self._settings = settings
        self._world = surroundings
        self._spending = spending = Spending(surroundings.history, settings.account)
        self._lookout = Lookout(preflight, surroundings, spending) if preflight else None
        self._recovery = Recovery(
            self.names,
            self._identifiers,
            lookout=self._lookout,
            settings=settings,
            world=surroundings,
            spending=spending,
        )

    def survey(self) -> Survey:
        """Ask about every name, until each has a verdict or the patience is spent."""
        skipped = self._world.patience.within_limit < FIRST_TIMEOUT
        if self._lookout is None or skipped:
            return Survey({}, {}, self._divided({}), 0.0, perspectives=0, skipped=skipped)
        start = self._world.clock()
        self._lookout.survey(list(self._identifiers.values()))
        preflight = self._lookout.preflight
        verdicts = {name: preflight.verdict(one) for name, one in self._identifiers.items()}
        return Survey(
            verdicts,
            {name: preflight.evidence(one) for name, one in self._identifiers.items()},
            self._divided(verdicts),
            self._world.clock() - start,
            perspectives=len(preflight.usable),
            unusable=tuple(one.name for one in preflight.unusable),
            clock_is_right=preflight.clock_is_right,
        )

    def exhausted(self, names: Sequence[str]) -> list[str]:
        """Those of *names* that the CA must not be asked about now: they failed there too often."""
        return self._spending.exhausted(names)

    def closed(self, names: Collection[str]) -> Closed | None:
        """Why and until when the CA takes no order for just these names, if it does not."""
        return self._spending.closed(names)

    def may_hold(self, names: Sequence[str]) -> bool:
        """Whether *names* may be left out, and something is left then."""
        return self._recovery.may_hold(names)

    def authorization_failed(self, identifier: str) -> None:
        """Put a failed authorization on disk as soon as it is known.

        A client that learns of it before it raises :class:`Refused` says it here; nothing is
        counted twice.
        """
        self._spending.authorizations_failed([identifier])

    def authorized(self, orders: IOrders) -> object:
        """Place an order and get it authorized, trying again while that can help.

        :raises Hold: when names must be left out first.
        """
        while True:
            self._spending.order()
            try:
                return orders.authorize(orders.place())
            except Refused as refused:
                self._recovery.after(refused, lambda: Status.INVALID)
            except Lost as lost:
                self._recovery.after(lost, lambda: Status.NONE)

    def finalized(self, orders: IOrders, order: object) -> object:
        """Finalize *order*, trying again while that can help, and return it with its certificate.

        :raises Hold: when names must be left out first.
        """
        take = orders.finalize
        while True:
            try:
                done = take(order)
            except (Refused, Lost) as error:
                step = self._recovery.after(error, partial(_status, orders, order))
                take = orders.poll if step in _COLLECTING else orders.finalize
                if step is Step.VALIDATE_AGAIN:
                    self._deactivate(orders, order)
                if step in _WITH_A_NEW_ORDER:
                    order = self.authorized(orders)
            else:
                self._recovery.succeeded()
                return done

    def without(self, names: Sequence[str]) -> None:
        """Go on without *names*."""
        for name in names:
            self.names.remove(name)
            self._identifiers.pop(name, None)

    def _divided(self, verdicts: Mapping[str, Verdict]) -> Split:
        settings = self._settings
        return split(self.names, verdicts, on_fail=settings.on_fail, spare=settings.spare)

    def _deactivate(self, orders: IOrders, order: object) -> None:
        """Have the failing names validated anew in the next order."""
        stale = self._recovery.stale
        self._world.history.record(Kind.AUTHORIZATION_DEACTIVATED, stale)
        orders.deactivate(order, stale)


_COLLECTING = frozenset({Step.FETCH, Step.KEEP_POLLING})
_WITH_A_NEW_ORDER = frozenset({Step.ORDER_AGAIN, Step.VALIDATE_AGAIN})


def _parse_all(names: Sequence[str]) -> dict[str, Identifier]:
    """The names that CAA is looked up for; what is no DNS name is left to the CA."""
    identifiers = {}
    for name in names:
        if is_ip_address(name):
            continue
        try:
            identifiers[name] = parse(name)
        except IdentifierError:
            continue
    return identifiers


def _status(orders: IOrders, order: object) -> Status:
    try:
        return Status(orders.refresh(order))
    except ValueError:
        return Status.UNKNOWN
