"""Loaded by the Python under test before anything else: skips waits, and kills at an event.

SIMULATED_CLOCK is the socket of `tests.simulation.clock.ClockServer`.  EVENTS_OF is a folder and
EVENTS_LOG a file to which each event is appended: what is about to be changed in the folder, each
HTTP request about to be sent and each answer that has come.  At the KILL_ATth event the process
kills itself.  None of it is handed on to child processes.
"""

import os
import signal
import sys
import threading
import time

# Between two polls others get time to work; sleeps that follow each other at once are one wait.
REAL_PAUSE, ONE_WAIT = 0.15, 0.005


def skip_waits(path):
    import socket

    lock = threading.Lock()
    link = socket.socket(socket.AF_UNIX)
    skipped, woke = 0.0, 0.0
    sleep, monotonic, wall = time.sleep, time.monotonic, time.time

    def skip(seconds):
        nonlocal skipped, woke
        if seconds <= 0:
            sleep(seconds)
            return
        if monotonic() - woke > ONE_WAIT:
            sleep(min(seconds, REAL_PAUSE))
        with lock:
            if skipped == 0.0:
                link.connect(path)
            link.sendall(b"%r\n" % seconds)
            link.recv(1)
            skipped += seconds
        woke = monotonic()

    time.sleep = skip
    time.monotonic = lambda: monotonic() + skipped
    time.time = lambda: wall() + skipped


CHANGES = {
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}


def watch(folder, log_path, kill_at):
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fsync = os.fsync
    seen = 0

    def happen(what):
        nonlocal seen
        seen += 1
        os.write(log, f"{what}\n".encode())
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def inside(path):
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder)

    def hook(event, arguments):
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            paths = [arguments[0]]
        elif event in CHANGES:
            paths = arguments
        elif event == "http.client.send":
            happen(f"request {bytes(arguments[1]).split(b' HTTP')[0][:80]!r}")
            return
        else:
            return
        paths = [os.fspath(path) for path in paths if inside(path)]
        if paths:
            happen(f"{event} {' '.join(paths)}")

    def observed_fsync(descriptor):
        happen("fsync")
        fsync(descriptor)
        happen("fsync done")

    os.fsync = observed_fsync
    sys.addaudithook(hook)
    watch_answers(happen)


def watch_answers(happen):
    import http.client

    get = http.client.HTTPConnection.getresponse

    def getresponse(self):
        answer = get(self)
        happen(f"answer {answer.status}")
        return answer

    http.client.HTTPConnection.getresponse = getresponse


clock, folder = os.environ.pop("SIMULATED_CLOCK", ""), os.environ.pop("EVENTS_OF", "")
os.environ.pop("PYTHONPATH", None)
if clock:
    skip_waits(clock)
if folder:
    watch(folder, os.environ.pop("EVENTS_LOG"), int(os.environ.pop("KILL_AT", "0")))
