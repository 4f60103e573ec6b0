"""Fuzzing of all that reads what others wrote: DNS answers, the CA's problems, files.

Each ``fuzz_*`` module has a ``TestOneInput``.  Run as a program it needs atheris (tools/fuzz
installs it); as a module it needs nothing, and test_corpus.py feeds it what is in ``corpus``:
the seeds, and whatever once broke something.
"""
