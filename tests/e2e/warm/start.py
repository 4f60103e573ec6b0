"""Run by a certbot's Python: loads certbot once, and becomes a new run of it for each line read.

A line of standard input is a JSON object: the ``command`` line, the ``environment``, the
``folder`` to run in, and the file for the ``output``.  The answer is a line with the exit status,
negative for the signal that ended the run.

Runs share what each would have loaded from the same files: certbot, and the plugins that come with
it.  Ours is found and loaded by each run anew, and a ``sitecustomize`` on its ``PYTHONPATH`` is
run before that, as Python does.
"""

import gc
import json
import os
import runpy
import sys
from importlib.metadata import entry_points
from pathlib import Path

import certbot.util
from certbot.main import main


def load_plugins():
    """Load the plugins that certbot loads at each start, but for the one under test."""
    # certbot before 2.8 goes by pkg_resources, which remembers what each of them requires.
    find = getattr(sys.modules.get("pkg_resources"), "iter_entry_points", None)
    for entry_point in find("certbot.plugins") if find else entry_points(group="certbot.plugins"):
        if entry_point.name != "caa-guard":
            entry_point.load()


def serve():
    """Fork for each line.  Returns in the new process only, with the request."""
    # What is there already is not for each run to search for garbage.
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in os.fdopen(os.dup(0)):
        if not os.fork():
            return json.loads(line)
        _, status = os.wait()
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    raise SystemExit


def become(request):
    """Make this process what it would be, had it been started for the request."""
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    # certbot leaves its tidying up to the process that loaded it.
    certbot.util._INITIAL_PID = os.getpid()
    sys.argv = request["command"]
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:1] = [str(Path(sys.argv[0]).parent), *folders]
    for custom in (Path(folder, "sitecustomize.py") for folder in folders):
        if custom.exists():
            runpy.run_path(str(custom))


if __name__ == "__main__":
    load_plugins()
    become(serve())
    sys.exit(main())
