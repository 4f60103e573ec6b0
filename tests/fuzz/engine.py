"""What the targets have in common: atheris, but only where a target is run as a program."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable


def imports(importer: str) -> contextlib.AbstractContextManager[object]:
    """What a target imports the code under test in, so that its branches are seen.

    :param importer: the target's ``__name__``.
    """
    if importer != "__main__":
        return contextlib.nullcontext()
    import atheris

    instrumented: contextlib.AbstractContextManager[object] = atheris.instrument_imports(
        include=["certbot_caa_guard"]
    )
    return instrumented


def fuzz(test_one_input: Callable[[bytes], None]) -> None:
    """Hand over to libFuzzer, with its options and corpus from the command line."""
    import atheris

    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
