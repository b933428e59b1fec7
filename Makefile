# The whole set-up is in .ci/environment.sh; `make` alone lists what can be done.
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
SETUP := pyproject.toml .ci/environment.sh

# Stable Slicer is tested beside the newest one: its core, laid over the same environment.
STABLE := slicer-core==5.12.4.0 vtk==9.6.0

.PHONY: help demo test test-stable-slicer lint format docs cmake-list clean

help:
	@echo "make demo    install, make one phantom patient, segment it, correct it by clicks"
	@echo "make test    install with the test tools, then ruff, mypy and pytest"
	@echo "make test-stable-slicer   Testing/Slicer again, on the core of the stable Slicer 5.12"
	@echo "make lint    ruff and mypy alone        make format  let ruff rewrite the layout"
	@echo "make docs    build the documentation site into build/site, for reading without a network"
	@echo "make cmake-list   write the extension's list of files anew, after files came or went"
	@echo "make clean   remove the environment, the demo's output and the caches"

# A stamp per set of packages: a second `make` installs nothing.
$(VENV)/.installed-demo: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh
	@touch $@

$(VENV)/.installed-test: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh test
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-docs: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh docs
	@touch $@ $(VENV)/.installed-demo

demo: $(VENV)/.installed-demo
	@rm -rf $(DEMO)
	$(BIN)/myops demo --output $(DEMO)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

cmake-list:
	python3 .ci/cmake_list.py

# One process per core, each with one thread: most of a test's time is not torch's.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist loadfile

test: lint
	$(PYTEST)

$(VENV)/slicer-stable: $(VENV)/.installed-test
	@rm -rf $@
	$(BIN)/python -m pip --disable-pip-version-check -qq install --no-deps --target $@ $(STABLE)
	@touch $@

test-stable-slicer: $(VENV)/slicer-stable
	PYTHONPATH=$(CURDIR)/$< $(PYTEST) Testing/Slicer

clean:
	rm -rf $(VENV) $(DEMO) build MyoPSSegmenter/*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
