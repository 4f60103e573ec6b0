"""A result as a line of JSON, for tens of thousands of them a second.

Nearly all names are permitted by their first round through one perspective.  What is printed of
them is put together from few pieces here; it is, to the letter, what ``Checked.as_json`` gives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.names import Identifier

_MOST_SETS = 10_000
_SHARED_LABELS = 2  # names with so few are the parents of many

_Q = TypeVar("_Q")

_OUTCOMES = {outcome: f'", "outcome": "{outcome.value}", "ede": null, ' for outcome in Outcome}


class PermittedLines:
    """Writes the lines of names that one perspective permits.

    :ivar permits: says whether a relevant set permits; asked once for each set and kind of name.
    """

    def __init__(self, perspective: str, issuers: Sequence[str]) -> None:
        self._start = f'{{"perspective": {json.dumps(perspective)}, "round": 1, "owner": "'
        # The record that would cut the climb short, after the name that it would stand at.
        cut = json.dumps(f'. CAA 0 issue "{issuers[0]}"')[1:] if issuers else None
        self._cut = cut
        # Of owners that many names share.
        self._seen: dict[str, tuple[Lookup, str]] = {}
        self._sets: dict[
            tuple[int, bool, caa.Requester], tuple[tuple[caa.Record, ...], str | None]
        ] = {}

    def line(
        self,
        index: int,
        identifier: Identifier,
        owners: Sequence[str],
        lookups: Mapping[str, Lookup],
        requester: Callable[[_Q], caa.Requester],
        query: _Q,
    ) -> str | None:
        """The line of one name; None where it is not so easy.

        :param lookups: of its owners, in which nothing failed below a relevant set.
        :param requester: says who would issue for *query*; asked where there is a relevant set.
        """
        seen = []
        relevant: Lookup | None = None
        for owner in owners:
            lookup = lookups.get(owner)
            if lookup is None:
                continue
            if lookup.extended_error is not None:
                return None
            if relevant is None and lookup.records:
                relevant = lookup
            known = self._seen.get(owner)
            if known is not None and known[0] is lookup:
                seen.append(known[1])
            else:
                seen.append(self._see(lookup))
        found_at, records = "null", ""
        if relevant is not None:
            shown = self._permitting(relevant.records, identifier.wildcard, requester(query))
            if shown is None:
                return None
            found_at, records = f'"{relevant.owner}"', shown
            owners = owners[: owners.index(relevant.owner) + 1]
        domain = identifier.domain
        cut = "null"
        if self._cut is not None and (relevant is None or relevant.owner != domain):
            cut = f'"{domain}{self._cut}'
        tld = "false" if relevant is not None and "." in relevant.owner else "true"
        return (
            f'{{"index": {index}, "identifier": "{"*." if identifier.wildcard else ""}{domain}", '
            f'"verdict": "permitted", "found_at": {found_at}, "records": [{records}], '
            f'"ca_problem": null, "evidence": [{", ".join(seen)}], "findings": [], '
            f'"exposure": {{"owners": ["{_BETWEEN.join(owners)}"], "tld": {tld}, "cut": {cut}}}}}'
        )

    def _see(self, lookup: Lookup) -> str:
        """A lookup as evidence."""
        seconds = round(lookup.seconds, 3)
        text = f'{self._start}{lookup.owner}{_OUTCOMES[lookup.outcome]}"seconds": {seconds!r}}}'
        if lookup.owner.count(".") < _SHARED_LABELS:
            if len(self._seen) >= _MOST_SETS:
                self._seen.clear()
            self._seen[lookup.owner] = (lookup, text)
        return text

    def _permitting(
        self, records: tuple[caa.Record, ...], wildcard: bool, requester: caa.Requester
    ) -> str | None:
        """The records of a relevant set as JSON if they permit, else None."""
        key = (id(records), wildcard, requester)
        known = self._sets.get(key)
        # The same object, not another one at the place of one that is gone.
        if known is not None and known[0] is records:
            return known[1]
        shown = None
        if caa.judge(records, wildcard=wildcard, requester=requester).permitted:
            shown = ", ".join(json.dumps(str(record)) for record in records)
        if len(self._sets) >= _MOST_SETS:
            self._sets.clear()
        self._sets[key] = (records, shown)
        return shown


_BETWEEN = '", "'
