"""A result as a line of JSON, for tens of thousands of them a second.

Nearly all names are permitted by their first round through one perspective.  What is printed of
them is put together from few pieces here; it is, to the letter, what ``Checked.as_json`` gives.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from certbot_caa_guard import caa
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.names import Identifier
from certbot_caa_guard.sharing import Rung

_MOST_REMEMBERED = 10_000

_Q = TypeVar("_Q")
_K = TypeVar("_K")
_V = TypeVar("_V")

_NOTHING = f'", "outcome": "{Outcome.NOTHING.value}", "ede": null, "seconds": '


class PermittedLines:
    """Writes the lines of names that one perspective permits.

    :ivar permits: says whether a relevant set permits; asked once for each set and kind of name.
    """

    def __init__(self, perspective: str, issuers: Sequence[str]) -> None:
        self._seconds: dict[float, str] = {}
        self._start = f'{{"perspective": {json.dumps(perspective)}, "round": 1, "owner": "'
        # The record that would cut the climb short, after the name that it would stand at.
        self._cut = json.dumps(f'. CAA 0 issue "{issuers[0]}"')[1:] if issuers else None
        # Of rungs that many names share: their evidence, and the owners that they hang on.
        self._above: dict[Rung[Any], tuple[str, str]] = {}
        self._sets: dict[
            tuple[int, bool, caa.Requester], tuple[tuple[caa.Record, ...], str | None]
        ] = {}

    def line(
        self,
        index: int,
        identifier: Identifier,
        rung: Rung[Any],
        requester: Callable[[_Q], caa.Requester],
        query: _Q,
    ) -> str | None:
        """The line of one name; None where it is not so easy.

        :param rung: where its climb begins; nothing failed below a relevant set.
        :param requester: says who would issue for *query*; asked where there is a relevant set.
        """
        pieces = self._pieces(rung)
        if pieces is None:
            return None
        evidence, owners = pieces
        found_at, records, tld = "null", "", "true"
        relevant = rung.relevant
        if relevant is not None:
            shown = self._permitting(relevant, identifier.wildcard, requester(query))
            if shown is None:
                return None
            found_at, records = f'"{relevant.owner}"', shown
            tld = "true" if relevant.above is None else "false"
        domain = identifier.domain
        # Neither where a record stands already nor beside an alias, as in exposure.
        is_alias = rung.lookup is not None and rung.lookup.alias_of is not None
        has_cut = self._cut is not None and relevant is not rung and not is_alias
        cut = f'"{domain}{self._cut}' if has_cut else "null"
        return (
            f'{{"index": {index}, "identifier": "{"*." if identifier.wildcard else ""}{domain}", '
            f'"verdict": "permitted", "found_at": {found_at}, "records": [{records}], '
            f'"ca_problem": null, "evidence": [{evidence}], "findings": [], '
            f'"exposure": {{"owners": [{owners}], "tld": {tld}, "cut": {cut}}}}}'
        )

    def _pieces(self, rung: Rung[Any]) -> tuple[str, str] | None:
        """The evidence from *rung* on, and the owners that count; None for what is rare."""
        lookup = rung.lookup
        if lookup is None or lookup.extended_error is not None:
            return None
        seconds = round(lookup.seconds, 3)
        shown = self._seconds.get(seconds)
        if shown is None:
            shown = self._remember(self._seconds, seconds, repr(seconds))
        outcome = _NOTHING
        if lookup.outcome is not Outcome.NOTHING:
            outcome = _NOTHING.replace(Outcome.NOTHING.value, lookup.outcome.value)
        owners = f'"{rung.owner}"'
        evidence = f"{self._start}{rung.owner}{outcome}{shown}}}"
        if rung.above is None:
            return evidence, owners
        above = self._above.get(rung.above)
        if above is None:
            above = self._pieces(rung.above)
            if above is None:
                return None
            self._remember(self._above, rung.above, above)
        if rung.relevant is not rung:
            owners = f"{owners}, {above[1]}"
        return f"{evidence}, {above[0]}", owners

    def _permitting(
        self, relevant: Rung[Any], wildcard: bool, requester: caa.Requester
    ) -> str | None:
        """The records of a relevant set as JSON if they permit, else None."""
        records = relevant.lookup.records if relevant.lookup is not None else ()
        key = (id(records), wildcard, requester)
        known = self._sets.get(key)
        # The same object, not another one at the place of one that is gone.
        if known is not None and known[0] is records:
            return known[1]
        shown = None
        if caa.judge(records, wildcard=wildcard, requester=requester).permitted:
            shown = ", ".join(json.dumps(str(record)) for record in records)
        return self._remember(self._sets, key, (records, shown))[1]

    @staticmethod
    def _remember(memory: dict[_K, _V], key: _K, value: _V) -> _V:
        """Bounded: what is not used again must not be kept for ever."""
        if len(memory) >= _MOST_REMEMBERED:
            memory.clear()
        memory[key] = value
        return value
