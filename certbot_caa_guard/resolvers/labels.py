"""Domain names on the wire: labels, and pointers that compress them (RFC 1035 section 4.1.4)."""

from __future__ import annotations

LONGEST_LABEL = 63
LONGEST_NAME = 255

_POINTER = 0xC0
_MOST_POINTERS = 127  # no name needs more, as each stands for a label at least


class LabelError(ValueError):
    """Octets that are no domain name."""


def end_of(message: bytes, position: int) -> int:
    """Where the name at *position* ends; a compression pointer ends it.

    :raises LabelError: when it has a label of an unknown type.
    :raises IndexError: when the message ends before.
    """
    while length := message[position]:
        if length >= _POINTER:
            return position + 2
        if length > LONGEST_LABEL:
            raise LabelError("a label of a type that nobody uses")
        position += length + 1
    return position + 1


def read(message: bytes, position: int) -> tuple[bytes, ...]:
    """The labels of the name at *position*, from left to right, in lower case.

    :raises LabelError: when it is longer than names can be, or its pointers lead nowhere.
    :raises IndexError: when the message ends before.
    """
    labels: list[bytes] = []
    size = 1
    pointers = 0
    while length := message[position]:
        if length >= _POINTER:
            target = (length & 0x3F) << 8 | message[position + 1]
            pointers += 1
            # A pointer points back, so that following them ends.
            if target >= position or pointers > _MOST_POINTERS:
                raise LabelError("compression pointers that lead nowhere")
            position = target
            continue
        size += length + 1
        if length > LONGEST_LABEL or size > LONGEST_NAME:
            raise LabelError("a label or a name that is too long")
        labels.append(message[position + 1 : position + 1 + length].lower())
        position += length + 1
    return tuple(labels)
