"""The one error that the guard raises on purpose."""

from certbot import errors


class Stopped(errors.Error):
    """The guard ends this issuance before its order; the message tells the user why."""
