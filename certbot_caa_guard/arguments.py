"""Arguments of the Python API that are easily given wrong, and would then say something else."""

from __future__ import annotations


def must_be_several(**arguments: object) -> None:
    """Refuse a text where several belong: Python takes it for a list of its letters.

    :raises TypeError: when one of *arguments* is a text.
    """
    for name, value in arguments.items():
        if isinstance(value, (str, bytes)):
            raise TypeError(f"{name} must be a list, such as [{value!r}], not a text")


def must_be_at_least(least: float, **arguments: float | None) -> None:
    """Refuse numbers that are too small; None is none.

    :raises ValueError: when one of *arguments* is less than *least*.
    """
    for name, value in arguments.items():
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
