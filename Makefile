# Everything runs in .venv, which `make install` makes. What pip reads from its own configuration and environment
# (indexes, caches, wheels on disk) holds here too, and so chooses the build of torch.

.DEFAULT_GOAL := help
.PHONY: help install demo test check docs clean
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  %-9s%s\n", $$1, $$2 }'

install: $(STAMP) ## make .venv and install Ojak with its tools (again only when the pins or pyproject.toml change)
	@:

demo: install ## train on the bundled conversation, translate, and look
	@$(BIN)/ojak demo

test: install ## run the tests
	@echo "tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: install ## style, format, types, rules of import, and stale documentation
	@echo "style" && $(BIN)/ruff check --quiet .
	@echo "format" && $(BIN)/ruff format --check --quiet .
	@echo "types" && $(BIN)/mypy --strict --no-error-summary src
	@echo "imports" && $(BIN)/python -m pytest tests/test_imports.py
	@echo "documentation" && $(BIN)/python docs/generate.py --check

docs: install ## write the generated pages of the documentation anew
	@$(BIN)/python docs/generate.py

clean: ## remove caches and build outputs, but neither .venv nor runs
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# torch comes first and alone, so that nothing else decides which of its builds is taken.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Ojak needs Python 3.11 or newer, but '$(PYTHON)' is not: make install PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv" && $(PYTHON) -m venv .venv; }
	@echo "installing torch" && $(PIP) "$$(grep '^torch==' constraints.txt)"
	@echo "installing ojak[dev,korean,png,fast]" && $(PIP) -e '.[dev,korean,png,fast]'
	@touch $@
