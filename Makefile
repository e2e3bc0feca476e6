# Every target works in .venv, which the first one makes; `make` alone lists them.
# PYTHON=/path/to/python3.12 chooses the interpreter that .venv is made with.

SUPPORTED = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON := $(or $(PYTHON),$(shell for p in python3 python3.13 python3.12 python3.11; do \
	if $$p -c '$(SUPPORTED)' >/dev/null 2>&1; then echo $$p; break; fi; done))
BIN := .venv/bin
# .venv is ready when this file is there: it is written last, and named after all it depends on.
READY := .venv/ready-$(shell { cat pyproject.toml constraints.txt; $(PYTHON) -VV; } 2>/dev/null \
	| cksum | tr ' ' '-')
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help book check-book pdf colab coursework test test-all lab bench lint clean

help:  ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '  %-10s %s\n' "$$name" "$$what"; done

book: $(READY)  ## run every notebook on the embedded data and build the HTML book
	@$(BIN)/python -m book.build

check-book: $(READY)  ## look at every page of the built book in a browser (after make book)
	@SOFTCUT_BOOK=_build/html $(BIN)/python -m pytest -q tests/browser/test_book.py

pdf: book  ## print the book into one PDF, _build/softcut-book.pdf (needs chromium)
	@$(BIN)/python -m book.pdf

colab: $(READY)  ## write notebooks that bring the library along, into _build/colab
	@$(BIN)/python -m book.colab

coursework: $(READY)  ## write the assignments for students and for grading, into build/coursework
	@$(BIN)/python -m coursework.build

test: $(READY)  ## run the tests, except the slow ones (SOFTCUT_DATA=folder adds real photographs)
	@$(BIN)/python -m pytest -q -m "not slow"

test-all: $(READY)  ## run all tests, also the long matrices and trainings
	@$(BIN)/python -m pytest -q

lab: $(READY)  ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab notebooks

bench: $(READY)  ## time the solvers beside their peers, about 25 minutes (BENCH=--quick: 3)
	@$(PIP) --no-build-isolation -e ".[bench]"
	@for peer in "scikit-sparse<0.5" torch-sparse-solve; do \
		PATH="$(CURDIR)/$(BIN):$$PATH" CPATH="$$CPATH:/usr/include/suitesparse" \
		$(PIP) --no-build-isolation "$$peer" >/dev/null 2>&1 \
		|| echo "$$peer was not built; its rows are left out. It needs a C++ compiler and" \
			"the headers of SuiteSparse (Debian and Ubuntu: libsuitesparse-dev)."; done
	@$(BIN)/python -m benchmarks $(BENCH)

lint: $(READY)  ## check style, formatting, and that no notebook holds outputs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/nbstripout --verify notebooks/*.ipynb

clean:  ## remove the built book, the coursework in build/ and all caches (not .venv)
	@rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find softcut_lib tests book benchmarks coursework -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11, 3.12 or 3.13 with its venv module was found."; \
		echo "Install one (on Debian and Ubuntu also python3-venv), or name it:"; \
		echo "  make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; fi
	@echo "Setting up .venv with $(PYTHON): about 3 GB, some minutes, once."
	@rm -f .venv/ready-*
	@[ "$$($(BIN)/python -VV 2>&1)" = "$$($(PYTHON) -VV 2>&1)" ] && $(BIN)/python -m pip -V >/dev/null \
		2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "1 of 3: torch" && $(PIP) torch
	@echo "2 of 3: build tools" && $(PIP) setuptools wheel
	@echo "3 of 3: everything else" && $(PIP) --no-build-isolation -e ".[dev]" || { \
		echo "This failed (see above). If a package has no ready build for this machine, it"; \
		echo "needs a C++ compiler. Then type the same command again."; exit 1; }
	@touch $@
	@echo "Ready."
