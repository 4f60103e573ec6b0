"""What is advised mends, or leaves less to go wrong, and takes nothing from anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.audit.advice import Advice, Restriction, Situation, advise, wildcards
from certbot_caa_guard.audit.catalogue import Severity
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.names import parse

LE = "letsencrypt.org"
ACCOUNT = "https://ca.example/acct/1"
REQUESTER = caa.Requester(frozenset({LE}), ACCOUNT, frozenset({"http-01"}))


def records(*texts: str) -> tuple[caa.Record, ...]:
    parts = [text.split(" ", 2) for text in texts]
    return tuple(
        caa.Record(int(flags), tag.encode(), value.encode()) for flags, tag, value in parts
    )


def situation(
    identifier: str = "www.shop.example",
    sets: Mapping[str, tuple[caa.Record, ...]] | None = None,
    aliases: Mapping[str, str] | None = None,
    zone: str | None = "shop.example",
) -> Situation:
    return Situation(parse(identifier), zone, aliases or {}, sets or {})


def finding(owner: str | None, code: str = "InvalidRcode", zone: str = "shop.example") -> Finding:
    return Finding(code, Severity.FAILS, zone, owner, (), 1, "")


def published(advice: Advice) -> tuple[caa.Record, ...]:
    """What stands at ``advice.at`` when somebody does as advised."""
    parts = [record.removeprefix(f"{advice.at}. CAA ").split(" ", 2) for record in advice.records]
    return tuple(
        caa.Record(int(flags), tag.encode(), value.strip('"').encode())
        for flags, tag, value in parts
    )


def test_without_records_one_at_the_name_is_advised() -> None:
    advice = advise(situation(), REQUESTER)
    assert advice.records == ('www.shop.example. CAA 0 issue "letsencrypt.org"',)
    assert advice.new == advice.records
    assert advice.helps is None
    assert "for each other CA" in advice.notes[0]


def test_where_the_ca_is_named_at_the_name_nothing_is_new() -> None:
    sets = {"www.shop.example": records(f"0 issue {LE}")}
    advice = advise(situation(sets=sets), REQUESTER)
    assert (advice.at, advice.new, advice.notes) == ("www.shop.example", (), ())


def test_a_record_further_up_is_repeated_at_the_name_with_all_its_siblings() -> None:
    above = records(f"0 issue {LE}", "0 issue other.example", "0 issuewild ;", "0 iodef mailto:x@y")
    advice = advise(situation(sets={"shop.example": above}), REQUESTER)
    assert published(advice) == above
    assert any("repeated" in note for note in advice.notes)


def test_no_record_is_advised_above_the_users_own_zone() -> None:
    denied = {"example": records("0 issue other.example")}
    assert advise(situation(sets=denied), REQUESTER).at == "www.shop.example"


@pytest.mark.parametrize(
    ("zone", "said"), [(None, "not known"), ("example", "top-level domain itself")]
)
def test_without_a_zone_of_the_users_own_nothing_is_advised(zone: str | None, said: str) -> None:
    advice = advise(situation(zone=zone), REQUESTER)
    assert (advice.at, advice.records) == (None, ())
    assert said in advice.notes[0]


def test_beside_an_alias_no_record_is_advised() -> None:
    aliases = {"www.shop.example": "cdn.example"}
    advice = advise(situation(aliases=aliases), REQUESTER)
    assert advice.at == "shop.example"
    assert advice.exposure.cut is None
    assert "is an alias" in advice.notes[0]


def test_where_all_are_aliases_nothing_is_advised() -> None:
    aliases = {"www.shop.example": "cdn.example", "shop.example": "cdn.example"}
    advice = advise(situation(aliases=aliases), REQUESTER)
    assert advice.at is None
    assert "aliases" in advice.notes[0]


@pytest.mark.parametrize(
    ("value", "said"), [("other.example", "must add cdn.example. CAA 0 issue")]
)
def test_what_an_aliases_target_denies_is_for_its_operator_to_mend(value: str, said: str) -> None:
    advice = advise(
        situation(
            sets={"www.shop.example": records(f"0 issue {value}")},
            aliases={"www.shop.example": "cdn.example"},
        ),
        REQUESTER,
    )
    assert (advice.at, advice.denied) == (None, True)
    assert said in advice.notes[0]


def test_above_an_alias_whose_target_has_records_none_is_advised() -> None:
    advice = advise(
        situation(
            sets={
                "www.shop.example": records(f"0 issue {LE}", "0 issue other.example"),
                "shop.example": records("0 issue third.example"),
            },
            aliases={"www.shop.example": "cdn.example"},
        ),
        REQUESTER,
    )
    assert (advice.at, advice.records, advice.denied) == (None, (), False)
    assert advice.notes == ("www.shop.example is an alias: its records are those of cdn.example.",)


def test_below_an_alias_its_targets_records_are_repeated() -> None:
    target = records(f"0 issue {LE}", "0 issue other.example")
    advice = advise(
        situation(
            "a.www.shop.example",
            sets={"www.shop.example": target, "shop.example": records("0 issue third.example")},
            aliases={"www.shop.example": "cdn.example"},
        ),
        REQUESTER,
    )
    assert (advice.at, published(advice)) == ("a.www.shop.example", target)


def test_a_critical_record_of_an_aliases_target_needs_no_further_one() -> None:
    advice = advise(
        situation(
            sets={"www.shop.example": records(f"0 issue {LE}", "128 tbs x")},
            aliases={"www.shop.example": "cdn.example"},
        ),
        REQUESTER,
    )
    assert "must add" not in advice.notes[0]


DENIALS = {
    "another CA": ("www.shop.example", ["0 issue other.example"]),
    "no CA": ("www.shop.example", ["0 issue ;"]),
    "a wildcard": ("*.shop.example", ["0 issue letsencrypt.org", "0 issuewild other.example"]),
    "a wildcard, by issue": ("*.shop.example", ["0 issue other.example", "0 iodef mailto:x@y"]),
    "another account": ("www.shop.example", [f"0 issue {LE}; accounturi=https://ca.example/9"]),
    "another method": ("www.shop.example", [f"0 issue {LE}; validationmethods=dns-01"]),
    "malformed": ("www.shop.example", [f"0 issue {LE}; a"]),
    "a critical property": ("www.shop.example", ["0 issue letsencrypt.org", "128 tbs x"]),
    "a critical property only": ("www.shop.example", ["128 tbs x"]),
}


@pytest.mark.parametrize("case", DENIALS)
def test_who_does_as_advised_after_a_denial_is_permitted_and_nobody_else_loses(case: str) -> None:
    identifier, texts = DENIALS[case]
    present = records(*texts)
    told = situation(identifier, {"shop.example": present})
    advice = advise(told, REQUESTER)
    assert advice.denied
    assert advice.at == "shop.example"
    after = published(advice)
    wildcard = told.identifier.wildcard
    assert caa.judge(after, wildcard=wildcard, requester=REQUESTER).permitted
    assert set(present) - set(after) <= set(records("128 tbs x"))
    before = set(caa.named_issuers(present, wildcard=wildcard))
    assert before <= set(caa.named_issuers(after, wildcard=wildcard))


def test_after_a_denial_those_who_may_issue_are_named() -> None:
    told = situation(sets={"shop.example": records("0 issue a.example", "0 issue b.example")})
    assert advise(told, REQUESTER).allowed == ("a.example", "b.example")


def test_a_denial_tells_what_else_would_do() -> None:
    account, method, critical = (
        advise(situation(sets={"shop.example": records(*DENIALS[case][1])}), REQUESTER).notes
        for case in ("another account", "another method", "a critical property")
    )
    assert "account" in account[0]
    assert "methods" in method[0]
    assert "Remove shop.example. CAA 128 tbs" in critical[0]


def test_a_record_is_held_to_account_and_method_on_wish() -> None:
    advice = advise(situation(), REQUESTER, restriction=Restriction(ACCOUNT, "http-01"))
    assert advice.records[0].endswith(
        f'issue "{LE}; accounturi={ACCOUNT}; validationmethods=http-01"'
    )
    assert caa.judge(published(advice), wildcard=False, requester=REQUESTER).permitted


def test_without_a_known_ca_no_record_is_made_up() -> None:
    advice = advise(situation(), replace(REQUESTER, issuers=frozenset()))
    assert advice.records == ()


@pytest.mark.parametrize(
    ("main", "helps"),
    [
        (finding("example", zone="example"), True),
        (finding("shop.example"), True),
        (finding("www.shop.example"), False),
        (finding("www.shop.example", "MissingSOAForNODATA"), True),
        (finding("target.other.example", zone="other.example"), False),
        (finding(None, "ServerNotAuthoritative"), False),
        (finding(None, "ServerNotAuthoritative", "other.example"), True),
        (None, None),
    ],
)
def test_a_record_helps_against_what_lies_above_it(
    main: Finding | None, helps: bool | None
) -> None:
    assert advise(situation(), REQUESTER, main).helps is helps


def named(*names: str, zone: str | None = "shop.example") -> list[Situation]:
    return [situation(name, zone=zone) for name in names]


def test_siblings_may_be_replaced_by_a_wildcard() -> None:
    names = [f"{label}.shop.example" for label in "abcd"]
    (wildcard,) = wildcards(named(*names, "*.shop.example", "shop.example", "x.y.shop.example"))
    assert (wildcard.identifier, wildcard.replaces) == ("*.shop.example", tuple(names))
    assert "dns-01" in wildcard.needs


def test_siblings_further_down_in_a_zone_may_be_replaced() -> None:
    (wildcard,) = wildcards(named(*(f"{label}.eu.shop.example" for label in "abcd")))
    assert wildcard.identifier == "*.eu.shop.example"


def test_a_name_given_twice_is_one_sibling() -> None:
    assert wildcards(named(*(f"{label}.shop.example" for label in "abcc"))) == ()


@pytest.mark.parametrize(
    "situations",
    [
        pytest.param(named("a.shop.example", "b.shop.example"), id="few"),
        pytest.param(named(*(f"{label}.example" for label in "abcd"), zone="example"), id="a TLD"),
        pytest.param(
            named(*(f"{label}.shop.example" for label in "abcd"), zone="example"),
            id="in the zone of a TLD",
        ),
        pytest.param(
            [situation(f"{label}.co.uk", zone=f"{label}.co.uk") for label in "abcd"],
            id="zones of their own",
        ),
        pytest.param(
            named(*(f"{label}.shop.example" for label in "abcd"), zone=None), id="zones not known"
        ),
    ],
)
def test_other_names_are_not_replaced(situations: list[Situation]) -> None:
    assert wildcards(situations) == ()


def test_advice_is_plain_data() -> None:
    document = advise(situation(), REQUESTER).as_json()
    assert document["at"] == "www.shop.example"
    assert document["records"] == ['www.shop.example. CAA 0 issue "letsencrypt.org"']
