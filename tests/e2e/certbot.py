"""certbot as a real subprocess, one virtual environment for each supported version."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from tests.ca import CA
from tests.e2e import warm
from tests.internet import Internet

ROOT = Path(__file__).resolve().parents[2]
# How long a run may take.
_SECONDS = 300
VERSIONS = ("2.1.0", "2.9.0", "4.0.0", "newest")


def program(version: str) -> Path:
    """The certbot of *version*, as ``make test`` sets it up."""
    return ROOT / ".venvs" / f"certbot-{version}" / "bin" / "certbot"


@dataclass(frozen=True)
class Run:
    """What one run of certbot left behind."""

    status: int
    output: str
    log: str


class Certbot:
    """One certbot installation with folders of its own, set up for a bench's CA and internet.

    :ivar warm: whether a run is forked off a certbot that has been loaded already.
    """

    warm = True

    def __init__(self, version: str, folder: Path, ca: CA, internet: Internet) -> None:
        self.version = version
        self.folder = folder
        self.config = folder / "config"
        self._ca = ca
        self._internet = internet

    def run(
        self,
        verb: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        challenge: Sequence[str] | None = None,
        noninteractive: bool = True,
    ) -> Run:
        """Run certbot with http-01 by standalone, unless *challenge* says otherwise."""
        command = [
            str(program(self.version)),
            verb,
            "--config-dir",
            str(self.config),
            "--work-dir",
            str(self.folder / "work"),
            "--logs-dir",
            str(self.folder / "logs"),
        ]
        if noninteractive:
            command.append("--non-interactive")
        if verb in {"certonly", "run"}:
            command += ["--agree-tos", "-m", "admin@example.net", "--no-eff-email"]
            command += ["--server", self._ca.directory_url]
            command += self.standalone if challenge is None else challenge
        elif verb == "renew":
            command.append("--no-random-sleep-on-renew")
        env = {**self._environment, **(environment or {})}
        return self._run(self.start([*command, *arguments], env), env)

    def console(self, command: str, *arguments: str) -> Run:
        """Run ``certbot-caa-guard`` on this certbot's folders."""
        guard = str(program(self.version).with_name("certbot-caa-guard"))
        folders = ["--config-dir", str(self.config)]
        if command == "rejoin":
            for kind in ("work", "logs"):
                folders += [f"--{kind}-dir", str(self.folder / kind)]
        return self._run([guard, command, *folders, *arguments], self._environment)

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> Run:
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        certbot = program(self.version)
        if self.warm and command[0] == str(certbot):
            status = warm.run(
                certbot.with_name("python"),
                command,
                environment=environment,
                folder=self.folder,
                output=output,
                seconds=_SECONDS,
            )
        else:
            with output.open("w") as file:
                status = subprocess.run(
                    command,
                    env=environment,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=_SECONDS,
                    check=False,
                ).returncode
        log = self.folder / "logs" / "letsencrypt.log"
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        return Run(status, output.read_text("utf-8"), text)

    def start(self, command: list[str], environment: dict[str, str]) -> list[str]:
        """What to run for *command*; a subclass may run it in another way."""
        del environment
        return command

    @property
    def standalone(self) -> list[str]:
        """http-01 by certbot's own web server."""
        return [
            "--authenticator",
            "standalone",
            "--http-01-address",
            self._internet.web,
            "--http-01-port",
            str(self._ca.http_port),
        ]

    @property
    def manual_dns(self) -> list[str]:
        """dns-01 by hooks that publish and withdraw the record on the bench's internet."""
        return [
            "--authenticator",
            "manual",
            "--preferred-challenges",
            "dns",
            "--manual-auth-hook",
            self._dns_hook("publish"),
            "--manual-cleanup-hook",
            self._dns_hook("withdraw"),
        ]

    @property
    def guard(self) -> list[str]:
        """The guard's flags, with two perspectives and a short deadline."""
        resolvers = (self._internet.resolver, self._internet.second_resolver)
        return [
            "--caa-guard",
            "--caa-guard-resolver",
            ",".join(f"udp://{address}" for address in resolvers),
            "--caa-guard-deadline",
            "120",
        ]

    def names(self, lineage: str) -> set[str]:
        """The names in the lineage's certificate; none where there is no such lineage."""
        path = self.config / "live" / lineage / "cert.pem"
        if not path.exists():
            return set()
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return set(extension.value.get_values_for_type(x509.DNSName))

    def serial(self, lineage: str) -> int:
        """The serial number of the lineage's certificate."""
        path = self.config / "live" / lineage / "cert.pem"
        return x509.load_pem_x509_certificate(path.read_bytes()).serial_number

    def renewal_conf(self, lineage: str) -> str:
        """The text of the lineage's renewal configuration."""
        return (self.config / "renewal" / f"{lineage}.conf").read_text("utf-8")

    @property
    def _environment(self) -> dict[str, str]:
        keep = {"PATH", "HOME", "LANG", "LC_ALL"}
        kept = {name: value for name, value in os.environ.items() if name in keep}
        return {**kept, "REQUESTS_CA_BUNDLE": str(self._ca.bundle)}

    def _dns_hook(self, action: str) -> str:
        url = f"{self._internet.control}/{action}"
        body = (
            '{\\"owner\\": \\"_acme-challenge.$CERTBOT_DOMAIN\\", \\"type\\": \\"TXT\\", '
            '\\"text\\": \\"$CERTBOT_VALIDATION\\"}'
        )
        python = program(self.version).with_name("python")
        script = (
            "import os,sys,urllib.request as r;"
            "r.urlopen(r.Request(sys.argv[1],data=sys.argv[2].encode(),"
            "headers={'Content-Type':'application/json'})).read()"
        )
        return f'{python} -c "{script}" {url} "{body}"'
