# Two commands: `make demo` and `make test`. Everything else serves them.
#
# Needs Python 3.11 or newer with venv, git and make. Packages are installed into .venv from the
# hash-locked requirements.txt, through whatever index pip is configured for on this machine. The project
# itself is not installed: it runs from the checkout, so nothing unpinned is needed to build it. Only wheels
# are taken: a package without one would need a compiler and build tools that no lock covers.

PYTHON ?= python3
TEST_WORKERS ?= 2
DEMO_FLAGS ?=
BENCH_FLAGS ?=
CRASH_KILLS ?= 200
CRASH_PHONES ?= 50
CRASH_FLAGS ?=
NIGHTLY_RUNS ?= 10000
NIGHTLY_SEED ?= $(shell date +%Y%m%d)00000
PYTEST_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NPM := tests/rxdb tests/clients tests/browser
NPM_INSTALLED := $(NPM:%=%/node_modules/.installed)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The product and its tests start hundreds of processes; each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint bench nightly crash serve clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(INSTALLED) ## Run the product and the sample agency's day; DEMO_FLAGS=--exit ends after the story
	@python -m server.cli demo $(DEMO_FLAGS)

test: lint $(NPM_INSTALLED) ## Run every check and every test
	@echo "== pytest"
	@python -m pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_FLAGS)

lint: $(INSTALLED) ## Run the checks that need no database
	@echo "== ruff"
	@ruff check .
	@ruff format --check .
	@echo "== basedpyright"
	@basedpyright
	@echo "== import-linter"
	@lint-imports

nightly: $(INSTALLED) ## Play NIGHTLY_RUNS seeded simulations, send a hundred generated requests an operation
	@OPENAPI_EXAMPLES=100 python -m pytest -q tests/security/test_openapi.py
	@python -m pytest -q -m hypothesis --hypothesis-profile exploring
	@python -m pytest -q tests/dispatch/test_budget_machine.py --hypothesis-profile exploring
	@python -m tests.simulation --runs $(NIGHTLY_RUNS) --seed $(NIGHTLY_SEED) --workers $(TEST_WORKERS)

crash: $(INSTALLED) ## Kill the real processes CRASH_KILLS times while CRASH_PHONES phones sync
	@python -m tests.crash --kills $(CRASH_KILLS) --phones $(CRASH_PHONES) $(CRASH_FLAGS)

bench: $(INSTALLED) ## Measure, each figure beside a peer's or a physical limit
	@python -m bench $(BENCH_FLAGS)

serve: $(INSTALLED) ## Run the Procfile: web, worker, release, db
	@honcho start

clean: ## Remove the virtual environment and caches; data in var/ stay
	rm -rf $(VENV) .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(NPM_INSTALLED): %/node_modules/.installed: $(INSTALLED) %/package-lock.json
	@python -m tests.node $*
	@touch $@

$(INSTALLED): requirements.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found. Debian/Ubuntu: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, this is $$($(PYTHON) --version). Name another one: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv is missing. Debian/Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import pip' 2>/dev/null || { \
	  echo "== creating $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "== installing the locked packages (a few minutes the first time)"
	@$(BIN)/python -m pip install --require-hashes --only-binary :all: --progress-bar off -r requirements.txt
	@touch $@
