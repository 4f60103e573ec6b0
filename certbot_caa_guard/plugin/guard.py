"""One guarded issuance inside certbot: from the names that it asks for to the state on disk.

The seams call in here; what is here knows certbot's configuration, but none of its inner parts.
"""

from __future__ import annotations

import atexit
import datetime
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from certbot.display import util as display_util

from certbot_caa_guard import pacing
from certbot_caa_guard.history import History, Kind
from certbot_caa_guard.issuance import Hold, Issuance, Patience, Settings, Surroundings, Survey
from certbot_caa_guard.names import Identifier, is_ip_address, parse
from certbot_caa_guard.plugin import endings, kept
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin.answers import Answers
from certbot_caa_guard.plugin.auditing import Audits
from certbot_caa_guard.plugin.barrier import safely
from certbot_caa_guard.plugin.call import CertbotCall
from certbot_caa_guard.plugin.certificate import (
    LONGEST_OCSP,
    Certificate,
    certificate_of,
    is_revoked,
)
from certbot_caa_guard.plugin.display import Display
from certbot_caa_guard.plugin.keeping import Keeping
from certbot_caa_guard.plugin.orders import CertbotOrders
from certbot_caa_guard.plugin.sharing import OpenResolvers
from certbot_caa_guard.plugin.stopped import Stopped
from certbot_caa_guard.preflight import Preflight
from certbot_caa_guard.report import text
from certbot_caa_guard.split import Course, OnFail, course
from certbot_caa_guard.trouble import Troubles
from certbot_caa_guard.verdict import Evidence, Lasting, Verdict

# Once a pre-hook has run a web server may be down: then nobody waits for long.
_PATIENCE_AFTER_HOOKS = 15.0

# How fast challenges are answered.
PACING = pacing.Pacing()

# "Once a day", for what a timer starts that is early at times.
_A_DAY = 20 * 3600.0


@dataclass
class Process:
    """What all issuances of one certbot process share.

    :ivar began: in seconds since the epoch.
    :ivar patience: as long as the longest deadline among them.
    """

    began: float = field(default_factory=lambda: time.time())
    patience: Patience = field(default_factory=lambda: Patience(0.0))
    told_of_subset: bool = False
    resolvers: OpenResolvers = field(default_factory=OpenResolvers)
    troubles: Troubles = field(default_factory=Troubles)

    def patience_for(self, deadline: float) -> Patience:
        """The waiting left to one issuance, within that of the process."""
        self.patience.allow(deadline)
        return Patience(deadline, whole=self.patience)


PROCESS = Process()
atexit.register(lambda: PROCESS.resolvers.close())


class Session:
    """One guarded issuance; it holds resolvers and the history until it is closed."""

    def __init__(self, call: CertbotCall, process: Process = PROCESS) -> None:
        self._call = call
        self._process = process
        self._config = call.config
        self._display = Display(quiet=bool(call.config.quiet))
        self._patience = process.patience_for(float(call.config.caa_guard_deadline))
        self._resources = ExitStack()
        self._keeping = Keeping(call.config, call.lineage)
        self._issuers: tuple[str, ...] = ()
        self._wanted = list(call.names)
        self._issuance: Issuance | None = None
        self._preflight: Preflight | None = None
        self._audits = Audits(call.config, self._patience, self._resources)
        self._certificate = self._current_certificate()
        self._never_drop = _identifiers(call.config.caa_guard_never_drop)
        self.certname = call.certname
        self.answers = Answers()
        self._answered = 0
        self._paced = 0.0

    def close(self) -> None:
        """Give back what the issuance held; resolvers that work are left to the next one."""
        self._resources.close()
        if self._preflight is not None and self._preflight.unusable:
            failed = [perspective.name for perspective in self._preflight.unusable]
            self._process.resolvers.close_those_with(failed)

    @property
    def issuance(self) -> Issuance:
        """The issuance, once :meth:`begin` has made it."""
        if self._issuance is None:
            raise RuntimeError("the session has not begun")
        return self._issuance

    def begin(self) -> list[str]:
        """Check every wanted name, put what must be held on disk, and return what to order.

        :raises Stopped: when nothing is to be ordered.
        """
        call = self._call
        self._keeping.read()
        if not call.asked:
            self._wanted = self._keeping.before.wanted_with(call.names)
        self._issuance = self._make_issuance()
        survey = self._issuance.survey()
        chosen = self._course(survey)
        names = self._divide(survey, chosen)
        if survey.skipped:
            names = self._without_held(names)
        names = self._within_limits(names)
        if chosen is Course.ASK_THE_CA:
            self._history.record(Kind.ORDERED_IN_FULL, [self._key()])
        if not call.csr and call.lineage is None:
            self.certname = call.certname or _usual_certname(self._wanted[0])
            self._keeping.names(self._pending_name)
        self._keep(names)
        self._tell_remembered()
        self._issuance.without([name for name in self._wanted if name not in names])
        if self._call.hooks_will_run:
            self._patience.limit(_PATIENCE_AFTER_HOOKS)
        return names

    def begin_for_retries(self) -> list[str]:
        """Be ready for retries only, where certbot has no seam for a preflight."""
        self._issuance = self._make_issuance(with_preflight=False)
        return self._wanted

    def hold(self, hold: Hold) -> list[str]:
        """Leave names out after the CA refused them, and return what is left to order.

        :raises Stopped: when the user does not want that.
        """
        issuance = self.issuance
        self._ask_before_first_split(hold.names, "The CA refused.")
        told = all(name in self._keeping.before.held_names for name in hold.names)
        evidence = {name: self._evidence(name) for name in hold.names}
        self._note_held(hold.names, {}, evidence)
        names = [name for name in issuance.names if name not in hold.names]
        self._keep(names)
        issuance.without(hold.names)
        say = self._display.note if told else self._display.alert
        say(
            f"CAA guard: {text.listing(hold.names)} cannot be issued now; ordering the other "
            f"{text.count(len(names), 'name')}."
        )
        self._tell_remembered()
        return names

    def done(self, lineage: Any) -> None:
        """Put the state where it belongs, now that the certificate is there."""
        if self._config.dry_run or lineage is None:
            return
        there = set(lineage.names())
        self._keeping.done(lineage, self._wanted)
        before = self._keeping.before.held_names
        back = [name for name in before if name in there]
        if back:
            self._display.alert(f"CAA guard: back in the certificate: {text.listing(back)}.")
        gone = [name for name in before if name not in {*there, *self._wanted}]
        if gone:
            self._display.note(endings.of_let_go(gone))

    def failed(self) -> None:
        """Forget what was kept for a first certificate that has not come about."""
        if not self._config.dry_run:
            self._keeping.failed()

    def orders(self, place: Callable[[], Any], finalize: Callable[..., Any]) -> CertbotOrders:
        """certbot's orders for one CSR."""
        config = self._config
        by_hand = config.authenticator == "manual" and not config.manual_auth_hook
        return CertbotOrders(
            self._call.acme,
            place,
            finalize,
            answers=self.answers,
            validates_alone=not by_hand,
            on_failed_authorization=self.issuance.authorization_failed,
        )

    def pace(self) -> None:
        """Wait before a challenge is answered, where many names share their name servers."""
        gap = pacing.gap(self.issuance.names, PACING) if self._answered else 0.0
        self._answered += 1
        if gap and self._paced + gap <= PACING.longest and gap <= self._patience.left:
            self._paced += gap
            self._patience.spend(gap)
            time.sleep(gap)

    def warn_of_subset(self) -> None:
        """Say once that --allow-subset-of-names is not used while the guard is on."""
        if not self._process.told_of_subset:
            self._process.told_of_subset = True
            self._display.note(
                "CAA guard: --allow-subset-of-names is switched off: it loses names for good; "
                "the guard leaves out what must be, and brings it back."
            )

    def _make_issuance(self, *, with_preflight: bool = True) -> Issuance:
        config = self._config
        self._issuers = self._call.issuers
        self._preflight = self._make_preflight() if with_preflight else None
        self._history = history = self._resources.enter_context(
            History(None if config.dry_run else kept.state_folder(config) / "history.sqlite",
                    now=time.time)
        )  # fmt: skip
        return Issuance(
            self._wanted,
            preflight=self._preflight,
            settings=Settings(
                on_fail=OnFail(config.caa_guard_on_fail),
                retries=int(config.caa_guard_retries),
                spare=self._waited_for | self._never_drop,
                rejoining=self._returning,
                may_split=self._call.may_order_anew and not self._call.csr,
                is_urgent=self._call.asked or not self._waited_for,
                account=self._call.account_uri,
            ),
            surroundings=Surroundings(
                clock=time.monotonic,
                sleep=self._display.sleep,
                chance=random.random,
                teller=self._display,
                history=history,
                patience=self._patience,
                clock_skew=self._call.clock_skew,
                explained=self._audits.explained,
                troubles=self._process.troubles,
                began=self._process.began,
            ),
        )

    def _make_preflight(self) -> Preflight | None:
        if not self._issuers:
            self._display.note(
                "CAA guard: the CA's directory does not say its CAA domain names; name them with "
                "--caa-guard-issuer to have CAA checked. The retry works all the same."
            )
            return None
        resolvers = self._process.resolvers.named(
            self._call.resolvers,
            lambda reason: self._display.alert(f"CAA guard: {text.printable(reason)}"),
        )
        deadline = float(self._config.caa_guard_deadline)
        return self._resources.enter_context(
            Preflight(
                resolvers,
                self._call.requester_for,
                clock=time.monotonic,
                lasting=Lasting(rounds=3, seconds=deadline / 10),
                progress=self._display.progress,
            )
        )

    def _current_certificate(self) -> Certificate | None:
        lineage, config = self._call.lineage, self._config
        if lineage is None:
            return None
        return certificate_of(
            lineage,
            chosen_grace=config.caa_guard_grace,
            server=config.server,
            is_revoked=self._is_revoked(),
        )

    def _is_revoked(self) -> bool:
        patience = self._patience
        if patience.within_limit < LONGEST_OCSP:
            return False
        start = time.monotonic()
        revoked = safely(lambda: is_revoked(self._call.lineage), otherwise=False)
        patience.spend(time.monotonic() - start)
        return revoked

    @property
    def _covered(self) -> frozenset[str]:
        return self._certificate.names if self._certificate else frozenset()

    @property
    def _returning(self) -> frozenset[str]:
        """The held names that are wanted back in the certificate."""
        held = self._keeping.before.held_names
        return frozenset(held).intersection(self._wanted) - self._covered

    @property
    def _waited_for(self) -> frozenset[str]:
        return self._certificate.names_at(_now()) if self._certificate else frozenset()

    def _divide(self, survey: Survey, chosen: Course) -> list[str]:
        """What to order; the user is told of it.

        :raises Stopped: when nothing is to be ordered.
        """
        division, failing = survey.division, survey.division.failing
        news = [name for name in failing if self._is_news(survey, chosen, name)]
        self._tell(survey, chosen, news)
        if self._call.csr and (division.held or chosen is not Course.ORDER):
            raise Stopped(endings.of_csr(failing))
        if chosen in endings.COURSES_WITHOUT_ORDER:
            self._history.record(Kind.PUT_OFF, [self._key(name) for name in news])
            raise Stopped(endings.of_course(chosen, failing, self._certificate))
        if division.held:
            self._ask_before_first_split(division.held)
            self._note_held(division.held, survey.verdicts, survey.evidence)
        return list(division.ordered)

    def _without_held(self, names: list[str]) -> list[str]:
        """What of *names* to order where nobody was asked whether what is held passes now."""
        back = [name for name in names if name in self._returning]
        if not self.issuance.may_hold(back):
            return names
        before = self._keeping.before.held
        self._keeping.held.update({held.name: held for held in before if held.name in back})
        return [name for name in names if name not in back]

    def _within_limits(self, names: list[str]) -> list[str]:
        """What of *names* the CA takes an order for now.

        :raises Stopped: when it takes none.
        """
        issuance = self.issuance
        if OnFail(self._config.caa_guard_on_fail) is not OnFail.WARN:
            names = self._without(names, issuance.exhausted(names), endings.of_exhausted)
        closed = issuance.closed(names)
        if closed is None:
            return names
        # Without what comes back the order is another, and may be an exempt renewal.
        rejoining = [name for name in names if name in self._keeping.before.held_names]
        names = self._without(names, rejoining, lambda _names: endings.of_limit(closed))
        if not rejoining or issuance.closed(names) is not None:
            raise Stopped(endings.of_limit(closed))
        return names

    def _without(
        self, names: list[str], left_out: Sequence[str], why: Callable[[Sequence[str]], str]
    ) -> list[str]:
        """Hold names that the CA must not be asked about now.

        :raises Stopped: where they may not be left out, or the user does not want that.
        """
        if not left_out:
            return names
        gone = [name for name in self._wanted if name not in names]
        if not self.issuance.may_hold([*gone, *left_out]):
            raise Stopped(why(left_out))
        self._ask_before_first_split(left_out, "The CA would refuse for now.")
        self._note_held(left_out, {}, {name: self._evidence(name) for name in left_out})
        self._display.note(
            f"CAA guard: {text.listing(left_out)}: not ordered this time, since the CA would "
            "refuse it for now."
        )
        return [name for name in names if name not in left_out]

    def _course(self, survey: Survey) -> Course:
        asked = self._history.count(Kind.ORDERED_IN_FULL, self._key(), within=_A_DAY)
        return course(
            survey.division,
            survey.verdicts,
            on_fail=OnFail(self._config.caa_guard_on_fail),
            covered=self._covered,
            waited_for=self._waited_for,
            asked_lately=asked > 0,
        )

    def _key(self, name: str = "") -> str:
        """What the history knows this lineage by, or a name of it."""
        return f"{self._lineagename} {name}".rstrip()

    @property
    def _lineagename(self) -> str:
        lineage = self._call.lineage
        return str(lineage.lineagename) if lineage else self._pending_name

    def _ask_before_first_split(self, failing: Sequence[str], why: str = "") -> None:
        """:raises Stopped: when the user says no."""
        if self._call.lineage is not None or self._config.noninteractive_mode:
            return
        question = f"{why} Get the certificate without {text.listing(failing)} for now?".lstrip()
        try:
            goes_on = display_util.yesno(
                question,
                yes_label="Yes",
                no_label="No",
                default=True,
                cli_flag="--caa-guard-on-fail",
            )
        except EOFError:  # Ctrl-D is no answer, and certainly no yes
            goes_on = False
        if not goes_on:
            raise Stopped("CAA guard: stopped at your wish; no order was placed.")

    def _tell(self, survey: Survey, chosen: Course, news: Sequence[str]) -> None:
        if self._preflight is None:
            return
        for line in text.survey(survey, self._issuers, spared=endings.of_spared(chosen)):
            self._display.note(line)
        for name, finding in self._audits.main_findings(
            survey.evidence[name] for name in survey.division.held
        ).items():
            self._display.note(f"  {name}: {text.printable(finding.line)}. {finding.mend}")
        if self._config.dry_run:
            self._display.note(text.dry_run(self._call.account_uri, self._config.server))
        if not self._config.quiet:
            return
        for name in news:
            verdict = survey.verdicts[name]
            reason = text.reason(survey.evidence[name], verdict, self._issuers)
            left_out = name in survey.division.held and chosen not in endings.COURSES_WITHOUT_ORDER
            fate = f", left out of the certificate {self._key()}" if left_out else ""
            self._display.alert(f"CAA guard: {name}: {verdict.value}{fate}: {reason}")

    def _is_news(self, survey: Survey, chosen: Course, name: str) -> bool:
        """Whether the user has not been told yet: nobody reads the same line twice a day."""
        if chosen in endings.COURSES_WITHOUT_ORDER:
            return not self._history.count(Kind.PUT_OFF, self._key(name), within=_A_DAY)
        if name in survey.division.spared:
            return False  # it is ordered: if that fails, the CA says why
        known = {held.name: held.verdict for held in self._keeping.before.held}
        return known.get(name) != survey.verdicts[name].value

    def _tell_remembered(self) -> None:
        if self._keeping.held and not self._config.dry_run:
            held = text.listing(list(self._keeping.held))
            self._display.note(
                f"CAA guard: remembered {held}: to be put back at the next renewal at which they "
                "pass."
            )

    def _note_held(
        self,
        names: Sequence[str],
        verdicts: Mapping[str, Verdict],
        evidence: Mapping[str, Evidence],
    ) -> None:
        now = _now().strftime("%Y-%m-%dT%H:%M:%SZ")
        since = {held.name: held.since for held in self._keeping.before.held}
        self._history.record(Kind.HELD, names)
        for name in names:
            known = evidence[name]
            verdict = verdicts.get(name) or (Verdict.DENIED if known.ca_refused else Verdict.BROKEN)
            self._keeping.held[name] = state.Held(
                name, verdict.value, since.get(name, now), _owner(known) or known.identifier.domain
            )

    def _evidence(self, name: str) -> Evidence:
        identifier = Identifier(name.removeprefix("*."), name.startswith("*."))
        return self._preflight.evidence(identifier) if self._preflight else Evidence(identifier)

    def _keep(self, ordered: Sequence[str]) -> None:
        """Put what is held on disk before the order that leaves it out."""
        if not self._config.dry_run and self._keeping.held and not self._call.csr:
            self._keeping.put(self._wanted, ordered)

    @property
    def _pending_name(self) -> str:
        return self.certname or self._wanted[0].removeprefix("*.")


def _identifiers(text: str | None) -> frozenset[str]:
    """The identifiers in a list, written as in certificates, whoever wrote the list."""
    return frozenset(str(parse(name)) for name in (text or "").split(",") if name.strip())


def _now() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc)


def _owner(evidence: Evidence) -> str | None:
    if evidence.main_denial is not None:
        return evidence.main_denial.found_at
    return evidence.main_failure.owner if evidence.main_failure else None


def _usual_certname(first: str) -> str | None:
    """The name that certbot gives a lineage by its first name, so that it stays when it is held.

    What certbot makes of an IP address is its own affair: no IP address is ever held.
    """
    return None if is_ip_address(first) else first.removeprefix("*.")
