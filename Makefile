# Every target does the set-up it needs; when that is done already it takes a moment.

.DEFAULT_GOAL := help
RUNS ?= 10000000
PARTS ?=
KILLS ?= 200
.PHONY: help setup demo test servers lint fuzz kill bench clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Install Debian packages and make the virtual environments
	@tools/setup

demo: setup  ## Show the plugin at work against a local CA and DNS
	@tools/as-root-on-loopback .venv/bin/python -m tests.demo

test: setup  ## Run all tests: unit, coverage, end-to-end
	@tools/as-root-on-loopback tools/test

servers: setup  ## Audit real name servers of four makes (installs bind9, knot and pdns-server)
	@tools/install-packages bind9 knot pdns-server pdns-backend-bind
	@tools/as-root-on-loopback .venv/bin/python -m pytest -q tests/e2e/test_servers_of_other_make.py

lint: setup  ## Check style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

fuzz: setup  ## Fuzz all that reads text from outside, RUNS=10000000 inputs each
	@RUNS=$(RUNS) tools/fuzz

kill: setup  ## Kill certbot KILLS=200 times, and see that nothing is lost
	@tools/as-root-on-loopback .venv/bin/python -m tests.simulation.kill $(KILLS)

bench: setup  ## Measure, and write docs/benchmarks.md; PARTS='a c' for some of it
	@tools/setup-bench
	@tools/as-root-on-loopback .venvs/bench/bin/python -m benchmarks --write $(PARTS)

clean:  ## Remove all that was built, the virtual environments too
	rm -rf .venv .venvs build dist *.egg-info .coverage .coverage.* \
	    .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
