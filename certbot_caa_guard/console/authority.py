"""Which CA is meant, and which account at it."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from certbot_caa_guard import directory, names
from certbot_caa_guard.console.usage import NotFoundOutError, UsageError
from certbot_caa_guard.verdict import is_clock_right

_OURSELVES = "certbot-caa-guard"
_PATIENCE = 45.0  # seconds, as certbot's
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


@dataclass(frozen=True)
class Authority:
    """A CA, as CAA records know it.

    :ivar issuers: its domain names in CAA records.
    :ivar account_uri: the account that asks, or None.
    :ivar clock_skew: how many seconds our clock is ahead of the CA's; None where not known.
    :ivar remarks: what the user should know of how these were found.
    """

    issuers: tuple[str, ...]
    account_uri: str | None = None
    clock_skew: float | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Directory:
    """What a CA's directory says, and what its answer tells of the time."""

    identities: tuple[str, ...]
    clock_skew: float | None


def add_arguments(group: Any) -> None:
    """Add what :func:`chosen` needs to a *group* of arguments."""
    group.add_argument(
        "--server", metavar="URL", help="the CA's ACME directory, to read its CAA domains from"
    )
    group.add_argument(
        "--issuer",
        metavar="DOMAIN[,DOMAIN...]",
        help="the CA's CAA domains (default: what --server says, else letsencrypt.org)",
    )
    group.add_argument(
        "--account-uri",
        metavar="URI",
        help="the ACME account (default: certbot's own for --server, where there is one)",
    )
    group.add_argument(
        "--config-dir",
        default="/etc/letsencrypt",
        metavar="DIR",
        help="where certbot keeps its accounts (default: /etc/letsencrypt)",
    )


def chosen(options: argparse.Namespace) -> Authority:
    """Find the CA and the account that the options of a command name.

    :raises UsageError: when they are wrong, or what --server names is no CA's directory.
    :raises NotFoundOutError: when that cannot be reached now.
    """
    try:
        return find(options.server, options.issuer, options.account_uri, options.config_dir)
    except NotFoundOutError as error:
        raise NotFoundOutError(
            f"{error}. Try again later, or name the CA with --issuer DOMAIN instead of --server"
        ) from error


def find(
    server: str | None, issuer: str | None, account_uri: str | None, config_dir: str
) -> Authority:
    """Find the CA and the account from what the user said.

    :param server: the URL of the CA's directory (RFC 8555 section 7.1.1).
    :param config_dir: certbot's configuration, with its accounts.
    :raises UsageError: when one of them is wrong, or *server* is no CA's directory.
    :raises NotFoundOutError: when that cannot be reached now.
    """
    issuers = _issuers(issuer) if issuer else ()
    if server is None:
        return Authority(issuers or (directory.LETS_ENCRYPT,), account_uri)
    remarks: list[str] = []
    known = _directory(server)
    issuers = issuers or known.identities
    if not issuers:
        raise UsageError(
            f"{server} does not say its CAA domains, a list of domain names in caaIdentities: name "
            "them with --issuer DOMAIN"
        )
    if not is_clock_right(known.clock_skew):
        remarks.append(
            "This machine's clock and the CA's differ by more than 5 minutes, so no DNSSEC failure "
            "is believed. Set the clock."
        )
    if account_uri is None:
        account_uri, remark = _account(server, Path(config_dir))
        remarks += [remark] if remark else []
    return Authority(issuers, account_uri, known.clock_skew, tuple(remarks))


def account_uri(server: str, account: str | None, config_dir: Path) -> str | None:
    """The URI of certbot's account of the ID *account* at *server*, where it can be read."""
    if account is None:
        return None
    try:
        file = _accounts(server, config_dir) / account / "regr.json"
        uri = json.loads(file.read_text("utf-8")).get("uri")
    except (OSError, ValueError, AttributeError):
        return None
    return uri if isinstance(uri, str) else None


def _accounts(server: str, config_dir: Path) -> Path:
    parts = urlsplit(server)
    return config_dir / "accounts" / parts.netloc / parts.path.lstrip("/")


def _issuers(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(names.parse(domain)) for domain in text.split(","))
    except names.IdentifierError as error:
        raise UsageError(f"--issuer: {error}") from error


def _directory(server: str) -> _Directory:
    """:raises UsageError: and NotFoundOutError, as :func:`find` does."""
    try:
        answer = _answer(server)
        identities = _identities(answer.json())
    except (ValueError, RecursionError) as error:
        raise UsageError(_unread(server, error)) from error
    skew = directory.clock_skew(answer.headers.get("Date"), time.time())
    return _Directory(directory.issuers(identities, server), skew)


def _answer(server: str) -> Any:
    """What the CA answers, as requests has it.

    :raises ValueError: when the URL is none, or not that of a directory.
    :raises NotFoundOutError: when it cannot be reached, or says that it cannot answer now.
    """
    import requests

    try:
        answer = requests.get(server, headers={"User-Agent": _OURSELVES}, timeout=_PATIENCE)
    except requests.RequestException as error:
        # Errors of URLs are ValueErrors.
        if isinstance(error, ValueError):
            raise
        raise NotFoundOutError(_unread(server, error)) from error
    if answer.ok:
        return answer
    told = f"HTTP status {answer.status_code}{_detail(answer)}"
    if answer.status_code == _TOO_MANY_REQUESTS or answer.status_code >= _SERVER_ERROR:
        raise NotFoundOutError(_unread(server, told))
    raise ValueError(told)


def _unread(server: str, why: object) -> str:
    from certbot_caa_guard.report import text

    return f"cannot read the CA's directory {server}: {text.printable(str(why))}"


def _detail(answer: Any) -> str:
    """What a problem document says (RFC 9457), if it is one."""
    try:
        return f": {answer.json()['detail']}"
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""


def _identities(document: Any) -> object:
    """What a directory says in ``caaIdentities`` (RFC 8555 section 9.7.6); it may be anything.

    :raises ValueError: when it is no directory.
    """
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    meta = document.get("meta") or {}
    if not isinstance(meta, dict):
        raise ValueError("its meta is no JSON object")
    return meta.get("caaIdentities")


def _account(server: str, config_dir: Path) -> tuple[str | None, str | None]:
    """certbot's account at *server*, and a remark where there is not just one."""
    folder = _accounts(server, config_dir)
    uris = []
    try:
        for file in sorted(folder.glob("*/regr.json")):
            uri = json.loads(file.read_text("utf-8")).get("uri")
            uris += [uri] if isinstance(uri, str) else []
    except PermissionError:
        return None, (
            f"certbot's accounts in {config_dir} cannot be read: records with accounturi do not "
            "match. Run this as root, or name the account with --account-uri."
        )
    except (OSError, ValueError, AttributeError):
        pass
    if len(uris) == 1:
        return uris[0], None
    if not uris:
        return None, None
    return None, f"certbot has {len(uris)} accounts at {server}: name one with --account-uri."
