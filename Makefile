.PHONY: demo test check bench types eval

PYTHON ?= python3
BIN := .venv/bin

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/ready: .venv/installed pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

types: .types/tracehound

.types/tracehound:
	mkdir -p .types && ln -sfn .. $@

demo: .venv/installed
	$(BIN)/tracehound ask "show me lateral movement from WS-042 in the last day"

check: .venv/ready .types/tracehound
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

test: .venv/ready
	$(BIN)/python -m pytest -n auto

bench: .venv/ready
	$(BIN)/python -m tracehound.evals.bench
	$(BIN)/python -m tracehound.evals.bench.languages

# The deck with a model, side by side in three ways: make eval MODEL=name BASE_URL=http://127.0.0.1:8080/v1 [EVAL="--only d001"]
eval: .venv/installed
	$(BIN)/python -m tracehound.evals.ways --model "$(MODEL)" --base-url "$(BASE_URL)" $(EVAL)
