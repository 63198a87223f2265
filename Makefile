# `make demo` and `make test` set up everything they need; nothing else is to be done by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := kfp,tracking,report,agents,fast,bo,data,eval,jax,dev
# pip compiles on one core what compileall does on all; files that are templates, or of another Python, cannot be.
PIP_OPTIONS := --quiet --disable-pip-version-check --no-compile
# Tests of one file share what they make; a third process works while others wait for processes that they have begun.
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder
STUDY ?= pipelines/compose/laptop.yaml
CLUSTER ?= cluster.yaml
# Tests start hundreds of Pythons: bytecode is kept, even where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo eval-data test coverage quick lint benchmark pipelines constraints images clean
.DELETE_ON_ERROR:

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(READY) ## Run a whole architecture-discovery study on this machine and open nothing: it says where the report is.
	@$(BIN)/aira run $(STUDY)

eval-data: $(READY) ## Fetch the items of downstream tasks (86 MB, once) to where studies look for them.
	@$(BIN)/aira data evaluation

test: $(READY) lint ## Lint, type-check, check the import rules and run all tests.
	@$(BIN)/python -m pytest $(SPREAD)

coverage: $(READY) ## All tests again, twice as long, with the lines that none of them reaches.
	@$(BIN)/python -m pytest $(SPREAD) --cov --cov-report=term:skip-covered

quick: $(READY) ## The tests that take seconds.
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow"

lint: $(READY) ## Ruff, mypy (strict) and import-linter.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

benchmark: $(READY) ## Time the hot paths against plain implementations.
	@for file in tests/benchmarks/bench_*.py; do name=$$(basename $$file .py); echo "== $$name"; \
	    $(BIN)/python -m tests.benchmarks.$$name || exit 1; done

pipelines: $(READY) ## Compile the pipelines of a cluster (CLUSTER=cluster.yaml) into the chart that makes them there.
	@mkdir -p charts/aira/files/pipelines
	@for name in smoke compose search scale; do $(BIN)/python -m pipelines.$$name compile --cluster $(CLUSTER) \
	    --kubernetes --output charts/aira/files/pipelines/$$name.yaml || exit 1; done

constraints: $(READY) ## Write constraints.txt anew from the environment as it stands.
	@$(BIN)/pip freeze --exclude-editable | grep -v ^aws-cdk | sed -E 's/\+cpu$$//' > constraints.txt

images: ## Build the container images that need no GPU, by podman or docker (see images/README.md).
	@images/build.sh cpu sandbox

clean: ## Remove the environment (the studies in runs/ stay).
	rm -rf $(VENV)

# .ready is written last: an environment without it is half-made and is built again from nothing.
$(READY): pyproject.toml constraints.txt tests/tools.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "AIRA needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@rm -rf $(VENV)
	@echo "Installing into $(VENV) (once, a few minutes) ..."
	@$(PYTHON) -m venv $(VENV) && \
	    $(BIN)/pip install $(PIP_OPTIONS) --constraint constraints.txt --editable '.[$(EXTRAS)]' && \
	    $(BIN)/pip install $(PIP_OPTIONS) --no-deps --requirement tests/tools.txt || \
	    { rm -rf $(VENV); echo "The installation failed; nothing half-made was left behind."; exit 1; }
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@
