"""NSD, a real authoritative server, serving zones handed over as text."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

import dns.message
import dns.rcode

from tests.internet.daemon import Daemon, find_program, probe

# Debian's NSD limits answers to 200/s per source unless told not to.
CONFIGURATION = """\
server:
  ip-address: {address}@53
  do-ip6: {ip6}
  server-count: 1
  username: ""
  database: ""
  chroot: ""
  zonesdir: "{directory}"
  pidfile: "{directory}/nsd.pid"
  xfrdfile: "{directory}/xfrd.state"
  zonelistfile: "{directory}/zone.list"
  xfrdir: "{directory}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  rrl-size: 1
remote-control:
  control-enable: no
"""
ZONE = """\
zone:
  name: "{name}"
  zonefile: "{file}"
"""


class Nsd:
    """One NSD on port 53 of one address. `zones` maps zone names to complete zone texts.

    As a context manager it is up, with every zone loaded, when the block is entered.
    `launch` and `wait` do the same in two steps, to start several at the same time.
    """

    def __init__(self, address: str, zones: Mapping[str, str], directory: Path) -> None:
        self.address = address
        self.zones = dict(zones)
        self.directory = directory
        program = find_program("nsd", "nsd")
        self._daemon = Daemon(
            [program, "-d", "-c", str(directory / "nsd.conf")], address, directory / "nsd.log"
        )

    def __enter__(self) -> Nsd:
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
        ip6 = "yes" if ":" in self.address else "no"
        parts = [CONFIGURATION.format(address=self.address, directory=self.directory, ip6=ip6)]
        for number, (name, text) in enumerate(self.zones.items()):
            file = self.directory / f"{number}.zone"
            file.write_text(text, encoding="utf-8")
            parts.append(ZONE.format(name=name, file=file))
        (self.directory / "nsd.conf").write_text("".join(parts), encoding="utf-8")
        self._daemon.launch()

    def wait(self) -> None:
        """Return when it answers; raise DaemonError if it does not, or refused a zone."""
        self._daemon.wait_for(lambda: self._soa_rcode(".") is not None)
        for name in self.zones:
            if self._soa_rcode(name) is not dns.rcode.NOERROR:
                raise self._daemon.error(f"did not load the zone {name}")

    def add(self, zone: str, records: Iterable[str]) -> None:
        """Add records to a zone's file, and load it again, as its operator would.

        NSD looks at when the file was changed, and at nothing else: not at the zone's serial.
        """
        number = list(self.zones).index(zone)
        file = self.directory / f"{number}.zone"
        before = file.stat().st_mtime_ns
        with file.open("a", encoding="utf-8") as opened:
            opened.writelines(f"{record}\n" for record in records)
        # The clock of files is coarse, and tests are quick.
        os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))
        self._daemon.signal(signal.SIGHUP)

    def stop(self) -> None:
        self._daemon.stop()

    def _soa_rcode(self, name: str) -> dns.rcode.Rcode | None:
        answer = probe(self.address, dns.message.make_query(name, "SOA"))
        return None if answer is None else answer.rcode()
