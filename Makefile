# Everything that a machine with Python 3.11 and make needs to run, test and look at recon-pipeline.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# one process for each of two processors, whole files each: a file's tests share their worlds; in their order, for by
# number of tests the longest would be the last
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
STAMP := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

.PHONY: setup demo test test-long test-soak test-browser lint bench nightly nightly-faults down lock

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version): set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: setup
	$(BIN)/recon demo

test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# what make test leaves out, because a shorter test tells the same story
test-long: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m long

# a part of the tests: kills, and the properties that take minutes
test-soak: setup
	$(BIN)/python -m pytest -m soak

# a part of the tests: the Dagster UI in a real, headless Chromium
test-browser: setup
	$(BIN)/python -m pytest -m browser

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m docs.generate --check

bench: setup
	$(BIN)/python -m benchmarks.compare $(BENCH_ARGS)

down: setup
	$(BIN)/recon down

# Needs uv; writes versions and hashes, and names no registry.
lock:
	uv pip compile --python-version 3.11 --group dev --generate-hashes --no-strip-extras --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

# many simulated Binances, lived through and judged; hours. NIGHTLY_ARGS: --seeds --days --after --subs
# --faults --transport --backfill --doubts
nightly: setup
	$(BIN)/python -m recon_pipeline_tests.nightly $(NIGHTLY_ARGS)

# more than 10,000 account-days with everything planted that a backfill can see; an hour or two
nightly-faults: setup
	$(BIN)/python -m recon_pipeline_tests.nightly --faults all --backfill --seeds 19 --subs 19 --days 27 --after 0 \
		--least-account-days 10000 $(NIGHTLY_ARGS)
