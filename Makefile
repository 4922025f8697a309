# Every target works on a fresh machine with Python 3.11 and make. Everything goes into .venv, build/ and the cache.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# The first python3.11 on PATH that can really make a virtual environment (a version manager's shim may not).
PYTHON ?= $(shell for python in $$(which -a python3.11); do \
	"$$python" -c 'import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))' 2>/dev/null && break; done)
PY := .venv/bin/python
export PYTHONPATH := tests

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: .venv/.stamp ## Make or refresh .venv from the pinned requirement files
.venv/.stamp: requirements.txt requirements/dev.txt requirements/constraints.txt tools/make_venv.py
	@test -n "$(PYTHON)" || { echo "make needs a python3.11 with venv and ensurepip on PATH" >&2; exit 1; }
	@$(PYTHON) tools/make_venv.py .venv requirements.txt requirements/dev.txt
	@touch .venv/.stamp
