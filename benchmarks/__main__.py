"""``python -m benchmarks``: measure, print, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import PARTS, Part, Settings, load, machine, record
from benchmarks.results import Result


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says.

    :returns: 0, or 1 when a goal is not met.
    """
    options = _parser().parse_args(arguments)
    parts = [load(letter) for letter in dict.fromkeys(options.parts or PARTS)]
    if options.list:
        for part in parts:
            print(f"{part.letter}  {part.title}")
        return 0
    met = True
    for part in parts:
        result = _measure(part, options.quick)
        met = met and result.all_met
        if options.write:
            record.write(part, result, " ".join(["make", "bench", f"PARTS={part.letter}"]))
    return 0 if met else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the guard; needs tools/setup-bench."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", type=_part, help="all by default")
    parser.add_argument("--list", action="store_true", help="say what the parts measure")
    parser.add_argument("--quick", action="store_true", help="small, to see that all works")
    parser.add_argument(
        "--write", action="store_true", help=f"write what was found into {record.PAGE}"
    )
    return parser


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(PARTS)}")
    return text


def _measure(part: Part, quick: bool) -> Result:
    print(f"\n## {part.letter}. {part.title}\n", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        result = part.run(Settings(quick, Path(directory)))
    print(result.markdown())
    took, busy = time.monotonic() - started, machine.load()
    print(f"\n(part {part.letter} took {took:.0f} s; load {busy:.1f})", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
