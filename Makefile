# Two commands do everything on a machine with git, make and Python 3.11 or later:
#   make demo    make the virtual environment, install, run the main job
#   make test    make the virtual environment, install, run all tests
# `make check` is the single gate, for people and CI alike.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Two workers at most: the suite compiles kernels, and more workers compile the same ones side by side. Each takes whole
# folders (tests/conftest.py), whose tests share kernels.
WORKERS ?= 2

.PHONY: help install demo test check lint types imports doctest bench lockstep clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "rltk needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

# Both the distribution pygame and pygame-ce own the module `pygame`; side by side they break it without a word.
demo: $(STAMP)
	@$(BIN)/python -m rltk.drawing.pygame_check
	$(BIN)/python -m rltk.scripts.demo

test: $(STAMP)
	@$(BIN)/python -m rltk.drawing.pygame_check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

check: lint types imports test doctest

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy -p rltk

imports: $(STAMP)
	$(BIN)/lint-imports

doctest: $(STAMP)
	$(BIN)/python -m pytest -q --doctest-modules --doctest-glob='*.md' README.md docs --pyargs rltk

bench: $(STAMP)
	$(BIN)/python -m rltk.scripts.bench mdp

# Each of MiniGrid's ids beside minigrid itself: 200 seeds at reset and 100,000 steps, an hour or two on one core.
lockstep: $(STAMP)
	RLTK_FULL=1 $(BIN)/python -m pytest -q tests/envs/minigrid/test_minigrid_lockstep.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
