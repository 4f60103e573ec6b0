"""The process that libunbound runs in, from both sides."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import json
import os
import pwd
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certbot_caa_guard.resolvers import libunbound, unbound_child
from certbot_caa_guard.resolvers.libunbound import Child, ChildError, Settings
from tests.internet import Internet

TYPE_CAA = 257
PATIENT = 10.0  # seconds; never reached


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {"example.net": '@ CAA 0 issue "letsencrypt.org"'}
    with Internet(tmp_path_factory.mktemp("internet"), zones) as internet:
        yield internet


@pytest.fixture
def settings(internet: Internet) -> Settings:
    hints = f". 3600 NS a.root-servers.\na.root-servers. 3600 A {internet.root}\n"
    return Settings.like_the_ca(hints=hints, anchors="", special_addresses=True)


def ask(child: Child, name: str = "example.net") -> libunbound.Answer:
    async def scenario() -> libunbound.Answer:
        return await asyncio.wait_for(child.ask(name, TYPE_CAA), PATIENT)

    return asyncio.run(scenario())


class TestSettings:
    def test_are_the_ca_s(self) -> None:
        options = Settings.like_the_ca().to_json()
        assert ("use-caps-for-id:", "yes") in options["options"]
        assert ("qname-minimisation:", "no") in options["options"]
        assert ("do-not-query-address:", "127.0.0.0/8") in options["options"]
        assert ("do-not-query-localhost:", "no") not in options["options"]
        assert options["hints"] is None
        assert " 20326 " in options["anchors"]
        assert " 38696 " in options["anchors"]

    def test_an_option_of_one_s_own_comes_last(self) -> None:
        settings = Settings.like_the_ca(extra={"use-caps-for-id:": "no"})
        assert settings.options[-1] == ("use-caps-for-id:", "no")

    def test_stub_zones_have_several_addresses(self) -> None:
        settings = Settings.like_the_ca(stubs={"lab": ("127.0.0.1", "127.0.0.2@54")})
        assert settings.stubs == (("lab", "127.0.0.1"), ("lab", "127.0.0.2@54"))

    @pytest.mark.parametrize("anchors", ["", "\n ; a comment\n"])
    def test_without_a_record_nothing_is_validated(self, anchors: str) -> None:
        settings = Settings.like_the_ca(anchors=anchors)
        assert not settings.validates
        assert settings.to_json()["anchors"] is None

    @pytest.mark.parametrize(
        ("limit", "files", "ports"),
        [(resource.RLIM_INFINITY, 4096, "3840"), (1024, 1024, "768"), (64, 64, "16")],
    )
    def test_use_as_many_ports_as_files_may_be_open(
        self, monkeypatch: pytest.MonkeyPatch, limit: int, files: int, ports: str
    ) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _what: (limit, limit))
        settings = Settings.like_the_ca()
        assert settings.to_json()["files"] == files
        assert ("outgoing-range:", ports) in settings.options


class TestChild:
    def test_takes_its_settings_as_written(self, settings: Settings) -> None:
        child = Child(settings)
        try:
            answer = ask(child)
        finally:
            child.close()
        assert (answer.rcode, answer.havedata, answer.bogus, answer.why) == (0, True, False, "")
        assert b"letsencrypt.org" in answer.packet

    @pytest.mark.parametrize(
        "said",
        [
            b"",
            b"\n",
            b"[]\n",
            b"1\n",
            b"null\n",
            b"{}\n",
            b"\xff\n",
            b"[" * 100_000 + b"\n",
            b'{"id": {}}\n',
            b'{"id": 1}\n',
            b'{"id": 1, "error": []}\n',
            b'{"fatal": {}}\n',
            b'{"id": 1, "rcode": "0", "packet": "", "why": ""}\n',
            b'{"id": 1, "rcode": 0, "packet": "", "why": null}\n',
            b'{"id": 1, "rcode": 0, "packet": 7, "why": ""}\n',
            b'{"id": 1, "rcode": 0, "packet": "?", "why": ""}\n',
            b'{"id": 1, "rcode": 0, "packet": "", "why": ""}\n',
            b'{"id": 1, "rcode": 1e999, "packet": "", "why": ""}\n',
            b'{"id": ' + b"1" * 10_000 + b"}\n",
            b"x" * 2_000_000,
        ],
        ids=range(20),
    )
    def test_whatever_it_says_is_at_most_an_error(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings, said: bytes
    ) -> None:
        use_program(
            monkeypatch, tmp_path, f"import os; os.read(0, 9); os.write(1, {said!r}); os.read(0, 0)"
        )
        child = Child(settings)
        try:
            with pytest.raises(ChildError):
                ask(child)
            assert child.pid is None, "it is done away with"
        finally:
            child.close()

    def test_answers_to_questions_that_nobody_asked_are_dropped(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
    ) -> None:
        good = {"rcode": 0, "packet": "AAAA", "havedata": 1, "secure": 1, "bogus": 0, "why": ""}
        lines = "".join(json.dumps({"id": number, **good}) + "\n" for number in (7, 1, 1))
        use_program(monkeypatch, tmp_path, f"import os; os.write(1, {lines.encode()!r}); input()")
        child = Child(settings)
        try:
            answer = ask(child)
        finally:
            child.close()
        assert answer.packet == b"\0\0\0"
        assert not answer.secure, "only true is true"

    def test_that_reads_nothing_and_dies(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
    ) -> None:
        use_program(monkeypatch, tmp_path, "import os; os.close(0); os.write(1, b'{')")
        child = Child(settings)

        async def scenario() -> None:
            for _ in range(2):
                with pytest.raises(ChildError):
                    await asyncio.wait_for(child.ask("example.net", TYPE_CAA), PATIENT)

        try:
            asyncio.run(scenario())
        finally:
            child.close()

    def test_that_has_closed_its_input(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
    ) -> None:
        program = (
            "import os, signal; os.read(0, 1 << 16); os.close(0); "
            'os.write(1, b\'{"id": 1, "error": "first"}\\n\'); signal.pause()'
        )
        use_program(monkeypatch, tmp_path, program)
        child = Child(settings)
        try:
            with pytest.raises(ChildError, match="first"):
                ask(child)
            with pytest.raises(ChildError, match="it takes no questions"):
                ask(child)
            assert child.pid is None
        finally:
            child.close()

    def test_says_why_it_cannot_start(
        self,
        monkeypatch: pytest.MonkeyPatch,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(libunbound, "LIBRARY", "libmissing.so.8")
        child = Child(settings)
        with caplog.at_level("DEBUG"), pytest.raises(ChildError, match=r"libmissing\.so\.8"):
            ask(child)
        assert "libmissing.so.8" in caplog.text

    def test_starts_where_memory_is_limited_further_already(self) -> None:
        """As systemd's LimitAS= does."""
        program = (
            "import asyncio, resource\n"
            "from certbot_caa_guard.resolvers.libunbound import Child, Settings\n"
            "resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))\n"
            "child = Child(Settings.like_the_ca(anchors='', special_addresses=True))\n"
            "assert asyncio.run(child.ask('localhost', 1)).havedata\n"
            "child.close()\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", program]
        assert (
            subprocess.run(command, env=environment, timeout=PATIENT, check=False).returncode == 0
        )

    def test_ends_when_its_parent_is_killed(self, tmp_path: Path) -> None:
        """Even when it hangs, so that it does not see that its input has ended."""
        program = tmp_path / "parent.py"
        program.write_text(
            "import asyncio, sys, signal, os\n"
            "from certbot_caa_guard.resolvers.libunbound import Child, Settings\n"
            "child = Child(Settings.like_the_ca(anchors='', special_addresses=True))\n"
            "asyncio.run(child.ask('localhost', 1))\n"
            "os.kill(child.pid, signal.SIGSTOP)\n"
            "print(child.pid, flush=True)\n"
            "signal.pause()\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(
            [sys.executable, str(program)], stdout=subprocess.PIPE, env=environment
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            descriptor = os.pidfd_open(pid)
            parent.kill()
        try:
            assert select.select([descriptor], [], [], PATIENT)[0], "it is gone"
        finally:
            os.close(descriptor)

    def test_knows_a_library_that_hangs_for_none(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        use_program(monkeypatch, tmp_path, "import signal; signal.pause()")
        monkeypatch.setattr(libunbound, "_LOADING_SECONDS", 0.05)
        assert not libunbound.is_installed()


def use_program(monkeypatch: pytest.MonkeyPatch, directory: Path, text: str) -> None:
    program = directory / "child.py"
    program.write_text(text)
    monkeypatch.setattr(libunbound, "_PROGRAM", program)


class Inside:
    """The child's own code, running in a thread here instead of in a process."""

    def __init__(self) -> None:
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self.confined: list[dict[str, Any]] = []
        self.sealed = 0
        self._thread = threading.Thread(target=self._run, args=(requests, replies))
        self._thread.start()
        self._lines = os.fdopen(self._replies, "rb", closefd=False)

    def _run(self, requests: int, replies: int) -> None:
        unbound_child.run(requests, replies, confine=self.confined.append, seal=self._seal)
        os.close(requests)
        os.close(replies)

    def _seal(self) -> None:
        self.sealed += 1

    def say(self, message: object) -> None:
        os.write(self._requests, json.dumps(message).encode() + b"\n")

    def hear(self) -> Any:
        line = self._lines.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1
        self._thread.join()
        if not self._lines.closed:
            self._lines.close()
            os.close(self._replies)


@pytest.fixture
def inside() -> Iterator[Inside]:
    inside = Inside()
    yield inside
    inside.close()


class TestInside:
    def test_answers(self, inside: Inside, settings: Settings) -> None:
        inside.say(settings.to_json())
        inside.say({"id": 3, "name": "example.net", "type": TYPE_CAA})
        reply = inside.hear()
        assert (reply["id"], reply["rcode"], reply["havedata"]) == (3, 0, True)
        assert b"letsencrypt.org" in base64.b64decode(reply["packet"])
        assert (len(inside.confined), inside.sealed) == (1, 1)

    def test_what_is_no_name(self, inside: Inside, settings: Settings) -> None:
        inside.say(settings.to_json())
        inside.say({"id": 4, "name": "a..b", "type": TYPE_CAA})
        inside.say({"id": 5, "name": "ü", "type": TYPE_CAA})
        replies = {reply["id"]: reply for reply in (inside.hear(), inside.hear())}
        assert replies[4]["error"] == "syntax error"
        assert "ascii" in replies[5]["error"]

    @pytest.mark.parametrize(
        ("what", "value", "error"),
        [
            ("library", "libmissing.so.8", "libmissing"),
            ("library", "libc.so.6", "ub_ctx_create"),
            ("library", "\0", "null"),
            ("options", [["no-such-option:", "yes"]], "no-such-option"),
            ("stubs", [["example.net", "nowhere"]], "stub example.net"),
            ("anchors", "nonsense", "question"),
        ],
    )
    def test_settings_that_are_refused(
        self, inside: Inside, settings: Settings, what: str, value: object, error: str
    ) -> None:
        inside.say({**settings.to_json(), what: value})
        assert error in inside.hear()["fatal"]
        assert inside.hear() is None

    def test_stubs_anchors_and_unknown_wishes(self, inside: Inside, settings: Settings) -> None:
        stubs, wishes = [["example.net", "127.0.0.1@1"]], [["no-such-option:", "yes"]]
        anchors = libunbound.ROOT_ANCHORS
        inside.say({**settings.to_json(), "stubs": stubs, "wishes": wishes, "anchors": anchors})
        inside.say({"id": 1, "name": "localhost", "type": 1})
        assert inside.hear()["havedata"]

    def test_no_context(self, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
        library = unbound_child.load(libunbound.LIBRARY)
        monkeypatch.setattr(library, "ub_ctx_create", lambda: None)
        with pytest.raises(unbound_child.UnboundError, match="no context"):
            unbound_child.Context(library, settings.to_json(), lambda _reply: None)

    def test_an_answer_that_is_an_error(self, settings: Settings) -> None:
        replies: list[dict[str, Any]] = []
        library = unbound_child.load(libunbound.LIBRARY)
        context = unbound_child.Context(library, settings.to_json(), replies.append)
        try:
            context._called_back(9, -2, None)
        finally:
            context.close()
        assert replies == [{"id": 9, "error": "out of memory"}]

    def test_ends_with_its_input(self, inside: Inside) -> None:
        inside.close()
        assert inside.confined == []

    def test_a_line_without_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unbound_child, "_LONGEST_LINE", 3)
        source, sink = os.pipe()
        os.write(sink, b"ab\ncdef")
        try:
            with pytest.raises(unbound_child.UnboundError):
                unbound_child.Lines(source).read()
        finally:
            os.close(source)
            os.close(sink)


class Calls(list[tuple[str, Any]]):
    """What was called, in order."""

    def recorder(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.append((name, arguments))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Nothing that the child does to itself happens to us."""
    calls = Calls()
    for name in ("setgroups", "setgid", "setuid", "chdir"):
        monkeypatch.setattr(os, name, calls.recorder(name))
    monkeypatch.setattr(resource, "setrlimit", calls.recorder("setrlimit"))

    class Libc:
        prctl = staticmethod(calls.recorder("prctl"))

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Libc)
    return calls


class TestConfinement:
    def test_gives_everything_up_in_the_right_order(
        self, monkeypatch: pytest.MonkeyPatch, calls: Calls
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        unbound_child.confine({"parent": os.getppid(), "files": 100})
        nobody = pwd.getpwnam("nobody")
        assert calls[:4] == [
            ("chdir", ("/",)),
            ("setgroups", ([],)),
            ("setgid", (nobody.pw_gid,)),
            ("setuid", (nobody.pw_uid,)),
        ]
        assert [name for name, _ in calls[4:6]] == ["prctl", "prctl"]
        assert calls[4][1][:1] == (1,)
        assert calls[4][1][1].value == signal.SIGKILL
        assert (
            "setrlimit",
            (resource.RLIMIT_NOFILE, (100, 100)),
        ) in calls

    def test_nobody_has_a_number_without_a_name(
        self, monkeypatch: pytest.MonkeyPatch, calls: Calls
    ) -> None:
        def unknown(name: str) -> None:
            raise KeyError(name)

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(pwd, "getpwnam", unknown)
        unbound_child.drop_privileges()
        assert calls[-1] == ("setuid", (65534,))

    def test_others_than_root_stay_who_they_are(
        self, monkeypatch: pytest.MonkeyPatch, calls: Calls
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        unbound_child.drop_privileges()
        assert calls == []

    @pytest.mark.usefixtures("calls")
    def test_what_cannot_become_nobody_does_not_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_user: int) -> None:
            raise PermissionError("not here")

        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "setuid", refuse)
        assert unbound_child.main(["libunbound.so.8"]) == 1
        with pytest.raises(PermissionError):
            unbound_child.confine({"parent": os.getppid(), "files": 100})

    def test_ends_when_the_parent_has_gone_already(self, calls: Calls) -> None:
        with pytest.raises(SystemExit):
            unbound_child.end_with(os.getppid() + 1)
        assert calls

    @pytest.mark.parametrize(
        ("allowed", "files", "memory"),
        [(50, 50, 50), (1 << 20, 100, 1 << 20), (resource.RLIM_INFINITY, 100, 1 << 30)],
    )
    def test_no_more_than_we_may_have(
        self,
        monkeypatch: pytest.MonkeyPatch,
        calls: Calls,
        allowed: int,
        files: int,
        memory: int,
    ) -> None:
        """A limit cannot be raised above what ``ulimit -H`` shows."""
        monkeypatch.setattr(resource, "getrlimit", lambda _what: (0, allowed))
        unbound_child.limit(100)
        assert calls == [
            ("setrlimit", (resource.RLIMIT_NOFILE, (files, files))),
            ("setrlimit", (resource.RLIMIT_AS, (memory, memory))),
            ("setrlimit", (resource.RLIMIT_CORE, (0, 0))),
        ]

    def test_seal_leaves_no_way_out(self, calls: Calls) -> None:
        unbound_child.seal()
        assert calls == [
            ("setrlimit", (resource.RLIMIT_NPROC, (0, 0))),
            ("setrlimit", (resource.RLIMIT_FSIZE, (0, 0))),
        ]


class TestMain:
    def test_tells_if_a_library_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert unbound_child.main(["libunbound.so.8"]) == 0
        assert unbound_child.main(["libmissing.so.8"]) == 1
        assert unbound_child.main(["libc.so.6"]) == 1

    def test_serves_by_standard_input_and_output(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[tuple[int, int]] = []
        monkeypatch.setattr(unbound_child, "run", lambda *fds, **_: served.append(fds))

        class Stream:
            def __init__(self, number: int) -> None:
                self.fileno = lambda: number

        monkeypatch.setattr(sys, "stdin", Stream(0))
        monkeypatch.setattr(sys, "stdout", Stream(1))
        assert unbound_child.main([]) == 0
        assert served == [(0, 1)]

    @pytest.mark.parametrize("how", [["-m", unbound_child.__name__], [unbound_child.__file__]])
    def test_runs_as_a_program(self, how: list[str]) -> None:
        command = [sys.executable, *how]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, input=b"", env=environment, timeout=PATIENT, check=True)
        assert done.returncode == 0

    def test_imports_nothing_but_the_standard_library(self) -> None:
        text = (
            f"import runpy, sys; runpy.run_path({unbound_child.__file__!r}); "
            "print([name for name in sys.modules if name.partition('.')[0] not in "
            "sys.stdlib_module_names and name != '__main__'])"
        )
        command = [sys.executable, "-I", "-S", "-c", text]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"[]\n"
