# Everything a newcomer needs: `make demo` and `make test` set up .venv themselves. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DATA ?=
OLDEST_TRL := 1.15.0
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick slow oldest lint format typecheck bench docs parity clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.dev $(VENV)/.genuine  ## make .venv with the developer's tools and, where it builds, the genuine ALFWorld

demo: $(VENV)/.base  ## train SERL from nothing on the embedded ALFWorld: minutes, ends with a report
	$(BIN)/agh demo

test: lint typecheck $(VENV)/.genuine  ## lint, types and the whole test suite (slow and GPU tests apart)
	$(BIN)/python -m pytest -m "not slow and not gpu"

quick: $(VENV)/.dev  ## the tests that need no genuine engine
	$(BIN)/python -m pytest -m "not slow and not gpu and not genuine" -x

slow: $(VENV)/.genuine  ## the tests left out of `make test`
	$(BIN)/python -m pytest -m slow

oldest: $(VENV)/.dev  ## the baselines' tests on the oldest TRL that is supported
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --target build/trl-$(OLDEST_TRL) --no-deps --upgrade trl==$(OLDEST_TRL)
	PYTHONPATH=build/trl-$(OLDEST_TRL) $(BIN)/python -m pytest -m "not slow and not gpu" tests/baselines

lint: $(VENV)/.dev  ## ruff: lint and format check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## ruff: mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(VENV)/.dev  ## mypy --strict over the package
	$(BIN)/mypy

bench: $(VENV)/.genuine  ## speed of the native engine against the genuine one, side by side in one run
	$(BIN)/agh bench alfworld

parity: $(VENV)/.genuine  ## native against genuine, turn by turn; DATA=folder for games of your own
	$(BIN)/agh parity alfworld $(if $(DATA),--data $(DATA),--generated 12)

docs: $(VENV)/.dev  ## write the generated pages under docs/, then build the site into build/site
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Open build/site/index.html"

clean:  ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/.venv
	$(PIP) --editable '.[train]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.venv
	$(PIP) --editable '.[dev,train,peft]'
	@touch $@ $(VENV)/.base

# The genuine engine compiles a planner and needs cmake < 4, which comes from PyPI where the machine has none.
# Nothing but the parity tests depends on it: where it cannot be built they are skipped, and say so.
$(VENV)/.genuine: $(VENV)/.dev
	@command -v cmake >/dev/null || $(PIP) 'cmake<4'
	@$(PIP) --editable '.[alfworld]' || echo "The genuine ALFWorld could not be built here; its parity tests will be skipped."
	@touch $@
