"""The two halves of an ACME exchange, and what a JWS says of itself (RFC 8555 section 6.2)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Headers = list[tuple[str, str]]


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Request:
    """What a client sent. Signatures are Pebble's to verify."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""

    @property
    def host(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "host"), "")

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.path}"

    @cached_property
    def _jws(self) -> dict[str, str]:
        try:
            jws = json.loads(self.body)
        except ValueError:
            return {}
        return jws if isinstance(jws, dict) else {}

    @cached_property
    def protected(self) -> dict[str, Any]:
        """The JWS's protected header; empty when there is none."""
        try:
            return dict(json.loads(_decode(self._jws["protected"])))
        except (KeyError, TypeError, ValueError):
            return {}

    @cached_property
    def payload(self) -> dict[str, Any] | None:
        """The JWS's payload; None for a POST-as-GET (RFC 8555 section 6.3)."""
        try:
            return dict(json.loads(_decode(self._jws["payload"])))
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def account(self) -> str:
        """The account URL that signs, or an empty string."""
        return str(self.protected.get("kid", ""))


class AnswerLostError(Exception):
    """What was asked is done, but the client must not learn of it: its connection breaks."""


@dataclass
class Response:
    """What a client gets."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def of(cls, status: int, document: dict[str, Any], headers: Headers | None = None) -> Response:
        """Give a response with a JSON document; problems are told by their status."""
        kind = "problem+json" if status >= 400 else "json"
        content_type = ("Content-Type", f"application/{kind}")
        return cls(status, [content_type, *(headers or [])], json.dumps(document).encode())

    def header(self, name: str) -> str:
        """Give the first header of that name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def set_header(self, name: str, value: str) -> None:
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        self.headers.append((name, value))

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @document.setter
    def document(self, document: dict[str, Any]) -> None:
        self.body = json.dumps(document).encode()
