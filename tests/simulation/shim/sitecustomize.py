"""Loaded by the Python under test before anything else: skips waits, and kills at an event.

SIMULATED_CLOCK is the socket of `tests.simulation.clock.ClockServer`.  EVENTS_OF is a folder and
EVENTS_LOG a file to which each event is appended: what is about to be changed in the folder, each
HTTP request about to be sent and each answer that has come.  At the KILL_ATth event, or KILL_AFTER
seconds, the process kills itself.  COPIES is a folder that gets a copy of the other before each
event.  None of it is handed on to child processes.
"""

import os
import shutil
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


class Events:
    def __init__(self, log, kill_at, folder, copies):
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.kill_at, self.folder, self.copies = kill_at, folder, copies
        self.seen = 0
        self.copying = False

    def happen(self, what):
        if self.copying:
            return
        self.seen += 1
        os.write(self.log, f"{what}\n".encode())
        if self.seen == self.kill_at:
            die()
        if self.copies:
            self.copying = True
            shutil.copytree(self.folder, f"{self.copies}/{self.seen}", symlinks=True)
            self.copying = False

    def change(self, what, paths):
        inside = [str(path) for path in paths if str(path).startswith(self.folder)]
        if inside:
            self.happen(f"{what} {' '.join(inside)}")


def watch(events):
    def hook(event, arguments):
        if event in CHANGES:
            events.change(event, arguments)
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            events.change(event, arguments[:1])
        elif event == "http.client.send":
            line = bytes(arguments[1]).partition(b" HTTP/")[0]
            events.happen(f"request {line[:80]!r}")

    sys.addaudithook(hook)
    watch_fsync(events)
    watch_answers(events)


def watch_fsync(events):
    fsync = os.fsync

    def observed(descriptor):
        events.happen("fsync")
        fsync(descriptor)
        events.happen("fsync done")

    os.fsync = observed


def watch_answers(events):
    import http.client

    get = http.client.HTTPConnection.getresponse

    def observed(self):
        answer = get(self)
        events.happen(f"answer {answer.status}")
        return answer

    http.client.HTTPConnection.getresponse = observed


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(seconds):
    timer = threading.Timer(seconds, die)
    timer.daemon = True
    timer.start()


def take(name):
    return os.environ.pop(name, "")


os.environ.pop("PYTHONPATH", None)
clock, folder, log, copies = map(take, ("SIMULATED_CLOCK", "EVENTS_OF", "EVENTS_LOG", "COPIES"))
kill_at, kill_after = take("KILL_AT"), take("KILL_AFTER")
if clock:
    skip_waits(clock)
if folder:
    watch(Events(log, int(kill_at or 0), folder, copies))
if kill_after:
    die_after(float(kill_after))
