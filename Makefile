.DEFAULT_GOAL := help
.PHONY: help setup train demo tensorboard test test-fast lint types format benchmark mutate schemas lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Few processes, as the tests start others; tests/conftest.py says how many, and which files come first. A file stays in
# one of them, so that its fixtures are made once. Threads that wait by spinning would hold up the processes beside them.
PYTEST := OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder
# uv takes seconds where pip takes minutes. It does not read pip's settings: where it fails, pip installs.
UV := $(shell command -v uv || echo $(BIN)/uv)
FROM_LOCK := --require-hashes -r requirements.lock
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CHECK_VERSION := 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("expected Python 3.11 to 3.13, got " \
	+ sys.version.split()[0] + "; another one is named as in: make setup PYTHON=python3.12")'

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/installed ## make .venv and install what the lock names

$(VENV)/installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c $(CHECK_VERSION)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.lock names into $(VENV)"
	@awk '/^uv==/,!/\\$$/' requirements.lock > $(VENV)/uv.txt
	@test -x $(UV) || $(PIP_INSTALL) --require-hashes -r $(VENV)/uv.txt || true
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python $(FROM_LOCK) || $(PIP_INSTALL) $(FROM_LOCK)
	@touch $@

train: setup ## fetch MNIST if need be and train the default network
	$(BIN)/python src/train.py

demo: setup ## write a page to draw digits on, from the newest completed run, or the best of the newest sweep
	$(BIN)/python src/demo.py

tensorboard: setup ## open the dashboards of all runs, on this machine only
	$(BIN)/tensorboard --logdir outputs --host localhost

test: setup ## run the tests
	$(PYTEST)

test-fast: setup ## run the tests that take no more than a second or two each
	$(PYTEST) -m "not slow"

lint: setup ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## check the types
	$(BIN)/mypy

format: setup ## fix format and style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: setup ## measure an epoch and whole commands against a hand-written loop and the usual project
	PYTHONPATH=src $(BIN)/python benchmarks/epoch.py --scaling
	PYTHONPATH=src $(BIN)/python benchmarks/command.py

mutate: setup ## change the core one line at a time, and see whether a test fails (minutes; not in .ci/run)
	PYTHONPATH=tests $(BIN)/python tests/helpers/mutate.py

schemas: setup ## rewrite configs/schemas, from which editors complete the keys of YAML files
	PYTHONPATH=src $(BIN)/python -m mnist_mlp.config.json_schema

lock: ## rewrite requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--extra dev --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean: ## remove .venv and caches; data and outputs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
