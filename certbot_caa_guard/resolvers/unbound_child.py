"""The process that libunbound runs in: questions come by standard input, answers go to output.

libunbound parses whatever the Internet sends, so it is kept away from certbot: in a process of
its own, as nobody where we are root, with limits, which ends when its parent does.

The file is run by its path and imports the standard library only, so that no part of the
package, nor anything that it needs, is loaded here.  Everything is imported before the
privileges go, since nobody may not be allowed to read Python's own files.

Each line is a JSON object, and there is one for each question and one for each answer::

    {"library": "libunbound.so.8", "options": [["do-ip6:", "no"]], "wishes": [], "stubs": [],
     "hints": null, "anchors": ". IN DS …", "files": 4096, "parent": 17}
    {"id": 1, "name": "example.net", "type": 257}
    → {"id": 1, "rcode": 0, "packet": "…", "secure": true, "bogus": false, "why": ""}
    → {"id": 1, "error": "…"} or, before it ends, {"fatal": "…"}
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import pwd
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import Any

_CLASS_IN = 1
_TYPE_A = 1
_NO_QUESTION = 0
_LONGEST_LINE = 1 << 22
_LONGEST_PACKET = 0xFFFF
_LONGEST_REASON = 4096

_MOST_MEMORY = 1 << 30
_NOBODY = 65534

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

Answer = Callable[[dict[str, Any]], None]


class UnboundError(Exception):
    """libunbound does not do what it was told to."""


class _Result(ctypes.Structure):
    """``struct ub_result`` of libunbound.so.8 (unbound.h)."""

    _fields_ = (
        ("qname", ctypes.c_char_p),
        ("qtype", ctypes.c_int),
        ("qclass", ctypes.c_int),
        ("data", ctypes.POINTER(ctypes.c_char_p)),
        ("len", ctypes.POINTER(ctypes.c_int)),
        ("canonname", ctypes.c_char_p),
        ("rcode", ctypes.c_int),
        ("answer_packet", ctypes.c_void_p),
        ("answer_len", ctypes.c_int),
        ("havedata", ctypes.c_int),
        ("nxdomain", ctypes.c_int),
        ("secure", ctypes.c_int),
        ("bogus", ctypes.c_int),
        ("why_bogus", ctypes.c_char_p),
        ("was_ratelimited", ctypes.c_int),
        ("ttl", ctypes.c_int),
    )


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Result))


def load(name: str) -> ctypes.CDLL:
    """Load libunbound and say how its functions are called.

    :raises OSError: when there is none.
    """
    library = ctypes.CDLL(name)
    text, context, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
    prototypes: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "ub_ctx_create": (context, ()),
        "ub_ctx_delete": (None, (context,)),
        "ub_ctx_async": (number, (context, number)),
        "ub_ctx_set_option": (number, (context, text, text)),
        "ub_ctx_add_ta_file": (number, (context, text)),
        "ub_ctx_set_stub": (number, (context, text, text, number)),
        "ub_resolve_async": (
            number,
            (context, text, number, number, ctypes.c_void_p, _Callback, ctypes.c_void_p),
        ),
        "ub_fd": (number, (context,)),
        "ub_process": (number, (context,)),
        "ub_resolve_free": (None, (ctypes.POINTER(_Result),)),
        "ub_strerror": (text, (number,)),
    }
    for function, (result, arguments) in prototypes.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


class Context:
    """A libunbound context, set up, with a thread of its own that does the work."""

    def __init__(self, library: ctypes.CDLL, settings: dict[str, Any], answer: Answer) -> None:
        """:param answer: called by :meth:`process` with what is to be sent for a question.

        :raises UnboundError: when a setting is refused.
        """
        self._library = library
        self._answer = answer
        self._callback = _Callback(self._called_back)  # libunbound keeps no reference to it
        self._handle = library.ub_ctx_create()
        if not self._handle:
            raise UnboundError("no context")
        try:
            self._configure(settings)
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the thread and forget all questions."""
        self._library.ub_ctx_delete(self._handle)

    @property
    def fd(self) -> int:
        """Readable when there is something to :meth:`process`."""
        return int(self._library.ub_fd(self._handle))

    def ask(self, number: int, name: str, rrtype: int) -> None:
        """Ask a question; what is refused at once is answered at once."""
        try:
            self._resolve(number, name.encode("ascii"), rrtype)
        except (UnicodeEncodeError, UnboundError) as error:
            self._answer({"id": number, "error": str(error)})

    def process(self) -> None:
        """Answer what has been found out."""
        self._check(self._library.ub_process(self._handle), "ub_process")

    def _configure(self, settings: dict[str, Any]) -> None:
        library, handle = self._library, self._handle
        self._check(library.ub_ctx_async(handle, 1), "threads")
        for option, value in settings["options"]:
            status = library.ub_ctx_set_option(handle, option.encode(), value.encode())
            self._check(status, f"{option} {value}")
        for option, value in settings["wishes"]:
            library.ub_ctx_set_option(handle, option.encode(), value.encode())
        for zone, address in settings["stubs"]:
            status = library.ub_ctx_set_stub(handle, zone.encode(), address.encode(), 0)
            self._check(status, f"stub {zone} {address}")
        if settings["hints"] is not None:
            status = library.ub_ctx_set_option(handle, b"root-hints:", _file(settings["hints"]))
            self._check(status, "root hints")
        if settings["anchors"]:
            status = library.ub_ctx_add_ta_file(handle, _file(settings["anchors"]))
            self._check(status, "trust anchor")

    def _start(self) -> None:
        """Have libunbound read its files and start its thread, by a question that goes nowhere.

        It knows localhost itself (RFC 6761 section 6.3).
        """
        self._resolve(_NO_QUESTION, b"localhost", _TYPE_A)

    def _resolve(self, number: int, name: bytes, rrtype: int) -> None:
        status = self._library.ub_resolve_async(
            self._handle, name, rrtype, _CLASS_IN, number, self._callback, None
        )
        self._check(status, "question")

    def _check(self, status: int, what: str) -> None:
        if status:
            raise UnboundError(f"{what}: {self._text_of(status)}")

    def _text_of(self, status: int) -> str:
        text: bytes = self._library.ub_strerror(status)
        return text.decode("ascii", "replace")

    def _called_back(self, number: int | None, status: int, pointer: Any) -> None:
        number = number or _NO_QUESTION  # ctypes makes None of 0
        if status or not pointer:
            self._answer({"id": number, "error": self._text_of(status)})
            return
        if number != _NO_QUESTION:
            self._answer({"id": number, **_describe(pointer.contents)})
        self._library.ub_resolve_free(pointer)


def _describe(result: _Result) -> dict[str, Any]:
    length = min(result.answer_len, _LONGEST_PACKET) if result.answer_packet else 0
    packet = ctypes.string_at(result.answer_packet, length) if length > 0 else b""
    return {
        "rcode": result.rcode,
        "packet": base64.b64encode(packet).decode("ascii"),
        "havedata": bool(result.havedata),
        "nxdomain": bool(result.nxdomain),
        "secure": bool(result.secure),
        "bogus": bool(result.bogus),
        "why": (result.why_bogus or b"")[:_LONGEST_REASON].decode("utf-8", "replace"),
    }


def _file(text: str) -> bytes:
    """The name of a file with *text*, which the user nobody can read, too."""
    descriptor = os.memfd_create("unbound")
    with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)
    return f"/proc/self/fd/{descriptor}".encode()


def drop_privileges() -> None:
    """Become nobody for good, if we are root.

    :raises OSError: when that is refused; then nothing foreign may run.
    """
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam("nobody")
        user, group = entry.pw_uid, entry.pw_gid
    except KeyError:
        user = group = _NOBODY
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def end_with(parent: int) -> None:
    """Have the kernel kill us when our parent's thread ends, even if we hang."""
    libc = ctypes.CDLL(None)
    # It is forgotten when a process changes its user, so this comes after drop_privileges.
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def limit(files: int) -> None:
    """Bound what the process may use; where that is less already, it stays so.

    :param files: how many it may have open, sockets included.
    """
    wanted = (
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_CORE, 0),
    )
    for what, most in wanted:
        _, allowed = resource.getrlimit(what)
        bound = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(what, (bound, bound))


def seal() -> None:
    """Let there be no further thread or process, and nothing written to any file."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


class Lines:
    """The lines that come by a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> list[bytes] | None:
        """The lines that have become whole after one read; None at the end.

        :raises UnboundError: when a line is longer than any that our parent sends.
        """
        data = os.read(self.descriptor, 1 << 16)
        if not data:
            return None
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise UnboundError("a line without an end")
        return whole


class Replies:
    """Answers on their way to our parent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()

    def add(self, reply: dict[str, Any]) -> None:
        """Keep *reply* until :meth:`send`: callbacks should be short."""
        self._waiting += json.dumps(reply).encode("ascii") + b"\n"

    def send(self) -> None:
        """Send all that is waiting."""
        while self._waiting:
            sent = os.write(self._descriptor, self._waiting[: 1 << 16])
            del self._waiting[:sent]


def serve(context: Context, first: list[bytes], lines: Lines, replies: Replies) -> None:
    """Answer questions until there are no more.

    :param first: those that were read together with the settings.
    """
    poll = select.poll()
    poll.register(lines.descriptor, select.POLLIN)
    poll.register(context.fd, select.POLLIN)
    questions: list[bytes] | None = first
    while questions is not None:
        for line in questions:
            question = json.loads(line)
            context.ask(question["id"], question["name"], question["type"])
        replies.send()
        questions = []
        for descriptor, _ in poll.poll():
            if descriptor == lines.descriptor:
                questions = lines.read()
            else:
                context.process()


def run(
    requests: int,
    replies: int,
    *,
    confine: Callable[[dict[str, Any]], None],
    seal: Callable[[], None],
) -> None:
    """Read the settings and serve.

    :param requests: the file descriptor to read.
    :param replies: the one to write.
    :param confine: takes from this process what it does not need, before libunbound is loaded.
    :param seal: takes what it does not need any more once libunbound has started.
    """
    lines, output = Lines(requests), Replies(replies)
    first: list[bytes] | None = []
    while not first:
        first = lines.read()
        if first is None:
            return
    settings = json.loads(first[0])
    try:
        confine(settings)
        context = Context(load(settings["library"]), settings, output.add)
        seal()
    except (OSError, UnboundError, AttributeError, ValueError) as error:
        output.add({"fatal": str(error)})
        output.send()
        return
    try:
        serve(context, first[1:], lines, output)
    finally:
        context.close()


def confine(settings: dict[str, Any]) -> None:
    """Take from this process what libunbound shall not have."""
    os.chdir("/")
    drop_privileges()
    end_with(settings["parent"])
    limit(settings["files"])


def main(arguments: list[str]) -> int:
    """Serve by standard input and output; or, given the name of a library, tell if it is there."""
    if arguments:
        try:
            drop_privileges()
            load(arguments[0])
        except (OSError, AttributeError):
            return 1
        return 0
    run(sys.stdin.fileno(), sys.stdout.fileno(), confine=confine, seal=seal)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
