"""Our engine for plain resolvers on a file of owner names, and nothing else.

``python -m benchmarks.engine ADDRESS FILE``; prints the seconds that it took, without its start-up,
and how many questions were answered.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from certbot_caa_guard.climb import Lookup
from certbot_caa_guard.resolvers import loader, spec

_PATIENCE = 10.0
_AT_ONCE = 1000  # as a check has under way; more are for the engine to put in line


async def ask(resolver: Any, owners: Sequence[str]) -> tuple[float, int]:
    """Ask about all owners, as ``check`` does."""
    waiting = iter(owners)
    answered = left = 0
    done = asyncio.get_running_loop().create_future()

    def known(lookup: Lookup) -> None:
        nonlocal answered, left
        answered += not lookup.failed
        left -= 1
        if left <= _AT_ONCE // 2:
            feed()
        if not left and not done.done():
            done.set_result(None)

    def feed() -> None:
        nonlocal left
        for owner in islice(waiting, _AT_ONCE - left):
            left += 1
            resolver.ask(owner, _PATIENCE, known)

    start = time.perf_counter()
    feed()
    await done
    return time.perf_counter() - start, answered


def main(address: str, file: str) -> None:
    """Ask about the owners in a file."""
    resolver = loader.load(spec.parse(f"udp://{address}"))
    owners = Path(file).read_text("ascii").split()
    seconds, answered = asyncio.run(ask(resolver, owners))
    print(seconds, answered)


if __name__ == "__main__":
    main(*sys.argv[1:])
