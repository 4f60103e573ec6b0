"""Which CAA record to publish, and where, so that less can go wrong; and what a denial wants.

Nothing that is advised here takes from anybody what the present records give: other CAs,
wildcards and iodef stay, and a record is never put above the user's own zone or beside an alias
(RFC 1034 section 3.6.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from certbot_caa_guard import caa
from certbot_caa_guard.audit.findings import Finding
from certbot_caa_guard.caa import Judgement, Reason, Record, Requester
from certbot_caa_guard.exposure import Exposure, exposure
from certbot_caa_guard.names import Identifier, is_at_or_below

_ENOUGH_FOR_A_WILDCARD = 4


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a name's CAA records.

    :ivar zone: the lowest zone that the name is in, which is the user's; None where unknown.
    :ivar aliases: the names on its way that are aliases, and where each leads.
    :ivar sets: the CAA records by the owner whose lookup finds them.
    """

    identifier: Identifier
    zone: str | None
    aliases: Mapping[str, str]
    sets: Mapping[str, tuple[Record, ...]]

    @property
    def found_at(self) -> str | None:
        """Where the relevant set stands (RFC 8659 section 3), as the CA names it."""
        return next((owner for owner in self.identifier.owners if self.sets.get(owner)), None)

    @property
    def relevant(self) -> tuple[Record, ...]:
        """The relevant set; empty where there is none."""
        found_at = self.found_at
        return self.sets[found_at] if found_at is not None else ()


@dataclass(frozen=True, slots=True)
class Restriction:
    """To what the record shall hold the CA, on wish (RFC 8657)."""

    account_uri: str | None = None
    method: str | None = None

    def __str__(self) -> str:
        parameters = {"accounturi": self.account_uri, "validationmethods": self.method}
        return "".join(f"; {tag}={value}" for tag, value in parameters.items() if value)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to publish.

    :ivar at: the name to publish at; None where nothing is to be published.
    :ivar records: the whole set that shall stand there, as lines of a zone file.
    :ivar new: those of the lines that are not there yet.
    :ivar helps: whether the records make the main finding harmless; None without a finding.
    :ivar allowed: for a denial, the CAs that may issue.
    :ivar notes: what else to know, a sentence each.
    """

    exposure: Exposure
    at: str | None = None
    records: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    helps: bool | None = None
    denied: bool = False
    allowed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The advice as the console prints it."""
        return {
            "at": self.at,
            "records": list(self.records),
            "new": list(self.new),
            "helps": self.helps,
            "denied": self.denied,
            "allowed": list(self.allowed),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Siblings that one wildcard would replace."""

    identifier: str
    replaces: tuple[str, ...]
    needs: str


def advise(
    situation: Situation,
    requester: Requester,
    main: Finding | None = None,
    restriction: Restriction | None = None,
) -> Advice:
    """What to publish for an identifier.

    :param requester: the CA, for which a record is written.
    :param main: the main finding of the audit.
    """
    identifier = situation.identifier
    exposed = exposure(
        identifier,
        situation.found_at,
        sorted(requester.issuers),
        is_alias=identifier.domain in situation.aliases,
    )
    judgement = _judged(situation.relevant, identifier, requester)
    denied = not judgement.permitted
    allowed = _others(situation.relevant, identifier, requester) if denied else ()
    at = _place(situation, denied=denied)
    if at is None:
        why = _why_nowhere(situation, requester)
        return Advice(exposed, denied=denied, allowed=allowed, notes=(why,))
    kept, dropped = _kept(situation.relevant, requester)
    line = _line(kept, identifier, requester, restriction or Restriction())
    whole = (*kept, line) if line is not None else kept
    there = situation.sets.get(at, ()) if at not in situation.aliases else ()
    records = tuple(_at(at, record) for record in whole)
    new = tuple(_at(at, record) for record in whole if record not in there)
    return Advice(
        exposed,
        at,
        records,
        new,
        helps=None if main is None else _helps(main, at),
        denied=denied,
        allowed=allowed,
        notes=tuple(_notes(situation, at, judgement, dropped, line)),
    )


def wildcards(situations: Iterable[Situation]) -> tuple[Wildcard, ...]:
    """Where one wildcard would replace many siblings.

    A wildcard is for one zone's names: those that are zones of their own, such as the domains
    below a public suffix, may be of as many owners.
    """
    zones = {one.identifier: one.zone for one in situations}
    siblings: dict[str, list[str]] = defaultdict(list)
    for identifier, zone in zones.items():
        parent = identifier.domain.partition(".")[2]
        is_in_zone = zone is not None and "." in zone and is_at_or_below(parent, zone)
        if not identifier.wildcard and is_in_zone:
            siblings[parent].append(identifier.domain)
    return tuple(
        Wildcard(
            f"*.{parent}",
            tuple(names),
            f"It is validated by dns-01 (or another method by DNS), its CAA records must permit "
            f"wildcards, and it covers neither {parent} itself nor names further down.",
        )
        for parent, names in siblings.items()
        if len(names) >= _ENOUGH_FOR_A_WILDCARD
    )


def _judged(records: Sequence[Record], identifier: Identifier, requester: Requester) -> Judgement:
    if not records:
        return Judgement(Reason.NO_RESTRICTION)
    return caa.judge(records, wildcard=identifier.wildcard, requester=requester)


def _others(
    records: Sequence[Record], identifier: Identifier, requester: Requester
) -> tuple[str, ...]:
    """The CAs that may issue now."""
    named = caa.named_issuers(records, wildcard=identifier.wildcard)
    return tuple(name for name in named if name not in requester.issuers)


def _place(situation: Situation, *, denied: bool) -> str | None:
    """Where the record goes: at the name, or as near to it as a record can stand.

    In a denial, where the set that denies stands, if that is in the user's zone.  Where the
    relevant set is that of an alias's target, nothing counts at the alias or further up.
    """
    if situation.zone is None or "." not in situation.zone:
        return None
    found_at = situation.found_at
    of_target = found_at if found_at in situation.aliases else None
    if denied and of_target is not None:
        return None
    own = [
        owner
        for owner in situation.identifier.owners
        if is_at_or_below(owner, situation.zone)
        and owner not in situation.aliases
        and (of_target is None or not is_at_or_below(of_target, owner))
    ]
    if denied and found_at in own:
        return found_at
    return own[0] if own else None


def _why_nowhere(situation: Situation, requester: Requester) -> str:
    found_at = situation.found_at
    if found_at is not None and found_at in situation.aliases:
        kept, _ = _kept(situation.relevant, requester)
        line = _line(kept, situation.identifier, requester, Restriction())
        target = situation.aliases[found_at]
        wanted = "" if line is None else f", and must add {_at(target, line)}"
        return f"{found_at} is an alias: its records are those of {target}{wanted}."
    if situation.zone is None:
        return "The zone of this name is not known, so neither is where a record could stand."
    if "." not in situation.zone:
        return f"{situation.identifier.domain} is in the zone of the top-level domain itself."
    return (
        f"{situation.identifier.domain} and all above it in {situation.zone} are aliases, beside "
        "which no CAA record can stand: publish at the alias's target, or have the target's "
        "operator do so."
    )


def _kept(
    records: Sequence[Record], requester: Requester
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """The records that stay, and the critical ones that let no CA issue that does not know them
    (RFC 8659 section 4.1).
    """
    rules = requester.rules
    known = rules.known | {b"issue", b"issuewild"}
    dropped = tuple(
        one for one in records if one.property not in known and one.flags & rules.critical
    )
    return tuple(one for one in records if one not in dropped), dropped


def _line(
    kept: Sequence[Record],
    identifier: Identifier,
    requester: Requester,
    restriction: Restriction,
) -> Record | None:
    """The record that names the CA; None where it may issue as it is."""
    if not requester.issuers or (kept and _judged(kept, identifier, requester).permitted):
        return None
    wild = identifier.wildcard and any(one.property == b"issuewild" for one in kept)
    # What the directory names first is what the CA prefers; a set has no order, so by name.
    value = f"{min(requester.issuers)}{restriction}"
    return Record(0, b"issuewild" if wild else b"issue", value.encode())


def _helps(main: Finding, at: str) -> bool:
    """Whether a record at *at* makes a finding harmless: it ends the climb there, and turns an
    answer without records into one with.
    """
    if main.owner is None:
        return not is_at_or_below(at, main.zone)
    if main.owner == at:
        return main.kind.by_record
    return is_at_or_below(at, main.owner)


def _notes(
    situation: Situation,
    at: str,
    judgement: Judgement,
    dropped: Sequence[Record],
    line: Record | None,
) -> Iterable[str]:
    if at != situation.identifier.domain and situation.identifier.domain in situation.aliases:
        yield (
            f"{situation.identifier.domain} is an alias, beside which no CAA record can stand; "
            f"the lookups of the alias and its target stay."
        )
    for record in dropped:
        yield f"Remove {_at(situation.found_at or at, record)}: its critical flag forbids issuance."
    if judgement.reason is Reason.ACCOUNT:
        yield "The present record names another ACME account; the new one does not take it away."
    if judgement.reason is Reason.METHOD:
        yield "The present record allows other validation methods: using one of those will do, too."
    if situation.found_at not in {None, at}:
        yield f"The records of {situation.found_at} are repeated, since those at {at} hide them."
    if not situation.relevant and line is not None:
        yield (
            f"From then on only this CA may issue for {at} and names below it: add a line like it "
            "for each other CA that you use."
        )


def _at(owner: str, record: Record) -> str:
    return f"{owner}. CAA {record}"
