# The two commands of the README: `make demo` and `make test`. `make check` is lint, types and tests with their coverage.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint types coverage check docs wheel clean

demo: $(VENV)/.ready
	$(BIN)/python train_evaluate_sesemi.py

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

# The same tests, and the share of the lines that they ran in their own processes.
coverage: $(VENV)/.ready-dev
	$(BIN)/python -m pytest --cov --cov-report=term

check: lint types coverage

# The page about the settings, made from their declarations.
docs: $(VENV)/.ready
	$(BIN)/python -c "import pathlib; from sesemi.commands import train_flags; pathlib.Path('docs/settings.md').write_text(train_flags.reference())"

# Source archive and wheel, in dist/. The wheel is built from the archive, so nothing left over from before is in it.
wheel: $(VENV)/.ready-dev
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage

$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
