# Everything runs in .venv, which is made when it is missing and kept while pyproject.toml and the lock
# files stay as they are.

PYTHON ?= python3
CORES ?= 8
CONFIG ?=
TARGETS ?=

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/runtime.stamp
TESTING := $(VENV)/testing.stamp
PIP := $(BIN)/python -m pip
SNAKEMAKE := $(BIN)/snakemake
OVERLAY := $(if $(CONFIG),--configfile $(CONFIG))
SNAKEFILES := Snakefile workflow
# What check leaves to test: whole runs, browsers, and trainings in processes that are killed.
SLOW := tests/workflow tests/browser tests/training/test_together.py tests/training/test_fire.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help samples report model check test test-all lint format accept lock environment clean-env

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo
	@echo "  make samples CONFIG=config/tetrahedra.yaml      with an overlay of the settings"
	@echo "  make samples CORES=2 PYTHON=python3.12          CORES: at most; PYTHON: what .venv is made with"
	@echo "  make accept TARGETS=results/samples             where only the samples were made"

samples: $(RUNTIME)  ## new volumes: results/samples
	$(SNAKEMAKE) --cores $(CORES) results/samples $(OVERLAY)

report: $(RUNTIME)  ## the volumes, their evaluation and results/report.html
	$(SNAKEMAKE) --cores $(CORES) $(OVERLAY)

model: $(RUNTIME)  ## the trained model in one folder that can be copied, with its card: results/model
	$(SNAKEMAKE) --cores $(CORES) results/model $(OVERLAY)

check: lint  ## lint and unit tests, before a commit
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 $(SLOW:%=--ignore=%)

test: $(TESTING)  ## the tests
	$(BIN)/pytest

test-all: $(TESTING)  ## the tests, the heavy ones too
	$(BIN)/pytest -m ""

lint: $(TESTING)  ## style, types, direction of imports, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check $(SNAKEFILES)
	$(SNAKEMAKE) --lint

format: $(TESTING)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt $(SNAKEFILES)

accept: $(RUNTIME)  ## take the present results as good after a change that does not touch them
	$(BIN)/python -m voxgen.cli.accept $(TARGETS) $(OVERLAY)
	$(BIN)/python -m voxgen.training.identity results/state

lock:  ## write envs/*.lock from what .venv has installed
	$(BIN)/python envs/lock.py

environment: $(RUNTIME)  ## .venv alone

clean-env:  ## remove .venv
	rm -rf $(VENV)

# The second line of the first recipe is for systems whose python3 comes without ensurepip.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed: give PYTHON=")'
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install pip; }

# torch goes first and by its pin, so that nothing else pulls in another one.
$(RUNTIME): pyproject.toml envs/requirements.lock | $(BIN)/python
	$(PIP) install --constraint envs/requirements.lock "$$(grep '^torch==' envs/requirements.lock)"
	$(PIP) install --requirement envs/requirements.lock
	$(PIP) install --no-deps --editable .
	@touch $@

$(TESTING): envs/requirements-test.lock $(RUNTIME)
	$(PIP) install --requirement envs/requirements-test.lock
	@touch $@
