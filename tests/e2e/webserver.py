"""Debian's nginx and Apache with two sites, for certbot to find its way around in."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

HTTPS_PORT = 5001

_NGINX = """\
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sites/*;
}}
"""
_NGINX_SITE = """\
server {{
    listen {address}:{port};
    server_name {names};
    root {folder};
}}
server {{
    listen {address}:{https_port} ssl;
    server_name {names};
    root {folder};
    ssl_certificate {folder}/own.pem;
    ssl_certificate_key {folder}/own.key;
}}
"""
_APACHE = """\
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Mutex file:{folder}
User www-data
Group www-data
{modules}
Listen {address}:{port}
Listen {address}:{https_port}
<Directory />
    Require all granted
</Directory>
IncludeOptional sites-enabled/*.conf
"""
_APACHE_SITE = """\
<VirtualHost {address}:{port}>
    ServerName {first}
    {aliases}
    DocumentRoot {folder}
</VirtualHost>
"""
_MODULES = (
    "mpm_event", "authz_core", "alias", "rewrite", "headers", "socache_shmcb", "setenvif",
    "ssl",
)  # fmt: skip


class WebServer:
    """A web server with a site for each list of names; a context manager."""

    def __init__(self, folder: Path, address: str, port: int, sites: list[list[str]]) -> None:
        self.folder = folder
        self.address = address
        self.port = port
        self._sites = sites

    def __enter__(self) -> WebServer:
        self.folder.mkdir(parents=True)
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pid_file in self.folder.glob("*.pid"):
            if pid_file.stem in {"nginx", "apache"}:
                _end(int(pid_file.read_text()))

    def _write(self) -> None:
        raise NotImplementedError

    def site(self, name: str) -> str:
        """All that is configured now for the site of *name*."""
        raise NotImplementedError

    @property
    def arguments(self) -> list[str]:
        """What certbot has to be told."""
        raise NotImplementedError

    def _program(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    @property
    def _ports(self) -> list[str]:
        return ["--http-01-port", str(self.port), "--https-port", str(HTTPS_PORT)]


class Nginx(WebServer):
    """nginx; its sites speak TLS already, with a certificate of their own."""

    def _write(self) -> None:
        (self.folder / "sites").mkdir()
        self._make_certificate()
        (self.folder / "nginx.conf").write_text(_NGINX.format(folder=self.folder))
        for names in self._sites:
            text = _NGINX_SITE.format(
                names=" ".join(names),
                address=self.address,
                port=self.port,
                https_port=HTTPS_PORT,
                folder=self.folder,
            )
            (self.folder / "sites" / names[0]).write_text(text)
        subprocess.run(
            ["nginx", "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def _make_certificate(self) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=own"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-keyout", f"{self.folder}/own.key", "-out", f"{self.folder}/own.pem"]
        subprocess.run(command, check=True, capture_output=True)

    def site(self, name: str) -> str:
        return (self.folder / "sites" / name).read_text()

    @property
    def arguments(self) -> list[str]:
        return [
            "--nginx", "--nginx-server-root", str(self.folder), "--nginx-sleep-seconds", "1",
            *self._ports,
        ]  # fmt: skip


class Apache(WebServer):
    """Apache; certbot makes the sites for TLS.

    It installs only: serving, Apache is not root, and may not read what is in a test's folder.
    """

    def _write(self) -> None:
        for name in ("sites-available", "sites-enabled"):
            (self.folder / name).mkdir()
        modules = "\n".join(
            f"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"
            for module in _MODULES
        )
        own = {
            "folder": self.folder, "address": self.address, "port": 80,
            "https_port": HTTPS_PORT, "modules": modules,
        }  # fmt: skip
        (self.folder / "apache2.conf").write_text(_APACHE.format(**own))
        for names in self._sites:
            aliases = f"ServerAlias {' '.join(names[1:])}" if names[1:] else ""
            text = _APACHE_SITE.format(first=names[0], aliases=aliases, **own)
            (self.folder / "sites-available" / f"{names[0]}.conf").write_text(text)
            (self.folder / "sites-enabled" / f"{names[0]}.conf").symlink_to(
                f"../sites-available/{names[0]}.conf"
            )
        self._control = self._program(
            "apachectl",
            f"""#!/bin/sh
case $1 in
    start | stop | restart | graceful) set -- -k "$@" ;;
    configtest) shift; set -- -t "$@" ;;
esac
exec /usr/sbin/apache2 -d {self.folder} -f {self.folder}/apache2.conf "$@"
""",
        )
        subprocess.run([str(self._control), "start"], check=True, stdin=subprocess.DEVNULL)

    def site(self, name: str) -> str:
        files = sorted((self.folder / "sites-available").glob(f"{name}*.conf"))
        return "\n".join(file.read_text() for file in files)

    @property
    def arguments(self) -> list[str]:
        root = str(self.folder)
        return [
            "--authenticator", "standalone", "--http-01-address", self.address,
            "--installer", "apache", "--apache-server-root", root,
            "--apache-challenge-location", root,
            "--apache-vhost-root", f"{root}/sites-available", "--apache-logs-root", root,
            "--apache-ctl", str(self._control), "--apache-enmod", "true",
            "--apache-dismod", "true", *self._ports,
        ]  # fmt: skip


def _end(pid: int) -> None:
    """End a server of ours and wait until it is gone."""
    import os

    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(500):
            os.kill(pid, 0)
            time.sleep(0.01)
    except ProcessLookupError:
        return


def is_there(program: str) -> bool:
    """Whether a program is installed, as tools/setup sees to."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None
