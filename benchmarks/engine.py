"""Our engine for plain resolvers on a file of owner names, and nothing else.

``python -m benchmarks.engine ADDRESS FILE``; prints the seconds that it took, without its start-up,
and how many questions were answered.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import loader, spec

_PATIENCE = 10.0
_AT_ONCE = 1000  # more are for the engine to put in line, which is part of what it does


async def ask(resolver: IResolver, owners: Sequence[str]) -> tuple[float, int]:
    """Ask about all owners."""
    waiting = iter(owners)
    answered = 0

    async def work() -> None:
        nonlocal answered
        for owner in waiting:
            lookup = await resolver.lookup(owner, _PATIENCE)
            answered += not lookup.failed

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return time.perf_counter() - start, answered


def main(address: str, file: str) -> None:
    """Ask about the owners in a file."""
    resolver = loader.load(spec.parse(f"udp://{address}"))
    owners = Path(file).read_text("ascii").split()
    seconds, answered = asyncio.run(ask(resolver, owners))
    print(seconds, answered)


if __name__ == "__main__":
    main(*sys.argv[1:])
