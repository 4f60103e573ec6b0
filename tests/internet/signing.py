"""DNSSEC signatures, good and bad, by the ldns tools."""

from __future__ import annotations

import enum
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dns.name

from tests.internet.daemon import find_program
from tests.internet.records import parse_records

ALGORITHM = "ECDSAP256SHA256"  # the quickest to make and to check


class Signing(enum.Enum):
    """How a zone is signed, by when its signatures are valid and whether its parent's DS fits."""

    VALID = enum.auto()
    EXPIRED = enum.auto()
    NOT_YET_VALID = enum.auto()
    WRONG_DS = enum.auto()

    def validity(self, now: datetime) -> tuple[datetime, datetime]:
        """Inception and expiration of the signatures."""
        day = timedelta(days=1)
        if self is Signing.EXPIRED:
            return now - 10 * day, now - 2 * day
        if self is Signing.NOT_YET_VALID:
            return now + 2 * day, now + 10 * day
        return now - day, now + 10 * day


def sign(zone: dns.name.Name, text: str, how: Signing, directory: Path) -> tuple[str, str]:
    """Sign a zone's text with a new key; return the signed text and the RDATA text of its DS."""
    directory.mkdir(parents=True, exist_ok=True)
    plain, signed = directory / "plain.zone", directory / "signed.zone"
    plain.write_text(text, encoding="utf-8")
    key = _run(directory, "ldns-keygen", "-r", "/dev/urandom", "-a", ALGORITHM, "-k", str(zone))
    inception, expiration = how.validity(datetime.now(timezone.utc))
    _run(
        directory,
        "ldns-signzone",
        *("-i", f"{inception:%Y%m%d%H%M%S}", "-e", f"{expiration:%Y%m%d%H%M%S}"),
        *("-o", str(zone), "-f", signed.name, plain.name, key),
    )
    ds = (directory / f"{key}.ds").read_text(encoding="ascii").split("DS", 1)[1].strip()
    if how is Signing.WRONG_DS:
        tag, algorithm, digest_type, digest = ds.split(None, 3)
        ds = f"{tag} {algorithm} {digest_type} {'0' * len(digest)}"
    # ldns writes CAA plainly, which NSD may refuse; parse_records makes it generic again.
    records = parse_records(signed.read_text(encoding="utf-8"))
    return "".join(f"{record}\n" for record in records), ds


def _run(directory: Path, program: str, *arguments: str) -> str:
    command = [find_program(program, "ldnsutils"), *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}{done.stdout}")
    return done.stdout.strip()
