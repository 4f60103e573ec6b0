"""A CA's problems are found in whatever a person pastes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard import problem
from certbot_caa_guard.console import transcript
from certbot_caa_guard.problem import At, Meaning, Reading
from certbot_caa_guard.ratelimit import Limit

_CASES = json.loads(
    (Path(__file__).parents[1] / "data" / "finalize-problems.json").read_text("utf-8")
)["cases"]
_SEVERAL: dict[str, Any] = _CASES[4]["body"]
_CAA = "urn:ietf:params:acme:error:caa"
_DESCRIPTION = (
    "Certification Authority Authorization (CAA) records forbid the CA from issuing a certificate"
)
_SUBPROBLEMS = _SEVERAL["subproblems"]


def _lego(document: dict[str, Any]) -> str:
    """As lego and Traefik write it: all in one line."""
    more = "".join(
        f', problem: "{one["type"]}" :: {one["detail"]}' for one in document["subproblems"]
    )
    return (
        "error: one or more domains had a problem: acme: error: 403 :: POST :: "
        f"https://ca.example/finalize/1/2 :: {document['type']} :: {document['detail']}{more}"
    )


def _caddy(document: dict[str, Any]) -> str:
    more = "".join(f', problem "{one["type"]}": {one["detail"]}' for one in document["subproblems"])
    return f"HTTP 403 {document['type']} - {document['detail']}{more}"


_ACME = "\n".join(
    [
        f"{_CAA} :: {_DESCRIPTION} :: {_SEVERAL['detail']}",
        *(
            f"Problem for {one['identifier']['value']}: {_CAA} :: {_DESCRIPTION} :: {one['detail']}"
            for one in _SUBPROBLEMS
        ),
    ]
)
_PRETTY = json.dumps(_SEVERAL, indent=2)

_LOGS_OF_SEVERAL = {
    "a problem document": json.dumps(_SEVERAL),
    "a list of them": json.dumps(_SUBPROBLEMS),
    "a pretty one": _PRETTY,
    "an order": json.dumps({"status": "invalid", "error": _SEVERAL}),
    "certbot's terminal": f"Renewing an existing certificate\nAn unexpected error occurred:\n"
    f"{_ACME.removeprefix(_CAA + ' :: ')}\nAsk for help or search for solutions.\n",
    "a traceback": f"Traceback (most recent call last):\n  File x\nacme.messages.Error: {_ACME}\n",
    "certbot's log": "2026-11-21 04:18:58,123:DEBUG:acme.client:Received response:\nHTTP 403\n"
    f"Server: nginx\nContent-Type: application/problem+json\n\n{_PRETTY}\n"
    "2026-11-21 04:18:58,124:DEBUG:certbot._internal.log:Exiting abnormally:\nTraceback:\n"
    f"acme.messages.Error: {_ACME}\n2026-11-21 04:18:58,125:ERROR:certbot._internal.log:{_ACME}\n",
    "lego": _lego(_SEVERAL),
    "Traefik": f'time="2026-11-21T04:18:58Z" level=error msg={json.dumps(_lego(_SEVERAL))} '
    'ACME CA="https://ca.example" domains="[www.deny.lab]"',
    "Caddy's message": _caddy(_SEVERAL),
    "Caddy's log": json.dumps({"level": "error", "ts": 1.5, "error": _caddy(_SEVERAL)}),
    "a journal with Caddy's log": "Nov 21 04:18:58 host caddy[7]: "
    + json.dumps({"level": "error", "msg": "validating", "problem": _SEVERAL}),
    "acme.sh's log": "[Sat Nov 21 04:18:58 UTC 2026] Sign failed, finalize code is not 200.\n"
    f"[Sat Nov 21 04:18:58 UTC 2026] response='{json.dumps(_SEVERAL)}'\n",
    "cert-manager": "E1121 04:18:58.1 sync.go:1] Failed to finalize Order: 403 "
    f"{_CAA}: {_SEVERAL['detail']}; subproblems:\n"
    + "\n".join(
        f"\t{_CAA}: [dns: {one['identifier']['value']}] {one['detail']}" for one in _SUBPROBLEMS
    ),
    "a quoted mail": "\n".join(f"> {line}" for line in _ACME.splitlines()),
    "JSON in JSON": json.dumps({"log": json.dumps({"error": _SEVERAL})}),
}


@pytest.mark.parametrize("log", _LOGS_OF_SEVERAL.values(), ids=_LOGS_OF_SEVERAL)
def test_all_clients_logs_tell_the_same(log: str) -> None:
    readings = {one.identifier: one for one in transcript.read(log)}
    assert readings == {one.identifier: one for one in problem.read(_SEVERAL)}


def test_a_document_alone_is_read_as_the_guard_reads_it() -> None:
    """Where one of several problems is not about CAA, that is said."""
    other = {"type": "urn:ietf:params:acme:error:malformed", "detail": "No."}
    document = {**_SEVERAL, "subproblems": [_SUBPROBLEMS[0], other]}
    readings = transcript.read(json.dumps(document, indent=1))
    assert readings == problem.read(document)
    assert readings[-1].meaning is Meaning.NOT_CAA


def _denied(identifier: str | None, owner: str, at: At = At.AUTHORIZATION) -> Reading:
    return Reading(Meaning.DENIED, identifier, owner, at=at)


def _failed(identifier: str | None, owner: str, at: At = At.AUTHORIZATION) -> Reading:
    return Reading(Meaning.TRANSIENT, identifier, owner, "SERVFAIL", at=at)


_AUTHORIZATION = {
    "identifier": {"type": "dns", "value": "a.example"},
    "status": "invalid",
    "challenges": [
        {"type": "http-01", "status": "pending"},
        {
            "type": "dns-01",
            "error": {"type": _CAA, "detail": "CAA record for example prevents issuance"},
        },
    ],
    "wildcard": True,
}

_TERMINAL = """
Certbot failed to authenticate some domains (authenticator: manual). The Certificate Authority \
reported these problems:
  Domain: a.example
  Type:   caa
  Detail: CAA record for
    example prevents issuance

  Identifier: b.example
  Type:   dns
  Detail: While processing CAA for *.b.example: DNS problem: SERVFAIL looking up CAA
  for example - the domain's nameservers may be malfunctioning

Hint: The Certificate Authority failed to verify the DNS TXT records.
"""


@pytest.mark.parametrize(
    ("log", "readings"),
    [
        pytest.param(
            "While processing CAA for a.example: CAA record for example prevents issuance",
            [_denied("a.example", "example")],
            id="the CA's own words",
        ),
        pytest.param(
            "acme.messages.Error: While processing CAA for a.example:\n CAA record\nfor example "
            "prevents issuance\n",
            [_denied("a.example", "example")],
            id="the CA's own words, wrapped",
        ),
        pytest.param(
            json.dumps(_AUTHORIZATION), [_denied("*.a.example", "example")], id="an authorization"
        ),
        pytest.param(
            _TERMINAL,
            [_denied("a.example", "example"), _failed("*.b.example", "example")],
            id="certbot's terminal",
        ),
        pytest.param(
            "Error finalizing order :: Rechecking CAA: While processing CAA for a.example: DNS "
            "problem: SERVFAIL\nlooking up CAA for a.example, While processing CAA for b.example: "
            "CAA record for b.example prevents issuance",
            [
                _failed("a.example", "a.example", At.FINALIZE),
                _denied("b.example", "b.example", At.FINALIZE),
            ],
            id="a list, as it once was",
        ),
        pytest.param(
            'acme: error: 403 :: urn:ietf:params:acme:error:caa :: "CAA record for a.example '
            'prevents issuance", url: https://ca.example/1',
            [_denied(None, "a.example")],
            id="no identifier",
        ),
        pytest.param(
            "[www.a.example] invalid authorization: acme: error: 403 :: urn:ietf:params:acme:error"
            ":caa :: CAA record for a.example prevents issuance, url: https://ca.example/1",
            [_denied("www.a.example", "a.example")],
            id="lego",
        ),
        pytest.param(
            "Attempting to renew cert (a.example) from /etc/x.conf produced an unexpected error: "
            "Failed authorization procedure. www.a.example (http-01): urn:acme:error:caa :: CAA "
            "record for a.example prevents issuance, b.example (tls-sni-01): "
            "urn:ietf:params:acme:error:dns :: There was a problem with a DNS query :: DNS "
            "problem: SERVFAIL looking up CAA for example. Skipping.",
            [_denied("www.a.example", "a.example"), _failed("b.example", "example")],
            id="certbot before 2.0",
        ),
        pytest.param(
            "Error accepting authorization: acme: authorization error for a.example: 400 "
            "urn:ietf:params:acme:error:dns: DNS problem: SERVFAIL looking up CAA for example",
            [_failed("a.example", "example")],
            id="cert-manager",
        ),
        pytest.param(
            "[Sun May 20 03:15:40 MSK 2018] *.a.example:Verify error:CAA record for a.example "
            "prevents issuance\n[Sun May 20 03:15:40 MSK 2018] Please add '--debug'",
            [_denied("*.a.example", "a.example")],
            id="acme.sh, in 2018",
        ),
        pytest.param(
            ' + ERROR: Challenge is invalid! (returned: invalid) (result: ["type"]\t"http-01"\n'
            '["error","detail"]\t"While processing CAA for a.example: DNS problem: SERVFAIL '
            "looking up CAA for example - the domain's nameservers may be malfunctioning\"\n"
            '["error"]\t{"type":"urn:ietf:params:acme:error:dns","detail":"While processing CAA '
            'for a.example: DNS problem: SERVFAIL looking up CAA for example","status":400}',
            [_failed("a.example", "example")],
            id="dehydrated",
        ),
        pytest.param(
            "Nov 21 04:18:58 host certbot[7]:   Domain: a.example\n"
            "Nov 21 04:18:58 host certbot[7]:   Type:   caa\n"
            "Nov 21 04:18:58 host certbot[7]:   \x1b[31mDetail: CAA record for \x1b[1mexample"
            "\x1b[0m prevents issuance\n",
            [_denied("a.example", "example")],
            id="a journal, in colour",
        ),
        pytest.param(
            "[Sun May 20 03:15:40 2018] *.a.example:Verify error:While processing CAA for "
            "*.a.example: CAA record for a.example prevents issuance",
            [_denied("*.a.example", "a.example")],
            id="acme.sh",
        ),
        pytest.param(
            '{"identifier": "a.example", "problem": {"type": "x", "detail": "CAA record for '
            'a.example prevents issuance"}}',
            [_denied("a.example", "a.example")],
            id="Caddy's identifier",
        ),
        pytest.param(
            "1: While processing CAA for a.example: DNS problem: SERVFAIL looking up CAA for "
            "example\n\n2: While processing CAA for a.example: CAA record for example prevents "
            "issuance",
            [_denied("a.example", "example")],
            id="the last word counts",
        ),
        pytest.param(
            "x: Detail: CAA record for a.example prevents issuance\n\n"
            "x: While processing CAA for a.example: CAA record for a.example prevents issuance",
            [_denied("a.example", "a.example")],
            id="once with its identifier and once without",
        ),
        pytest.param(
            "x Error finalizing order :: rechecking caa: During secondary validation: "
            "Secondary validation RPC failed",
            [
                Reading(
                    Meaning.TRANSIENT,
                    error="Secondary validation RPC failed",
                    secondary=True,
                    at=At.FINALIZE,
                )
            ],
            id="whatever happens at the recheck",
        ),
        pytest.param("It does not work", [Reading(Meaning.NOT_CAA)], id="nothing about CAA"),
        pytest.param(
            '{"type": "urn:ietf:params:acme:error:dns", "detail": "DNS problem: NXDOMAIN looking '
            'up A for a.example", "status": 400}',
            [Reading(Meaning.NOT_CAA)],
            id="another problem",
        ),
        pytest.param('{"detail"', [Reading(Meaning.NOT_CAA)], id="half of a document"),
        pytest.param(
            '{"identifier": {"value": 1}, "wildcard": "x"}', [Reading(Meaning.NOT_CAA)], id="odd"
        ),
    ],
)
def test_what_the_ca_said_is_found(log: str, readings: list[Reading]) -> None:
    assert transcript.read(log) == tuple(readings)


_PAUSED = (
    "Your account is temporarily prevented from requesting certificates for a.example and possibly "
    "others. Please visit: https://p.example/unpause?jwt=a.b.c"
)
_FAILED_OFTEN = (
    'too many failed authorizations (5) for "a.example" in the last 1h0m0s, retry after 2026-08-21 '
    "06:27:45 UTC: see https://ca.example/limits"
)


@pytest.mark.parametrize(
    ("log", "limit", "url"),
    [
        pytest.param(_PAUSED, Limit.PAUSED, "https://p.example/unpause?jwt=a.b.c", id="paused"),
        pytest.param(
            "An unexpected error occurred:\nThere were too many requests of a given type :: "
            f"{_PAUSED}\nAsk for help",
            Limit.PAUSED,
            "https://p.example/unpause?jwt=a.b.c",
            id="paused, in certbot's terminal",
        ),
        pytest.param(
            "acme: error: 429 :: POST :: https://ca.example :: "
            f"urn:ietf:params:acme:error:rateLimited :: {_FAILED_OFTEN}, url: https://x.example",
            Limit.FAILED_AUTHORIZATIONS,
            "https://ca.example/limits",
            id="lego",
        ),
        pytest.param(
            json.dumps({"type": "urn:ietf:params:acme:error:rateLimited", "detail": _FAILED_OFTEN}),
            Limit.FAILED_AUTHORIZATIONS,
            "https://ca.example/limits",
            id="a problem document",
        ),
        pytest.param(
            "2026-11-21 04:18: x\nurn:ietf:params:acme:error:rateLimited :: Slow down, a.example",
            Limit.OTHER,
            None,
            id="another CA's",
        ),
    ],
)
def test_a_rate_limit_is_found(log: str, limit: Limit, url: str | None) -> None:
    (reading,) = transcript.read(log)
    assert reading.limit is not None
    assert (reading.meaning, reading.limit.limit, reading.limit.url) == (
        Meaning.RATE_LIMITED,
        limit,
        url,
    )


_MUCH = 50_000


@pytest.mark.parametrize(
    "log",
    [
        pytest.param("{" * _MUCH, id="braces"),
        pytest.param('{"a":' * 10_000, id="objects without end"),
        pytest.param('{"a":[' * 10_000, id="objects and lists without end"),
        pytest.param('{"a": "x"}' * 5_000, id="objects"),
        pytest.param("While processing CAA for a: " * 2_000, id="the same again and again"),
        pytest.param("DNS problem: looking up CAA for a: " * 1_500, id="errors"),
        pytest.param("rechecking caa: x " * 3_000, id="rechecks"),
        pytest.param(
            "Your account is temporarily prevented from requesting certificates for " * 700,
            id="pauses",
        ),
        pytest.param("Domain: \n" * 5_000, id="lines"),
        pytest.param("too many certificates " * 2_500, id="limits"),
        pytest.param(" \n" * _MUCH, id="nothing"),
        pytest.param(
            ("a." * 200 + "DNS problem: x looking up CAA for a ") * 500, id="names without end"
        ),
    ],
)
def test_a_huge_text_is_read_in_time(log: str) -> None:
    start = time.process_time()
    assert transcript.read("x" + log)
    assert time.process_time() - start < 2.0


def test_objects_nested_without_end_are_read_as_deep_as_anyone_would() -> None:
    nested: Any = {"detail": "CAA record for a.example prevents issuance"}
    for _ in range(100):
        nested = {"error": nested}
    assert transcript.read(json.dumps(nested)) == (Reading(Meaning.NOT_CAA),)
    text = "CAA record for a.example prevents issuance"
    for _ in range(14):
        text = json.dumps({"log": text})
    assert transcript.read(text) == (Reading(Meaning.NOT_CAA),)
