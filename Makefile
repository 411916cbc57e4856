# One command each. `make setup` is run by the others where it is needed, and is quick the second time.
#
#   make demo    a small village against a real server, in this terminal
#   make test    all tests
#   make check   what CI runs: format, lint, types, imports, Django's checks, all tests
#   make bench   the benchmarks, with the ratios that must hold
#   make docs    the documentation, in docs/_build/html
#   make clean   removes what was built; data in .gridtalk stay

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# iottalk-py brings an MQTT client of its own, in the place of ours: the demo's devices have an
# environment to themselves.
DEVICES := $(VENV)/devices
# A database of its own for Django's checks.
EXEC := $(BIN)/gridtalk --data-dir .gridtalk/check exec --
ARGS ?=
# The tests share the cores; what measures how long others wait goes alone.
ifeq ($(strip $(ARGS)),)
PYTEST = $(BIN)/pytest src -n auto && \
	$(BIN)/pytest tests -m "not alone" -n auto --no-loadscope-reorder && $(BIN)/pytest tests -m alone
else
PYTEST = $(BIN)/pytest $(ARGS)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint django-check bench docs clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP) $(DEVICES)/.installed
	@$(BIN)/python frontend/build.py

$(DEVICES)/.installed: $(STAMP) constraints-devices.txt
	@test -x $(DEVICES)/bin/python || $(PYTHON) -m venv $(DEVICES)
	$(DEVICES)/bin/python -m pip install --quiet --disable-pip-version-check iottalk-py --constraint constraints-devices.txt
	@touch $@

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gridtalk needs Python 3.11 or newer; choose one: make setup PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "The virtual environment could not be made; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]' --constraint constraints.txt
	@touch $@

demo: setup
	$(BIN)/gridtalk demo $(ARGS)

test: setup
	$(PYTEST)

check: lint django-check
	$(PYTEST)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python frontend/build.py --check

django-check: setup
	$(EXEC) $(BIN)/python manage.py check --database default --fail-level WARNING
	$(EXEC) $(BIN)/python manage.py makemigrations --check --dry-run

bench: setup
	$(BIN)/python bench/inbound.py
	$(BIN)/python bench/inbound.py --streams 50
	$(BIN)/python bench/reply.py
	$(BIN)/python bench/ingest.py
	$(BIN)/python bench/pages.py
	$(BIN)/python bench/generate.py
	$(BIN)/python bench/devices.py

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf frontend/node_modules src/gridtalk/web/static/web/build
	rm -rf docs/_build docs/_generated build dist .gridtalk/check
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
