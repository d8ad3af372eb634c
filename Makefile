# Each target makes .venv on first use, and again only when the dependencies change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
KILLS ?= 100
FILES ?= 10000
MINUTES ?= 60
FLOOR := .venv-floor
FLOOR_TESTS := $(addprefix tests/,batch/data batch/test_files.py batch/models/test_network_file.py \
	batch/keras_model/test_saving.py batch/res_batch/test_index.py research/page/test_report.py research/running/test_tensorboard.py \
	utils)

.PHONY: help compare test floor lint reproduce bench soak venv .venv clean

help:
	@echo "make compare    FreezeOut and stochastic depth against a classic ResNet, on digits: table, figure, report"
	@echo "make test       lint and tests"
	@echo "make floor      tests of what each dependency is for, on the lowest versions that are admitted"
	@echo "make reproduce  run every notebook to a notebook and an HTML page"
	@echo "make bench      the benchmarks, side by side with their peers"
	@echo "make soak       KILLS=100 of runs that go on after it, in MINUTES=60 at most; FILES=10000 damaged ones"

compare: $(READY)
	@$(BIN)/resbatch compare --data digits --iterations 150 --batch-size 100 --seeds 3

# Two workers, a thread each.
test: lint
	@TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# A test or more of what each dependency is for, on the lowest versions that pyproject.toml admits, in a place of its own.
floor: $(FLOOR)/ready
	@TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 $(FLOOR)/bin/python -m pytest $(FLOOR_TESTS)

$(FLOOR)/ready: pyproject.toml $(READY)
	@echo "Setting up $(FLOOR) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(FLOOR)
	@$(BIN)/uv pip install --quiet --python $(FLOOR)/bin/python --resolution lowest-direct -e '.[test]'
	@touch $@

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff check --preview --select PLW1514 batch utils research resbatch.py  # every text says its encoding
	@$(BIN)/ruff format --check .

reproduce: $(READY)
	@$(BIN)/resbatch reproduce

bench: $(READY)
	@$(BIN)/resbatch bench

# Runs that are killed and go on, and damaged files of every kind that is read.
soak: $(READY)
	@$(BIN)/python tests/faults/soak.py $(KILLS) $(MINUTES); runs=$$?; \
	$(BIN)/python tests/faults/mutations.py $(FILES) && exit $$runs

venv .venv: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.10 or newer is needed: no '$(PYTHON)' found (set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: '$(PYTHON)' is older (set PYTHON=...)" >&2; exit 1; }
	@echo "Setting up $(VENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(VENV) >/dev/null || { echo "'$(PYTHON) -m venv' failed: install Python's venv module" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]' >$(VENV)/pip.log 2>&1 || { echo "pip could not install the dependencies: $(VENV)/pip.log says why" >&2; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) $(FLOOR) runs
