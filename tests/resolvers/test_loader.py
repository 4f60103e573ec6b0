"""Finding the resolver for a SPEC."""

from __future__ import annotations

from importlib import metadata

import pytest
from zope.interface.verify import verifyClass, verifyObject

from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import loader, spec
from certbot_caa_guard.resolvers.stub import StubResolver
from tests.fakes import FakeResolver

MODULE = "tests.resolvers.test_loader"


def make_fake(_spec: spec.Spec) -> FakeResolver:
    return FakeResolver()


def make_nonsense(_spec: spec.Spec) -> object:
    return object()


def install(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """Pretend that these entry points are installed, and no others."""
    found = [
        metadata.EntryPoint(name, f"{MODULE}:{what}", loader.GROUP) for name, what in points.items()
    ]
    monkeypatch.setattr(
        loader.metadata, "entry_points", lambda group: found if group == loader.GROUP else []
    )


@pytest.mark.parametrize(("is_there", "from_the_root"), [(True, "unbound"), (False, "iterative")])
def test_auto_is_the_best_witness_there_is_and_the_system(
    monkeypatch: pytest.MonkeyPatch, is_there: bool, from_the_root: str
) -> None:
    install(monkeypatch, unbound="make_fake", iterative="make_fake", system="make_fake")
    monkeypatch.setattr("certbot_caa_guard.resolvers.unbound.is_installed", lambda: is_there)
    loaded: list[str] = []
    monkeypatch.setattr(loader, "load", lambda one: loaded.append(one.text))
    loader.load_all([spec.parse("auto")], pytest.fail)
    assert loaded == [from_the_root, "system"]


def test_what_was_named_but_cannot_be_had_is_refused_and_the_rest_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, udp="make_nonsense", tcp="make_fake")
    reasons: list[str] = []
    specs = spec.parse_list("udp://127.0.0.1,tcp://127.0.0.1")
    assert len(loader.load_all(specs, reasons.append)) == 1
    assert "is not an IResolver" in reasons[0]


def test_with_auto_the_system_may_have_no_resolver_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, unbound="make_fake", iterative="make_fake", system="make_nonsense")
    assert len(loader.load_all([spec.parse("auto")], pytest.fail)) == 1


def test_the_fake_resolver_of_these_tests_is_a_resolver() -> None:
    assert verifyObject(IResolver, FakeResolver())


def test_the_stub_resolver_is_a_resolver() -> None:
    assert verifyClass(IResolver, StubResolver)


@pytest.mark.parametrize("text", ["udp://127.0.0.1", "tcp://127.0.0.1:5353", "tcp://[::1]"])
def test_the_resolvers_of_this_package_load(text: str) -> None:
    resolver = loader.load(spec.parse(text))
    assert resolver.perspective.name == text


def test_another_package_can_bring_a_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, udp="make_fake")
    assert isinstance(loader.load(spec.parse("udp://127.0.0.1")), FakeResolver)


def test_a_scheme_that_nobody_brings_is_an_error_that_names_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, tls="make_fake", https="make_fake")
    with pytest.raises(loader.ResolverError, match=r"for udp://127\.0\.0\.1: there are https, tls"):
        loader.load(spec.parse("udp://127.0.0.1"))


def test_what_is_no_resolver_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, udp="make_nonsense")
    with pytest.raises(loader.ResolverError, match="is not an IResolver"):
        loader.load(spec.parse("udp://127.0.0.1"))


def test_only_the_entry_point_of_the_scheme_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tls="there_is_no_such_thing", udp="make_fake")
    assert isinstance(loader.load(spec.parse("udp://127.0.0.1")), FakeResolver)


def test_with_auto_a_file_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certbot_caa_guard.resolvers.unbound.is_installed", lambda: False)
    reasons: list[str] = []
    loader.load_all([spec.Spec("auto", "auto", root_hints="/no/such/file")], reasons.append)
    assert len(reasons) == 1
    assert "/no/such/file" in reasons[0]
