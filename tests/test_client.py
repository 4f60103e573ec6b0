"""The guard for programs on acme's client, against a CA that enforces CAA."""

from __future__ import annotations

import ipaddress
import json
import runpy
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import acme.crypto_util
import pytest
from acme import errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from requests import RequestException

import certbot_caa_guard.acme
from certbot_caa_guard import client as guarded_client
from certbot_caa_guard.acmeorders import AcmeOrders, World
from certbot_caa_guard.client import (
    GuardedClient,
    Held,
    Issued,
    NothingOrderedError,
    OnFail,
    Options,
    Time,
)
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.names import IdentifierError
from certbot_caa_guard.problem import Meaning
from certbot_caa_guard.retry import Step
from certbot_caa_guard.verdict import Verdict
from tests.ca import CA, Mode, Spent
from tests.ca.client import Client, web_server
from tests.fakes import Clock, FakeResolver, FakeTeller, issue
from tests.internet import Internet, servfail

_EXAMPLE = Path(__file__).parents[1] / "examples" / "guarded_client.py"


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {
        "good.net": [],
        "denied.net": ['@ CAA 0 issue "other-ca.example"'],
        "broken.org": [],
    }
    with Internet(tmp_path_factory.mktemp("internet"), zones) as running:
        yield running


@pytest.fixture(scope="module")
def running_ca(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CA]:
    with CA(
        tmp_path_factory.mktemp("ca"),
        address=internet.block.address(110),
        web=internet.web,
        resolver=internet.ca_resolver,
    ) as running:
        yield running


@pytest.fixture
def ca(running_ca: CA, internet: Internet) -> CA:
    """The CA as it is at first; all tests share one."""
    internet.tlds.clear()
    internet.servers.clear()
    internet.forget()
    running_ca.mode, running_ca.stale, running_ca.check_at_authorization = Mode.A, False, True
    running_ca.reset()
    return running_ca


@pytest.fixture
def client(ca: CA) -> Iterator[Client]:
    files: dict[str, str] = {}
    with web_server(ca.web, ca.http_port, files):
        one = Client(ca, files)
        yield one
        one.close()


class Program:
    """A program that uses the guard, and writes down what it is told."""

    def __init__(self, internet: Internet, client: Client, clock: Clock) -> None:
        self.client = client
        self.held: list[tuple[int, list[str]]] = []
        self.csrs: list[tuple[str, ...]] = []
        self.lookups: list[tuple[int, int]] = []
        self.answered = 0
        self.now: Callable[[], float] = time.time
        self._internet = internet
        self._clock = clock

    def guarded(self, teller: FakeTeller | None = None, **options: Any) -> GuardedClient:
        resolvers = [f"udp://{self._internet.resolver}", f"udp://{self._internet.second_resolver}"]
        return GuardedClient(
            self.client.acme,
            self.answer,
            on_held=self.note_held,
            options=Options(**{"resolvers": resolvers, "patience": 10_000.0, **options}),
            teller=teller,
            progress=lambda done, of: self.lookups.append((done, of)),
            time=Time(self._clock, self.now, self.sleep, lambda: 0.0),
        )

    def sleep(self, seconds: float) -> None:
        """No time is lost, but resolvers forget their failures."""
        self._clock.sleep(seconds)
        if seconds >= 5:
            self._internet.forget()

    def answer(self, authorizations: Sequence[messages.AuthorizationResource]) -> None:
        for authorization in authorizations:
            self.answered += 1
            self.client.attempt(authorization.body.to_json())

    def note_held(self, held: Sequence[Held]) -> None:
        self.held.append((len(self.csrs), [one.name for one in held]))

    def make_csr(self, names: Sequence[str]) -> bytes:
        self.csrs.append(tuple(names))
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return acme.crypto_util.make_csr(pem, list(names))

    def obtain(self, *names: str, **options: Any) -> Issued:
        return self.guarded(**options).obtain(names, self.make_csr)


@pytest.fixture
def program(internet: Internet, client: Client, clock: Clock) -> Program:
    return Program(internet, client, clock)


def _names_in(issued: Issued) -> set[str]:
    certificate = x509.load_pem_x509_certificate(issued.fullchain_pem.encode())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName))


def test_names_that_pass_get_their_certificate(ca: CA, program: Program) -> None:
    issued = program.obtain("GOOD.net", "www.good.net", "good.net")
    assert _names_in(issued) == {"good.net", "www.good.net"}
    assert issued.ordered == ("good.net", "www.good.net")
    assert issued.verdicts == dict.fromkeys(issued.ordered, Verdict.PERMITTED)
    assert (issued.held, issued.attempts, program.held) == ((), (), [])
    assert (issued.orders, issued.finalizations) == (1, 1)
    assert issued.order.body.status == messages.STATUS_VALID
    assert ca.spent == Spent(orders=1, finalizations=1, certificates=1, validations=2)


def test_a_name_that_is_denied_is_left_out_and_told_first(ca: CA, program: Program) -> None:
    issued = program.obtain("good.net", "www.denied.net")
    assert _names_in(issued) == {"good.net"}
    assert program.held == [(0, ["www.denied.net"])]
    (held,) = issued.held
    assert (held.name, held.verdict, held.owner) == (
        "www.denied.net",
        Verdict.DENIED,
        "denied.net",
    )
    assert "CAA record for denied.net prevents issuance. It allows other-ca.example" in held.reason
    assert issued.verdicts["www.denied.net"] is Verdict.DENIED
    assert ca.orders == [("good.net",)]
    assert ca.spent.failed_authorizations == 0


def test_a_name_that_stays_broken_is_left_out(internet: Internet, ca: CA, program: Program) -> None:
    internet.servers.script(servfail, below="broken.org", qtype="CAA")
    issued = program.obtain("good.net", "broken.org")
    assert [(one.name, one.verdict) for one in issued.held] == [("broken.org", Verdict.BROKEN)]
    assert "SERVFAIL looking up CAA for broken.org" in issued.held[0].reason
    assert ca.orders == [("good.net",)]


@pytest.mark.parametrize(
    ("names", "on_fail"),
    [
        pytest.param(["denied.net"], OnFail.SPLIT, id="nothing is left"),
        pytest.param(["good.net", "denied.net"], OnFail.STOP, id="all or none"),
    ],
)
def test_no_order_is_placed_where_nothing_good_can_come_of_it(
    ca: CA, program: Program, names: list[str], on_fail: OnFail
) -> None:
    with pytest.raises(NothingOrderedError, match=r"denied\.net: .*prevents issuance") as caught:
        program.obtain(*names, on_fail=on_fail)
    assert [held.name for held in caught.value.failing] == ["denied.net"]
    assert caught.value.verdicts["denied.net"] is Verdict.DENIED
    assert (ca.spent, program.held, program.csrs) == (Spent(), [], [])


def test_only_reporting_leaves_it_to_the_ca(ca: CA, program: Program) -> None:
    with pytest.raises(errors.ValidationError) as caught:
        program.obtain("good.net", "denied.net", on_fail=OnFail.WARN)
    (failed,) = caught.value.failed_authzrs
    assert failed.body.identifier.value == "denied.net"
    assert ca.spent.orders == 1


def _fail_one_lookup_of_the_ca(internet: Internet) -> None:
    internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1, source=internet.ca_resolver)


@pytest.mark.parametrize("mode", Mode)
def test_a_servfail_at_finalize_is_outlived(
    internet: Internet, ca: CA, program: Program, mode: Mode
) -> None:
    ca.mode, ca.stale, ca.check_at_authorization = mode, True, False
    _fail_one_lookup_of_the_ca(internet)
    issued = program.obtain("a.good.net")
    (attempt,) = issued.attempts
    (reading,) = attempt.readings
    again = Step.FINALIZE_AGAIN if mode is Mode.A else Step.ORDER_AGAIN
    assert (reading.meaning, reading.owner, attempt.next) == (Meaning.TRANSIENT, "net", again)
    assert attempt.wait >= 6
    assert (issued.orders, issued.finalizations) == (1 if mode is Mode.A else 2, 2)
    assert len(program.csrs) == 1
    assert program.answered == 1
    assert ca.spent.certificates == 1


def test_a_servfail_at_authorization_is_outlived(
    internet: Internet, ca: CA, program: Program
) -> None:
    _fail_one_lookup_of_the_ca(internet)
    issued = program.obtain("b.good.net", "b.broken.org")
    assert _names_in(issued) == {"b.good.net", "b.broken.org"}
    assert [attempt.next for attempt in issued.attempts] == [Step.ORDER_AGAIN]
    assert issued.orders == 2
    assert ca.spent.failed_authorizations == 1
    assert program.answered == 3


def _refusal(name: str) -> dict[str, Any]:
    return {
        "type": "urn:ietf:params:acme:error:caa",
        "detail": "Error finalizing order :: rechecking caa: While processing CAA for "
        f"{name}: CAA record for good.net prevents issuance",
        "status": 403,
        "identifier": {"type": "dns", "value": name},
    }


def test_what_only_the_ca_refuses_is_left_out_and_told(ca: CA, program: Program) -> None:
    """Where the CA sees other records than we do."""
    ca.inject(
        {
            "type": "urn:ietf:params:acme:error:caa",
            "detail": 'Error finalizing order :: Rechecking CAA for "e.good.net" and 1 more '
            "identifiers failed. Refer to sub-problems for more information",
            "status": 403,
            "subproblems": [_refusal("e.good.net"), _refusal("f.good.net")],
        },
        "finalize",
    )
    issued = program.obtain("d.good.net", "e.good.net", "f.good.net")
    assert _names_in(issued) == {"d.good.net"}
    assert program.held == [(1, ["e.good.net", "f.good.net"])]
    assert program.csrs == [("d.good.net", "e.good.net", "f.good.net"), ("d.good.net",)]
    assert {(held.verdict, held.owner) for held in issued.held} == {(Verdict.DENIED, "good.net")}
    assert issued.held[0].reason == (
        "the CA refused: e.good.net: the CAA record at good.net prevents issuance"
    )
    assert [attempt.next for attempt in issued.attempts] == [Step.HOLD]
    assert (issued.orders, issued.finalizations) == (2, 2)


@pytest.mark.parametrize(
    "place", ["new-order", "authorization", "finalize", "order", "certificate"]
)
def test_an_answer_that_is_lost_on_the_way_costs_no_certificate(
    ca: CA, program: Program, place: str
) -> None:
    ca.lose_answers([place], 0.4, seed=1)
    issued = program.obtain("lost.good.net")
    lost = ca.lost_answers
    ca.lose_answers([], 0.0, seed=1)
    assert _names_in(issued) == {"lost.good.net"}
    assert lost > 0
    assert ca.spent.certificates == 1


def test_a_ca_that_is_gone_is_the_programs_own(ca: CA, program: Program) -> None:
    ca.lose_answers(["new-order"], 1.0, seed=1)
    with pytest.raises(RequestException):
        program.obtain("good.net")
    ca.lose_answers([], 0.0, seed=1)
    assert ca.lost_answers == 0


def test_the_order_may_take_its_time_to_be_ready(ca: CA, program: Program) -> None:
    not_ready = {"type": "urn:ietf:params:acme:error:orderNotReady", "detail": "", "status": 403}
    ca.inject(not_ready, "finalize")
    assert program.obtain("good.net").finalizations == 1


def test_an_order_that_fails_without_a_word_is_the_programs_own(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer:
        def json(self) -> dict[str, str]:
            return {"status": "invalid"}

    order = program.client.order("good.net")
    monkeypatch.setattr(program.client.acme.net, "post", lambda *_, **_more: Answer())
    with pytest.raises(errors.Error, match="the CA does not say why"):
        _orders_of(program).finalize(order)


def test_what_is_wrong_with_a_request_is_no_lost_answer(
    ca: CA, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **_more: object) -> None:
        raise ValueError("nonsense")

    order = program.client.order("good.net")
    program.client.authorize(order)
    monkeypatch.setattr(program.client.acme.net, "post", wrong)
    orders = _orders_of(program)
    for step in (orders.place, lambda: orders.finalize(order)):
        with pytest.raises(ValueError, match="nonsense"):
            step()
    assert orders.refresh(order) == ""
    assert ca.spent.finalizations == 0


def test_a_ca_that_cannot_be_reached_is_tried_again_with_any_acme(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before version 4, acme made a ValueError of it."""
    placed = iter([ValueError("Requesting ca.example/new-order: refused"), "an order"])

    def new_order(*_: object) -> str:
        outcome = next(placed)
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    monkeypatch.setattr(program.client.acme, "new_order", new_order)
    assert _orders_of(program).place() == "an order"


def _orders_of(program: Program) -> AcmeOrders:
    clock = Clock()
    csr_pem = program.make_csr(["good.net"])
    return AcmeOrders(program.client.acme, csr_pem, program.answer, World(clock, clock.sleep))


def test_a_name_that_can_wait_in_its_certificate_is_not_left_out(ca: CA, program: Program) -> None:
    with pytest.raises(errors.ValidationError):
        program.obtain("good.net", "denied.net", spare=["DENIED.net"])
    assert ca.spent.orders == 1


def test_whatever_is_wrong_with_a_name_that_comes_back_the_others_do_not_suffer(
    ca: CA, program: Program
) -> None:
    ca.inject(
        {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "No.", "status": 400},
        "new-order",
    )
    issued = program.obtain("good.net", "back.good.net", rejoining=["back.good.net"])
    assert issued.ordered == ("good.net",)
    (held,) = issued.held
    assert (held.name, held.owner) == ("back.good.net", "back.good.net")
    assert held.reason == "the CA refused the order: No."


def test_wildcards_are_judged_by_methods_that_can_prove_them(
    internet: Internet, program: Program
) -> None:
    method = '0 issue "letsencrypt.org; validationmethods=http-01"'
    internet.publish("web.good.net", "CAA", method)
    guarded = program.guarded(validation_methods={"http-01", "dns-01"})
    with pytest.raises(NothingOrderedError, match="other validation methods"):
        guarded.obtain(["*.web.good.net"], program.make_csr)


def test_what_is_not_about_caa_is_the_programs_own(ca: CA, program: Program) -> None:
    ca.inject(
        {"type": "urn:ietf:params:acme:error:malformed", "detail": "No.", "status": 400},
        "new-order",
    )
    with pytest.raises(messages.Error, match=r"No\."):
        program.obtain("good.net")
    assert ca.spent.orders == 0


def test_what_the_program_raises_is_its_own(program: Program) -> None:
    def answer(_authorizations: object) -> None:
        raise KeyError("a fault of the program")

    program.answer = answer  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="a fault of the program"):
        program.obtain("f.good.net")


def test_the_ca_has_its_time_and_no_more(program: Program) -> None:
    program.answer = lambda _authorizations: None  # type: ignore[method-assign]
    with pytest.raises(errors.TimeoutError):
        program.obtain("g.good.net", patience=3.0)


def test_a_ca_without_domain_names_is_not_asked_about(program: Program) -> None:
    with pytest.raises(errors.ValidationError):
        program.obtain("denied.net", issuers=())


def test_checking_alone_orders_nothing(ca: CA, program: Program) -> None:
    report = program.guarded(validation_methods={"http-01"}).check(["good.net", "denied.net"])
    assert [one.verdict for one in report.checked] == [Verdict.PERMITTED, Verdict.DENIED]
    assert ca.spent == Spent()


def test_records_that_name_the_account_or_the_method_are_judged_by_them(
    internet: Internet, program: Program
) -> None:
    account = program.client.account
    internet.publish("mine.good.net", "CAA", f'0 issue "letsencrypt.org; accounturi={account}"')
    method = '0 issue "letsencrypt.org; validationmethods=dns-01"'
    internet.publish("dns.good.net", "CAA", method)
    names = ["mine.good.net", "dns.good.net", "*.dns.good.net"]
    issued = program.obtain(*names[:2], validation_methods={"http-01"})
    assert [held.name for held in issued.held] == ["dns.good.net"]
    with pytest.raises(errors.ValidationError):
        program.obtain(names[1], validation_methods={"dns-01"})


def test_what_earlier_runs_saw_is_kept(tmp_path: Path, program: Program) -> None:
    path = tmp_path / "history.sqlite"
    program.obtain("good.net", history=path)
    assert path.exists()


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        pytest.param([], ValueError, "no name is given", id="none"),
        pytest.param(["a..net"], IdentifierError, "not a domain name", id="not a name"),
    ],
)
def test_names_that_are_none_are_refused(
    program: Program, names: list[str], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        program.obtain(*names)


def test_ip_addresses_have_no_caa_and_are_ordered_as_they_are(
    ca: CA, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one in the way of any other name when it comes back and is refused."""
    monkeypatch.setattr(program, "make_csr", lambda names: _csr_for(*names))
    ca.inject(
        {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "No.", "status": 400},
        "new-order",
    )
    issued = program.obtain("good.net", "2001:DB8::1", rejoining=["2001:db8:0::1"])
    assert issued.verdicts == {"good.net": Verdict.PERMITTED}
    assert [held.name for held in issued.held] == ["2001:db8::1"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        pytest.param(lambda _names: b"nonsense", "must return a CSR in PEM", id="no CSR"),
        pytest.param(
            lambda _names: _csr_for("other.net"),
            "must be for good.net, but it is for other.net",
            id="other names",
        ),
        pytest.param(lambda _names: _csr_for(), "but it is for no name", id="no names"),
    ],
)
def test_a_csr_for_anything_else_is_refused(
    ca: CA, program: Program, make: Callable[[Sequence[str]], bytes], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        program.guarded().obtain(["good.net"], make)
    assert ca.spent.orders == 0


def _csr_for(*names: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        alternatives = x509.SubjectAlternativeName(
            [
                x509.IPAddress(ipaddress.ip_address(name)) if ":" in name else x509.DNSName(name)
                for name in names
            ]
        )
        builder = builder.add_extension(alternatives, critical=False)
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_a_fault_of_the_guard_is_not_the_programs(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> Any:
        raise RuntimeError("a fault of the guard")

    for name in ("survey", "authorized", "finalized"):
        monkeypatch.setattr(f"certbot_caa_guard.issuance.Issuance.{name}", faulty)
    issued = program.obtain("h.good.net")
    assert _names_in(issued) == {"h.good.net"}
    assert issued.verdicts == {}


def test_at_a_fault_of_the_guard_the_cas_refusal_is_the_programs(
    ca: CA, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> Any:
        raise RuntimeError("a fault of the guard")

    monkeypatch.setattr("certbot_caa_guard.recovery.Recovery.after", faulty)
    ca.inject(
        {"type": "urn:ietf:params:acme:error:caa", "detail": "No.", "status": 403}, "finalize"
    )
    with pytest.raises(messages.Error, match=r"No\."):
        program.obtain("i.good.net")


def test_profiles_take_a_newer_acme(program: Program) -> None:
    class OldAcme:
        def new_order(self, csr_pem: bytes) -> None:
            """As in acme before 4.0."""

    with pytest.raises(ValueError, match=r"it takes acme 4\.0 or later"):
        GuardedClient(OldAcme(), program.answer, profile="tlsserver")  # type: ignore[arg-type]


def test_whoever_wants_to_is_told_what_goes_on(
    internet: Internet, ca: CA, program: Program
) -> None:
    ca.stale, ca.check_at_authorization = True, False
    _fail_one_lookup_of_the_ca(internet)
    internet.servers.script(servfail, below="broken.org", qtype="CAA", lookups=2)
    teller = FakeTeller()
    issued = program.guarded(teller).obtain(["told.good.net", "broken.org"], program.make_csr)
    assert [names for names, _ in teller.doubts] == [("broken.org",)]
    assert [tuple(readings) for readings in teller.refusals] == [issued.attempts[0].readings]
    assert teller.steps == [(Step.FINALIZE_AGAIN, issued.attempts[0].wait)]
    assert program.lookups[-1][0] == program.lookups[-1][1] > 0


def test_whoever_does_not_care_is_not_told(ca: CA, program: Program) -> None:
    guarded = GuardedClient(
        program.client.acme,
        program.answer,
        options=Options(resolvers=[FakeResolver(), FakeResolver("192.0.2.2")]),
    )
    with pytest.raises(NothingOrderedError):
        GuardedClient(
            program.client.acme,
            program.answer,
            options=Options(resolvers=[FakeResolver(answers={"denied.net": issue("x.example")})]),
        ).obtain(["denied.net"], program.make_csr)
    assert guarded.obtain(["good.net"], program.make_csr).held == ()
    assert ca.spent.orders == 1


@pytest.mark.parametrize(
    ("now", "knows", "orders"),
    [
        pytest.param(time.time, True, 0, id="right"),
        pytest.param(lambda: 0.0, True, 1, id="wrong"),
        pytest.param(lambda: 0.0, False, 0, id="the CA does not tell"),
    ],
)
def test_no_dnssec_failure_is_believed_while_the_clock_is_wrong(
    ca: CA,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    now: Callable[[], float],
    knows: bool,
    orders: int,
) -> None:
    program.now = now
    bogus = {"denied.net": Outcome.BOGUS}
    resolvers = [FakeResolver(answers=bogus), FakeResolver("192.0.2.2", answers=bogus)]
    if not knows:
        monkeypatch.setattr(program.client.acme.net, "head", None)
    with pytest.raises((NothingOrderedError, errors.ValidationError)):
        program.obtain("denied.net", resolvers=resolvers)
    assert ca.spent.orders == orders


def test_it_has_two_names() -> None:
    assert certbot_caa_guard.acme.GuardedClient is guarded_client.GuardedClient


def test_the_example_is_a_whole_program(
    internet: Internet,
    ca: CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.bundle))
    main = runpy.run_path(str(_EXAMPLE))["main"]
    resolvers = f"udp://{internet.resolver},udp://{internet.second_resolver}"
    arguments = ["--server", ca.directory_url, "--folder", str(tmp_path), "--resolver", resolvers]
    arguments += ["--address", ca.web, "--port", str(ca.http_port)]
    assert main([*arguments, "good.net", "denied.net"]) == 0
    told = capsys.readouterr().out
    assert "in the certificate: good.net\nleft out: denied.net: denied: " in told
    chain = (tmp_path / "fullchain.pem").read_text()
    assert chain.startswith("-----BEGIN CERTIFICATE-----")
    assert list(json.loads((tmp_path / "held.json").read_text())) == ["denied.net"]
    assert main([*arguments, "denied.net"]) == 1
    assert "no order was placed: denied.net: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "member", ["resolvers", "issuers", "validation_methods", "spare", "rejoining"]
)
def test_a_text_is_not_taken_for_a_list_of_its_letters(member: str) -> None:
    """Healthy names would be left out for it."""
    with pytest.raises(TypeError, match=rf"{member} must be a list, such as \['dns-01'\]"):
        Options(**{member: "dns-01"})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_fail": "stopp"}, "'stopp' is not a valid OnFail"),
        ({"validation_methods": ["http"]}, "unknown validation method 'http'"),
        ({"resolvers": []}, "resolvers must name one at least"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"deadline": -1.0}, "deadline must be at least 0"),
        ({"patience": -1.0}, "patience must be at least 0"),
    ],
)
def test_choices_that_there_are_none_of_are_refused(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Options(**options)


def test_what_to_do_may_be_said_by_its_word() -> None:
    assert Options(on_fail="stop").on_fail is OnFail.STOP  # type: ignore[arg-type]
