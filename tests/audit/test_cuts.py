"""Zone cuts and aliases are read from answers, and nothing is believed of other zones."""

from __future__ import annotations

import pytest

from certbot_caa_guard.audit.cuts import apex_servers, cut, follow, is_useful
from certbot_caa_guard.audit.matrix import Answer
from certbot_caa_guard.audit.questions import probes
from certbot_caa_guard.resolvers.iterative.message import DNAME, A, Reply
from tests.audit.builder import (
    SHOP,
    WWW,
    answer,
    cname,
    name,
    nothing,
    ns,
    rcode,
    record,
    silence,
    soa,
)

GLUE = record("ns.shop.example", A, bytes([192, 0, 2, 1]))
FOREIGN = record("ns.other.test", A, bytes([192, 0, 2, 9]))


def reply(given: Answer) -> Reply:
    assert given.reply is not None
    return given.reply


def test_a_referral_is_a_cut_with_glue() -> None:
    told = nothing(ns(SHOP, "ns.shop.example"), ns(SHOP, "ns.other.test"), authoritative=False,
                   additional=(GLUE, FOREIGN))  # fmt: skip
    found = cut(reply(told), name(SHOP), name("example"))
    assert found is not None
    assert found.from_above
    assert found.servers == (name("ns.shop.example"), name("ns.other.test"))
    assert found.glue == {name("ns.shop.example"): ("192.0.2.1",)}


def test_a_server_that_has_both_zones_answers_for_the_lower() -> None:
    found = cut(reply(answer(ns(SHOP, "ns.shop.example"))), name(SHOP), name("example"))
    assert found is not None
    assert not found.from_above


@pytest.mark.parametrize("told", [nothing(soa("example")), nothing(ns("example")), answer()])
def test_other_answers_are_no_cut(told: Answer) -> None:
    assert cut(reply(told), name(SHOP), name("example")) is None


def test_a_zones_own_servers_in_the_authority_section_are_no_cut() -> None:
    assert cut(reply(nothing(ns(SHOP))), name(SHOP), name(SHOP)) is None


@pytest.mark.parametrize(
    ("told", "useful"),
    [
        (nothing(), True),
        (rcode("NXDOMAIN"), True),
        (rcode("REFUSED"), False),
        (silence(), False),
        (nothing(truncated=True), False),
    ],
)
def test_an_answer_is_useful_when_it_settles_something(told: Answer, useful: bool) -> None:
    assert is_useful(told) is useful


def test_the_servers_that_a_zone_names_are_put_together() -> None:
    told = [answer(ns(SHOP, "a.example")), silence(), answer(ns(SHOP, "b.example"))]
    assert apex_servers(told, name(SHOP)) == (name("a.example"), name("b.example"))


def test_aliases_are_followed_within_an_answer() -> None:
    told = answer(cname(WWW, "b.example"), cname("b.example", "c.example"))
    assert follow(reply(told), name(WWW)) == (name(WWW), name("b.example"), name("c.example"))


def test_a_dname_is_applied() -> None:
    told = answer(record(SHOP, DNAME, target="other.test"))
    assert follow(reply(told), name(WWW)) == (name(WWW), name("www.other.test"))


def test_a_loop_ends_where_it_began() -> None:
    told = answer(cname(WWW, "b.example"), cname("b.example", WWW))
    assert follow(reply(told), name(WWW)) == (name(WWW), name("b.example"), name(WWW))


def test_an_endless_chain_is_left_after_twelve() -> None:
    told = answer(*(cname(f"a{number}.example", f"a{number + 1}.example") for number in range(30)))
    assert len(follow(reply(told), name("a0.example"))) == 13


def test_a_server_gets_at_most_forty_questions_and_the_most_telling_first() -> None:
    owners = tuple(name(text) for text in (WWW, SHOP))
    asked = probes(name(SHOP), owners, name("absent.shop.example"), signed=True)
    assert len(asked) == len(set(asked)) <= 40
    assert [str(probe) for probe in asked[:2]] == [
        "www.shop.example CAA plain",
        "www.shop.example CAA as-the-ca",
    ]
    assert len(probes(name(SHOP), owners, name("x.shop.example"), signed=False)) == len(asked) - 2
