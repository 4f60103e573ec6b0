"""Check CAA before the CA does, so that one bad nameserver does not cost the certificate.

A CA looks CAA records (RFC 8659) up for every identifier of an order and for all of its
parents up to the TLD.  One failing lookup ends the whole order.  This package asks the same
questions first, holds back the identifiers that are bound to fail, outlives the failures that
pass, and remembers what it held back until it is in the certificate again.

It is used as a certbot plugin: ``certbot --caa-guard …``; by its own command,
``certbot-caa-guard``; and from Python::

    import certbot_caa_guard

    report = certbot_caa_guard.check(["example.com", "*.example.com"])
    for checked in report.checked:
        print(checked.identifier, checked.verdict.value)

For more names than memory should hold, ``check_stream`` takes any iterable and yields each outcome
as it is known::

    with open("names") as names, certbot_caa_guard.check_stream(names) as stream:
        for checked in stream:
            print(checked.identifier, checked.verdict.value)

:class:`certbot_caa_guard.client.GuardedClient` is the whole guard for programs on acme's client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certbot_caa_guard.checking import Options, Query, check, check_stream

__all__ = ["Options", "Query", "check", "check_stream"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load what is public when it is asked for: certbot imports this package at every start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from certbot_caa_guard import checking

    return getattr(checking, name)
