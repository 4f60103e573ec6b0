"""certbot's orders, as one issuance drives them."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from acme import errors as acme_errors
from acme import messages
from certbot import errors
from requests import (
    ConnectionError,  # noqa: A004 - the one that acme lets through
    HTTPError,
    Request,
    RequestException,
    Response,
    Timeout,
)
from zope.interface.verify import verifyObject

from certbot_caa_guard import problem
from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.plugin import answers as answers_module
from certbot_caa_guard.plugin import orders as orders_module
from certbot_caa_guard.plugin.answers import Answers
from certbot_caa_guard.plugin.orders import CertbotOrders
from certbot_caa_guard.ratelimit import Limit
from certbot_caa_guard.refusal import Lost, Refused
from tests.fakes import (
    Clock,
    at_authorization,
    at_finalize,
    failed_lookup,
    rate_limited,
    several_at_finalize,
)
from tests.plugin.bench import Acme

SERVFAIL = at_finalize(failed_lookup("b.net"))


def fails(error: BaseException) -> Any:
    def call(*_arguments: object) -> Any:
        raise error

    return call


def never(*_arguments: object) -> Any:
    raise AssertionError("it was called")


def orders(place: Any = never, finalize: Any = never) -> CertbotOrders:
    return CertbotOrders(Acme(Clock()), place, finalize)


def refused(made: CertbotOrders, step: str, *order: object) -> Refused:
    with pytest.raises(Refused) as caught:
        getattr(made, step)(*order)
    return caught.value


def error(document: dict[str, object]) -> messages.Error:
    return messages.Error.from_json(dict(document))


def authorization(
    name: str, *problems: dict[str, object] | None, wildcard: bool | None = None
) -> Any:
    challenges = [SimpleNamespace(error=one and error(one)) for one in problems]
    body = SimpleNamespace(
        status=messages.STATUS_INVALID,
        identifier=SimpleNamespace(value=name),
        wildcard=wildcard,
        challenges=challenges,
    )
    return SimpleNamespace(uri=f"https://ca.example/authz/{name}", body=body)


def test_they_are_orders() -> None:
    assert verifyObject(IOrders, orders())


def test_an_order_is_placed_by_certbot() -> None:
    assert orders(place=lambda: "order").place() == "order"


def test_certbot_authorizes_when_it_places() -> None:
    assert orders().authorize("order") == "order"


def test_a_refused_order_tells_the_problem() -> None:
    refusal = refused(orders(place=fails(error(rate_limited()))), "place")
    ((identifier, document),) = refusal.documents
    assert (identifier, document["detail"]) == (None, rate_limited()["detail"])


@pytest.mark.parametrize("step", ["place", "finalize"])
def test_the_cause_is_the_very_error(step: str) -> None:
    cause = error(SERVFAIL)
    made = orders(place=fails(cause), finalize=fails(cause))
    assert refused(made, step, *(["order"] if step == "finalize" else [])).cause is cause


def test_a_failed_authorization_tells_what_was_seen() -> None:
    cause = errors.AuthorizationError("Some challenges have failed.")
    made = orders()

    def place() -> Any:
        made.saw(authorization("b.net", None, at_authorization("why")))
        raise cause

    made._place = place
    refusal = refused(made, "place")
    ((identifier, document),) = refusal.documents
    assert (identifier, document["detail"], refusal.cause) == ("b.net", "why", cause)


def test_a_wildcard_is_told_as_it_was_ordered() -> None:
    made = orders()

    def place() -> Any:
        made.saw(authorization("b.net", at_authorization("why"), wildcard=True))
        raise errors.AuthorizationError("no")

    made._place = place
    assert refused(made, "place").documents[0][0] == "*.b.net"


def test_an_authorization_polled_twice_is_told_once() -> None:
    made = orders()

    def place() -> Any:
        for _ in range(2):
            made.saw(authorization("b.net", at_authorization("why")))
        raise errors.AuthorizationError("no")

    made._place = place
    assert len(refused(made, "place").documents) == 1


def test_a_valid_authorization_tells_nothing() -> None:
    made = orders()
    good = authorization("a.net", at_authorization("an old try"))
    good.body.status = messages.STATUS_VALID

    def place() -> Any:
        made.saw(good)
        raise errors.AuthorizationError("no")

    made._place = place
    assert list(refused(made, "place").documents) == []


def test_what_was_seen_for_an_earlier_order_is_forgotten() -> None:
    made = orders(place=fails(errors.AuthorizationError("no")))
    made.saw(authorization("b.net", at_authorization("why")))
    assert list(refused(made, "place").documents) == []


def test_finalizing_gets_the_same_time_at_each_try() -> None:
    seen: list[float] = []

    def finalize(_order: object, deadline: datetime.datetime, _chains: bool) -> str:
        seen.append((deadline - datetime.datetime.now()).total_seconds())
        return "certificate"

    made = orders(finalize=finalize)
    now = datetime.datetime.now()
    made.finalize_within(now + datetime.timedelta(seconds=90), alternative_chains=False)
    assert [made.finalize("order"), made.finalize("order")] == ["certificate"] * 2
    assert seen == pytest.approx([90.0, 90.0], abs=5)


@pytest.mark.parametrize("chains", [True, False])
def test_alternative_chains_are_asked_for_as_certbot_does(chains: bool) -> None:
    made = orders(finalize=lambda _order, _deadline, wanted: wanted)
    made.finalize_within(datetime.datetime.now(), alternative_chains=chains)
    assert made.finalize("order") is chains


def test_a_refused_finalization_tells_the_order() -> None:
    assert refused(orders(finalize=fails(error(SERVFAIL))), "finalize", "order").order == "order"


def test_subproblems_come_along() -> None:
    document = several_at_finalize("a.net", "*.b.net", text=failed_lookup)
    refusal = refused(orders(finalize=fails(error(document))), "finalize", "order")
    found = refusal.documents[0][1]["subproblems"]
    assert [one["identifier"]["value"] for one in found] == ["a.net", "*.b.net"]  # type: ignore[attr-defined]


def test_an_order_that_ended_invalid_tells_its_problem() -> None:
    cause = acme_errors.IssuanceError(error(SERVFAIL))
    refusal = refused(orders(finalize=fails(cause)), "finalize", "order")
    assert (refusal.documents[0][1]["detail"], refusal.cause) == (SERVFAIL["detail"], cause)


@pytest.mark.parametrize("step", ["place", "finalize"])
@pytest.mark.parametrize("other", [OSError("gone"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
def test_what_is_no_refusal_passes_and_is_known_as_certbots(
    step: str, other: BaseException
) -> None:
    made = orders(place=fails(other), finalize=fails(other))
    with pytest.raises(type(other)) as caught:
        getattr(made, step)(*(["order"] if step == "finalize" else []))
    assert caught.value is other
    assert made.raised is other


@pytest.mark.parametrize(
    "cause",
    [error(SERVFAIL), acme_errors.IssuanceError(error(SERVFAIL)), OSError("gone")],
    ids=["problem", "issuance", "other"],
)
def test_the_error_of_a_finalization_is_known_as_certbots(cause: Exception) -> None:
    made = orders(finalize=fails(cause))
    with pytest.raises((Refused, OSError)):
        made.finalize("order")
    assert made.raised is cause


def test_the_status_is_fetched() -> None:
    made = orders()
    made._acme.net.status = "invalid"
    assert made.refresh(SimpleNamespace(uri="https://ca.example/order/1")) == "invalid"


@pytest.mark.parametrize(
    "post",
    [
        fails(OSError("gone")),
        lambda *_args, **_more: SimpleNamespace(json=list),
        lambda *_args, **_more: SimpleNamespace(json=dict),
    ],
    ids=["no answer", "nonsense", "no status"],
)
def test_a_status_that_cannot_be_had_is_empty(post: Any) -> None:
    made = orders()
    made._acme.net.post = post
    assert made.refresh(SimpleNamespace(uri="https://ca.example/order/1")) == ""


def old_acmes_own() -> ValueError:
    """What acme before 2.8 makes of a connection that cannot be had."""
    try:
        try:
            raise ConnectionError("no route to host")
        except ConnectionError:
            raise ValueError("Requesting ca.example/acme: no route to host")  # noqa: B904
    except ValueError as error:
        return error


def asking(url: str, kind: type[RequestException] = ConnectionError) -> RequestException:
    """A request that came to nothing."""
    return kind("no answer", request=Request("POST", url).prepare())


def answered(status: int, **headers: str) -> Any:
    return SimpleNamespace(status_code=status, ok=status < 400, headers=headers)


@pytest.mark.parametrize("step", ["place", "finalize"])
@pytest.mark.parametrize(
    "loss",
    [
        ConnectionError("reset by peer"),
        Timeout("too long"),
        asking("https://ca.example/new-order"),
        old_acmes_own(),
        acme_errors.ClientError(answered(502)),
    ],
    ids=["reset", "timeout", "to a host of the CA", "old acme", "bad gateway"],
)
def test_an_answer_that_is_lost_is_told(step: str, loss: Exception) -> None:
    made = orders(place=fails(loss), finalize=fails(loss))
    with pytest.raises(Lost) as caught:
        getattr(made, step)(*(["order"] if step == "finalize" else []))
    assert (caught.value.cause, made.raised) == (loss, loss)


@pytest.mark.parametrize(
    "other",
    [
        ValueError("something else"),
        acme_errors.ClientError(answered(404)),
        acme_errors.ClientError(),
        acme_errors.TimeoutError(),
        HTTPError("401 Client Error: Unauthorized", response=Response()),
        asking("https://api.dns.example/records"),
        asking("https://api.dns.example/records", Timeout),
    ],
    ids=[
        "a value",
        "not found",
        "nothing",
        "the CA takes too long",
        "an authenticator is refused by its server",
        "an authenticator does not reach its server",
        "an authenticator waits for its server",
    ],
)
def test_what_is_no_loss_passes(other: Exception) -> None:
    with pytest.raises(type(other)) as caught:
        orders(place=fails(other)).place()
    assert caught.value is other


def with_answers(answer: Any, cause: Exception) -> CertbotOrders:
    answers = Answers()

    def place() -> Any:
        answers.saw(answer)
        raise cause

    return CertbotOrders(Acme(Clock()), place, never, answers=answers)


@pytest.mark.parametrize(
    ("header", "until"),
    [
        pytest.param("120", 1_800_000_120.0, id="seconds"),
        pytest.param("Fri, 15 Jan 2027 08:30:00 GMT", 1_800_001_800.0, id="a date"),
        pytest.param("soon", None, id="nonsense"),
        pytest.param("٣", None, id="other digits"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_refusal_tells_until_when_the_ca_wants_to_be_left_alone(
    header: str | None, until: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module.time, "time", lambda: 1_800_000_000.0)
    headers = {} if header is None else {"Retry-After": header}
    made = with_answers(answered(429, **headers), error(rate_limited()))
    assert refused(made, "place").until == until


def test_an_earlier_retry_after_says_nothing_of_a_later_refusal() -> None:
    answers = Answers()
    answers.saw(answered(503, **{"Retry-After": "60"}))
    answers.saw(answered(200))
    assert answers.retry_after is None


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        (answered(429), True),
        (answered(503, **{"Retry-After": "60"}), True),
        (answered(503), False),
        (answered(404), False),
    ],
    ids=["429", "503 with a time", "503 without", "404"],
)
def test_a_busy_ca_may_say_so_without_a_problem_document(answer: Any, limit: bool) -> None:
    cause = acme_errors.ClientError(answer)
    made = with_answers(answer, cause)
    with pytest.raises((Refused, acme_errors.ClientError)) as caught:
        made.place()
    assert isinstance(caught.value, Refused) is limit
    if isinstance(caught.value, Refused):
        ((_, document),) = caught.value.documents
        (reading,) = problem.read(document)
        assert reading.limit is not None
        assert reading.limit.limit is Limit.REQUESTS


class Net:
    """Answers POST-as-GETs, one after the other; the last one again and again."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)
        self.asked: list[str] = []

    def post(self, url: str, obj: object, *, new_nonce_url: str) -> Any:
        assert (obj, new_nonce_url) == (None, "https://ca.example/nonce")
        self.asked.append(url)
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        if isinstance(body, dict):
            return SimpleNamespace(json=lambda: body)
        return SimpleNamespace(text=body, headers={"Link": LINKS})


LINKS = (
    '<https://ca.example/dir>;rel="index", <https://ca.example/chain/2>;rel="alternate", '
    '<https://ca.example/chain/3>;rel="alternate"'
)
PROCESSING = {"status": "processing"}
VALID = {"status": "valid", "certificate": "https://ca.example/chain/1"}


def polling(*bodies: Any, seconds: float = 90.0, chains: bool = False) -> Any:
    made = orders()
    made._acme.net = Net(*bodies)
    now = datetime.datetime.now()
    made.finalize_within(now + datetime.timedelta(seconds=seconds), alternative_chains=chains)
    order = messages.OrderResource(
        uri="https://ca.example/order/1", body=messages.Order(), authorizations=[], csr_pem=b""
    )
    return made, order


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(orders_module.time, "sleep", slept.append)
    return slept


def test_a_certificate_that_is_issued_is_fetched(slept: list[float]) -> None:
    made, order = polling(VALID, "chain")
    assert (made.poll(order).fullchain_pem, slept) == ("chain", [])


def test_one_that_is_being_issued_is_waited_for(slept: list[float]) -> None:
    made, order = polling(PROCESSING, PROCESSING, VALID, "chain")
    assert (made.poll(order).fullchain_pem, slept) == ("chain", [1.0, 1.0])


def test_alternative_chains_are_fetched_where_certbot_wants_them() -> None:
    made, order = polling(VALID, "one", "two", "three", chains=True)
    assert made.poll(order).alternative_fullchains_pem == ["two", "three"]


def test_a_certificate_is_not_waited_for_without_end() -> None:
    made, order = polling(PROCESSING, seconds=-1)
    with pytest.raises(acme_errors.TimeoutError):
        made.poll(order)


def test_an_order_that_turns_invalid_tells_its_problem() -> None:
    made, order = polling({"status": "invalid", "error": SERVFAIL})
    assert refused(made, "poll", order).documents[0][1]["detail"] == SERVFAIL["detail"]


def test_one_that_turns_invalid_without_a_word_is_certbots_affair() -> None:
    made, order = polling({"status": "invalid"})
    with pytest.raises(acme_errors.Error, match="does not say why"):
        made.poll(order)


def order_with(*authorizations: Any) -> Any:
    return SimpleNamespace(authorizations=authorizations)


def valid(name: str, *, wildcard: bool | None = None, status: Any = messages.STATUS_VALID) -> Any:
    made = authorization(name, wildcard=wildcard)
    made.body.status = status
    return made


def deactivating(*, alone: bool = True, fault: Exception | None = None) -> Any:
    done: list[str] = []

    def deactivate_authorization(authzr: Any) -> None:
        if fault is not None:
            raise fault
        done.append(authzr.uri.rpartition("/")[2])

    acme = SimpleNamespace(deactivate_authorization=deactivate_authorization)
    return CertbotOrders(acme, never, never, validates_alone=alone), done


def test_valid_authorizations_of_the_names_are_deactivated() -> None:
    made, done = deactivating()
    order = order_with(valid("a.net"), valid("b.net"), valid("b.net", wildcard=True))
    assert (made.deactivate(order, ["b.net"]), done) == (["b.net"], ["b.net"])


def test_pending_ones_never_are() -> None:
    made, done = deactivating()
    made.deactivate(order_with(valid("b.net", status=messages.STATUS_PENDING)), ["b.net"])
    assert done == []


def test_none_are_where_a_person_would_have_to_validate() -> None:
    made, done = deactivating(alone=False)
    assert (made.deactivate(order_with(valid("b.net")), ["b.net"]), done) == ([], [])


def test_one_that_cannot_be_deactivated_is_left() -> None:
    made, _ = deactivating(fault=error(rate_limited()))
    assert made.deactivate(order_with(valid("b.net")), ["b.net"]) == []


def test_a_failed_authorization_is_told_as_soon_as_it_is_seen() -> None:
    told: list[str] = []
    made = CertbotOrders(Acme(Clock()), never, never, on_failed_authorization=told.append)
    made.saw(authorization("b.net", at_authorization("why"), wildcard=True))
    assert told == ["*.b.net"]
