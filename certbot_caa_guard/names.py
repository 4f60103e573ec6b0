"""Identifiers, and the owner names that a CA asks about for them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
# What nearly all identifiers look like.
_PLAIN = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LONGEST_NAME = 253  # octets in presentation form without the final dot (RFC 1035 section 2.3.4)


class IdentifierError(ValueError):
    """A text that cannot be ordered as a DNS identifier; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A DNS identifier as it is ordered (RFC 8555 section 7.1.3).

    :ivar domain: the domain name: A-labels in lower case, no final dot, no ``*.``.
    :ivar wildcard: whether ``*.`` stands before it.
    """

    domain: str
    wildcard: bool = False

    def __str__(self) -> str:
        return f"*.{self.domain}" if self.wildcard else self.domain

    @property
    def owners(self) -> tuple[str, ...]:
        """The names whose CAA records are looked up: from the domain up to and with the TLD.

        The root is not asked, and a wildcard is asked about as its base (RFC 8659 section 3).
        """
        owner = self.domain
        owners = [owner]
        while (dot := owner.find(".")) >= 0:
            owner = owner[dot + 1 :]
            owners.append(owner)
        return tuple(owners)


def parse(text: str) -> Identifier:
    """Read *text*, as a user or a CA writes it, as an identifier.

    :raises IdentifierError: when no CA could take it as a DNS identifier.
    """
    if len(text) <= _LONGEST_NAME and _PLAIN.fullmatch(text):
        return Identifier(text[2:], True) if text[0] == "*" else Identifier(text)
    shown = repr(text) if len(text) <= _LONGEST_NAME else f"{text[:40]!r}…"
    name = text.strip()
    # Before the case is folded: that makes ASCII of some that is not, such as the Kelvin sign.
    if not name.isascii():
        raise IdentifierError(f"{shown} is not ASCII: write its A-label (xn--…) form instead")
    name = name.lower()
    wildcard = name.startswith("*.")
    domain = name[2:].rstrip(".") if wildcard else name.rstrip(".")
    if not domain:
        raise IdentifierError(f"{shown} is not a domain name: it is empty")
    if len(domain) > _LONGEST_NAME:
        raise IdentifierError(
            f"{shown} is too long: a domain name has at most {_LONGEST_NAME} characters"
        )
    for label in domain.split("."):
        if not _LABEL.fullmatch(label):
            raise IdentifierError(
                f"{shown} is not a domain name: the label {label!r} must be 1 to 63 letters, "
                "digits, hyphens or underscores"
            )
    return Identifier(domain, wildcard)


def is_ip_address(text: str) -> bool:
    """Tell whether *text* is an IP identifier (RFC 8738), for which no CAA is looked up.

    An address with a zone is none (RFC 8738 section 3), and a zone may be any text (RFC 4007).
    """
    # Without a colon, or a digit at its end, it is none; the rest takes longer to find out.
    if "%" in text or (":" not in text and not text.rstrip()[-1:].isdigit()):
        return False
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True


def is_at_or_below(owner: str, ancestor: str) -> bool:
    """Tell whether *owner* is *ancestor* or stands below it; both in lower case, no final dot."""
    return owner == ancestor or owner.endswith("." + ancestor)
