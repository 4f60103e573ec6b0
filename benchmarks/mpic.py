"""open-mpic-core's MpicCaaChecker on a file of names, in a process of its own.

``python -m benchmarks.mpic ADDRESS FILE AT_ONCE``; prints the seconds that it took, without its
start-up, and how many checks were completed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path


async def check(address: str, names: Sequence[str], at_once: int) -> tuple[float, int]:
    """Check all names, so many at the same time."""
    from open_mpic_core import CaaCheckRequest, MpicCaaChecker

    checker = MpicCaaChecker(["letsencrypt.org"])
    checker.resolver.nameservers = [address]
    waiting = iter(names)
    completed = 0

    async def work() -> None:
        nonlocal completed
        for name in waiting:
            response = await checker.check_caa(CaaCheckRequest(domain_or_ip_target=name))
            completed += response.check_completed and response.check_passed

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.perf_counter() - start, completed


def main(address: str, file: str, at_once: str) -> None:
    """Check the names in a file."""
    names = Path(file).read_text("ascii").split()
    seconds, completed = asyncio.run(check(address, names, int(at_once)))
    print(seconds, completed)


if __name__ == "__main__":
    main(*sys.argv[1:])
