"""Problems from a CA: as JSON, as the text of one problem's detail, and in a pasted log."""

from __future__ import annotations

import json

from tests.fuzz.engine import fuzz, imports

with imports(__name__):
    from certbot_caa_guard import problem
    from certbot_caa_guard.console import transcript
    from certbot_caa_guard.problem import Meaning

_IDENTIFIER = "www.example.net"


def TestOneInput(data: bytes) -> None:  # noqa: N802
    text = data.decode("utf-8", "replace")
    _check(problem.read({"detail": text}))
    _check(problem.read({"detail": text, "type": "urn:ietf:params:acme:error:rateLimited"}))
    _check(transcript.read(text))
    _check(transcript.read(f"2026-11-21 04:18:58 {text}\n"))
    (reading,) = problem.read({"detail": text}, identifier=_IDENTIFIER)
    assert reading.identifier in {_IDENTIFIER, None}
    if not text.startswith("{"):
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    _check(problem.read(document))
    _check(problem.read(document, identifier=_IDENTIFIER))


def _check(readings: tuple[problem.Reading, ...]) -> None:
    """One reading for each identifier, never none, and nothing made up."""
    assert readings
    identifiers = [reading.identifier for reading in readings]
    assert len(set(identifiers)) == len(identifiers), readings
    for reading in readings:
        assert reading.identifier != ""
        assert reading.others >= 0
        if reading.meaning is Meaning.DENIED:
            assert reading.owner != ""
            assert reading.error is None
            assert reading.is_permanent
        assert (reading.limit is not None) == (reading.meaning is Meaning.RATE_LIMITED)
        if reading.meaning is Meaning.DNSSEC:
            assert reading.owner
            assert reading.is_permanent == ("." in reading.owner)


if __name__ == "__main__":
    fuzz(TestOneInput)
