"""``python -m benchmarks``: measure, print, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks import PARTS, Part, Settings, load, machine, record


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says.

    :returns: 0; 1 when a goal is not met, 2 when a part could not be measured.
    """
    options = _parser().parse_args(arguments)
    parts = [load(letter) for letter in dict.fromkeys(options.parts or PARTS)]
    if options.list:
        for part in parts:
            print(f"{part.letter}  {part.title}")
        return 0
    return max(_measure(part, quick=options.quick, write=options.write) for part in parts)


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


def _measure(part: Part, *, quick: bool, write: bool) -> int:
    """Measure one part; what goes wrong with it does not stop the others."""
    print(f"\n## {part.letter}. {part.title}\n", flush=True)
    started, busy = time.monotonic(), machine.load()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            result = part.run(Settings(quick, Path(directory)))
    except Exception:  # noqa: BLE001 - it is shown
        traceback.print_exc()
        return 2
    print(result.markdown())
    print(f"\n(part {part.letter} took {time.monotonic() - started:.0f} s)", flush=True)
    if write and not quick:
        record.write(part, result, busy)
    return 0 if result.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
