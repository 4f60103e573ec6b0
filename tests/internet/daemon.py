"""Running somebody else's server as a child that cannot outlive us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import dns.exception
import dns.message

STARTUP_SECONDS = 20.0  # a busy machine is slow; a broken configuration ends the process at once
SHUTDOWN_SECONDS = 5.0
# To read all the authorities that the system trusts takes a name server longer than all else that
# it does at its start, and nobody here has a certificate of theirs.
_NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


class MissingProgramError(RuntimeError):
    """A program that the bench needs is not installed."""


class DaemonError(RuntimeError):
    """A server did not come up; the message ends with what it said."""


def find_program(name: str, package: str) -> str:
    """The path of a program; Debian keeps servers in /usr/sbin, often outside a user's PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise MissingProgramError(f"{name} is not installed (Debian package: {package})")
    return path


class Daemon:
    """One server process in the foreground, its output in a file.

    It has a session of its own, so that Ctrl-C at the terminal reaches only us and we can
    end it together with the workers it forks. setpriv asks the kernel to end it when the *thread*
    that started it ends: start daemons from a thread that lives as long as they should.
    (A preexec_fn would do the same, but Python 3.12 warns about it when there are threads.)
    """

    def __init__(self, arguments: Sequence[str], address: str, log: Path) -> None:
        self._arguments = list(arguments)
        self._address = address
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                prefix + self._arguments,
                env={**os.environ, **_NO_AUTHORITIES},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Poll `ready` until it holds; raise DaemonError if the process ends or takes too long."""
        deadline = time.monotonic() + STARTUP_SECONDS
        while not ready():
            if self._process is None or self._process.poll() is not None:
                raise self.error("ended while starting")
            if time.monotonic() > deadline:
                raise self.error(f"did not answer within {STARTUP_SECONDS:.0f} s")
            time.sleep(0.005)

    def error(self, what: str) -> DaemonError:
        """An exception that shows the command and the end of its output."""
        said = self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""
        return DaemonError(f"{' '.join(self._arguments)} {what}; it said:\n{said or '(nothing)'}")

    def signal(self, number: signal.Signals) -> None:
        """Send it, and not its workers, a signal."""
        if self._process is None:
            raise self.error("does not run")
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it, and return when its address is free for the next one.

        Its files are throw-away, so a polite shutdown would only cost time. The workers that it
        forked are not our children, so the only sign that they too are gone is the free port.
        """
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        while not _is_free(self._address) and time.monotonic() < deadline:
            time.sleep(0.001)


def _is_free(address: str) -> bool:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as udp:
        try:
            udp.bind((address, 53))
        except OSError:
            return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def probe(address: str, query: dns.message.Message) -> dns.message.Message | None:
    """One quick question by UDP; None if there is no answer (yet).

    The socket is connected, so a port that nobody listens on is noticed at once.
    """
    with socket.socket(_family(address), socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.5)
        try:
            udp.connect((address, 53))
            udp.send(query.to_wire())
            return dns.message.from_wire(udp.recv(65535))
        except (OSError, dns.exception.DNSException):
            return None
