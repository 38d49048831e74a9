# Every target says what it does behind two hash signs; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
MAKEFLAGS += --no-print-directory
.PHONY: help setup run check test types evidence torture bench docs clean

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
# An interpreter is never downloaded; packages only by `make setup`, exactly those of uv.lock.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
# How many loads `make torture` breaks, and what they are drawn from.
N ?= 1000
SEED ?= 1
# How many processes run the tests.
JOBS ?= auto
# Set SERVE=0 to end `make run` after the summary.
SERVE ?= 1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## Install the locked dependencies into .venv and prepare dbt (the only target that needs the network)

$(STAMP): pyproject.toml uv.lock
	@if ! $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
	    echo "Python 3.11, 3.12 or 3.13 is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2
	    echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
	    exit 1
	fi
	if command -v uv >/dev/null; then
	    uv=uv
	else
	    uv=.uv/bin/uv
	    if [ ! -x "$$uv" ]; then
	        $(PYTHON) -m venv .uv
	        .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	    fi
	fi
	"$$uv" sync --frozen --all-extras --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	$(BIN)/dataflow setup
	touch $@

run: setup ## Run the flights demo from end to end, then serve the UI (SERVE=0: end after the summary)
	@exec $(BIN)/dataflow demo run $(if $(filter 0,$(SERVE)),--no-serve)

check: setup ## Format, lint, types, floors, reference pages
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	# Its cache misses modules that appeared since.
	$(BIN)/lint-imports --no-cache
	$(BIN)/dataflow docs --check

test: setup ## Run the tests (PYTEST_ARGS="-k name" narrows them, JOBS=0 runs them in one process)
	@exec $(BIN)/pytest -q --durations=15 -n $(JOBS) --maxprocesses 4 --dist loadgroup $(PYTEST_ARGS)

types: setup ## Write docs/types.md from a run of the type matrix
	@DATAFLOW_WRITE_TYPES=1 exec $(BIN)/pytest -q tests/types/test_matrix.py

evidence: setup ## Run the tests that are evidence, write what ran against what (connectors/evidence.json) and docs
	@DATAFLOW_WRITE_EVIDENCE=1 $(BIN)/pytest -q -m evidence $(PYTEST_ARGS)
	exec $(BIN)/dataflow docs

torture: setup ## Break N=1000 loads (SEED=1) by kills and faults, run them again, write docs/reliability.md
	@exec $(BIN)/python -m tests.reliability --rounds $(N) --seed $(SEED)

bench: setup ## Measure wall time, CPU seconds and peak memory beside the engine by hand and other tools
	@uv=$$(command -v uv || echo .uv/bin/uv)
	"$$uv" sync --frozen --all-extras --inexact --group bench
	exec $(BIN)/python -m benchmarks

docs: setup ## Write the reference pages from the code
	@exec $(BIN)/dataflow docs

clean: ## Remove .venv, caches and build products; your data in .dataflow stays
	@rm -rf $(VENV) .uv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
	    dbt_project/target dbt_project/logs dbt_project/dbt_packages
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
