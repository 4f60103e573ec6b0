"""Another name for :mod:`certbot_caa_guard.client`, the guard for programs on acme's client."""

from certbot_caa_guard.client import *  # noqa: F403
