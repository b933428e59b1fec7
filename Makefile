# The whole set-up is in .ci/environment.sh; `make` alone lists what can be done.
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
SETUP := pyproject.toml .ci/environment.sh

# Stable Slicer is tested beside the newest one: its core, laid over the same environment.
STABLE := slicer-core==5.12.4.0 vtk==9.6.0

.PHONY: help demo web test test-slow test-scheduled test-stable-slicer test-slicer-source lint format docs examples cmake-list release clean

help:
	@echo "make demo    install, make one phantom patient, segment it, correct it by clicks"
	@echo "make web     install, make three phantom patients, segment and correct them in a browser"
	@echo "make test    install with the test tools, then ruff, mypy, codespell and pytest"
	@echo "make test-slow   the tests marked slow: whole commands and sessions, which .ci/run does too"
	@echo "make test-scheduled   the tests marked scheduled: trainings, more of the browser, once a week"
	@echo "make test-stable-slicer   Testing/Slicer again, on the core of the stable Slicer 5.12"
	@echo "make test-slicer-source SLICER_SOURCE=FOLDER   the panel's tests on Slicer's own base files"
	@echo "make lint    ruff, mypy and codespell   make format  let ruff rewrite the layout"
	@echo "make examples   run every script of Docs/examples"
	@echo "make docs    build the documentation site into build/site, for reading without a network"
	@echo "make cmake-list   write the extension's list of files anew, after files came or went"
	@echo "make release   compare the versions and the changelog, then build the wheel into dist/"
	@echo "make clean   remove the environment, the demo's output and the caches"

# A stamp per set of packages: a second `make` installs nothing.
$(VENV)/.installed-demo: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh
	@touch $@

$(VENV)/.installed-test: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh test
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-web: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh web
	@touch $@ $(VENV)/.installed-demo

$(VENV)/.installed-docs: $(SETUP)
	@VENV=$(VENV) sh .ci/environment.sh docs
	@touch $@ $(VENV)/.installed-demo

demo: $(VENV)/.installed-demo
	@rm -rf $(DEMO)
	$(BIN)/myops demo --output $(DEMO)

web: $(VENV)/.installed-web
	$(BIN)/myops web

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict

examples: $(VENV)/.installed-demo
	@set -e; for script in $(wildcard Docs/examples/*.py); do echo "$$script"; $(BIN)/python $$script; done

cmake-list:
	python3 .ci/cmake_list.py

# One process per core, each with one thread: most of a test's time is not torch's.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist loadfile

# For the desk: within 6 minutes on two cores. A change is judged by this and `test-slow` together.
test: lint
	$(PYTEST) -m "not slow and not scheduled"

test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow

test-scheduled: $(VENV)/.installed-test
	$(PYTEST) -m scheduled

$(VENV)/slicer-stable: $(VENV)/.installed-test
	@rm -rf $@
	$(BIN)/python -m pip --disable-pip-version-check -qq install --no-deps --target $@ $(STABLE)
	@touch $@

test-stable-slicer: $(VENV)/slicer-stable
	PYTHONPATH=$(CURDIR)/$< $(PYTEST) -m "not slow and not scheduled" Testing/Slicer

# Slicer's own ScriptedLoadableModule, parameterNodeWrapper, SampleData ... of a checkout, which is
# never committed. A folder made by `git archive TAG Base/Python Modules/Scripted/SampleData` will do.
test-slicer-source: $(VENV)/.installed-test
	@test -n "$(SLICER_SOURCE)" || { echo "Error: expected SLICER_SOURCE=FOLDER, a checkout of Slicer" >&2; exit 2; }
	SLICER_SOURCE="$(SLICER_SOURCE)" $(PYTEST) -m "not scheduled" Testing/Slicer/test_slicer_source.py \
		Testing/Slicer/test_widget.py Testing/Slicer/test_added_rows.py

# No tag and no upload: those are a person's decision.
release: $(VENV)/.installed-test
	$(BIN)/python .ci/check_release.py
	@rm -rf dist
	$(BIN)/python -m pip --disable-pip-version-check -q wheel --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) $(DEMO) build dist MyoPSSegmenter/*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
