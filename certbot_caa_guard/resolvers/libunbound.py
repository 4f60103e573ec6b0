"""libunbound in a process of its own: what it is told, and how questions get there and back.

Neither a crash nor a hang of libunbound, nor any fault in how it parses what the Internet sends,
reaches this process: it starts :mod:`certbot_caa_guard.resolvers.unbound_child`, believes
nothing that comes back, and does without it once it misbehaves.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

LIBRARY = "libunbound.so.8"

# Run by its path, so that Python needs neither site-packages nor our package: -S saves time.
_PROGRAM = Path(__file__).with_name("unbound_child.py")

# The root's keys: https://data.iana.org/root-anchors/root-anchors.xml
ROOT_ANCHORS = """\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
"""

# Where it differs from Unbound's defaults, as the CA has it: always fresh, the full name asked at
# every level, in mixed case, and no tolerance for clocks.
_AS_THE_CA = {
    "module-config:": "validator iterator",
    "use-caps-for-id:": "yes",
    "qname-minimisation:": "no",
    "harden-below-nxdomain:": "no",
    "harden-glue:": "yes",
    "harden-dnssec-stripped:": "yes",
    "cache-max-ttl:": "0",
    "cache-max-negative-ttl:": "0",
    "neg-cache-size:": "0",
    "edns-buffer-size:": "1232",
    "val-sig-skew-min:": "0",
    "val-sig-skew-max:": "0",
    "val-log-level:": "2",  # or it would not say why an answer is bogus
    "prefetch:": "no",
    "unwanted-reply-threshold:": "10000",
}

# A library is set up for a few questions at a time; these are the daemon's own values.
_FOR_MANY_QUESTIONS = {
    "num-queries-per-thread:": "4096",
    "outgoing-num-tcp:": "64",
    "msg-cache-size:": "4m",
    "rrset-cache-size:": "8m",
    "key-cache-size:": "4m",
    "infra-cache-numhosts:": "10000",
}

# Not every libunbound.so.8 knows these.
_WISHES = {"ede:": "yes"}

# A CA does not ask name servers at addresses that are special (RFC 6890), whatever a zone says.
_SPECIAL_NETWORKS = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
)

# Unbound answers for these TLDs itself (RFC 6761), but a root of one's own may have them.  They are
# made transparent, because "nodefault" does nothing in the library.
_TLDS_OF_ITS_OWN = ("test.", "invalid.")

# A root server's addresses; nothing is sent to them to see if there is a way there.
_FAR_AWAY = {socket.AF_INET: "198.41.0.4", socket.AF_INET6: "2001:503:ba3e::2:30"}

_MOST_FILES = 4096
_FILES_FOR_OTHER_THINGS = 256
_FEWEST_PORTS = 16

_LONGEST_LINE = 1 << 18  # a packet of 64 KiB in base64, and a reason of 4,096 characters escaped
_MOST_WAITING = 1 << 23

_LOADING_SECONDS = 10.0
_DYING_SECONDS = 5.0


class ChildError(Exception):
    """The process cannot start, has died, or does what it should not."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What libunbound is told before the first question.

    :ivar options: names, with their colon, and values; later ones win.
    :ivar hints: the text of a root hints file; None for the built-in root servers.
    :ivar anchors: the text of a trust anchor file; without any record nothing is validated.
    :ivar stubs: zones and the addresses to ask about them.
    """

    options: tuple[tuple[str, str], ...]
    hints: str | None = None
    anchors: str = ROOT_ANCHORS
    stubs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def like_the_ca(
        cls,
        *,
        hints: str | None = None,
        anchors: str = ROOT_ANCHORS,
        stubs: Mapping[str, tuple[str, ...]] | None = None,
        special_addresses: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Settings:
        """As a CA has it.

        :param special_addresses: name servers may be on loopback and in private networks.
        :param extra: further options, which win.
        """
        options = [*(_AS_THE_CA | _FOR_MANY_QUESTIONS).items(), *_families(special_addresses)]
        ports = max(_open_files() - _FILES_FOR_OTHER_THINGS, _FEWEST_PORTS)
        options.append(("outgoing-range:", str(ports)))
        if special_addresses:
            options.append(("do-not-query-localhost:", "no"))
        else:
            options += [("do-not-query-address:", network) for network in _SPECIAL_NETWORKS]
        if hints is not None:
            options += [("local-zone:", f"{tld} transparent") for tld in _TLDS_OF_ITS_OWN]
        options += (extra or {}).items()
        flat = [(zone, one) for zone, addresses in (stubs or {}).items() for one in addresses]
        return cls(tuple(options), hints, anchors, tuple(flat))

    @property
    def validates(self) -> bool:
        """Whether there is an anchor to validate by."""
        lines = (line.strip() for line in self.anchors.splitlines())
        return any(line and not line.startswith(";") for line in lines)

    @property
    def lacks_a_family(self) -> bool:
        """Whether it does without IPv4 or IPv6, which the CA has both of."""
        options = dict(self.options)
        return "no" in {options.get("do-ip4:"), options.get("do-ip6:")}

    def to_json(self) -> dict[str, Any]:
        """What the child reads."""
        return {
            "library": LIBRARY,
            "options": self.options,
            "wishes": tuple(_WISHES.items()),
            "stubs": self.stubs,
            "hints": self.hints,
            "anchors": self.anchors if self.validates else None,
            "files": _open_files(),
            "parent": os.getpid(),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What libunbound says of one question (``struct ub_result``).

    :ivar packet: the DNS message; it may be a header alone.
    :ivar why: why it is bogus, as Unbound puts it into its Extended DNS Error.
    """

    rcode: int
    packet: bytes
    havedata: bool
    secure: bool
    bogus: bool
    why: str


class Child:
    """The process, started with the first question and gone after :meth:`close`.

    One event loop at a time may use it; answers to questions of an earlier loop are dropped.  It
    ends with the thread that asked the first question.  Once it has died it stays dead.

    :ivar never_started: why it could not start, if that was so: what the system says, or what
        comes from the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._input = self._output = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._last: int = 0
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._failure: str | None = None
        self.never_started: str | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, while there is one."""
        return None if self._process is None else self._process.pid

    async def ask(self, name: str, rrtype: int) -> Answer:
        """Ask a question; it takes as long as it takes.

        :raises ChildError: when there will be no answer.
        """
        self._attach(asyncio.get_running_loop())
        if len(self._outgoing) > _MOST_WAITING:
            raise ChildError("it takes no more questions")
        self._last += 1
        number = self._last
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._send({"id": number, "name": name, "type": rrtype})
            return await answer
        finally:
            self._pending.pop(number, None)

    def close(self) -> None:
        """Kill the process and forget it; may be called again."""
        self._end("it was closed")

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have *loop* read the answers, and start the process if there never was one."""
        if self._failure is not None:
            raise ChildError(self._failure)
        if self._process is None:
            self._start()
        if self._loop is loop:
            return
        self._detach()
        self._pending.clear()
        self._loop = loop
        loop.add_reader(self._output, self._read)

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._output)
            self._loop.remove_writer(self._input)
        self._loop = None

    def _start(self) -> None:
        command = [sys.executable, "-I", "-S", str(_PROGRAM)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own file
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # so that Ctrl-C at the terminal is ours alone
            )
        except OSError as error:
            self.never_started = str(error)
            self._failure = f"{sys.executable} cannot be started: {error}"
            raise ChildError(self._failure) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._queue(self._settings.to_json())

    def _queue(self, message: Mapping[str, Any]) -> None:
        self._outgoing += json.dumps(message).encode("ascii") + b"\n"

    def _send(self, message: Mapping[str, Any]) -> None:
        self._queue(message)
        self._flush()

    def _flush(self) -> None:
        assert self._loop is not None
        try:
            while self._outgoing:
                sent = os.write(self._input, self._outgoing[: 1 << 16])
                del self._outgoing[:sent]
        except BlockingIOError:
            self._loop.add_writer(self._input, self._flush)
            return
        except OSError as error:
            self._end(f"it takes no questions: {error}")
            return
        self._loop.remove_writer(self._input)

    def _read(self) -> None:
        try:
            data = os.read(self._output, 1 << 18)
        except BlockingIOError:
            return
        except OSError as error:  # pragma: no cover - what could it be?
            self._end(str(error))
            return
        if not data:
            self._end("it died")
            return
        self._incoming += data
        try:
            for line in self._whole_lines():
                self._take(line)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            self._end(f"it talks nonsense: {error!r}")

    def _whole_lines(self) -> Iterator[bytes]:
        *whole, rest = self._incoming.split(b"\n")
        self._incoming = rest
        yield from map(bytes, whole)
        if len(rest) > _LONGEST_LINE:
            raise ValueError("a line without an end")

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "fatal" in message:
            self.never_started = f"{message['fatal']:.1000}"
            self._end(f"it cannot start: {self.never_started}")
            return
        future = self._pending.get(message["id"])
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(ChildError(f"{message['error']:.1000}"))
        else:
            future.set_result(_answer(message))

    def _end(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
            logger.debug("libunbound: %s", reason)
        if self._process is None:
            return
        self._detach()
        _kill(self._process)
        self._process = None
        self._outgoing.clear()
        self._incoming.clear()
        for future in self._pending.values():
            if not future.done() and not future.get_loop().is_closed():
                future.set_exception(ChildError(reason))
        self._pending.clear()


def is_installed() -> bool:
    """Tell whether libunbound can be loaded, without loading it here."""
    command = [sys.executable, "-I", "-S", str(_PROGRAM), LIBRARY]
    try:
        done = subprocess.run(  # noqa: S603 - our own file
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=_LOADING_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _environment() -> dict[str, str]:
    """The way to the shared libraries and nothing else, since environments hold passwords."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_DYING_SECONDS)


def _answer(message: Mapping[str, Any]) -> Answer:
    """Read what the child says, which may be anything.

    :raises ValueError: and others, when it is no answer.
    """
    rcode, why = message["rcode"], message["why"]
    if not isinstance(rcode, int) or not isinstance(why, str):
        raise TypeError("not an answer")
    return Answer(
        rcode=rcode,
        packet=base64.b64decode(message["packet"], validate=True),
        havedata=message["havedata"] is True,
        secure=message["secure"] is True,
        bogus=message["bogus"] is True,
        why=why,
    )


def _open_files() -> int:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)


def _families(special_addresses: bool) -> list[tuple[str, str]]:
    """Which of IPv4 and IPv6 to use: those that this machine has a way out by."""
    with_ip6 = _has_route(socket.AF_INET6)
    with_ip4 = _has_route(socket.AF_INET) or special_addresses or not with_ip6
    words = {False: "no", True: "yes"}
    return [("do-ip4:", words[with_ip4]), ("do-ip6:", words[with_ip6])]


def _has_route(family: socket.AddressFamily) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.connect((_FAR_AWAY[family], 53))
    except OSError:
        return False
    return True
