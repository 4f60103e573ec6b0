"""certbot's lineages, read off the disk without certbot."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certbot_caa_guard import grace
from certbot_caa_guard.console.usage import UsageError
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin import pending

DEFAULT_CONFIG_DIR = "/etc/letsencrypt"

_LARGEST_CONF = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """What of a certificate matters here; times are in seconds since the epoch."""

    names: tuple[str, ...]
    begins: float
    ends: float

    @property
    def lifetime(self) -> datetime.timedelta:
        """From its begin to its end."""
        return datetime.timedelta(seconds=self.ends - self.begins)


@dataclass(frozen=True)
class Lineage:
    """One certificate's line of renewals.

    :ivar conf: its renewal configuration; None where there is no certificate yet.
    :ivar certificate: the current one.
    :ivar kept: what the guard wants and holds.
    :ivar waiting: where that stands until it is in the renewal configuration.
    :ivar parameters: the options that certbot restores at a renewal.
    :ivar renew_before: how long before its end certbot renews it, in certbot's words, if the user
        set that.
    :ivar trouble: why it cannot be read; all else is then empty.
    """

    name: str
    conf: Path | None = None
    certificate: Certificate | None = None
    kept: state.Names = field(default_factory=state.Names)
    waiting: tuple[pending.Pending, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    renew_before: str | None = None
    trouble: str | None = None

    @property
    def wanted(self) -> list[str]:
        """All the names that it should have."""
        if self.certificate is None:
            return list(self.kept.wanted)
        return self.kept.wanted_with(self.certificate.names)

    @property
    def due(self) -> float | None:
        """When certbot renews it; seconds since the epoch."""
        made = self.certificate
        return None if made is None else made.ends - self._window(made).total_seconds()

    @property
    def grace_begins(self) -> float | None:
        """From when on it may be renewed without a name that it covers."""
        made = self.certificate
        return None if made is None else made.ends - self._grace(made).total_seconds()

    @property
    def switched_off(self) -> str | None:
        """That certbot renews it without the guard, and how to change that; None where it does not
        say so.
        """
        if (self.parameter("caa_guard_enabled") or "").lower() != "false":
            return None
        return (
            "the guard is switched off for it: certbot remembers --no-caa-guard. To turn it on "
            f"again, write caa_guard_enabled = True in renewal/{self.name}.conf"
        )

    def parameter(self, name: str) -> str | None:
        """The option *name* as text; None where it is not set (certbot writes ``None``)."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) and value not in {"", "None"} else None

    def _window(self, certificate: Certificate) -> datetime.timedelta:
        return grace.renewal_window(certificate.lifetime, self.renew_before)

    def _grace(self, certificate: Certificate) -> datetime.timedelta:
        lifetime, window = certificate.lifetime, self._window(certificate)
        try:
            return grace.remaining(lifetime, window, self.parameter("caa_guard_grace"))
        except grace.GraceError:  # the guard itself refuses it at the next renewal
            return grace.default(lifetime, window)


def add_config_dir(parser: Any) -> None:
    """Add the option that says where certbot keeps its lineages."""
    parser.add_argument(
        "--config-dir",
        default=DEFAULT_CONFIG_DIR,
        metavar="DIR",
        help=f"certbot's configuration (default: {DEFAULT_CONFIG_DIR})",
    )


def state_folder(config_dir: Path) -> Path:
    """Where the guard keeps what is of no lineage."""
    return config_dir / "caa-guard"


def history_file(config_dir: Path) -> Path:
    """Where the guard keeps what was seen over time."""
    return state_folder(config_dir) / "history.sqlite"


def pending_folder(config_dir: Path) -> Path:
    """Where names wait for their first certificate."""
    return state_folder(config_dir) / "pending"


def read_all(config_dir: Path) -> list[Lineage]:
    """All lineages, by name; those that cannot be read have a trouble.

    :raises UsageError: when certbot's configuration is not there, or not ours to read.
    """
    if not config_dir.is_dir():
        raise UsageError(f"there is no {config_dir}: name certbot's with --config-dir")
    _must_be_ours(config_dir)
    confs = sorted((config_dir / "renewal").glob("*.conf"))
    found = [_read(conf, config_dir) for conf in confs]
    taken = {one for lineage in found for one in lineage.waiting}
    troubled = {one.name for one in found if one.trouble}
    found += [
        Lineage(one.certname, kept=one.names, waiting=(one,))
        for one in pending.all_in(pending_folder(config_dir))
        if one not in taken and one.certname not in troubled
    ]
    return sorted(found, key=lambda one: (one.name, one.conf is None))


def issued(config_dir: Path, *, since: float) -> Iterator[Certificate]:
    """The certificates that certbot got since a time, of all lineages."""
    for path in sorted((config_dir / "archive").glob("*/cert*.pem")):
        try:
            if path.stat().st_mtime >= since:
                yield _certificate(path)
        except (OSError, ValueError):
            continue


def _must_be_ours(config_dir: Path) -> None:
    for folder in ("renewal", "live", "archive", "caa-guard"):
        try:
            next((config_dir / folder).iterdir(), None)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise UsageError(
                f"cannot read {error.filename}: run this as the user who runs certbot (root)"
            ) from error
        except OSError as error:
            raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error


def _read(conf: Path, config_dir: Path) -> Lineage:
    name = conf.name.removesuffix(".conf")
    try:
        return _read_sound(name, conf, config_dir)
    except (OSError, ValueError, state.StateError) as error:
        return Lineage(name, conf, trouble=f"{conf}: {error}")


def _read_sound(name: str, conf: Path, config_dir: Path) -> Lineage:
    """:raises StateError: and OSError and ValueError, when something is wrong with it."""
    if conf.stat().st_size > _LARGEST_CONF:
        raise ValueError("too large to be a renewal configuration")
    settings = state.load(conf)
    path = settings.get("cert")
    if not isinstance(path, str):
        raise ValueError("it does not say where the certificate is (cert = …)")
    certificate = _certificate(Path(path))
    kept = state.read(settings.get(state.SECTION))
    waiting = pending.of(pending_folder(config_dir), name)
    waiting = [one for one in waiting if one.is_for(certificate.names)]
    if waiting and not kept.held:
        kept = waiting[0].names
    parameters = settings.get("renewalparams")
    return Lineage(
        name,
        conf,
        certificate,
        kept,
        tuple(waiting),
        parameters if isinstance(parameters, dict) else {},
        said if isinstance(said := settings.get("renew_before_expiry"), str) else None,
    )


def _certificate(path: Path) -> Certificate:
    """:raises ValueError: when there is no certificate in the file."""
    from cryptography import x509

    made = x509.load_pem_x509_certificate(path.read_bytes())
    names: list[str] = []
    for extension in made.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names += extension.value.get_values_for_type(x509.DNSName)
            names += [str(ip) for ip in extension.value.get_values_for_type(x509.IPAddress)]
    return Certificate(
        tuple(names), _time(made, "not_valid_before"), _time(made, "not_valid_after")
    )


def _time(certificate: Any, which: str) -> float:
    # Before cryptography 42 these are naive; since then those warn.
    moment = getattr(certificate, f"{which}_utc", None)
    if moment is None:
        moment = getattr(certificate, which).replace(tzinfo=datetime.timezone.utc)
    return float(moment.timestamp())


def day(seconds: float | None) -> str | None:
    """A date in UTC, as people write it."""
    return None if seconds is None else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def moment(seconds: float | None) -> str | None:
    """A time in UTC, as ISO 8601 has it."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
