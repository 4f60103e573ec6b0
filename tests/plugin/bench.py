"""The certbot that is installed, with a client, a CA, a DNS and a clock that are not real."""

from __future__ import annotations

import datetime
import email.utils
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from acme import messages
from certbot import configuration, errors
from certbot._internal import cli, main, storage
from certbot._internal.display import obj as display_obj
from certbot._internal.plugins import disco
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certbot_caa_guard.plugin import auditing, call, display, guard
from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.resolvers import loader
from tests.fakes import ISSUER, Answer, Clock, FakeResolver

try:
    from certbot._internal import san
except ImportError:  # certbot before 5.2.1
    san = None

_KEY = ec.generate_private_key(ec.SECP256R1())
_KEY_PEM = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
RESOLVERS = ("udp://192.0.2.1", "udp://192.0.2.2")
DAYS = 90


def certbot_names(names: Sequence[str]) -> list[Any]:
    """*names* in the type that the installed certbot has for them."""
    return list(names) if san is None else san.guess(names)


def texts(names: Sequence[Any] | None) -> list[str]:
    return [str(name) for name in names or []]


def certificate(names: Sequence[str], *, now: float, age: float = 0, days: float = DAYS) -> bytes:
    """A certificate for *names* that is *age* days old now."""
    subject = x509.Name([])
    start = datetime.datetime.fromtimestamp(now - age * 86400, datetime.timezone.utc)
    alternatives = [x509.DNSName(name) for name in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(_KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Order:
    """An ACME order, as far as certbot's own code would look."""

    uri: str
    csr_pem: bytes
    names: tuple[str, ...]
    authorizations: tuple[Any, ...] = ()
    fullchain_pem: str = ""

    @property
    def body(self) -> Any:
        return SimpleNamespace(identifiers=[SimpleNamespace(value=name) for name in self.names])

    def update(self, **changes: Any) -> Order:
        return replace(self, **changes)


class Directory(dict[str, str]):
    """A directory object: its members are items, its meta is an attribute."""

    def __init__(self, identities: Sequence[str] | None) -> None:
        super().__init__(newNonce="https://ca.example/nonce")
        self.meta = SimpleNamespace(caa_identities=identities, profiles=None)


class Net:
    """The part of the network that the guard uses by itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.status = "ready"
        self.skew = 0.0
        self.posts: list[str] = []

    def post(self, url: str, obj: object, *, new_nonce_url: str) -> Any:
        assert obj is None
        assert new_nonce_url == "https://ca.example/nonce"
        self.posts.append(url)
        return SimpleNamespace(json=lambda: {"status": self.status})

    def head(self, url: str) -> Any:
        assert url == "https://ca.example/nonce"
        date = email.utils.formatdate(self._clock.now - self.skew, usegmt=True)
        return SimpleNamespace(headers={"Date": date})


class Acme:
    """certbot's ACME client, with a CA behind it that does as its script says.

    :ivar failing: for an identifier, the problem of its authorization, once.
    :ivar finalizing: for each finalization, what it raises; then all succeed.
    :ivar days: the lifetime of its certificates.
    """

    def __init__(self, clock: Clock) -> None:
        self.directory: Any = Directory([ISSUER])
        self.net = Net(clock)
        self.days: float = DAYS
        self._clock = clock
        self.failing: dict[str, Mapping[str, object]] = {}
        self.finalizing: list[Exception | None] = []
        self.calls: list[str] = []
        self.ordered: list[list[str]] = []
        self.before_order: Callable[[], None] = lambda: None

    def new_order(self, csr_pem: bytes, profile: str | None = None) -> Order:
        assert profile is None
        self.before_order()
        names = csr_pem.decode().split(",")
        self.ordered.append(names)
        self.calls.append("new_order")
        number = len(self.ordered)
        return Order(f"https://ca.example/order/{number}", csr_pem, tuple(names))

    def poll(self, authzr: Any) -> tuple[Any, Any]:
        problem = self.failing.pop(authzr.name, None)
        status = messages.STATUS_VALID if problem is None else messages.STATUS_INVALID
        error = None if problem is None else messages.Error.from_json(dict(problem))
        body = SimpleNamespace(
            status=status,
            identifier=SimpleNamespace(value=authzr.name.removeprefix("*.")),
            wildcard=authzr.name.startswith("*.") or None,
            challenges=[SimpleNamespace(error=None), SimpleNamespace(error=error)],
        )
        return SimpleNamespace(uri=f"authz/{authzr.name}", name=authzr.name, body=body), "response"

    def answer_challenge(self, challb: Any, response: Any) -> Any:
        self.calls.append(f"answer {challb}")
        return response

    def finalize_order(
        self, orderr: Order, deadline: datetime.datetime, fetch_alternative_chains: bool = False
    ) -> Order:
        assert fetch_alternative_chains is False
        assert deadline > datetime.datetime.now()
        self.calls.append(f"finalize {orderr.uri.rpartition('/')[2]}")
        error = self.finalizing.pop(0) if self.finalizing else None
        if error is not None:
            raise error
        made = certificate(orderr.names, now=self._clock.now, days=self.days)
        return orderr.update(fullchain_pem=made.decode() * 2)


class Client:
    """certbot's own client: the methods that the guard gets in the way of, and what they call."""

    def __init__(self, config: Any, acme: Acme) -> None:
        self.config = config
        self.acme = acme
        self.account = SimpleNamespace(regr=SimpleNamespace(uri="https://ca.example/acct/1"))
        preferred = [SimpleNamespace(typ="http-01"), SimpleNamespace(typ="dns-01")]
        self.auth = SimpleNamespace(get_chall_pref=lambda _name: preferred)
        self.auth_handler = SimpleNamespace(handle_authorizations=self._authorize)
        self.subset: list[bool] = []

    def obtain_and_enroll_certificate(self, sans: list[Any], certname: str | None) -> Any:
        name = certname or str(sans[0]).removeprefix("*.")
        cert, chain, key, _ = self.obtain_certificate(sans)
        if self.config.dry_run:
            return None
        return storage.RenewableCert.new_lineage(name, cert, key.pem, chain, self.config)

    def obtain_certificate(self, sans: list[Any], old_keypath: str | None = None) -> Any:
        assert old_keypath is None
        self.subset.append(self.config.allow_subset_of_names)
        csr = SimpleNamespace(data=",".join(texts(sans)).encode())
        order = self._get_order_and_authorizations(csr.data, self.config.allow_subset_of_names)
        cert, chain = self.obtain_certificate_from_csr(csr, order)
        return cert, chain, SimpleNamespace(pem=_KEY_PEM), csr

    def _get_order_and_authorizations(self, csr_pem: bytes, best_effort: bool) -> Order:
        order = self.acme.new_order(csr_pem)
        valid = self.auth_handler.handle_authorizations(order, self.config, best_effort)
        return order.update(authorizations=valid)

    def obtain_certificate_from_csr(self, csr: Any, orderr: Any = None) -> tuple[bytes, bytes]:
        if orderr is None:
            orderr = self._get_order_and_authorizations(csr.data, False)
        deadline = datetime.datetime.now() + datetime.timedelta(seconds=90)
        done = self.acme.finalize_order(orderr, deadline, fetch_alternative_chains=False)
        chain = done.fullchain_pem[: len(done.fullchain_pem) // 2].encode()
        return chain, chain

    def save_certificate(self, *paths: Any) -> tuple[Any, ...]:
        return paths[2:]

    def _authorize(self, order: Order, _config: Any, _best_effort: bool) -> tuple[Any, ...]:
        polled = [self.acme.poll(SimpleNamespace(name=name))[0] for name in order.names]
        if any(one.body.status == messages.STATUS_INVALID for one in polled):
            raise errors.AuthorizationError("Some challenges have failed.")
        return tuple(polled)


@dataclass
class Bench:
    """One process of certbot on a machine of its own."""

    folder: Path
    clock: Clock
    resolvers: dict[str, FakeResolver] = field(
        default_factory=lambda: {
            text: FakeResolver(text.removeprefix("udp://")) for text in RESOLVERS
        }
    )
    output: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        # As real time was when the test started: certbot looks at a clock of its own.
        self.clock.now = time.time()
        self.acme = Acme(self.clock)
        self.config = self.make_config()

    def set_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the stand-ins in place."""
        monkeypatch.setattr(loader, "load", lambda spec: self.resolvers[spec.text])
        time_ = SimpleNamespace(monotonic=self.clock, time=self.clock)
        for module in (guard, call, auditing):
            monkeypatch.setattr(module, "time", time_)
        monkeypatch.setattr(display.Display, "sleep", lambda _self, s: self.clock.sleep(s))
        # certbot searches anew for each lineage; what is installed stays the same.
        monkeypatch.setattr(disco.PluginsRegistry, "find_all", lambda: PLUGINS)
        noninteractive = display_obj.NoninteractiveDisplay(self.output)
        monkeypatch.setattr(display_obj, "get_display", lambda: noninteractive)
        display_obj.set_display(noninteractive)

    def make_config(self, *arguments: str, guarded: bool = True, verb: str = "certonly") -> Any:
        """certbot's configuration, by its own parser."""
        argv = [verb, "--non-interactive", "--no-directory-hooks"]
        for kind in ("config", "work", "logs"):
            argv += [f"--{kind}-dir", str(self.folder / kind)]
        if guarded:
            argv += ["--caa-guard", "--caa-guard-resolver", ",".join(RESOLVERS)]
        config = cli.prepare_and_parse_args(PLUGINS, [*argv, *arguments])
        if isinstance(config, configuration.NamespaceConfig):
            return config
        cli.set_by_cli.detector = None  # certbot before 2.7 parses once more for it
        return configuration.NamespaceConfig(config)

    @property
    def client(self) -> Client:
        return Client(self.config, self.acme)

    def answers(self, answers: Mapping[str, Answer | Sequence[Answer]]) -> None:
        """All resolvers say this."""
        for resolver in self.resolvers.values():
            resolver.answers = dict(answers)

    def issue(self, *names: str, certname: str | None = None, lineage: Any = None) -> Any:
        """Have certbot issue a certificate, and return its lineage."""
        asked = certbot_names(names) if names else None
        return main._get_and_save_cert(self.client, self.config, asked, certname, lineage)

    def lineage(self, name: str, names: Sequence[str], **validity: float) -> Any:
        """A lineage that is there already."""
        pem = certificate(names, now=self.clock.now, **validity)
        return storage.RenewableCert.new_lineage(name, pem, _KEY_PEM, pem, self.config)

    def conf(self, name: str) -> Path:
        return self.folder / "config" / "renewal" / f"{name}.conf"

    def reload(self, name: str) -> Any:
        """The lineage as a later run of certbot finds it."""
        return storage.RenewableCert(str(self.conf(name)), self.config)

    def kept(self, name: str) -> state.Names:
        """What the renewal configuration says of wanted and held names."""
        if not self.conf(name).exists():
            return state.Names()
        return state.read(self.reload(name).configfile.get(state.SECTION))

    def hold(self, name: str, *held: str) -> None:
        """Have names held, as an earlier run would."""
        lineage = self.reload(name)
        state.write(
            self.conf(name),
            state.Names(
                (*lineage.names(), *held),
                tuple(state.Held(one, "denied", "2026-01-01T00:00:00Z", one) for one in held),
            ),
        )

    def wait(self, *, hours: float) -> None:
        """Let time pass, and a new process of certbot start."""
        self.clock.now += hours * 3600
        self.output.truncate(0)
        self.acme.ordered.clear()
        forget_process()

    @property
    def pending(self) -> Path:
        return self.folder / "config" / "caa-guard" / "pending"

    @property
    def said(self) -> str:
        return self.output.getvalue()


def forget_process() -> None:
    """What the guard did so far was done by another process, which has ended."""
    guard.PROCESS.resolvers.close()
    guard.PROCESS.__dict__.update(guard.Process().__dict__)


PLUGINS = disco.PluginsRegistry.find_all()
