"""Whatever breaks in the guard, certbot issues, and no name is lost."""

from __future__ import annotations

import functools
import inspect
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from acme import messages
from certbot import errors

import certbot_caa_guard
from certbot_caa_guard import preflight
from certbot_caa_guard.climb import Outcome
from certbot_caa_guard.plugin import barrier, seams
from tests.fakes import (
    Clock,
    at_authorization,
    at_finalize,
    denial,
    failed_lookup,
    issue,
    rate_limited,
)
from tests.plugin.bench import Bench, forget_process, texts

PACKAGE = Path(certbot_caa_guard.__file__).parent
NAMES = ("a.net", "b.net", "c.net")
REST = ["a.net", "c.net"]

# The barrier itself, and what stands before it: where these break, nobody catches.
BARRIER = {
    "_fits", "_is_on", "_is_wrapped", "safely", "through", "_warn_once", "install",
    "wrapper", "_around_get_and_save_cert", "_around_csr_get_and_save_cert", "_around_find_cert",
    "_around_enable",
    "_around_obtain_from_csr", "_wrap", "_restore_flags_at_renewal",
    # certbot calls these itself, at its start or in place of its own.
    "inject_parser_options", "_add_flags",
    "_add_switches", "_add_asking", "_add_judging", "_add_retrying", "_add_keeping",
    "_get_order", "_finalize_order", "_obtain_certificate", "_see", "_place_alone", "_original",
    "_names_without", "_answer_challenge",
    # asyncio's own but for a few lines: with them broken, nobody can end what was begun.
    "time", "run_forever",
}  # fmt: skip


class ABugError(RuntimeError):
    """What no part of the guard would raise."""


def error(document: dict[str, object]) -> messages.Error:
    return messages.Error.from_json(dict(document))


# Each of these sets a bench up, and returns the lineage to renew, if any.


def split(bench: Bench) -> Any:
    bench.answers({"b.net": issue("other.example")})


def order_again(bench: Bench) -> Any:
    bench.answers({"c.net": [Outcome.SERVFAIL, Outcome.NOTHING]})
    bench.acme.net.status = "invalid"
    bench.acme.finalizing.append(error(at_finalize(failed_lookup("b.net"))))


def authorize_again(bench: Bench) -> Any:
    bench.acme.failing["b.net"] = at_authorization(failed_lookup("b.net"))


def denied_by_the_ca(bench: Bench) -> Any:
    bench.acme.finalizing.append(error(at_finalize(denial("b.net"))))


def renewal(bench: Bench) -> Any:
    bench.lineage("a.net", REST, age=85)
    bench.hold("a.net", "b.net")
    return bench.reload("a.net")


def renewal_refused(bench: Bench) -> Any:
    bench.acme.finalizing.append(error(rate_limited()))
    return renewal(bench)


FLOWS = (split, order_again, authorize_again, denied_by_the_ca, renewal, renewal_refused)


def run(bench: Bench, lineage: Any) -> Any:
    return bench.issue(*(() if lineage else NAMES), lineage=lineage)


class Benches:
    """A fresh bench for each run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._number = 0

    def __call__(self) -> Bench:
        self._number += 1
        forget_process()
        seams._warned.clear()
        bench = Bench(self._folder / str(self._number), Clock())
        bench.set_up(self._monkeypatch)
        seams.install()
        return bench


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Benches]:
    opened: list[Any] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            opened.append(function(*args, **more))
            return opened[-1]

        return call

    with pytest.MonkeyPatch.context() as monkeypatch:
        # What is broken on purpose may be what would have closed them.
        monkeypatch.setattr(preflight, "PausingLoop", noting(preflight.PausingLoop))
        monkeypatch.setattr(sqlite3, "connect", noting(sqlite3.connect))
        yield Benches(tmp_path, monkeypatch)
    for one in opened:
        one.close()


def functions_of(run: Callable[[], Any]) -> set[tuple[str, int]]:
    """Where all functions of this package stand that are called meanwhile."""
    seen: set[tuple[str, int]] = set()

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            seen.add((code.co_filename, code.co_firstlineno))

    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(None)
    return seen


def modules() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("certbot_caa_guard") and module is not None
    ]


def parts() -> dict[str, tuple[Any, str, Any]]:
    """Every function of this package that is loaded: where it is, its name, and itself."""
    found: dict[str, tuple[Any, str, Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                for member, inner in vars(value).items():
                    _note(found, value, member, inner)
            else:
                _note(found, module, name, value)
    return found


def function_in(value: Any) -> Any:
    return value.fget if isinstance(value, property) else getattr(value, "__func__", value)


def place_of(value: Any) -> tuple[str, int]:
    code = function_in(value).__code__
    return code.co_filename, code.co_firstlineno


def _note(found: dict[str, tuple[Any, str, Any]], owner: Any, name: str, value: Any) -> None:
    function = function_in(value)
    if not isinstance(function, FunctionType):
        return
    code = function.__code__
    if not code.co_filename.startswith(str(PACKAGE)) or name in BARRIER:
        return
    key = f"{Path(code.co_filename).relative_to(PACKAGE)}:{function.__qualname__}"
    if inspect.isclass(owner) or key not in found:
        found[key] = (owner, name, value)


def break_it(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: Any) -> None:
    """Make a function raise, wherever it was imported to."""

    def fail(*_args: object, **_more: object) -> Any:
        raise ABugError(name)

    async def fail_later(*_args: object, **_more: object) -> Any:
        raise ABugError(name)

    broken = fail_later if inspect.iscoroutinefunction(value) else fail
    if inspect.isclass(owner):
        wrap: Callable[[Any], Any] = lambda function: function  # noqa: E731
        if isinstance(value, property | staticmethod | classmethod):
            wrap = type(value)
        monkeypatch.setattr(owner, name, wrap(broken))
        return
    for module in modules():
        for attribute, one in list(vars(module).items()):
            if one is value:
                monkeypatch.setattr(module, attribute, broken)


def outcome(bench: Bench, lineage: Any) -> Any:
    """The lineage that certbot issued; else what is wrong, or None for the CA's own words."""
    try:
        return run(bench, lineage)
    except ABugError:
        return "the bug got through to certbot"
    except (messages.Error, errors.AuthorizationError):
        return None  # as if the guard were not there
    except Exception as other:  # noqa: BLE001 - whatever it is, it is told
        return f"certbot ended with {other!r}"


def trouble_with(bench: Bench, issued: Any) -> str:
    if issued is None or isinstance(issued, str):
        return issued or ""
    there = set(texts(issued.names()))
    if not set(REST) <= there:
        return f"only {sorted(there)} were issued"
    remembered = set(bench.kept("a.net").held_names)
    pending = "".join(path.read_text() for path in bench.pending.glob("*.json"))
    if "b.net" not in there | remembered and "b.net" not in pending:
        return "b.net is lost"
    return ""


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_certbot_goes_on_whatever_function_of_the_guard_is_broken(
    flow: Callable[[Bench], Any], benches: Benches
) -> None:
    bench = benches()
    called = functions_of(functools.partial(run, bench, flow(bench)))
    known = parts()
    tried = sorted(key for key, (_, _, value) in known.items() if place_of(value) in called)
    assert len(tried) > 50
    wrong = {}
    for key in tried:
        bench = benches()
        lineage = flow(bench)
        with pytest.MonkeyPatch.context() as monkeypatch:
            break_it(monkeypatch, *known[key])
            issued = outcome(bench, lineage)
        if trouble := trouble_with(bench, issued):
            wrong[key] = trouble
    assert wrong == {}


@pytest.mark.parametrize(
    "key",
    [
        "issuance.py:Issuance.survey",
        "split.py:split",
        "history.py:History.__init__",
        "history.py:History.count",
        "plugin/pending.py:write",
        "plugin/keeping.py:Keeping.put",
        "preflight.py:Preflight.round",
    ],
)
def test_a_fault_before_the_order_leaves_all_names_to_certbot(
    key: str, benches: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    bench = benches()
    split(bench)
    with pytest.MonkeyPatch.context() as monkeypatch:
        break_it(monkeypatch, *parts()[key])
        lineage = run(bench, None)
    assert lineage.names() == [*NAMES]
    assert "a fault of the guard itself (ABugError" in caplog.text


def test_a_fault_is_told_without_control_characters(caplog: pytest.LogCaptureFixture) -> None:
    barrier.report(ValueError("\x1b[2J"))
    assert r"a fault of the guard itself (ValueError('\x1b[2J'))" in caplog.messages[0]


@pytest.mark.parametrize(
    "key", ["problem.py:read", "retry.py:next_step", "recovery.py:Recovery.after"]
)
def test_a_fault_after_a_refusal_gives_the_refusal_back(
    key: str, benches: Benches, caplog: pytest.LogCaptureFixture
) -> None:
    bench = benches()
    refusal = error(at_finalize(failed_lookup("b.net")))
    bench.acme.finalizing.append(refusal)
    with pytest.MonkeyPatch.context() as monkeypatch:
        break_it(monkeypatch, *parts()[key])
        with pytest.raises(messages.Error) as caught:
            bench.issue(*NAMES)
    assert caught.value is refusal
    assert "a fault of the guard itself (ABugError" in caplog.text
