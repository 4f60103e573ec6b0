"""Standard input, which a caller may have closed."""

from __future__ import annotations

import sys
from typing import TextIO

from certbot_caa_guard.console.usage import UsageError


def standard_input() -> TextIO:
    """What a command reads where no file is named.

    :raises UsageError: when it is closed.
    """
    # So it is under ``<&-``, whatever the type says.
    opened: TextIO | None = sys.stdin
    if opened is None:
        raise UsageError("standard input is closed")
    return opened
