# Everything that a person or the checks do here is a target; `make help` lists them.
# Only git, make, and Python >= 3.11 with venv are needed beforehand.

PYTHON ?= python3
VENV := .venv
VENV_OLDEST := .venv-oldest
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAMP_DOCS := $(VENV)/.installed-docs
STAMP_OLDEST := $(VENV_OLDEST)/.installed
DOCS := docs/_build

# Several worker processes with several threads each would only get in each other's way.
# Each takes its tests in the order of the files, so that files share imports and fits.
# What pytest makes of the assertions is kept in __pycache__: making it takes half of the collection.
PYTEST_WORKERS ?= auto
PYTEST_FLAGS ?=
PYTEST_PARALLEL := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses 4 \
	--dist worksteal

.DEFAULT_GOAL := help
.PHONY: help venv demo dist test test-slow test-oldest test-avx2 lint format format-check types bench docs clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| while IFS='|' read -r name what; do printf '%-14s %s\n' "$$name" "$$what"; done

# torch goes first and alone, so that its pin decides which build is taken.
define install
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skae needs Python >= 3.11. Name one, as in: make PYTHON=python3.12 ...")'
	@echo "Building $(1), which takes some minutes the first time; pip is silent meanwhile."
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --disable-pip-version-check --quiet -c $(2) torch setuptools
	$(1)/bin/python -m pip install --disable-pip-version-check --quiet -c $(2) --no-build-isolation -e '.[$(3)]'
	touch $(1)/.installed
endef

$(STAMP): pyproject.toml constraints.txt
	$(call install,$(VENV),constraints.txt,dev)

$(STAMP_DOCS): $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt \
		--no-build-isolation -e '.[docs]'
	touch $@

$(STAMP_OLDEST): pyproject.toml constraints-oldest.txt
	$(call install,$(VENV_OLDEST),constraints-oldest.txt,test)

venv: $(STAMP) ## Build .venv, where everything below runs.

demo: $(STAMP) ## Compare PCA and an autoencoder on digits, and on MNIST where SKAE_DATA has it.
	$(BIN)/skae compare

test: $(STAMP) ## Run the fast tests and the doctests.
	$(PYTEST_PARALLEL) -m "not slow" $(PYTEST_FLAGS)

test-slow: $(STAMP) ## Run the slow tests: figures, real data, other processes.
	$(PYTEST_PARALLEL) -m slow $(PYTEST_FLAGS)

dist: $(STAMP) ## Build the source distribution, and from it the wheel, in dist/.
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	ls -l dist

# The package is the wheel, as users install it: the path of the tree is kept out of Python's.
test-oldest: $(STAMP_OLDEST) dist ## Run the fast tests on the wheel, at the oldest versions admitted.
	$(VENV_OLDEST)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps \
		--force-reinstall dist/*.whl
	PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV_OLDEST)/bin/python -m pytest -n $(PYTEST_WORKERS) \
		--maxprocesses 4 --dist worksteal -m "not slow" $(PYTEST_FLAGS) --pyargs skae tests

# Those that compute: all kinds of networks, steps and products.
test-avx2: $(STAMP) ## Run fast tests as on a processor without AVX-512 and bfloat16.
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(PYTEST_PARALLEL) -m "not slow" $(PYTEST_FLAGS) \
		tests/modules tests/objectives tests/engine tests/test_adversarial.py \
		tests/test_convolutional.py tests/test_mixed_precision.py tests/test_recurrent.py \
		tests/test_tokens.py tests/test_variational.py

lint: $(STAMP) ## Check code, docstrings, and layers of imports.
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/numpydoc lint $$(git ls-files 'skae/*.py')

format: $(STAMP) ## Format the code and mend what ruff can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(STAMP) ## Check that `make format` would change nothing.
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check the annotations with mypy.
	$(BIN)/mypy

# Small data and few runs; benchmarks/README.md describes how to run them in full.
bench: $(STAMP) ## Run all benchmarks in a short form, as ratios.
	set -e; for script in speed gpu side_by_side quality nested outliers far neighbors imputation draws denoising defaults generation kinds keras_program hinton2006 serving sparse_codes large mixed processes; do \
		echo; echo "== benchmarks/$$script.py --quick"; $(BIN)/python benchmarks/$$script.py --quick; done

# What pages and examples printed is kept between calls, until the library changes.
$(DOCS)/.begun: $(STAMP_DOCS) $(shell find skae -name '*.py')
	rm -rf $(DOCS) docs/auto_examples docs/reference
	mkdir -p $(DOCS)
	touch $@

# Sphinx does not repeat the warnings of pages that it has read before: it reads all again then.
docs: $(DOCS)/.begun ## Build the documentation, running all its code, in docs/_build/html.
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going -n -j 2 \
		-d $(DOCS)/doctrees docs $(DOCS)/html || { rm -rf $(DOCS)/doctrees; exit 1; }
	$(BIN)/python docs/check_pages.py $(DOCS)/html

clean: ## Remove what the targets above made, the virtual environments included.
	rm -rf $(VENV) $(VENV_OLDEST) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	rm -rf $(DOCS) docs/auto_examples docs/reference
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
