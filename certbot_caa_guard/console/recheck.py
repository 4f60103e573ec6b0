"""Asking about a lineage's names as the guard itself would, with the lineage's own options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from certbot_caa_guard import checking
from certbot_caa_guard.caa import ACME_METHODS
from certbot_caa_guard.checking import Checked, Options, Query
from certbot_caa_guard.console import authority
from certbot_caa_guard.console.authority import Authority
from certbot_caa_guard.console.lineages import Lineage
from certbot_caa_guard.console.usage import NotFoundOutError, UsageError
from certbot_caa_guard.resolvers import spec
from certbot_caa_guard.resolvers.loader import ResolverError

_HTTP_ONLY = frozenset({"standalone", "webroot", "nginx", "apache"})

Asked = tuple[Lineage, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be the same for names to be asked about together."""

    resolver: str
    root_hints: str | None
    trust_anchor: str | None
    issuers: tuple[str, ...]
    strict: bool
    clock_skew: float | None


@dataclass(frozen=True)
class Outcome:
    """What was found out.

    :ivar checked: by the lineage's name and the identifier.
    :ivar troubles: by the lineage's name, why nothing could be found out.
    """

    checked: Mapping[tuple[str, str], Checked]
    troubles: Mapping[str, str]


class Recheck:
    """Asks, as often as wanted; each CA's directory is read once."""

    def __init__(self, config_dir: Path, check: Callable[..., checking.Report] | None = None):
        self._config_dir = config_dir
        self._check = check or checking.check
        self._known: dict[tuple[str | None, ...], Authority] = {}

    def ask(self, asked: Iterable[Asked], *, rounds: int) -> Outcome:
        """Ask about names of lineages, those with the same settings together."""
        groups: dict[Settings, list[tuple[Lineage, Query]]] = {}
        troubles: dict[str, str] = {}
        for lineage, names in asked:
            try:
                who = self._authority(lineage)
            except (UsageError, NotFoundOutError) as error:
                troubles[lineage.name] = str(error)
                continue
            queries = [Query(name, _method(lineage, name), who.account_uri) for name in names]
            group = groups.setdefault(_settings(lineage, who), [])
            group += [(lineage, query) for query in queries]
        checked: dict[tuple[str, str], Checked] = {}
        for settings, group in groups.items():
            try:
                checked.update(self._ask_group(settings, group, rounds))
            except (spec.SpecError, ResolverError) as error:
                troubles.update((lineage.name, str(error)) for lineage, _ in group)
        return Outcome(checked, troubles)

    def _ask_group(
        self, settings: Settings, group: Sequence[tuple[Lineage, Query]], rounds: int
    ) -> Mapping[tuple[str, str], Checked]:
        report = self._check(
            [query for _, query in group],
            Options(
                resolvers=[settings.resolver],
                issuers=settings.issuers,
                rounds=rounds,
                root_hints=settings.root_hints,
                trust_anchor=settings.trust_anchor,
                strict=settings.strict,
                clock_skew=settings.clock_skew,
            ),
        )
        if not report.perspectives:
            raise ResolverError(
                f"nobody could be asked: none of {settings.resolver} resolves the root now"
            )
        return {
            (lineage.name, query.text): one
            for (lineage, query), one in zip(group, report.checked, strict=True)
        }

    def _authority(self, lineage: Lineage) -> Authority:
        """:raises UsageError: and NotFoundOutError, when the CA is not known, or its directory
        cannot be had.
        """
        server = lineage.parameter("server")
        if server is None:
            raise UsageError("its configuration does not say the CA (server = …)")
        issuer = lineage.parameter("caa_guard_issuer")
        account = authority.account_uri(server, lineage.parameter("account"), self._config_dir)
        key = (server, issuer, account)
        if key not in self._known:
            self._known[key] = authority.find(server, issuer, account, str(self._config_dir))
        return self._known[key]


def _settings(lineage: Lineage, who: Authority) -> Settings:
    return Settings(
        lineage.parameter("caa_guard_resolver") or "auto",
        lineage.parameter("caa_guard_root_hints"),
        lineage.parameter("caa_guard_trust_anchor"),
        who.issuers,
        lineage.parameter("caa_guard_strict_rfc") == "True",
        who.clock_skew,
    )


def _method(lineage: Lineage, name: str) -> str | None:
    """The challenge that certbot will choose; None where that cannot be told without it."""
    chosen = lineage.parameters.get("pref_challs") or []
    preferred = [chosen] if isinstance(chosen, str) else list(chosen)
    authenticator = lineage.parameter("authenticator") or ""
    if authenticator.startswith("dns-"):
        preferred = ["dns-01"]
    elif not preferred and authenticator in _HTTP_ONLY:
        preferred = ["http-01"]
    known = [one for one in preferred if one in ACME_METHODS]
    if name.startswith("*."):
        known = [one for one in known if one.startswith("dns-")]
    return known[0] if known else None
