"""certbot without the plugin, for comparison."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.certbot import Certbot, program


class Unplugged(Certbot):
    """The same certbot in an environment that does not hold the plugin."""

    def start(self, command: list[str], environment: dict[str, str]) -> list[str]:
        """Run from a folder of links to all packages but ours, and without ``site``."""
        packages = self.folder / "packages"
        if not packages.exists():
            link_packages(self.version, packages)
        environment["PYTHONPATH"] = str(packages)
        python = str(program(self.version).with_name("python"))
        return [python, "-S", "-c", "from certbot.main import main; main()", *command[1:]]


def link_packages(version: str, folder: Path) -> None:
    """Fill *folder* with links to what is installed beside a certbot, but for the plugin."""
    folder.mkdir(parents=True)
    for package in _site_packages(program(version).with_name("python")).iterdir():
        if "caa_guard" not in package.name:
            (folder / package.name).symlink_to(package)


def _site_packages(python: Path) -> Path:
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
