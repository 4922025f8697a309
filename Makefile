# Every target works on a fresh machine with Python 3.11 and make. Everything goes into .venv, build/ and the cache.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# The first python of that name, on PATH or among pyenv's, that can make a virtual environment: a shim may not.
find-python = $(shell for python in $$(which -a $(1)) $(wildcard $(HOME)/.pyenv/versions/*/bin/$(1)); do \
	"$$python" -c 'import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))' 2>/dev/null && break; done)
PYTHON ?= $(call find-python,python3.11)
PYTHON_NEXT ?= $(call find-python,python3.13)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gpufleet
PY := .venv/bin/python
PYTEST := $(PY) -m pytest --durations=10
# Tests on beds mostly wait: two workers, each with its own bed, take little more than half the time of one.
ON_BEDS := --numprocesses 2 --dist loadfile --no-loadscope-reorder
TESTBED := PYTHONPATH=tests $(PY) -m testbed
MOLECULE := PYTHONPATH=tests:tools $(PY) -m e2e.scenarios
# Which versions the test bed runs: current, or next with VERSIONS=next.
export GPUFLEET_BED_VERSIONS := $(or $(VERSIONS),$(GPUFLEET_BED_VERSIONS))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.stamp ## Start the test bed, converge a fleet on it, let load come and go, converge again
	@$(TESTBED) build
	@PYTHONPATH=tests $(PY) -m demo

.PHONY: test
test: .venv/.stamp ## Everything that proves the collection: unit, frame, oracle, test bed and end-to-end tests, molecule
	@$(TESTBED) build
	@$(PYTEST) tests/unit tests/frame tests/oracle
	@$(PYTEST) $(ON_BEDS) tests/testbed_tests tests/e2e tests/faults
	@$(MOLECULE)

.PHONY: molecule
molecule: .venv/.stamp ## The scenario of each role, on a bed of their own; SCENARIO=keda runs one and shows it
	@$(TESTBED) build
	@$(MOLECULE) $(SCENARIO)

.PHONY: test-unit
test-unit: .venv/.stamp ## The unit tests alone (seconds)
	@$(PYTEST) tests/unit

.PHONY: test-all
test-all: lint test test-long lint-next test-next ## lint, test, what takes minutes, and all on later versions of what they run on

.PHONY: test-long
test-long: .venv/.stamp ## What test leaves out: kills at every fifth call and at every one of a MIG change, long outages, 50 clusters
	@$(TESTBED) build
	@$(PYTEST) -s -m long tests/faults

.PHONY: test-next
test-next: export GPUFLEET_BED_VERSIONS := next
test-next: .venv/.stamp
	@$(TESTBED) build
	@$(PYTEST) tests/oracle
	@$(PYTEST) $(ON_BEDS) tests/testbed_tests tests/e2e tests/faults

.PHONY: lint
lint: .venv/.stamp ## Every static check, ansible-test sanity and units among them
	@$(PY) tools/lint.py

.PHONY: lint-next
lint-next: .venv/.stamp
	@test -n "$(PYTHON_NEXT)" || { echo "test-all needs a python3.13 with venv and ensurepip on PATH" >&2; exit 1; }
	@$(PYTHON_NEXT) tools/make_venv.py $(CACHE)/venv-core-2.21 requirements/core-2.21.txt
	@$(CACHE)/venv-core-2.21/bin/python tools/ansible_test.py sanity units

.PHONY: generate
generate: .venv/.stamp ## Write what follows from the fleet's dataclasses: argument specs, role pages, variables, survey
	@$(PY) tools/generate.py

.PHONY: generate-rbac
generate-rbac: .venv/.stamp ## Write the roles in docs/rbac from the calls that runs make on the test bed
	@$(TESTBED) build
	@export ANSIBLE_COLLECTIONS_PATH=$$($(PY) tools/stage.py); PYTHONPATH=tests:$$ANSIBLE_COLLECTIONS_PATH $(PY) -m e2e.rbac

.PHONY: bed-up
bed-up: .venv/.stamp ## Start the test bed, building what is missing; VERSIONS=next: of later versions
	@$(TESTBED) up

.PHONY: bed-down
bed-down: .venv/.stamp ## Stop the test bed
	@$(TESTBED) down

.PHONY: bed-status
bed-status: .venv/.stamp ## Show what of the test bed runs
	@$(TESTBED) status

.PHONY: bench
bench: .venv/.stamp ## Measure: counts fail, times are printed
	@$(TESTBED) build
	@$(PY) -m pytest -s tests/benchmarks

.PHONY: build
build: .venv/.stamp ## Build the collection artefact into build/
	@$(PY) tools/artefact.py

.PHONY: clean
clean: ## Stop every test bed and remove all that make wrote into the checkout (the cache stays)
	@for bed in $(notdir $(wildcard build/beds/*)); do $(TESTBED) down --name $$bed; done
	@rm -rf build .venv .venv.lock .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: venv
venv: .venv/.stamp ## Make .venv, or refresh it when the pinned requirement files changed
.venv/.stamp: requirements.txt requirements/dev.txt requirements/dev-constraints.txt tools/make_venv.py tools/steps.py
	@test -n "$(PYTHON)" || { echo "make needs a python3.11 with venv and ensurepip on PATH" >&2; exit 1; }
	@$(PYTHON) tools/make_venv.py .venv requirements/dev.txt
	@touch .venv/.stamp

.PHONY: constraints
constraints: ## Resolve the requirement files anew and pin all that they bring
	@pin() { \
	  echo "# Every package that requirements/$$2.txt ends up installing. Written by: make constraints" > build/pinned; \
	  : > requirements/$$2-constraints.txt; $$1 -m venv --clear build/resolve; \
	  build/resolve/bin/pip install --quiet -r requirements/$$2.txt; build/resolve/bin/pip freeze >> build/pinned; \
	  mv build/pinned requirements/$$2-constraints.txt; }; \
	mkdir -p build; pin $(PYTHON) dev; pin $(PYTHON_NEXT) core-2.21; rm -rf build/resolve
