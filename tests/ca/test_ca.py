"""The CA under test here is itself a test's tool: it must be as strict and as wordy as Boulder."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import acme.messages
import pytest
import requests
from cryptography import x509

from tests.ca import CA, Mode, PebbleError, Spent
from tests.ca.caa import Applicant, Record, parse_record, permits
from tests.ca.client import Client, web_server
from tests.ca.lookups import suffixes
from tests.ca.problems import (
    ExtendedError,
    LookupFailedError,
    as_stored,
    at_finalize,
    caa_refuses,
    caa_unknown,
)
from tests.internet import Internet, delay, servfail

_CAA = "urn:ietf:params:acme:error:caa"
_DNS = "urn:ietf:params:acme:error:dns"
_RECHECK = "Error finalizing order :: rechecking caa: While processing CAA for "
_CASES = json.loads(
    (Path(__file__).parent.parent / "data" / "finalize-problems.json").read_text(encoding="utf-8")
)["cases"]

# What went wrong in each of those cases, as the CA itself sees it.
_DENY = ("www.deny.lab", caa_refuses("www.deny.lab", "deny.lab"))
_CAUSES = {
    "single deny": [_DENY],
    "single deny wildcard": [("*.deny.lab", caa_refuses("*.deny.lab", "deny.lab"))],
    "single SERVFAIL": [
        (
            "www.servfail.lab",
            caa_unknown("www.servfail.lab", LookupFailedError("www.servfail.lab", "SERVFAIL")),
        )
    ],
    "single TLD NXDOMAIN": [
        (
            "www.example.gonetld",
            caa_unknown("www.example.gonetld", LookupFailedError("gonetld", "NXDOMAIN")),
        )
    ],
    "several: deny, wildcard servfail, bogus": [
        _DENY,
        (
            "www.bogus.lab",
            caa_unknown(
                "www.bogus.lab",
                LookupFailedError(
                    "www.bogus.lab",
                    "SERVFAIL",
                    extended=ExtendedError(
                        6,
                        "validation failure <www.bogus.lab. CAA IN>: signature crypto failed "
                        "from 127.0.2.12 for <bogus.lab. SOA IN>",
                    ),
                ),
            ),
        ),
        (
            "*.servfail.lab",
            caa_unknown("*.servfail.lab", LookupFailedError("servfail.lab", "SERVFAIL")),
        ),
    ],
    "timeout + deny": [
        _DENY,
        (
            "www.drop.lab",
            caa_unknown("www.drop.lab", LookupFailedError("www.drop.lab", "query timed out")),
        ),
    ],
}


@pytest.mark.parametrize("case", _CASES, ids=[case["note"] for case in _CASES])
def test_problems_read_as_boulders(case: dict[str, Any]) -> None:
    problem = at_finalize(_CAUSES[case["note"]])
    assert problem == case["body"]
    assert as_stored(problem) == case["order_error"]


_ACCOUNT = "https://ca.test/my-account/1"
_LE = b"letsencrypt.org"


def _issue(value: bytes) -> Record:
    return Record(0, "issue", value)


@pytest.mark.parametrize(
    ("records", "identifier", "permitted"),
    [
        ([_issue(_LE)], "a.test", True),
        ([_issue(b" \tletsencrypt.org ;")], "a.test", True),
        ([_issue(b"LetsEncrypt.org")], "a.test", False),
        ([_issue(b"other-ca.example")], "a.test", False),
        ([_issue(b"other-ca.example"), _issue(_LE)], "a.test", True),
        ([_issue(b";")], "a.test", False),
        ([_issue(b"")], "a.test", False),
        ([Record(0, "iodef", b"mailto:a@b.test")], "a.test", True),
        ([Record(128, "tbs", b"x")], "a.test", False),
        ([Record(1, "tbs", b"x"), _issue(_LE)], "a.test", False),
        ([Record(0x7E, "tbs", b"x")], "a.test", True),
        ([Record(128, "iodef", b"x")], "a.test", True),
        ([Record(0, "issuewild", b";")], "a.test", True),
        ([Record(0, "issuewild", b";")], "*.a.test", False),
        ([_issue(_LE), Record(0, "issuewild", b"other-ca.example")], "*.a.test", False),
        ([_issue(b";"), Record(0, "issuewild", _LE)], "*.a.test", True),
        ([_issue(_LE)], "*.a.test", True),
        ([_issue(_LE + b"; foo=bar;baz=bar")], "a.test", True),
        ([_issue(_LE + b"; a-b=c")], "a.test", False),
        ([_issue(_LE + b"; a=b;")], "a.test", False),
        ([_issue(_LE + b"; a=1 2")], "a.test", False),
        ([_issue(_LE + b";;")], "a.test", False),
        ([_issue(_LE + b"; a")], "a.test", False),
        ([_issue(_LE + b"; a=\xc3\xa9")], "a.test", False),
        ([_issue(_LE + b"; accounturi=" + _ACCOUNT.encode())], "a.test", True),
        ([_issue(_LE + b"; accounturi=https://ca.test/my-account/2")], "a.test", False),
        ([_issue(_LE + b"; accounturi=")], "a.test", False),
        ([_issue(_LE + b"; AccountURI=https://ca.test/my-account/2")], "a.test", True),
        ([_issue(_LE + b"; validationmethods=dns-01")], "a.test", False),
        ([_issue(_LE + b"; validationmethods=dns-01,http-01")], "a.test", True),
        ([_issue(_LE + b"; validationmethods=,http-01")], "a.test", False),
        ([_issue(_LE + b"; validationmethods=http-01,,")], "a.test", True),
        (
            [_issue(_LE + b"; validationmethods=http-01; validationmethods=http-01")],
            "a.test",
            False,
        ),
    ],
)
def test_judgement(records: list[Record], identifier: str, permitted: bool) -> None:
    assert permits(records, Applicant(identifier, _ACCOUNT, "http-01")) is permitted


@pytest.mark.parametrize(
    ("rdata", "record"),
    [
        (b"\0\5ISSUEx", Record(0, "issue", b"x")),
        (b"\x80\0x", Record(128, "", b"x")),
        (b"", Record(0, "", b"")),
        (b"\1", Record(1, "", b"")),
    ],
)
def test_rdata_is_read_as_it_comes(rdata: bytes, record: Record) -> None:
    assert parse_record(rdata) == record


def test_rdata_whose_tag_overruns_is_an_error() -> None:
    with pytest.raises(ValueError, match="overruns"):
        parse_record(b"\0\5iss")


def test_climb_ends_at_the_tld() -> None:
    assert suffixes("*.B.Example.net") == ["b.example.net", "example.net", "net"]


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {
        "good.net": [],
        "also.net": [],
        "denied.net": ['@ CAA 0 issue "other-ca.example"'],
        "mended.net": [],
        "odd.net": [r"@ TYPE257 \# 3 000078"],
    }
    with Internet(tmp_path_factory.mktemp("internet"), zones) as running:
        yield running


@pytest.fixture
def ca(internet: Internet, tmp_path: Path) -> Iterator[CA]:
    internet.forget()
    address = internet.block.address(110)
    with CA(
        tmp_path / "ca", address=address, web=internet.web, resolver=internet.ca_resolver
    ) as running:
        yield running


@pytest.fixture
def client(ca: CA) -> Iterator[Client]:
    files: dict[str, str] = {}
    with web_server(ca.web, ca.http_port, files):
        one = Client(ca, files)
        yield one
        one.close()


def _lifetime(certificate: x509.Certificate) -> float:
    """Seconds; by the names that cryptography has for the dates since 42, or had before."""
    if hasattr(certificate, "not_valid_after_utc"):
        span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    else:
        span = certificate.not_valid_after - certificate.not_valid_before
    return span.total_seconds()


def test_a_permitted_order_gets_its_certificate(ca: CA, client: Client) -> None:
    order = client.order("good.net", "www.good.net")
    client.authorize(order)
    done = client.finalize(order)
    chain = client.post(done["certificate"]).content
    certificate = x509.load_pem_x509_certificate(chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"good.net", "www.good.net"}
    assert abs(_lifetime(certificate) - 90 * 86400) < 10
    assert ca.spent == Spent(orders=1, finalizations=1, certificates=1, validations=2)
    assert ca.orders == [("good.net", "www.good.net")]
    csr = x509.load_pem_x509_csr(order.csr_pem)
    der = base64.b64decode("".join(order.csr_pem.decode().splitlines()[1:-1]))
    assert csr.is_signature_valid
    assert ca.csr_hashes == [hashlib.sha256(der).hexdigest()]
    assert sorted(ca.lookups) == [("good.net", "authorization"), ("www.good.net", "authorization")]
    ca.reset()
    assert ca.spent == Spent()
    assert (ca.orders, ca.csr_hashes, ca.lookups) == ([], [], [])


def test_a_denial_is_the_error_of_the_challenge(ca: CA, client: Client) -> None:
    order = client.order("good.net", "www.denied.net")
    authorizations = client.authorize(order)
    denied = authorizations["www.denied.net"]
    (challenge,) = denied["challenges"]
    assert denied["status"] == challenge["status"] == "invalid"
    assert challenge["error"] == {
        "type": _CAA,
        "detail": "While processing CAA for www.denied.net: CAA record for denied.net "
        "prevents issuance",
        "status": 403,
    }
    assert challenge["validationRecord"][0]["hostname"] == "www.denied.net"
    assert authorizations["good.net"]["status"] == "valid"
    document = client.get(order.uri)
    assert document["status"] == "invalid"
    assert "error" not in document
    assert ca.spent == Spent(orders=1, failed_authorizations=1, validations=1)


def test_the_next_order_reuses_what_is_valid(ca: CA, internet: Internet, client: Client) -> None:
    internet.publish("mended.net", "CAA", '0 issue "other-ca.example"')
    first = client.authorize(client.order("good.net", "mended.net"))
    internet.withdraw("mended.net", "CAA")
    order = client.order("good.net", "mended.net")
    second = client.authorizations(order)
    assert second["good.net"]["url"] == first["good.net"]["url"]
    assert second["mended.net"]["url"] != first["mended.net"]["url"]
    assert second["mended.net"]["status"] == "pending"
    assert client.get(order.uri)["status"] == "pending"
    client.authorize(order)
    assert client.finalize(order)["status"] == "valid"
    assert ca.spent == Spent(2, 1, 1, 1, validations=2)


def test_a_failed_lookup_is_a_dns_error(internet: Internet, client: Client) -> None:
    internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
    found = client.authorize(client.order("slow.good.net"))["slow.good.net"]
    assert found["challenges"][0]["error"] == {
        "type": _DNS,
        "detail": "While processing CAA for slow.good.net: DNS problem: SERVFAIL looking up CAA "
        "for net - the domain's nameservers may be malfunctioning",
        "status": 400,
    }


def test_domain_control_comes_before_caa(ca: CA, client: Client) -> None:
    order = client.order("denied.net")
    challenge = client.challenge(client.authorizations(order)["denied.net"], "http-01")
    client.acme.answer_challenge(challenge, challenge.response(client.key))
    found = client.settle(order.body.authorizations[0])
    assert found["challenges"][0]["error"]["type"].endswith(":unauthorized")
    assert ca.lookups == []


def test_an_empty_tag_is_no_failure(client: Client) -> None:
    assert client.authorize(client.order("odd.net"))["odd.net"]["status"] == "valid"


def test_a_check_under_way_is_seen(internet: Internet, client: Client) -> None:
    order = client.order("late.good.net")
    authorization = client.authorizations(order)["late.good.net"]
    internet.tlds.script(delay(0.5), owner="net", qtype="CAA", lookups=1)
    client.attempt(authorization)
    url = client.challenge(authorization, "http-01").uri
    assert client.get(url)["status"] == "processing"
    assert client.settle(authorization["url"])["status"] == "valid"


def test_records_may_name_the_account(internet: Internet, client: Client) -> None:
    account = client.account
    for name, uri in (("mine.also.net", account), ("other.also.net", account + "0")):
        internet.publish(name, "CAA", f'0 issue "letsencrypt.org; accounturi={uri}"')
    found = client.authorize(client.order("mine.also.net", "other.also.net"))
    assert found["mine.also.net"]["status"] == "valid"
    assert found["other.also.net"]["challenges"][0]["error"]["type"] == _CAA


def test_wildcards_keep_their_asterisk(ca: CA, internet: Internet, client: Client) -> None:
    order = client.order("*.denied.net")
    authorization = client.authorizations(order)["*.denied.net"]
    challenge = client.challenge(authorization, "dns-01")
    owner = challenge.chall.validation_domain_name("denied.net")
    internet.publish(owner, "TXT", challenge.chall.validation(client.key))
    client.acme.answer_challenge(challenge, challenge.response(client.key))
    found = client.settle(authorization["url"])
    internet.withdraw(owner, "TXT")
    assert found["challenges"][0]["error"]["detail"] == (
        "While processing CAA for *.denied.net: CAA record for denied.net prevents issuance"
    )
    assert ca.lookups == [("*.denied.net", "authorization")]


def test_caa_can_be_left_out_at_authorization(ca: CA, client: Client) -> None:
    ca.check_at_authorization = False
    order = client.order("denied.net")
    assert client.authorize(order)["denied.net"]["status"] == "valid"
    assert client.finalize(order)["status"] == "valid"
    assert ca.lookups == []


def _fail_finalize(client: Client, order: acme.messages.OrderResource) -> acme.messages.Error:
    with pytest.raises(acme.messages.Error) as caught:
        client.finalize(order)
    return caught.value


def _servfail_detail(name: str) -> str:
    return (
        f"{_RECHECK}{name}: DNS problem: SERVFAIL looking up CAA for net - "
        "the domain's nameservers may be malfunctioning"
    )


def test_mode_a_leaves_the_order_ready(ca: CA, internet: Internet, client: Client) -> None:
    order = client.order("a.good.net")
    client.authorize(order)
    ca.stale = True
    internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
    error = _fail_finalize(client, order)
    assert (error.typ, error.detail) == (_CAA, _servfail_detail("a.good.net"))
    assert error.identifier is None
    assert not error.subproblems
    assert client.get(order.uri)["status"] == "ready"
    again = client.order("a.good.net")
    assert again.uri == order.uri
    internet.forget()
    assert client.finalize(order)["status"] == "valid"
    assert client.order("a.good.net").uri != order.uri
    assert ca.spent == Spent(3, 0, 2, 1, 1)
    assert ca.csr_hashes[0] == ca.csr_hashes[1]
    assert ca.lookups[1:] == [("a.good.net", "finalize")] * 2


def test_mode_b_ends_the_order_at_once(ca: CA, internet: Internet, client: Client) -> None:
    ca.mode, ca.stale = Mode.B, True
    order = client.order("b.good.net")
    client.authorize(order)
    internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
    assert _fail_finalize(client, order).detail == _servfail_detail("b.good.net")
    document = client.get(order.uri)
    assert document["status"] == "invalid"
    assert document["error"] == {
        "type": _CAA,
        "detail": _servfail_detail("b.good.net"),
        "status": 403,
    }
    assert _fail_finalize(client, order).code == "orderNotReady"
    internet.forget()
    again = client.order("b.good.net")
    assert again.uri != order.uri
    assert again.body.status == acme.messages.STATUS_READY
    assert client.finalize(again)["status"] == "valid"
    assert ca.spent == Spent(2, 0, 3, 1, 1)


def test_mode_c_ends_the_order_later(ca: CA, internet: Internet, client: Client) -> None:
    ca.mode, ca.stale = Mode.C, True
    order = client.order("c.good.net")
    client.authorize(order)
    internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
    response = client.begin_finalization(order)
    assert (response.status_code, response.headers["Retry-After"]) == (200, "3")
    assert response.json()["status"] == "processing"
    document = client.settle(order.uri)
    assert (document["status"], document["error"]["detail"]) == (
        "invalid",
        _servfail_detail("c.good.net"),
    )
    internet.forget()
    again = client.order("c.good.net")
    assert again.uri != order.uri
    assert client.finalize(again)["status"] == "valid"
    assert ca.spent == Spent(2, 0, 2, 1, 1)


def _denied_later(ca: CA, client: Client) -> acme.messages.OrderResource:
    """Place an order whose CAA is looked at for the first time when it is finalized."""
    ca.check_at_authorization, ca.stale = False, True
    order = client.order("good.net", "denied.net", "www.denied.net")
    client.authorize(order)
    return order


def test_several_failing_names_become_subproblems(ca: CA, client: Client) -> None:
    order = _denied_later(ca, client)
    error = _fail_finalize(client, order)
    subproblems = error.subproblems or ()
    names = [sub.identifier.value for sub in subproblems if sub.identifier]
    assert sorted(names) == ["denied.net", "www.denied.net"]
    assert error.detail == (
        f'Error finalizing order :: Rechecking CAA for "{names[0]}" and 1 more identifiers '
        "failed. Refer to sub-problems for more information"
    )
    assert {sub.detail for sub in subproblems} == {
        f"{_RECHECK}{name}: CAA record for denied.net prevents issuance" for name in names
    }
    assert sorted(ca.lookups) == sorted((name, "finalize") for name in [*names, "good.net"])


@pytest.mark.parametrize("mode", [Mode.B, Mode.C])
def test_subproblems_are_not_stored(ca: CA, client: Client, mode: Mode) -> None:
    ca.mode = mode
    order = _denied_later(ca, client)
    if mode is Mode.B:
        assert len(_fail_finalize(client, order).subproblems or ()) == 2
        error = client.get(order.uri)["error"]
    else:
        error = client.finalize(order)["error"]
    assert sorted(error) == ["detail", "status", "type"]


def test_an_untouched_pending_order_is_given_again(client: Client) -> None:
    order = client.order("good.net", "also.net")
    assert client.order("also.net", "good.net").uri == order.uri
    assert client.order("also.net").uri != order.uri


def test_canned_problems(ca: CA, client: Client) -> None:
    limited = {
        "type": "urn:ietf:params:acme:error:rateLimited",
        "detail": "too many",
        "status": 429,
    }
    ca.inject(limited, at="new-order", retry_after=7)
    with pytest.raises(acme.messages.Error, match="too many"):
        client.order("good.net")
    assert ca.spent.orders == 0
    unsure = {**limited, "detail": "During secondary validation: no", "status": 403}
    ca.inject(unsure, at="validation")
    failed = client.authorize(client.order("good.net"))["good.net"]
    assert failed["challenges"][0]["error"] == unsure
    order = client.order("good.net")
    client.authorize(order)
    ca.inject(unsure, at="finalize")
    assert _fail_finalize(client, order).detail == unsure["detail"]
    ca.inject(unsure, at="issuance")
    assert client.finalize(order)["error"] == unsure
    with pytest.raises(ValueError, match="no such place"):
        ca.inject(unsure, at="nowhere")


@pytest.mark.parametrize("identities", [(), ("ca.example", "ca2.example")])
def test_identities(internet: Internet, tmp_path: Path, identities: tuple[str, ...]) -> None:
    with CA(
        tmp_path,
        address=internet.block.address(111),
        web=internet.web,
        resolver=internet.ca_resolver,
        identities=identities,
    ) as ca:
        client = Client(ca, {})
        client.close()
        meta = client.acme.directory.meta
        assert tuple(meta.caa_identities or ()) == identities


def test_certificate_lifetime(ca: CA, internet: Internet, tmp_path: Path) -> None:
    files: dict[str, str] = {}
    with (
        web_server(ca.web, 5003, files),
        CA(
            tmp_path / "short",
            address=internet.block.address(112),
            web=internet.web,
            resolver=internet.ca_resolver,
            http_port=5003,
            certificate_seconds=3600,
        ) as short,
    ):
        client = Client(short, files)
        order = client.order("good.net")
        client.authorize(order)
        chain = client.post(client.finalize(order)["certificate"]).content
        client.close()
    certificate = x509.load_pem_x509_certificate(chain)
    assert abs(_lifetime(certificate) - 3600) < 10


def test_without_pebble_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ca = CA(tmp_path, address="127.0.0.1", web="127.0.0.1", resolver="127.0.0.1")
    with pytest.raises(PebbleError, match="apt-get install"), ca:
        pass


def test_a_lost_answer_is_lost_on_the_way_back_only(ca: CA, client: Client) -> None:
    ca.lose_answers(["new-order"], 1.0, seed=1)
    with pytest.raises(requests.ConnectionError):
        client.order("good.net")
    assert (ca.spent.orders, ca.lost_answers) == (1, 1)
    ca.lose_answers([], 0.0, seed=1)
    client.order("good.net")
    assert ca.lost_answers == 0
