# Everything that is done by one command; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo recommend stores tensorboard test check format bench docs clean ml-1m dvc

# .env sets what the environment doesn't; its values are never printed.
ENV_NAMES := $(shell ./read-env.sh names)
ifneq ($(.SHELLSTATUS),0)
$(error mend .env first)
endif
ENV_OWN := $(foreach name,$(ENV_NAMES),$(if $(filter undefined,$(origin $(name))),$(name)))
$(foreach name,$(ENV_OWN),$(eval export $(name) := $$(shell ./read-env.sh value $(name))))
export SEQREC_ENV_NAMES := $(strip $(SEQREC_ENV_NAMES) $(ENV_OWN))

VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := jobs dump seqrec tests deploy setup.py

# Test files side by side: much of a test is Spark's driver, which leaves the cores to another. tests/conftest.py orders the files.
TEST_PROCESSES ?= 3
PYTEST = $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --durations 10

# The interpreter: PYTHON where it is given, else the one that .venv was made with, else python3.11.
INTERPRETER := $(or $(PYTHON),$(shell $(BIN)/python -V >/dev/null 2>&1 && echo $(BIN)/python),python3.11)
VERSION := $(shell $(INTERPRETER) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
SUM := $(shell { cat pyproject.toml constraints.txt; echo $(VERSION); } | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.set-up-$(SUM)
TEST_STAMP := $(VENV)/.tests-set-up-$(SUM)
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable
# Slim images come without the lists of packages.
APT_INSTALL = apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

# The demo's folder and stores are its own, recommend's and stores' are the environment's, if it has them.
export MONGODB_URI ?= embedded
export MILVUS_URI ?= embedded
export PYSPARK_PYTHON := $(abspath $(BIN)/python)
demo: export SEQREC_ROOT := $(CURDIR)/.seqrec/demo
demo: export MONGODB_URI := embedded
demo: export MILVUS_URI := embedded
tensorboard: export LOGS ?= $(or $(SEQREC_ROOT),.seqrec)
stores dvc: export SEQREC_ROOT ?= $(CURDIR)/.seqrec/demo

override export RATINGS := $(value RATINGS)
override export INPUT := $(value INPUT)
override export TRAIN := $(value TRAIN)
override export TITLES := $(value TITLES)
override export TITLE_COLUMNS := $(value TITLE_COLUMNS)
export DEMO_SIZE ?= --users 8000 --items 1000 --events 200000
export DEMO_TRAIN ?=

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

setup: $(STAMP) ## make .venv (PYTHON=python3.11 chooses the interpreter), look for Java, fetch the embedded store's jars
	@echo "set up: $(BIN)/python is Python $(VERSION)"

$(STAMP):
	@if [[ ! "$(VERSION)" =~ ^3\.1[12]$$ ]]; then \
	    echo "error: $(INTERPRETER) is $(if $(VERSION),Python $(VERSION),not there): install Python 3.11, or say where it is:" \
	        "make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@if [[ $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) != "$(VERSION)" ]]; then \
	    echo "making $(VENV) with $(INTERPRETER) (Python $(VERSION))"; $(INTERPRETER) -m venv --clear $(VENV); fi
	$(BIN)/python -m seqrec.command.java --install
	$(PIP_INSTALL) '.[train,tune,stores,text]'
	$(BIN)/python -m pip check --disable-pip-version-check
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || { [[ $$(id -u) == 0 ]] && $(APT_INSTALL) libgomp1; } \
	    || { echo "error: LightGBM needs libgomp.so.1: install it with sudo apt-get install -y libgomp1" >&2; exit 1; }
	$(BIN)/python -m seqrec.stores.embedded --fetch
	$(BIN)/python -m seqrec.command.make_class_archive
	@rm -f $(VENV)/.set-up-* && touch $@

# What the tests need besides: all optional extras, and a browser for pages (without one, the tests of pages are skipped).
$(TEST_STAMP): $(STAMP)
	$(PIP_INSTALL) '.[train,tune,stores,text,track,repro,dev]'
	$(BIN)/python -m pip check --disable-pip-version-check
	@command -v chromium >/dev/null || { [[ $$(id -u) == 0 ]] && { $(APT_INSTALL) chromium; } >/dev/null; } \
	    || echo "no chromium: the tests of pages will be skipped; to run them: sudo apt-get install -y chromium"
	@rm -f $(VENV)/.tests-set-up-* && touch $@

test: $(TEST_STAMP) ## run all tests
	$(PYTEST)

check: $(TEST_STAMP) ## what a change must pass: formatting, lint, types, tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	@echo "$(BIN)/mypy --strict, beside the tests: it keeps one core busy for a minute or two"
	@$(BIN)/mypy --strict & types=$$!; \
	    $(PYTEST) && wait $$types || { status=$$?; wait $$types || echo "mypy found errors, see above" >&2; exit $$status; }

format: $(TEST_STAMP) ## format the code and mend what lint can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

demo: $(STAMP) ## the whole chain on simulated ratings, in .seqrec/demo: about 9 minutes on 2 cores
	@$(BIN)/python -m seqrec.chain demo --sizes "$$DEMO_SIZE" --train "$$DEMO_TRAIN"

recommend: $(STAMP) ## the whole chain on RATINGS=FILE; TITLES=movies.csv; INPUT="input.delimiter=;", TRAIN="max_epochs=20" set keys; RUN=--dry-run
	@$(BIN)/python -m seqrec.chain recommend --ratings "$$RATINGS" --input "$$INPUT" --train "$$TRAIN" \
	    --titles "$$TITLES" --title-columns "$$TITLE_COLUMNS" $(RUN)

ml-1m: $(STAMP) ## download MovieLens-1M from GroupLens into .seqrec and check it (ML_1M="--url URL" takes another place)
	@$(BIN)/python -m seqrec.movielens $(ML_1M)

dvc: $(STAMP) ## write CHAIN=demo as stages of DVC into dvc.yaml; dvc-train runs the stage train and what comes before it (DVC=-f forces)
	@./spark-submit.sh run $(or $(CHAIN),demo) --dvc

dvc-%: $(STAMP)
	@$(BIN)/python -c 'import dvc' 2>/dev/null || { echo "error: DVC isn't installed: $(PIP_INSTALL) '.[repro]'" >&2; exit 1; }
	@$(BIN)/python -m dvc repro $(DVC) $*

bench: $(TEST_STAMP) ## measure the speed of each part against a plain way to do the same
	$(BIN)/python -m tests.bench

docs: $(TEST_STAMP) ## write the generated pages, docs/keys.md and docs/tables.md
	$(BIN)/python -m tests.docs.generate

stores: $(STAMP) ## serve the embedded MongoDB and Milvus, to look into them, until Ctrl-C
	$(BIN)/python -m seqrec.stores.embedded --serve

tensorboard: $(STAMP) ## show the curves of the trainings below LOGS (a model's folder; else SEQREC_ROOT or .seqrec) until Ctrl-C
	@if [[ ! -d "$$LOGS" ]]; then echo "error: LOGS=$$LOGS is no folder on this machine: give a model's, or a copy of its tensorboard" >&2; exit 1; fi
	@$(BIN)/tensorboard --logdir "$$LOGS"

clean: ## remove what was built: caches and .seqrec (demo, recommend); .venv stays
	rm -rf .seqrec build spark-warehouse metastore_db derby.log .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
