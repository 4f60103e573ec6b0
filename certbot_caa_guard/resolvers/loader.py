"""Finding the resolver for a SPEC by its scheme, and checking that it is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers.spec import GROUP, installed

if TYPE_CHECKING:
    from certbot_caa_guard.resolvers.spec import Spec


class ResolverError(ValueError):
    """A resolver that cannot be had; the message says why and what to write instead."""


def load_all(specs: Iterable[Spec], refuse: Callable[[str], None]) -> list[IResolver]:
    """Load what *specs* ask for, with what ``auto`` stands for on this machine.

    :param refuse: called with the reason for each that was named but cannot be had.
    """
    resolvers = []
    for spec in specs:
        for one in _expand(spec):
            try:
                resolvers.append(load(one))
            except ResolverError as error:
                # A machine may well have no resolver of its own, if nobody named it.
                if one is spec or one.scheme != "system":
                    refuse(str(error))
    return resolvers


def load(spec: Spec) -> IResolver:
    """Load the resolver that *spec* asks for; only its own entry point is imported.

    :raises ResolverError: when nothing of that scheme is installed, or it does not work.
    """
    found = [point for point in metadata.entry_points(group=GROUP) if point.name == spec.scheme]
    if not found:
        known = ", ".join(sorted(installed()))
        raise ResolverError(f"no resolver is installed for {spec}: there are {known}")
    try:
        factory: Callable[[Spec], IResolver] = found[0].load()
        resolver = factory(spec)
    except ResolverError:
        raise
    except Exception as error:
        # It may be anybody's code.
        raise ResolverError(f"the resolver for {spec} cannot be loaded: {error}") from error
    try:
        verifyObject(IResolver, resolver)
    except Invalid as error:
        raise ResolverError(f"the resolver for {spec} is not an IResolver: {error}") from error
    return resolver


def _expand(spec: Spec) -> list[Spec]:
    """Itself, or for ``auto`` the best witness that is there, and the system's resolver."""
    if spec.scheme != "auto":
        return [spec]
    from certbot_caa_guard.resolvers.unbound import is_installed

    from_the_root = "unbound" if is_installed() else "iterative"
    return [replace(spec, text=scheme, scheme=scheme) for scheme in (from_the_root, "system")]
