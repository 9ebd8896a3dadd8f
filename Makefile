## make mnist   train the MNIST classifier        (make mnist ARGS="--epochs 5 --hidden none")
## make test    run every test                    (make test ARGS="tests/nn -k linear")
## make lint    check style and types
## make bench   compare speed with NumPy, and with PyTorch, JAX and scikit-learn where installed
##              (make bench RESULTS=benchmarks/results keeps the figures there as JSON)
## make gpu-check  check the CUDA kernels on a GPU, in less than eight minutes; writes
##              gpu-check.json. It makes no .venv, but takes a Python that has CuPy, NumPy and
##              pytest: make gpu-check PYTHON=python3
## make clean   remove .venv and caches; what runs/ holds stays
##
## Each needs python3 (3.11 or later, with venv) alone, and installs the rest into .venv the first
## time, and again when setup.cfg changes. Another Python: make test PYTHON=python3.12

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
RESULTS ?=
BENCHMARKS := import_time ops replay train_step models attention memory checkpointing scaling epoch

.DELETE_ON_ERROR:
.PHONY: help mnist test lint bench gpu-check clean

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

mnist: .venv/installed
	@$(BIN)/tinynn train mnist $(ARGS)

test: .venv/installed-test
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: .venv/installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/installed
	@for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks.$$name $(ARGS) $(if $(RESULTS),--json $(RESULTS)/$$name.json) \
	    || exit; echo; done

gpu-check:
	@$(PYTHON) -m tests.gpu_check $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tinynn kernels tests benchmarks -name __pycache__ -exec rm -rf {} +

.venv/installed: EXTRAS :=
.venv/installed-test: EXTRAS := [test]

.venv/installed .venv/installed-test: setup.cfg pyproject.toml | $(BIN)/python
	@echo "tinynn: installing '.$(EXTRAS)' into .venv; this takes a minute or two, once"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.$(EXTRAS)'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "tinynn needs Python 3.11 or later; '$(PYTHON)' is" \
	         "$$($(PYTHON) --version 2>/dev/null || echo missing): make PYTHON=python3.12 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "'$(PYTHON)' cannot make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; }
