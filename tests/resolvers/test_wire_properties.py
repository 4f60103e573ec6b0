"""The quick way to read an answer is the long one."""

from __future__ import annotations

import pytest

from certbot_caa_guard.resolvers import wire

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

QUESTION = b"\x03WWW\x07exAmple\x03net\x00\x01\x01\x00\x01"
END = 12 + len(QUESTION)
ZONES = [
    b"\xc0\x0c", b"\xc0\x10", b"\xc0\x18", b"\xc0\x1c", b"\xc0\x13", b"\xc0\x05", b"\xc1\x10",
    b"\xc0\xff", b"\x00", b"\x03net\x00", b"",
]  # fmt: skip
NEGATIVES = st.builds(
    lambda flags, counts, zone, soa, length, extra, opt, cut: (
        b"id" + flags + counts + QUESTION + zone + soa + length + extra + opt
    )[: cut or None],
    st.sampled_from([b"\x81\x80", b"\x81\x83", b"\x85\xb0", b"\x81\x82", b"\x83\x80", b"\x01\x00"]),
    st.sampled_from([bytes([0, 1, 0, 0, 0, a, 0, b]) for a in (0, 1, 2) for b in (0, 1, 2)]
                    + [b"\0\0\0\0\0\1\0\1", b"\0\1\0\1\0\1\0\1"]),
    st.sampled_from(ZONES),
    st.sampled_from([b"\x00\x06\x00\x01\0\0\0\x3c", b"\x00\x06\x00\x03\0\0\0\x3c",
                     b"\x00\x10\x00\x01\0\0\0\x3c", b""]),
    st.sampled_from([b"\x00\x04", b"\x00\x00", b"\x00\x20", b""]),
    st.sampled_from([b"abcd", b""]),
    st.sampled_from([
        b"", b"\0\0\x29\x04\xd0\0\0\0\0\0\0", b"\0\0\x29\x04\xd0\1\0\0\0\0\0",
        b"\0\0\x29\x04\xd0\0\0\0\0\0\x06\0\x0f\0\2\0\x16", b"\0\0\x29\x04\xd0\0\0\0\0\0\x06",
        b"\0\0\x29\x04\xd0\0\0\0\0\0\0trailing", b"\0\0\1\0\1\0\0\0\0\0\0",
        b"\0\0\x29\x04\xd0\0\0\0",
    ]),
    st.integers(-12, 0),
)  # fmt: skip


@hypothesis.settings(max_examples=500, deadline=None)
@hypothesis.given(NEGATIVES)
def test_the_quick_reading_of_negative_answers_is_the_long_one(message: bytes) -> None:
    hypothesis.assume(len(message) >= END)  # or it would not be known to answer the question
    quick = wire.read_matched("www.example.net", message, END, 0.5)
    assert quick == wire.read("www.example.net", message, 0.5)
