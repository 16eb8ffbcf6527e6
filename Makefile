# make demo: clicks on the packaged scene with the base install alone.   make programs test: everything the CI checks.
PYTHON ?= python3
BASE := .venv
FULL := .venv-test
export OMP_NUM_THREADS ?= 2
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: setup programs demo test test-slow coverage lint docs clean

setup: $(BASE)/.made

$(BASE)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(FULL)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,docs,formats,benchmark,train,sam,scale]'
	touch $@

# Chromium, PostGIS and other programs that tests drive, from Debian's packages. Without them those tests skip and say so.
programs:
	sh dev/programs.sh

demo: setup
	sh dev/demo.sh $(BASE)/bin/terraclick out
	@echo "environment: $$(du -sm $(BASE) | cut -f1) MB in $(BASE)"

lint: $(FULL)/.made web-modules
	@test ! -d web/node_modules || (cd web && npm run --silent lint)
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .
	$(FULL)/bin/mypy

test: lint
	$(FULL)/bin/python -m pytest -q -m "not slow"

test-slow: $(FULL)/.made
	$(FULL)/bin/python -m pytest -q -m slow

# Slower than test by the tracing: the share of lines that the tests run through, with the floor of pyproject.toml.
coverage: $(FULL)/.made web-modules
	rm -f .coverage .coverage.*
	$(FULL)/bin/python -m pytest -q -m "not slow" --cov --cov-report=term
	rm -f .coverage.*

docs: $(FULL)/.made
	NO_MKDOCS_2_WARNING=1 $(FULL)/bin/mkdocs build

clean:
	rm -rf $(BASE) $(FULL) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The map: source in web/, built assets committed in src/terraclick/server/static, so that installing needs no node.
.PHONY: web web-check web-modules

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web-modules:
	@{ command -v npm >/dev/null && $(MAKE) -s web/node_modules/.package-lock.json; } || \
		echo "no npm: the map's source is not checked and not compared with the built map"

web: web/node_modules/.package-lock.json
	cd web && node build.mjs

web-check: web/node_modules/.package-lock.json
	cd web && npm run --silent lint
	cd web && node --test test/
	cd web && node build.mjs --check
