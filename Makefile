# `make demo` and `make test` set everything up by themselves; they need only Python >= 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# as many test processes as processors, at most four: each starts a PostgreSQL
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal
HOME_FOLDER := $(or $(SEGMENTATION_HOME),$(CURDIR)/.segmentation)

.DEFAULT_GOAL := help
.PHONY: help install demo ui test test-slow lint types definitions unit bench docs lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(VENV)/installed  ## create the virtual environment with the locked dependencies

$(VENV)/installed: docker/requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r docker/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: install  ## run the synthetic shop: fifteen months through the whole chain
	$(BIN)/segmentation demo

ui: install  ## start Dagster's UI on http://localhost:3000 (PORT=... for another)
	mkdir -p "$(HOME_FOLDER)" && chmod 700 "$(HOME_FOLDER)"
	$(BIN)/python -c 'from segmentation_pipeline.runtime.home import make_dagster_home, make_home; make_dagster_home(make_home())'
	SEGMENTATION_HOME="$(HOME_FOLDER)" DAGSTER_HOME="$(HOME_FOLDER)/dagster" DAGSTER_DISABLE_TELEMETRY=1 \
		PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port $(or $(PORT),3000)

test: lint types definitions unit  ## run lint, types, definitions and the tests, about five minutes

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

definitions: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dg check yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dg check defs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dg list components | grep --silent segmentation_pipeline.Segmentation

unit: install
	$(PYTEST) -m "not slow"

test-slow: install  ## run the long tests: many seeds, servers, kills, real data
	$(PYTEST) -m slow

bench: install  ## run the benchmarks, up to ten million rows; a missed target does not stop the others
	-$(BIN)/python tests/benchmarks/silhouette.py
	-$(BIN)/python tests/benchmarks/choice_policies.py
	-$(BIN)/python tests/benchmarks/diagnosis.py
	-$(BIN)/python tests/benchmarks/fixed_cost.py
	-$(BIN)/python tests/benchmarks/end_to_end.py --by-hand --quality
	-$(BIN)/python tests/benchmarks/end_to_end.py --rows 10000000 --memory-limit 1.5GiB

docs: install  ## write the generated pages and pictures of docs/
	$(BIN)/python docs/generate_reference.py > docs/defs-yaml.md
	$(BIN)/python docs/draw_pictures.py docs/pictures

lock: install  ## resolve the dependencies again (needs `pip install uv`)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		--extra embedded --extra ui --group dev pyproject.toml --output-file docker/requirements-dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		--extra ui --extra postgres --constraint docker/requirements-dev.txt pyproject.toml --output-file docker/requirements.txt
	echo 'setuptools>=77' | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
		--constraint docker/requirements-dev.txt - --output-file docker/requirements-build.txt

clean:  ## remove the virtual environment and the demo's home
	rm -rf $(VENV) .segmentation
