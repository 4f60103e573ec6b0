"""With the flag off certbot is as if the plugin were not installed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from tests.e2e.certbot import Certbot
from tests.e2e.conftest import Bench
from tests.e2e.test_issuance import domains
from tests.e2e.unplugged import Unplugged

Start = Callable[..., Bench]


def test_with_the_flag_off_files_and_options_are_certbots_own(
    start: Start, version: str, tmp_path: Path
) -> None:
    bench = start({"good.net": []})
    names = domains("good.net", "www.good.net")
    with_plugin = bench.certbot
    with_plugin.warm = False
    assert with_plugin.run("certonly", *names).status == 0
    assert with_plugin.run("renew", "--force-renewal").status == 0
    without = Unplugged(version, tmp_path / "unplugged", bench.ca, bench.internet)
    assert without.run("certonly", *names).status == 0
    assert without.run("renew", "--force-renewal").status == 0
    assert "caa-guard" not in without.run("plugins").output
    assert _tree(with_plugin) == _tree(without)
    assert _conf(with_plugin) == _conf(without)


def _tree(certbot: Certbot) -> list[str]:
    """The names of all of certbot's files, but for the random ones of its accounts."""
    found = []
    for folder, _, files in os.walk(certbot.config):
        relative = Path(folder).relative_to(certbot.config)
        found += [re.sub(r"[0-9a-f]{32}", "ID", str(relative / file)) for file in files]
    return sorted(found)


def _conf(certbot: Certbot) -> str:
    text = certbot.renewal_conf("good.net").replace(str(certbot.folder), "FOLDER")
    return re.sub(r"account = \w+", "account = ID", text)
