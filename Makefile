# make reconcile   run the demo end to end and print a page for finance
# make reconcile INVOICES=path/to/invoices.csv   the same on a file of invoices
# make ui          the demo in Dagster's pages
# make test        install what the tests need and run them all
# make lint        format, lint and types
# make clean       forget the demo

PYTHON ?= python3
BIN := .venv/bin
INVOICES ?=

.PHONY: reconcile ui test lint clean

reconcile: .venv/installed
	$(BIN)/recon demo $(if $(INVOICES),--invoices "$(INVOICES)")

ui: .venv/installed
	$(BIN)/recon ui

test: .venv/installed-test
	./tests/chromium.sh
	$(MAKE) lint
	$(BIN)/python -m pytest -n 2

lint: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .demo .dagster

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0] + ". Say which with: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv, once: about a minute"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-test: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing what the tests need into .venv, once: about a minute"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch .venv/installed $@
