# The book's commands. `make` alone lists them.
#
# Settings, all optional:
#   PYTHON=python3.12        which Python to make the environment with (3.11 or newer)
#   TORCH_INDEX=https://...  package index to take torch from, for example https://download.pytorch.org/whl/cpu
#   VENV=.venv               where the environment goes; a folder that make has not made itself is left alone

PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv

BIN := $(VENV)/bin
# The release of torch is named once, in pyproject.toml.
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
# It is part of the stamp's name, so that another release is installed: the lock file does not have torch.
PACKAGES := $(VENV)/.packages-$(subst ==,-,$(TORCH))
# Written before anything else, also where what follows fails: this folder is ours to replace.
MARK := $(VENV)/.made-by-make
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOG := $(VENV)/install.log

.DEFAULT_GOAL := help
.PHONY: help install book small test format picture lab bench serve wheel lock clean
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

help: ## list the commands
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' $(firstword $(MAKEFILE_LIST)) \
	| while IFS='|' read -r name text; do printf '  make %-7s %s\n' "$$name" "$$text"; done

install: $(VENV)/.installed ## make the environment only; the other commands do it by themselves

book: $(VENV)/.installed ## execute what changed, build the site, print the path of its first page
	@$(BIN)/python -m book._tools build

small: $(VENV)/.installed ## the same with few seeds and steps, into build/small (a test, never published)
	@$(BIN)/python -m book._tools build --small

format: $(VENV)/.installed ## settle the layout of all code, that of the chapters included
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python -m book._tools format

picture: $(VENV)/.installed ## draw the README's picture anew: the figure of the front page
	@$(BIN)/python -m book._tools picture

test: $(VENV)/.installed ## formatting, types, tests of the library, the book and the site
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "make test: run make format" >&2; exit 1; }
	@$(BIN)/python -m book._tools format --check
	@$(BIN)/python -m book._tools numbers
	@$(BIN)/mypy
	@# One test process per core, so one thread for each.
	@OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 TMS_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8

lab: $(VENV)/.installed ## open the chapters in JupyterLab (right click, Open With, Notebook)
	@$(BIN)/jupyter lab book

bench: $(VENV)/.installed build/bench/.installed ## run the measured comparisons in benchmarks/ (about ten minutes)
	@PYTHONPATH=build/bench $(BIN)/python -m benchmarks

# JAX is for the comparison alone, so it is kept out of the environment; numpy and scipy come from there.
build/bench/.installed: benchmarks/requirements.txt | $(VENV)/.installed
	@rm -rf build/bench && $(PIP) install --quiet --no-deps --target build/bench -r benchmarks/requirements.txt
	@touch $@

serve: ## serve the built site at http://127.0.0.1:8000
	@[ -e build/html/index.html ] || { echo "There is no site yet; run make book first." >&2; exit 1; }
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/html 8000

wheel: $(VENV)/.installed ## build the library's wheel into build/dist
	@rm -rf build/lib build/bdist.*; mkdir -p build; $(BIN)/python -m build --wheel --no-isolation --outdir build/dist . >build/wheel.log 2>&1 \
	  || { cat build/wheel.log >&2; exit 1; }
	@ls build/dist/*.whl

lock: ## write requirements.lock anew from pyproject.toml
	@$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@build/lock/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-package torch --no-header --quiet --output-file requirements.lock

clean: ## remove all that was built, but not the environment
	@rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# The environment. The stamps are written last, so that one which was left half made is made anew.
$(PACKAGES): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "The book needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@[ -z "$$(ls -A '$(VENV)' 2>/dev/null)" ] || [ -e '$(MARK)' ] || ls '$(VENV)'/.packages* >/dev/null 2>&1 || { \
	  echo "$(VENV) is there, and make has not made it. Remove it, or name another folder: make VENV=... $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making $(VENV) and installing what requirements.lock names (some minutes; details in $(LOG))"
	@rm -rf '$(VENV)' && mkdir -p '$(VENV)' && touch '$(MARK)' && $(PYTHON) -m venv '$(VENV)'
	@$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH) >$(LOG) 2>&1 \
	  && $(PIP) install --require-hashes --no-deps -r requirements.lock >>$(LOG) 2>&1 \
	  || { tail -n 20 $(LOG) >&2; echo "The installation failed; all of it is in $(LOG)." >&2; exit 1; }
	@touch $@

$(VENV)/.installed: $(PACKAGES) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable . >>$(LOG) 2>&1 \
	  || { tail -n 20 $(LOG) >&2; echo "The installation failed; all of it is in $(LOG)." >&2; exit 1; }
	@touch $@
