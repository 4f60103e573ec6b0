"""Domain control validation (RFC 8555 section 8), so that CAA is looked at only after it.

Pebble validates for real afterwards; this one decides whether it gets to. Redirects are not
followed and tls-alpn-01 is not offered.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
from dataclasses import dataclass
from typing import Any

from .lookups import Resolver
from .problems import LookupFailedError, Problem, problem

OFFERED = ("http-01", "dns-01")


@dataclass(frozen=True)
class Attempt:
    """One challenge that a client says is ready; `name` without any wildcard label."""

    name: str
    method: str
    token: str
    thumbprint: str

    @property
    def key_authorization(self) -> str:
        """RFC 8555 section 8.1."""
        return f"{self.token}.{self.thumbprint}"


class NotValidatedError(Exception):
    """The validation failed; carries the challenge's error."""

    def __init__(self, error: Problem) -> None:
        super().__init__(error["detail"])
        self.error = error


def _address(resolver: Resolver, name: str) -> str:
    """Find where the name's web server is: its A record (the test internet has no IPv6)."""
    failures = []
    try:
        records = resolver.records(name, "A")
    except LookupFailedError as failure:
        failures.append(str(failure))
        try:
            resolver.records(name, "AAAA")
        except LookupFailedError as second:
            failures.append(str(second))
        raise NotValidatedError(problem("dns", 400, "; ".join(failures))) from None
    if not records:
        detail = f"no valid A records found for {name}; no valid AAAA records found for {name}"
        raise NotValidatedError(problem("dns", 400, detail))
    return socket.inet_ntoa(records[0])


def _fetch(address: str, port: int, name: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": name})
        response = connection.getresponse()
        return response.status, response.read(4096).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _validate_http(resolver: Resolver, port: int, attempt: Attempt) -> dict[str, Any]:
    path = f"/.well-known/acme-challenge/{attempt.token}"
    url = f"http://{attempt.name}{path}"
    address = _address(resolver, attempt.name)
    try:
        status, body = _fetch(address, port, attempt.name, path)
    except TimeoutError:
        detail = f"{address}: Fetching {url}: Timeout during connect (likely firewall problem)"
        raise NotValidatedError(problem("connection", 400, detail)) from None
    except ConnectionRefusedError:
        detail = f"{address}: Fetching {url}: Connection refused"
        raise NotValidatedError(problem("connection", 400, detail)) from None
    except (OSError, http.client.HTTPException):
        detail = f"{address}: Fetching {url}: Error getting validation data"
        raise NotValidatedError(problem("connection", 400, detail)) from None
    if status != 200:
        detail = f"{address}: Invalid response from {url}: {status}"
        raise NotValidatedError(problem("unauthorized", 403, detail))
    if body != attempt.key_authorization:
        detail = (
            f"{address}: The key authorization file from the server did not match this "
            f'challenge. Expected "{attempt.key_authorization}" (got "{body}")'
        )
        raise NotValidatedError(problem("unauthorized", 403, detail))
    return {
        "url": url,
        "hostname": attempt.name,
        "port": "80",
        "addressesResolved": [address],
        "addressUsed": address,
    }


def _texts(rdata: bytes) -> str:
    """Join the character-strings of a TXT record (RFC 1035 section 3.3.14)."""
    joined, rest = b"", rdata
    while rest:
        joined, rest = joined + rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    return joined.decode("latin-1")


def _validate_dns(resolver: Resolver, attempt: Attempt) -> dict[str, Any]:
    owner = f"_acme-challenge.{attempt.name}"
    digest = hashlib.sha256(attempt.key_authorization.encode()).digest()
    wanted = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    try:
        found = [_texts(rdata) for rdata in resolver.records(owner, "TXT")]
    except LookupFailedError as failure:
        raise NotValidatedError(problem("dns", 400, str(failure))) from None
    if not found:
        raise NotValidatedError(problem("unauthorized", 403, f"No TXT record found at {owner}"))
    if wanted not in found:
        others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        detail = f'Incorrect TXT record "{found[0]}"{others} found at {owner}'
        raise NotValidatedError(problem("unauthorized", 403, detail))
    return {"hostname": attempt.name}


def validate(resolver: Resolver, http_port: int, attempt: Attempt) -> dict[str, Any]:
    """Validate one challenge; gives its validation record, or raises NotValidatedError."""
    if attempt.method == "http-01":
        return _validate_http(resolver, http_port, attempt)
    return _validate_dns(resolver, attempt)
