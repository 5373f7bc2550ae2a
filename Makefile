# Everything here works on a fresh machine with Python 3.11 or newer and make. Nothing is installed outside the clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# A test run starts thousands of processes: none compiles what another has compiled.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: quickstart check test lint bench docs schema dist clean

## The guestbook example on a local gateway: installs, starts, deploys, prints JSON and the URL.
## stdout is that one JSON document; each step says on stderr what it does.
quickstart: $(VENV)/.core
	@$(BIN)/python docs/examples/guestbook/quickstart.py --run402 $(BIN)/run402 --home .quickstart

## The fast loop: lint, types and every test that needs no gateway, browser, Node or build. `make test` runs the rest too.
check: lint
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not whole'

## Lint, types and all tests.
test: lint $(VENV)/.js
	$(BIN)/python -m pytest -n 3 --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Start-up, memory, deploy, function, asset, archive and REST figures as ratios, in one JSON document. A benchmark, not a test.
bench: $(VENV)/.bench
	$(VENV)-bench/bin/python tests/bench/bench.py

## Regenerate the command table, docs/reference, llms-cli.txt and what else is made from the command tree.
docs: $(VENV)/.dev
	$(BIN)/python docs/generate_table.py
	$(BIN)/python docs/generate.py

## What `run402 schema` prints, as files in build/schema: the index and one per group.
schema: $(VENV)/.dev
	$(BIN)/python docs/generate.py --schema build/schema

## Wheel and source archive in dist/, checked.
dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build -o dist
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf $(VENV) $(VENV)-bench .quickstart build dist *.egg-info

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -e '.[dev]'
	touch $(VENV)/.dev $(VENV)/.core

# A client that a test calls a gateway with. Where npm or its registry is missing, the test says so and is skipped.
$(VENV)/.js: Makefile $(VENV)/.dev
	@npm install --prefix $(VENV)/js --no-audit --no-fund --ignore-scripts --no-package-lock --loglevel error \
	  @supabase/supabase-js@2.119.1 >/dev/null && touch $@ || echo "make: supabase-js was not installed; its test is skipped" >&2

$(VENV)/.core: pyproject.toml
	@echo "quickstart: preparing a virtual environment in $(VENV)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >&2
	@echo "quickstart: installing run402 with PostgreSQL and Node into $(VENV); minutes on a slow network" >&2
	@$(BIN)/python -m pip --disable-pip-version-check install --progress-bar off -e '.[core]' >&2
	@touch $@

# A user's install: not editable, without the dev tools (some of them slow the start of httpx down).
$(VENV)/.bench: pyproject.toml $(shell find run402_cli -name '*.py')
	test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check -q install --force-reinstall --no-deps .
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check -q install '.[core]'
	mkdir -p $(VENV) && touch $@
