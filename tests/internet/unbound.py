"""Unbound, configured as strictly as the one behind a public CA.

What Unbound 1.17 does with broken servers, as measured on this bench, is described in
`tests.internet` under "Failures seen through Unbound".
"""

from __future__ import annotations

import functools
import socket
import subprocess
import tempfile
from pathlib import Path

import dns.message

from tests.internet.daemon import Daemon, find_program, probe

CONTROL_PORT = 8953

# https://github.com/letsencrypt/unboundtest/blob/main/unbound.conf, where it differs from the
# defaults: always fresh, the full name asked at every level, mixed case, no clock tolerance.
CA_LIKE = """\
  qname-minimisation: no
  use-caps-for-id: yes
  harden-below-nxdomain: no
  harden-glue: yes
  harden-dnssec-stripped: yes
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  neg-cache-size: 0
  edns-buffer-size: 1232
  val-sig-skew-min: 0
  val-sig-skew-max: 0
  val-log-level: 2
  ede: yes
  prefetch: no
  unwanted-reply-threshold: 10000
"""

# Names under .test and .invalid are answered by Unbound itself unless told otherwise.
LABORATORY = """\
  interface: {address}
  outgoing-interface: {outgoing}
  port: 53
  directory: "{directory}"
  root-hints: "{directory}/root.hints"
  module-config: "{modules}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  log-servfail: yes
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  trust-anchor-signaling: no
  access-control: 127.0.0.0/8 allow
  local-zone: "test." nodefault
  local-zone: "invalid." nodefault
"""

# Unbound draws lots for each port that it may use before it begins: an eighth of them will do.
PORTS = """\
  outgoing-port-avoid: 0-65535
  outgoing-port-permit: 20000-28191
"""

CONTROL = """\
remote-control:
  control-enable: yes
  control-use-cert: no
  control-interface: {address}
  control-port: {port}
"""


class Unbound:
    """A recursive resolver on port 53 of one address.

    `extra` is further text for the `server:` section. `trust_anchor` is a file with the root's
    DS or DNSKEY; without it nothing is validated. `outgoing` is the address that name servers
    see, the listening address unless given.
    """

    def __init__(
        self,
        address: str,
        root: str,
        directory: Path,
        *,
        outgoing_interface: str | None = None,
        trust_anchor: Path | None = None,
        extra: str = "",
    ) -> None:
        self.address = address
        self.root = root
        self.directory = directory
        self.outgoing_interface = outgoing_interface or address
        self.trust_anchor = trust_anchor
        self.extra = extra
        program = find_program("unbound", "unbound")
        self._daemon = Daemon(
            [program, "-d", "-c", str(directory / "unbound.conf")],
            address,
            directory / "unbound.log",
        )

    def __enter__(self) -> Unbound:
        try:
            self.launch()
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        hints = f". 3600 NS a.root-servers.\na.root-servers. 3600 A {self.root}\n"
        (self.directory / "root.hints").write_text(hints, encoding="utf-8")
        (self.directory / "unbound.conf").write_text(self._configuration(), encoding="utf-8")
        self._daemon.launch()

    def wait(self) -> None:
        """Return when it answers a question that needs no name server."""
        query = dns.message.make_query("version.bind", "TXT", "CH")
        self._daemon.wait_for(lambda: probe(self.address, query) is not None)

    def stop(self) -> None:
        self._daemon.stop()

    def forget(self) -> None:
        """Empty the caches, as if the 5 s of a SERVFAIL and the 15 min of a dead server were over.

        Tests that look up a name again after a failure call this instead of waiting.
        """
        self.expire()
        self._order("flush_requestlist")

    def expire(self) -> None:
        """The same, but questions that are being worked on go on."""
        self._order("flush_zone .", "flush_infra all")

    def _order(self, *commands: str) -> None:
        for command in commands:
            said = self.command(command)
            if not said.startswith("ok"):
                raise RuntimeError(f"unbound at {self.address}: {command}: {said.strip()}")

    def command(self, command: str) -> str:
        """Send what unbound-control would send; return what it would print."""
        with socket.create_connection((self.address, CONTROL_PORT), timeout=10) as control:
            control.sendall(f"UBCT1 {command}\n".encode())
            said = b""
            while chunk := control.recv(65536):
                said += chunk
        return said.decode()

    def _configuration(self) -> str:
        laboratory = LABORATORY.format(
            address=self.address,
            outgoing=self.outgoing_interface,
            directory=self.directory,
            modules="validator iterator" if self.trust_anchor else "iterator",
        )
        parts = ["server:\n", laboratory, PORTS, CA_LIKE]
        if self.trust_anchor:
            parts.append(f'  trust-anchor-file: "{self.trust_anchor}"\n')
        if knows_option("discard-timeout: 0"):
            # Otherwise answers later than 1.9 s are thrown away, and a slow name server
            # looks like a dead one.
            parts.append("  discard-timeout: 0\n")
        parts.append("".join(f"  {line.strip()}\n" for line in self.extra.splitlines()))
        parts.append(CONTROL.format(address=self.address, port=CONTROL_PORT))
        return "".join(parts)


@functools.cache
def knows_option(line: str) -> bool:
    """Whether this Unbound accepts a line in its `server:` section.

    Version numbers do not tell: Debian carries options of later versions in its 1.17.1.
    """
    checker = find_program("unbound-checkconf", "unbound")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f'server:\n  chroot: ""\n  username: ""\n  directory: "/"\n  {line}\n')
        file.flush()
        done = subprocess.run([checker, file.name], capture_output=True, check=False)
    return done.returncode == 0
