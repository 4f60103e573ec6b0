"""certbot's orders, as one issuance drives them."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from acme import errors as acme_errors
from acme import messages
from certbot import errors
from zope.interface.verify import verifyObject

from certbot_caa_guard.interfaces import IOrders
from certbot_caa_guard.issuance import Refused
from certbot_caa_guard.plugin.orders import CertbotOrders
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
