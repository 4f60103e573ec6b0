"""The seams into certbot: the one file that touches ``certbot._internal``.

Each seam is probed by its signature before it is used.  A seam that is missing in the certbot at
hand degrades the guard to what the others still give, and says so; certbot itself goes on.

====  ==============================================  =========================================
S0    ``renewal.*_CONFIG_ITEMS``                      the flags are restored at a renewal
S1    ``main._get_and_save_cert``                     names, before the order and the pre-hook
S2    ``main._csr_get_and_save_cert``                 the same for ``--csr``
S3    ``poll``, ``answer_challenge``,                 what the CA says, the pace, and the retry;
      ``finalize_order`` of the ACME client           for one issuance
S4    ``Client._get_order_and_authorizations``        the order that is placed; for one issuance
S5    ``main._find_cert``                             the same names asked for again
S6    ``Client.obtain_certificate``                   a further order with fewer names; for one
                                                      issuance
S7    ``enhancements.enable``                         not the names that are held
====  ==============================================  =========================================
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from certbot._internal import client as certbot_client
from certbot._internal import main, renewal, storage
from certbot.plugins import enhancements

from certbot_caa_guard.plugin import flags
from certbot_caa_guard.plugin.barrier import report, safely, through
from certbot_caa_guard.plugin.stopped import Stopped

if TYPE_CHECKING:
    from certbot_caa_guard.issuance import Hold
    from certbot_caa_guard.plugin.guard import Session
    from certbot_caa_guard.plugin.orders import CertbotOrders

_LOG = logging.getLogger(__name__)

# Marks a function that is ours, so that it is wrapped once.
_MARK = "_caa_guard_wraps"

# certbot's word for a list of identifiers: "domains", and "sans" since 5.2.1.
_NAMES = ("domains", "sans")

_SIGNATURES: dict[str, tuple[tuple[str, ...] | str, ...]] = {
    "_get_and_save_cert": ("le_client", "config", _NAMES, "certname", "lineage"),
    "_csr_get_and_save_cert": ("config", "le_client"),
    "_find_cert": ("config", _NAMES, "certname"),
    "_get_order_and_authorizations": ("csr_pem", "best_effort"),
    "obtain_certificate": (_NAMES, "old_keypath"),
    "obtain_certificate_from_csr": ("self", "csr", "orderr"),
    "poll": ("authzr",),
    "enable": ("lineage", "domains", "installer", "config"),
    "answer_challenge": ("challb", "response"),
    "finalize_order": ("orderr", "deadline", "fetch_alternative_chains"),
}

_warned: set[str] = set()


def install() -> None:
    """Put the wraps in place; again and again without harm."""
    _restore_flags_at_renewal()
    _wrap(main, "_get_and_save_cert", _around_get_and_save_cert)
    _wrap(main, "_csr_get_and_save_cert", _around_csr_get_and_save_cert)
    _wrap(main, "_find_cert", _around_find_cert)
    _wrap(enhancements, "enable", _around_enable)
    if not _is_wrapped(main, "_get_and_save_cert"):
        _wrap(certbot_client.Client, "obtain_certificate_from_csr", _around_obtain_from_csr)


def _restore_flags_at_renewal() -> None:
    """Seam S0: certbot restores the flags of the authenticator and the installer only."""
    for items, ours in (
        ("BOOL_CONFIG_ITEMS", flags.BOOLEANS),
        ("INT_CONFIG_ITEMS", flags.INTEGERS),
        ("STR_CONFIG_ITEMS", flags.STRINGS),
    ):
        known = getattr(renewal, items, None)
        if isinstance(known, list):
            known.extend(dest for dest in ours if dest not in known)


def _wrap(owner: object, name: str, around: Callable[..., Any]) -> None:
    original = getattr(owner, name, None)
    # Anything but a plain function is not certbot's: somebody else's stand-in, in a test.
    if not isinstance(original, FunctionType) or hasattr(original, _MARK):
        return
    if not _fits(original, name):
        return

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(wrapper, _MARK, original)
    setattr(owner, name, wrapper)


def _is_wrapped(owner: object, name: str) -> bool:
    return hasattr(getattr(owner, name, None), _MARK)


def _fits(function: Callable[..., Any], name: str) -> bool:
    """Whether the leading parameters of *function* are those that the seam was made for."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    expected = _SIGNATURES[name]
    if len(parameters) < len(expected):
        return False
    return all(
        have == want or (isinstance(want, tuple) and have in want)
        for have, want in zip(parameters, expected, strict=False)
    )


def _is_on(config: Any) -> bool:
    return bool(getattr(config, "caa_guard_enabled", False))


def _warn_once(key: str, message: str) -> None:
    if key not in _warned:
        _warned.add(key)
        _LOG.warning("CAA guard: %s", message)


def _around_get_and_save_cert(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Seam S1."""
    bound = inspect.signature(original).bind(*args, **kwargs)
    bound.apply_defaults()
    le_client, config, names, certname, lineage = bound.args[:5]
    if not _is_on(config):
        return original(*args, **kwargs)
    prepared = safely(
        lambda: _prepare(le_client, config, names, certname=certname, lineage=lineage), None
    )
    if prepared is None:
        return original(*args, **kwargs)
    with prepared.resources:
        session, requested = prepared.session, prepared.names
        if names is not None:
            # In place: certbot's main hands the same list to the installer afterwards.
            names[:] = requested
            requested = names
        bound.arguments[list(bound.arguments)[2]] = requested
        bound.arguments["certname"] = session.certname
        try:
            result = original(*bound.args, **bound.kwargs)
        except Exception:
            safely(session.failed, None)
            raise
        safely(lambda: session.done(result), None)
        return result


def _around_csr_get_and_save_cert(original: Callable[..., Any], config: Any, le_client: Any) -> Any:
    """Seam S2: a CSR cannot be split, but its order can be tried again."""
    if not _is_on(config):
        return original(config, le_client)
    prepared = safely(lambda: _prepare(le_client, config, _names_in_csr(config), csr=True), None)
    with prepared.resources if prepared is not None else ExitStack():
        return original(config, le_client)


def _around_obtain_from_csr(
    original: Callable[..., Any], le_client: Any, csr: Any, orderr: Any = None
) -> Any:
    """In place of S1, in a certbot that lacks it: only the retry at finalize is left."""
    config = getattr(le_client, "config", None)
    if not _is_on(config) or orderr is None:
        return original(le_client, csr, orderr)
    _warn_once(
        "S1",
        "this certbot is unknown to the guard: names are not checked before the order, and only "
        "failures at finalize are tried again. Look for a newer certbot-caa-guard.",
    )
    prepared = safely(
        lambda: _prepare(
            le_client,
            config,
            [identifier.value for identifier in orderr.body.identifiers],
            csr=True,
            preflight=False,
        ),
        None,
    )
    with prepared.resources if prepared is not None else ExitStack():
        return original(le_client, csr, orderr)


def _around_find_cert(original: Callable[..., Any], config: Any, names: Any, certname: Any) -> Any:
    """Seam S5: names that are held are missing from the certificate on purpose."""
    if not _is_on(config) or not names or config.duplicate:
        return original(config, names, certname)
    lineage = safely(lambda: _lineage_wanting(config, names, certname), None)
    in_certificate = (
        safely(lambda: _as_certbot_names(lineage.names(), names), None) if lineage else None
    )
    if in_certificate is None:
        should_get, found = original(config, names, certname)
        if found is not None and not should_get:
            safely(lambda: _let_go(config, names, found), None)
        return should_get, found
    should_get, found = original(config, in_certificate, certname)
    if not should_get:
        missing = sorted({str(name) for name in names} - set(lineage.names()))
        safely(lambda: _tell_of_held(config, lineage.lineagename, missing), None)
        names[:] = in_certificate
    return should_get, found


def _around_enable(
    original: Callable[..., Any], lineage: Any, domains: Any, installer: Any, config: Any
) -> Any:
    """Seam S7: certbot since 5.3 makes this list before the names are checked."""
    if not _is_on(config) or lineage is None:
        return original(lineage, domains, installer, config)
    names = safely(lambda: _without_held(lineage, domains), domains)
    return original(lineage, names, installer, config)


def _without_held(lineage: Any, names: Any) -> list[Any]:
    from certbot_caa_guard.plugin import kept

    held = kept.held_from(lineage)
    return [name for name in names if str(name) not in held]


# No dataclass: to make one takes most of a millisecond, at every start of certbot.
class _Prepared(NamedTuple):
    """An issuance that the guard watches over.

    :ivar names: what to order, as this certbot has names.
    :ivar resources: to be closed when the issuance is over; undoes the seams.
    """

    session: Session
    names: list[Any]
    resources: ExitStack


def _prepare(
    le_client: Any,
    config: Any,
    names: Any,
    *,
    certname: str | None = None,
    lineage: Any = None,
    csr: bool = False,
    preflight: bool = True,
) -> _Prepared:
    """Check the names and put the seams of one issuance in place, or leave no trace.

    :param names: None at a renewal: then those in the certificate.
    """
    from certbot_caa_guard.plugin.call import CertbotCall
    from certbot_caa_guard.plugin.guard import Session

    _warn_of_missing_seams()
    known = names if names is not None else lineage.names()
    asked = names is not None and (lineage is None or _named_by_user(config))
    with ExitStack() as stack:
        session = Session(
            CertbotCall(
                config=config,
                names=tuple(str(name) for name in known),
                certname=certname,
                lineage=lineage,
                acme=le_client.acme,
                account_uri=le_client.account.regr.uri,
                challenges=functools.partial(_challenges, le_client, config),
                asked=asked,
                csr=csr,
                may_order_anew=_bound(le_client, "obtain_certificate") is not None,
            )
        )
        stack.callback(safely, session.close, None)
        ordered = session.begin() if preflight else session.begin_for_retries()
        certbot_names = _as_certbot_names(ordered, names or [])
        attached = _Attached(le_client, session)
        stack.callback(safely, attached.detach, None)
        attached.attach()
        return _Prepared(session, certbot_names, stack.pop_all())


def _challenges(le_client: Any, config: Any, name: str) -> Sequence[str]:
    """The challenge types that certbot will choose from for *name*, best first."""
    offered = [challenge.typ for challenge in le_client.auth.get_chall_pref(name)]
    if not config.pref_challs:
        return offered
    return [challenge for challenge in config.pref_challs if challenge in offered]


def _bound(owner: Any, name: str) -> Callable[..., Any] | None:
    """The method of that name, if it is the one that the seam was made for."""
    method = getattr(owner, name, None)
    if method is None or not _fits(method, name):
        _warn_once(name, f"this certbot is not fully known to the guard: it lacks {name}.")
        return None
    return cast("Callable[..., Any]", method)


class _Attached:
    """Seams S3, S4 and S6 on certbot's client, for the duration of one issuance.

    They are attributes of the instances, which hide the methods of their classes; taking them
    away brings the methods back.
    """

    def __init__(self, le_client: Any, session: Session) -> None:
        self._client = le_client
        self._session = session
        self._orders: CertbotOrders | None = None
        self._attributes: list[tuple[Any, str]] = []
        self._place = _bound(le_client, "_get_order_and_authorizations")
        self._obtain = _bound(le_client, "obtain_certificate")
        self._finalize = _bound(le_client.acme, "finalize_order")
        self._poll = _bound(le_client.acme, "poll")
        self._answer = _bound(le_client.acme, "answer_challenge")

    def attach(self) -> None:
        """Put the seams in place."""
        client = self._client
        for owner, name, original, replacement in (
            (client, "_get_order_and_authorizations", self._place, self._get_order),
            (client, "obtain_certificate", self._obtain, self._obtain_certificate),
            (client.acme, "poll", self._poll, self._see),
            (client.acme, "answer_challenge", self._answer, self._answer_challenge),
            (client.acme, "finalize_order", self._finalize, self._finalize_order),
        ):
            if original is not None:
                setattr(owner, name, replacement)
                self._attributes.append((owner, name))
        safely(self._watch_answers, None)

    def detach(self) -> None:
        """Take them away."""
        while self._attributes:
            with contextlib.suppress(AttributeError):
                delattr(*self._attributes.pop())
        with contextlib.suppress(ValueError):
            (self._answer_hooks or []).remove(self._see_answer)

    def _watch_answers(self) -> None:
        hooks = self._answer_hooks
        if hooks is not None:
            hooks.append(self._see_answer)

    @property
    def _answer_hooks(self) -> list[Any] | None:
        """What ``requests`` calls with each answer: acme's exceptions tell no Retry-After."""
        session = getattr(getattr(self._client.acme, "net", None), "session", None)
        hooks = getattr(session, "hooks", None)
        return hooks.setdefault("response", []) if isinstance(hooks, dict) else None

    def _see_answer(self, response: Any, *_args: Any, **_more: Any) -> None:
        safely(lambda: self._session.answers.saw(response), None)

    def _get_order(self, csr_pem: bytes, best_effort: bool) -> Any:
        """Seam S4: the order that is returned is the one that the retry got authorized."""

        def alone() -> Any:
            return self._place_alone(csr_pem, best_effort)

        self._orders = orders = safely(
            lambda: self._orders_for(csr_pem, best_effort=best_effort), None
        )
        if orders is None:
            return alone()
        return through(orders, lambda: self._session.issuance.authorized(orders), alone)

    def _finalize_order(
        self, orderr: Any, deadline: Any, fetch_alternative_chains: bool = False
    ) -> Any:
        """Seam S3."""

        def alone() -> Any:
            return self._original(self._finalize)(orderr, deadline, fetch_alternative_chains)

        def ready() -> CertbotOrders:
            orders = self._orders or self._orders_for(orderr.csr_pem, best_effort=False)
            orders.finalize_within(deadline, alternative_chains=fetch_alternative_chains)
            return orders

        orders = safely(ready, None)
        if orders is None:
            return alone()
        return through(orders, lambda: self._session.issuance.finalized(orders, orderr), alone)

    def _orders_for(self, csr_pem: bytes, *, best_effort: bool) -> CertbotOrders:
        return self._session.orders(
            lambda: self._place_alone(csr_pem, best_effort),
            lambda *arguments: self._original(self._finalize)(*arguments),
        )

    def _place_alone(self, csr_pem: bytes, best_effort: bool) -> Any:
        """Place an order and have it authorized, as certbot does."""
        if self._place is not None:
            return self._place(csr_pem, best_effort)
        order = self._client.acme.new_order(csr_pem)
        valid = self._client.auth_handler.handle_authorizations(
            order, self._client.config, best_effort
        )
        return order.update(authorizations=valid)

    @staticmethod
    def _original(method: Callable[..., Any] | None) -> Callable[..., Any]:
        if method is None:
            raise RuntimeError("a seam that is missing was used")
        return method

    def _see(self, authzr: Any) -> Any:
        """Seam S3: what the CA says of each authorization."""
        updated, response = self._original(self._poll)(authzr)
        orders = self._orders
        if orders is not None:
            safely(lambda: orders.saw(updated), None)
        return updated, response

    def _answer_challenge(self, challb: Any, response: Any) -> Any:
        """Seam S3: not all at once."""
        safely(self._session.pace, None)
        return self._original(self._answer)(challb, response)

    def _obtain_certificate(self, names: Any, old_keypath: str | None = None) -> Any:
        """Seam S6: when names must be left out, order the rest with a CSR of its own.

        The list of names is changed in place, since certbot hands it to the deploy hook
        afterwards.
        """
        from certbot_caa_guard.issuance import Hold as HoldRaised

        config = self._client.config
        with_subset = config.allow_subset_of_names
        if with_subset:
            safely(self._session.warn_of_subset, None)
            config.allow_subset_of_names = False
        try:
            while True:
                try:
                    return self._original(self._obtain)(names, old_keypath)
                except HoldRaised as hold:
                    names[:] = self._names_without(hold, names)
        finally:
            if with_subset:
                config.allow_subset_of_names = with_subset

    def _names_without(self, hold: Hold, names: Sequence[Any]) -> list[Any]:
        """Hold what must be, and return the rest.

        Where the user does not want that, or at a fault, the CA's refusal is certbot's.
        """
        try:
            return _as_certbot_names(self._session.hold(hold), names)
        except Exception as error:
            refusal = self._orders.raised if self._orders is not None else None
            if refusal is None:
                raise
            if not isinstance(error, Stopped):
                report(error)
            raise refusal from None


def _warn_of_missing_seams() -> None:
    """Say once what a certbot lacks that has S1 or S2, but not all the rest."""
    for name, lost in (
        ("_get_and_save_cert", "names are not checked before the order"),
        ("_csr_get_and_save_cert", "nothing is done for --csr"),
        ("_find_cert", "asking again for a certificate with held names needs --expand"),
    ):
        function = getattr(main, name, None)
        if function is None or (isinstance(function, FunctionType) and not _is_wrapped(main, name)):
            _warn_once(name, f"this certbot is not fully known to the guard: {lost}.")


def _lineage_wanting(config: Any, names: Any, certname: str | None) -> Any:
    """The lineage that wants just these names, and holds some of them.

    One whose certificate has them all comes first: that is certbot's own choice.
    """
    from certbot_caa_guard.plugin import kept

    asked = {str(name) for name in names}
    confs = [
        conf
        for conf in map(Path, storage.renewal_conf_files(config))
        if certname in (None, conf.stem)
    ]
    wanting = None
    for conf in confs:
        try:
            if kept.may_hold(conf, config):
                candidate = storage.RenewableCert(str(conf), config)
                if kept.wants_just(candidate, config, asked):
                    wanting = candidate
        except Exception:  # noqa: BLE001 - one odd file is no reason to pass over the others
            _LOG.debug("The CAA guard cannot read %s", conf, exc_info=True)
    if wanting is None or any(_has_just(conf, config, asked) for conf in confs):
        return None
    return wanting


def _has_just(conf: Path, config: Any, names: set[str]) -> bool:
    try:
        return set(storage.RenewableCert(str(conf), config).names()) == names
    except Exception:  # noqa: BLE001 - nor is it here
        return False


def _let_go(config: Any, names: Any, lineage: Any) -> None:
    """Forget what a person no longer names, where no certificate follows that would settle it."""
    if config.dry_run or not _named_by_user(config):
        return
    from certbot_caa_guard.plugin import endings, kept
    from certbot_caa_guard.plugin.display import Display

    gone = kept.let_go(lineage, config, {str(name) for name in names})
    if gone:
        Display(quiet=bool(config.quiet)).note(endings.of_let_go(gone))


def _named_by_user(config: Any) -> bool:
    """Whether a person named the identifiers: for --cert-name alone, certbot looks them up."""
    return bool(config.domains or getattr(config, "ip_addresses", None)) or not config.certname


def _tell_of_held(config: Any, lineagename: str, missing: Sequence[str]) -> None:
    from certbot_caa_guard.plugin.display import Display
    from certbot_caa_guard.report import text

    Display(quiet=bool(config.quiet)).note(
        f"CAA guard: still held: {text.listing(missing)}. Nothing else is due. To try again now: "
        f"certbot-caa-guard rejoin --cert-name {lineagename}"
    )


def _names_in_csr(config: Any) -> list[str]:
    return [str(name) for name in config.domains] + [
        str(address) for address in getattr(config, "ip_addresses", None) or []
    ]


def _as_certbot_names(names: Sequence[str], like: Sequence[Any]) -> list[Any]:
    """*names* in the type that this certbot has for them; those in *like* are used again."""
    known = {str(name): name for name in like}
    return [known.get(name) or _as_certbot_name(name) for name in names]


def _as_certbot_name(name: str) -> Any:
    try:
        from certbot._internal import san
    except ImportError:
        return name
    return san.guess([name])[0]
