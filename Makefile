# The Wide Limit. 'make' alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIPELINE := PYTHONPATH=book $(BIN)/python -m pipeline
SITE := _build/html/index.html
# Says since when the site is that of its sources: the tests of the pages ask.
BUILT := _build/site.stamp
# The environment is made again when what it is made from changes.
STAMP := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help book site test serve execute sync check lint format venv lock new seeds colab elsewhere links wheel bench publish-check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

book: site ## build the book, warnings being errors, and say where it is
	@$(PIPELINE) publish-check --remind
	@echo "the book: $(CURDIR)/$(SITE)"

# A page that warned once is not read again by a second build, which would then pass: a build that
# failed leaves no cache behind.
site: $(STAMP)
	@mkdir -p _build
	@touch $(BUILT).new
	@$(BIN)/jupyter-book build . --warningiserror --keep-going --quiet \
	  || { rm -rf _build/.doctrees $(BUILT) $(BUILT).new; exit 1; }
	@mv $(BUILT).new $(BUILT)

test: $(STAMP) ## package, chapters, stored outputs and site: everything that must pass
	@$(PIPELINE) test

serve: book ## build the book and serve it on this machine
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

execute: $(STAMP) ## run the chapters whose code changed [CH=01] [FORCE=1]
	@$(PIPELINE) execute --chapter "$(CH)" $(if $(FORCE),--force)

sync: $(STAMP) ## write set-up cells, notebooks and links from what was edited
	@$(PIPELINE) sync

check: $(STAMP) ## read the stored chapters for everything that must be true of them [CH=01]
	@$(PIPELINE) check --chapter "$(CH)"

lint: $(STAMP) ## ruff, codespell and the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/lint-imports --no-cache

format: $(STAMP) ## let ruff rewrite the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

venv: $(STAMP) ## make the environment .venv, nothing else

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"python 3.11 or newer is needed; $(PYTHON) is {v.major}.{v.minor}. Name another: make venv PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the environment into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]' \
	  || { echo "pip could not install it; the first time needs a package index that answers"; exit 1; }
	@touch $@

lock: $(STAMP) ## write constraints.txt from what .venv holds
	@{ echo "# The whole environment of the book, written by 'make lock' from .venv."; \
	   $(BIN)/python -m pip list --format=freeze --exclude-editable \
	     --exclude pip --exclude setuptools --exclude wheel | LC_ALL=C sort -f; } > constraints.tmp
	@mv constraints.tmp constraints.txt
	@touch $(STAMP)

new: $(STAMP) ## a chapter's skeleton: make new CH=NN-slug
	@$(PIPELINE) new "$(CH)"

seeds: $(STAMP) ## every claim at seeds nobody has tried [CH=01] [N=20] [SEEDS="1 2 3"]
	@$(PIPELINE) seeds --chapter "$(CH)" --count $(or $(N),20) --seeds $(SEEDS)

colab: $(STAMP) ## each chapter alone under Colab's pins [CH=01] [COLAB_PYTHON=python3.13]
	@$(PIPELINE) colab --chapter "$(CH)" --python "$(COLAB_PYTHON)"

elsewhere: $(STAMP) ## compare chapters as an older processor rounds them [CH=01]
	@$(PIPELINE) elsewhere --chapter "$(CH)"

# Apart from the site's own build: a page that warned is not read again, and then does not warn.
links: $(STAMP) ## ask every external link of the pages whether it still answers
	@$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links --quiet

wheel: $(STAMP) ## build the package into dist/ and check its metadata
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist . > /dev/null
	@$(BIN)/twine check --strict dist/*

bench: $(STAMP) ## time what is meant to be fast
	@$(if $(wildcard tests/benchmarks/test_*.py), \
	  $(BIN)/python -m pytest -q --benchmark-only tests/benchmarks, echo "no benchmark yet")

publish-check: $(STAMP) ## whether the book knows its own address
	@$(PIPELINE) publish-check

clean: ## remove what was built; .venv stays
	rm -rf _build build dist .pytest_cache .ruff_cache .hypothesis .benchmarks
