"""docs/retry.md, made from the retry's own table.

::

    python -m tests.retry_page          # writes it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from certbot_caa_guard import retry
from certbot_caa_guard.retry import RULES, WATCH, Rule

PATH = Path(__file__).parent.parent / "docs" / "retry.md"

_INTRODUCTION = """\
# What follows when the CA says no

This page is made from the table that decides: `RULES` in `certbot_caa_guard/retry.py`
(`python -m tests.retry_page` writes it).

When an order fails, the CA's problem is read, and the order is fetched again. The first row that
fits is what is done; an empty cell fits everything.
"""

_BETWEEN = """\
The first try comes after 6 to 10 s, the next ones after about 30 s, 2 and 8 minutes; where only an
answer was lost, after 1 to 3 s, 8 s and 30 s. `--caa-guard-retries` and `--caa-guard-deadline`
bound them all. While it waits the guard asks DNS itself:
"""

_END = """\
A renewal that is not urgent gets one short try, and so does every certificate once two have failed
for unrelated zones or TLDs in the same run of certbot: then the CA has a problem, and the next run
is the better one. Once a pre-hook has run, at most 15 s are waited
([what that means](hooks.md)).

## What is kept across runs

In `CONFIG_DIR/caa-guard/history.sqlite`, each before the step that spends it, so that neither a
cron job nor a kill can burn what the CA allows:

- Authorizations that failed: a name that failed three times in an hour, or ten times in a day, and
  that the CA found wanting for its CAA, is held and the rest ordered.
- Orders: above 150 of an account in three hours there are no second orders.
- Rate limits: until the time that the CA names, no order is placed for what met one. certbot ends
  with status 1 and says until when. `--no-caa-guard` orders all the same, but certbot remembers it:
  until `caa_guard_enabled = True` stands in `renewal/NAME.conf` again, that certificate is renewed
  without the guard, and nothing held comes back.
- Deactivated authorizations: once per name and day.

An order that is still good when certbot is killed is taken up by the next run: Let's Encrypt
returns the same order for the same names. The key is a new one: the guard writes no keys.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *_table(), _BETWEEN, *_watch(), _END, *_drawing()]
    return "\n".join(parts)


def _table() -> Iterator[str]:
    yield (
        "| | the failure | the order | the names, as the guard sees them | their authorizations |"
        " the budget | next step | why |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for number, rule in enumerate(RULES, 1):
        cells = [
            str(number),
            *(_cell(values, of) for values, of in _asked(rule)),
            rule.step.value,
            rule.why,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _asked(rule: Rule) -> list[tuple[Iterable[Enum], type[Enum]]]:
    return [
        (rule.kinds, retry.Kind),
        (rule.statuses, retry.Status),
        (rule.sights, retry.Sight),
        (rule.validations, retry.Validations),
        (rule.purses, retry.Purse),
    ]


def _cell(values: Iterable[Enum], of: type[Enum]) -> str:
    wanted = set(values)
    if wanted == set(of):
        return ""
    return "; or ".join(str(one.value) for one in of if one in wanted)


def _watch() -> Iterator[str]:
    yield "| what it sees of the failing names | the wait |"
    yield "|---|---|"
    for sight, watch in WATCH.items():
        yield f"| {sight.value} | {watch.value} |"
    yield ""


def _drawing() -> Iterator[str]:
    """A decision for each row, and the step that it leads to."""
    yield "## The same as a drawing"
    yield ""
    yield "```mermaid"
    yield "flowchart TD"
    yield "    start([the order failed]) --> r1"
    for number, rule in enumerate(RULES, 1):
        asked = " and ".join(cell for values, of in _asked(rule) if (cell := _cell(values, of)))
        step = f"s{rule.step.name}([{rule.step.value}])"
        if not asked:
            yield f"    r{number}[otherwise] --> {step}"
            continue
        yield f'    r{number}{{"{asked}?"}} -- yes --> {step}'
        yield f"    r{number} -- no --> r{number + 1}"
    yield "```"
    yield ""


def main() -> None:
    PATH.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
