"""Renewal configurations that somebody has edited, read as certbot reads them."""

from __future__ import annotations

import io

import configobj

from tests.fuzz.engine import fuzz, imports

with imports(__name__):
    from certbot_caa_guard.plugin import lineage


def TestOneInput(data: bytes) -> None:  # noqa: N802
    try:
        config = configobj.ConfigObj(io.BytesIO(data), encoding="utf-8", default_encoding="utf-8")
        section = config.get(lineage.SECTION)
    except (configobj.ConfigObjError, UnicodeError, TypeError):
        # TypeError is what becomes of "%(x)s" where x is a list.
        return
    try:
        names = lineage.read(section)
    except lineage.StateError:
        return
    # A held name is wanted, whatever somebody did to the list.
    wanted = dict.fromkeys([*names.wanted, *names.held_names])
    assert names.wanted_with(names.wanted) == list(wanted)
    assert [lineage._read_held(str(held)) for held in names.held] == list(names.held)


if __name__ == "__main__":
    fuzz(TestOneInput)
