"""The resolvers of one certbot process: opened once for each way to ask, closed at its end.

A renewal of many lineages would else start them anew for each, libunbound's process among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import loader
from certbot_caa_guard.resolvers.spec import Spec


class OpenResolvers:
    """Resolvers that several issuances use, one after the other."""

    def __init__(self) -> None:
        self._open: dict[tuple[Spec, ...], list[IResolver]] = {}

    def named(self, specs: Sequence[Spec], refuse: Callable[[str], None]) -> list[IResolver]:
        """The resolvers that *specs* name.

        :param refuse: called with the reason for each that cannot be had, when they are opened.
        """
        key = tuple(specs)
        if key not in self._open:
            self._open[key] = loader.load_all(key, refuse)
        return list(self._open[key])

    def close_those_with(self, failed: Sequence[str]) -> None:
        """Have perspectives that did not work opened anew when they are next wanted.

        :param failed: what they are called.
        """
        for key, resolvers in list(self._open.items()):
            if any(one.perspective.name in failed for one in resolvers):
                del self._open[key]
                _close(resolvers)

    def close(self) -> None:
        """Close all of them; they may be opened again."""
        while self._open:
            _close(self._open.popitem()[1])


def _close(resolvers: Sequence[IResolver]) -> None:
    for resolver in resolvers:
        resolver.close()
