"""Plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from certbot_caa_guard import caa
from certbot_caa_guard.climb import ExtendedError, Lookup, Outcome
from certbot_caa_guard.issuance import Survey
from certbot_caa_guard.names import parse
from certbot_caa_guard.problem import Meaning, Reading
from certbot_caa_guard.ratelimit import Limit, RateLimit
from certbot_caa_guard.report import text
from certbot_caa_guard.retry import Step
from certbot_caa_guard.split import Split
from certbot_caa_guard.verdict import Evidence, Perspective, Verdict, determine

PERSPECTIVE = Perspective("udp://192.0.2.1", public=True)
REQUESTER = caa.Requester(frozenset({"ca.example"}), "https://ca.example/1", frozenset({"http-01"}))


def evidence(name: str, *lookups: Lookup) -> Evidence:
    identifier = parse(name)
    known = {owner: Lookup(owner, Outcome.NOTHING) for owner in identifier.owners}
    known.update({lookup.owner: lookup for lookup in lookups})
    made = determine(
        identifier, known, perspective=PERSPECTIVE, requester=REQUESTER, round=1, at=0.0
    )
    return Evidence(identifier, (made,))


def records(owner: str, *values: str, tag: bytes = b"issue", flags: int = 0) -> Lookup:
    found = tuple(caa.Record(flags, tag, value.encode()) for value in values)
    return Lookup(owner, Outcome.RECORDS, found)


def alias(owner: str, target: str, *values: str) -> Lookup:
    found = tuple(caa.Record(0, b"issue", value.encode()) for value in values)
    return Lookup(owner, Outcome.RECORDS if found else Outcome.NOTHING, found, alias_of=target)


def survey(
    verdict: Verdict = Verdict.PERMITTED,
    known: Evidence | None = None,
    *,
    spared: tuple[str, ...] = (),
    perspectives: int = 1,
    unusable: tuple[str, ...] = (),
    clock_is_right: bool = True,
) -> list[str]:
    known = known or evidence("a.net")
    name = str(known.identifier)
    surveyed = Survey(
        {name: verdict},
        {name: known},
        Split((name,), spared=spared),
        seconds=1.25,
        perspectives=perspectives,
        unusable=unusable,
        clock_is_right=clock_is_right,
    )
    return text.survey(surveyed, ["ca.example"])


def reason(known: Evidence, verdict: Verdict, issuers: Sequence[str] = ("ca.example",)) -> str:
    return text.reason(known, verdict, issuers)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("nul\0", "nul\\x00"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\x9bCSI", "\\x9bCSI"),
        ("bücher", "bücher"),
    ],
)
def test_control_characters_never_reach_a_terminal(hostile: str, shown: str) -> None:
    assert text.printable(hostile) == shown
    assert text.escaped(hostile) == shown


def test_the_cas_domain_is_shown_without_control_characters() -> None:
    known = evidence("a.net", records("a.net", "other.example"))
    said = reason(known, Verdict.DENIED, ["ca.example\x1b[2J"])
    assert r'add the record: a.net. CAA 0 issue "ca.example\x1b[2J"' in said


@pytest.mark.parametrize(("length", "shown"), [(300, 300), (301, 300), (100_000, 300)])
def test_length_is_bounded(length: int, shown: int) -> None:
    assert len(text.printable("x" * length)) == shown


def test_what_is_cut_off_is_seen_to_be() -> None:
    assert text.printable("x" * 301).endswith("x…")


@pytest.mark.parametrize(("number", "shown"), [(0, "0 names"), (1, "1 name"), (2, "2 names")])
def test_a_count_has_its_noun(number: int, shown: str) -> None:
    assert text.count(number, "name") == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c", "d", "e"], "a, b, c, d, e"),
        (["a", "b", "c", "d", "e", "f", "g"], "a, b, c, d, e and 2 more"),
    ],
)
def test_a_listing_is_bounded(names: list[str], shown: str) -> None:
    assert text.listing(names) == shown


class TestSurvey:
    def test_the_first_line_sums_it_up(self) -> None:
        assert survey()[0].startswith("CAA guard: checked 1 name in 1.2 s, 1 permitted")

    def test_permitted_names_need_no_line(self) -> None:
        assert len(survey()) == 1

    @pytest.mark.parametrize(
        ("verdict", "word"),
        [
            (Verdict.DENIED, "a.net: denied: "),
            (Verdict.BROKEN, "a.net: broken: "),
            (Verdict.FLAKY, "a.net: flaky, ordered all the same: "),
            (Verdict.UNKNOWN, "a.net: not known, ordered all the same: "),
        ],
    )
    def test_any_other_verdict_has_a_line(self, verdict: Verdict, word: str) -> None:
        known = evidence("a.net", Lookup("a.net", Outcome.SERVFAIL))
        assert word in survey(verdict, known)[1]

    def test_a_spared_name_is_said_to_be_ordered(self) -> None:
        known = evidence("a.net", records("a.net", "x.example"))
        lines = survey(Verdict.DENIED, known, spared=("a.net",))
        assert "a.net: denied, ordered all the same: " in lines[1]

    def test_an_unusable_resolver_is_told(self) -> None:
        assert (
            "udp://192.0.2.9 does not resolve the root" in survey(unusable=("udp://192.0.2.9",))[1]
        )

    def test_that_nobody_could_be_asked_is_told_once(self) -> None:
        lines = survey(Verdict.UNKNOWN, Evidence(parse("a.net")), perspectives=0)
        assert ["nobody could be asked" in line for line in lines] == [False, True]

    def test_a_wrong_clock_is_told(self) -> None:
        assert "Set the clock" in survey(clock_is_right=False)[1]

    def test_hostile_text_from_dns_is_made_harmless(self) -> None:
        bad = Lookup(
            "a.net", Outcome.SERVFAIL, extended_error=ExtendedError(6, "\x1b[2J\n" + "x" * 9999)
        )
        line = survey(Verdict.BROKEN, evidence("a.net", bad))[1]
        assert line.isprintable()
        assert len(line) < 700


class TestDenial:
    def test_the_words_are_the_cas(self) -> None:
        known = evidence("*.a.net", records("net", "x.example"))
        assert reason(known, Verdict.DENIED).startswith(
            "While processing CAA for *.a.net: CAA record for net prevents issuance. "
        )

    @pytest.mark.parametrize(
        ("found", "mend"),
        [
            (
                records("a.net", "x.example"),
                'It allows x.example: add the record: a.net. CAA 0 issue "ca',
            ),
            (records("a.net", ";"), "It allows no CA: add the record"),
            (records("a.net", "ca.example; a-b=c"), "The records there are malformed"),
            (records("a.net", "ca.example; accounturi=x"), "change accounturi"),
            (records("a.net", "ca.example; validationmethods=dns-01"), "other validation methods"),
            (records("a.net", "x", tag=b"tbs", flags=128), "A critical property"),
        ],
        ids=["issuer", "nobody", "malformed", "account", "method", "critical"],
    )
    def test_the_mend_fits_the_reason(self, found: Lookup, mend: str) -> None:
        assert mend in reason(evidence("a.net", found), Verdict.DENIED)

    def test_a_wildcard_is_mended_by_issuewild_where_that_is_used(self) -> None:
        known = evidence("*.a.net", records("a.net", "x.example", tag=b"issuewild"))
        assert 'CAA 0 issuewild "ca.example"' in reason(known, Verdict.DENIED)

    def test_a_wildcard_is_mended_by_issue_where_that_is_used(self) -> None:
        known = evidence("*.a.net", records("a.net", "x.example"))
        assert 'CAA 0 issue "ca.example"' in reason(known, Verdict.DENIED)

    def test_without_a_known_issuer_the_mend_leaves_it_open(self) -> None:
        known = evidence("a.net", records("a.net", "x.example"))
        assert 'CAA 0 issue "…"' in reason(known, Verdict.DENIED, [])

    def test_records_of_an_alias_are_mended_where_it_leads(self) -> None:
        known = evidence("*.w.a.net", alias("w.a.net", "t.cdn.org", "x.example"))
        assert (
            "It allows x.example: add the record to the name that w.a.net is an alias of: "
            't.cdn.org. CAA 0 issue "ca.example"'
        ) in reason(known, Verdict.DENIED)

    def test_records_of_an_alias_above_the_name_are_mended_there(self) -> None:
        known = evidence("w.a.net", alias("a.net", "t.cdn.org", "x.example"))
        assert "that a.net is an alias of: t.cdn.org. CAA" in reason(known, Verdict.DENIED)

    def test_where_an_alias_leads_is_told_without_control_characters(self) -> None:
        known = evidence("a.net", alias("a.net", "\x1b[2J.org", "x.example"))
        assert reason(known, Verdict.DENIED).isprintable()

    def test_a_disagreement_tells_the_denial(self) -> None:
        known = evidence("a.net", records("a.net", "x.example"))
        assert "It allows x.example" in reason(known, Verdict.UNKNOWN)

    def test_hostile_records_are_made_harmless(self) -> None:
        known = evidence("a.net", records("a.net", "\x1b[31m" + "x" * 9999))
        told = survey(Verdict.DENIED, known)[1]
        assert told.isprintable()
        assert len(told) < 1000


class TestFailure:
    @pytest.mark.parametrize(
        ("verdict", "failure", "mend"),
        [
            (Verdict.BROKEN, Lookup("a.b.net", Outcome.SERVFAIL), "must answer CAA questions"),
            (Verdict.FLAKY, Lookup("a.b.net", Outcome.SERVFAIL), "the retry watches it"),
            (
                Verdict.BROKEN,
                Lookup("b.net", Outcome.SERVFAIL),
                "or publish CAA records at a.b.net",
            ),
            (Verdict.FLAKY, Lookup("net", Outcome.SERVFAIL), "not the fault of your DNS"),
            (Verdict.BROKEN, Lookup("net", Outcome.NXDOMAIN), "is the name misspelled?"),
            (Verdict.BROKEN, Lookup("a.b.net", Outcome.BOGUS), "Mend the zone's DNSSEC."),
            (Verdict.BROKEN, Lookup("b.net", Outcome.BOGUS), "Mend the zone's DNSSEC or publish"),
        ],
    )
    def test_the_mend_fits_the_failure(self, verdict: Verdict, failure: Lookup, mend: str) -> None:
        assert mend in reason(evidence("a.b.net", failure), verdict)

    def test_beside_an_alias_no_record_is_to_be_published(self) -> None:
        failure = Lookup("b.net", Outcome.SERVFAIL)
        known = evidence("a.b.net", failure, alias("a.b.net", "t.cdn.\x1b[2J"))
        assert r"or publish CAA records at t.cdn.\x1b[2J, which a.b.net is an alias of." in reason(
            known, Verdict.BROKEN
        )

    def test_the_words_are_the_cas(self) -> None:
        known = evidence("a.net", Lookup("a.net", Outcome.TIMEOUT))
        assert reason(known, Verdict.UNKNOWN).startswith(
            "While processing CAA for a.net: DNS problem: query timed out looking up CAA for a.net."
        )

    def test_without_evidence_nothing_is_claimed(self) -> None:
        assert (
            reason(Evidence(parse("a.net")), Verdict.UNKNOWN) == "Nobody could be asked about it."
        )

    @pytest.mark.parametrize(
        ("verdict", "who"), [(Verdict.UNKNOWN, "Nobody"), (Verdict.FLAKY, "Not everybody")]
    )
    def test_that_one_could_not_ask_is_no_word_of_the_ca_and_nothing_to_mend(
        self, verdict: Verdict, who: str
    ) -> None:
        known = evidence("a.net", Lookup("a.net", Outcome.NETWORK))
        assert reason(known, verdict) == f"{who} could be asked about it."


def test_a_record_is_whole_however_long_the_name_that_it_stands_at() -> None:
    target = "\x1b" * 100 + ".cdn.example"
    known = evidence("a.b.net", Lookup("b.net", Outcome.SERVFAIL), alias("a.b.net", target))
    assert f"{text.escaped(target)}, which a.b.net is an alias of." in reason(known, Verdict.BROKEN)


@pytest.mark.parametrize(
    "word",
    ["https://ca.example/" + "x" * 200, "-".join(["label"] * 30)],
    ids=["a URL", "a name with hyphens"],
)
def test_no_word_is_broken_where_lines_are_wrapped(word: str) -> None:
    shown = text.paragraph(f"See {word} for {'more ' * 30}", 4, hanging=2)
    first, second, third, *_ = shown.splitlines()
    assert (first, second) == ("    See", f"      {word}")
    assert third.startswith("      for more")
    assert len(third) <= 100


class TestRefusal:
    @pytest.mark.parametrize(
        ("reading", "said"),
        [
            (Reading(Meaning.DENIED, "a.net", "net"), "a.net: the CAA record at net prevents"),
            (Reading(Meaning.TRANSIENT, "a.net", "net", "SERVFAIL"), "a.net: SERVFAIL looking up"),
            (Reading(Meaning.TRANSIENT, "a.net"), "a.net: its CAA check failed"),
            (Reading(Meaning.TRANSIENT, None, "net", "SERVFAIL"), "a name it does not tell: SERV"),
        ],
    )
    def test_each_reading_is_told(self, reading: Reading, said: str) -> None:
        assert said in text.refusal([reading])

    def test_several_readings_are_one_line(self) -> None:
        both = [Reading(Meaning.DENIED, name, name) for name in ("a.net", "b.net")]
        assert text.refusal(both).count(";") == 1

    @pytest.mark.parametrize(
        ("limit", "said"),
        [
            (Limit.PAUSED, "; have it lifted at "),
            (Limit.NEW_ORDERS, "; see "),
        ],
    )
    def test_where_to_go_is_told_whole_and_once(self, limit: Limit, said: str) -> None:
        """A page to have a pause lifted has a signed token of hundreds of characters in it."""
        url = "https://ca.example/unpause?jwt=" + "x" * 700
        names = [f"{'label.' * 9}{number}.net" for number in range(9)]
        met = [
            Reading(Meaning.RATE_LIMITED, name, limit=RateLimit(limit, url=url)) for name in names
        ]
        told = text.refusal(met)
        assert told.endswith(f"…{said}{url}")
        assert told.count(url) == 1

    @pytest.mark.parametrize("url", [None, "https://ca.example/" + "x" * 5000])
    def test_where_there_is_no_such_page_or_it_is_absurdly_long_the_ca_is_to_be_asked(
        self, url: str | None
    ) -> None:
        met = Reading(Meaning.RATE_LIMITED, "a.net", limit=RateLimit(Limit.PAUSED, url=url))
        assert text.refusal([met]).endswith("; have it lifted at the page that the CA names")

    def test_hostile_text_from_the_ca_is_made_harmless(self) -> None:
        said = text.refusal([Reading(Meaning.TRANSIENT, "a.net", "net", "\x1b[2J" * 999)])
        assert said.isprintable()
        assert len(said) <= 300


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step.FINALIZE_AGAIN, "The order is still good and is finalized again in 8 s"),
        (Step.ORDER_AGAIN, "A new order follows in 8 s"),
    ],
)
def test_the_next_step_is_told(step: Step, said: str) -> None:
    assert said in text.next_step(step, 8.4)
