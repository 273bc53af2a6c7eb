# Every action of the project; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PACKAGES := libs/common libs/mirror services/auth services/availability services/pairing services/chat services/sweeper deploy/local
SERVICES := auth availability pairing chat sweeper
# Most tests wait more than they compute: five at once suit two cores.
SIDE_BY_SIDE := --numprocesses 5 --dist loadscope --no-loadscope-reorder
override JSON := $(if $(filter-out 0,$(JSON)),--json)
# Where it is set, each process compiles all it imports anew: a service then starts in thrice the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List what you can do here
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- setting up: a virtual environment with exactly what the lock says ----

$(VENV)/ready: requirements/dev.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Temani needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (once; about a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(RUN)/python -c 'import pathlib, site, sys; pathlib.Path(site.getsitepackages()[0], "temani.pth").write_text("\n".join(str(pathlib.Path(p, "src").resolve()) for p in sys.argv[1:]) + "\n")' $(PACKAGES)
	@printf '#!/bin/sh\nexec "%s/python" -m temani "$$@"\n' "$(abspath $(RUN))" > $(RUN)/temani && chmod +x $(RUN)/temani
	@touch $@

.PHONY: install
install: $(VENV)/ready ## Install everything the project needs (other targets do it for you)

# ---- seeing it work ----

.PHONY: up down demo reset status logs
up: $(VENV)/ready ## Start the whole system; Ctrl-C stops it, state survives in .temani
	@$(RUN)/temani up $(ARGS)

demo: $(VENV)/ready ## Watch bots live through the product; FOR=30 ends by itself, JSON=1 for machines
	@$(RUN)/temani demo $(if $(FOR),--for $(FOR)) $(JSON) $(ARGS)

down: $(VENV)/ready ## Stop the stack that runs here, from another terminal or after ARGS=--detach
	@$(RUN)/temani down $(ARGS)

reset: $(VENV)/ready ## Throw the local state away and begin anew
	@$(RUN)/temani reset $(ARGS)

status: $(VENV)/ready ## Say what runs and where
	@$(RUN)/temani status $(JSON)

logs: $(VENV)/ready ## Say which logs there are; one: make logs S=pairing, all as they come: S=all ARGS=-f
	@$(RUN)/temani logs $(S) $(ARGS)

# ---- proving it ----

.PHONY: test check fmt trace contract coverage bench
test: $(VENV)/ready ## Run every test against real servers that it starts itself
	@$(RUN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(VENV)/ready ## Format, lint, types, import borders
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-cache

fmt: $(VENV)/ready ## Format the code and mend what can be mended
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

trace: $(VENV)/ready ## Print every promise with the tests that prove it
	@$(RUN)/python tests/architecture/promise_trace.py $(JSON) $(ARGS)

contract: $(VENV)/ready ## Write each service's OpenAPI, AsyncAPI and examples anew
	@for s in $(SERVICES); do $(RUN)/python -m $$s contract || exit 1; done

$(VENV)/bench: requirements/bench.txt requirements/bench-node.txt $(VENV)/ready
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bench.txt
	@command -v node > /dev/null || $(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bench-node.txt || echo "No Node: its peers will be skipped"
	@touch $@

bench: $(VENV)/bench ## Measure the hot paths beside their floors and peers: make bench ONLY=G8,G9
	@$(RUN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(JSON) $(ARGS)

coverage: $(VENV)/ready ## Run the tests and say which lines they never reach
	@$(RUN)/coverage run -m pytest $(ARGS) && $(RUN)/coverage report

# ---- working on it ----

.PHONY: migrate run lock
migrate: $(VENV)/ready ## Migrate the running stack's database
	@$(RUN)/temani migrate $(ARGS)

run: $(VENV)/ready ## Run one service alone with the environment you give it: make run S=pairing
	@$(RUN)/python -m $(S)

lock: $(VENV)/ready ## Pin every requirement anew, with hashes and without addresses
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(RUN)/python requirements/lock.py
