# `make` lists the commands; CONTRIBUTING.md says which of them proves what.

VENV := .venv
LINT := .venv-lint
SITE := .venv-docs
OLDEST := .venv-min
LATEST := .venv-latest
RELEASE := .venv-release

# Tests with one of these marks have their own command.
APART := real or chaos or clients or deploy or wheel
FAST := -m "not (live or $(APART))"
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTEST = $(VENV)/bin/pytest -n $(JOBS) --dist worksteal

.DELETE_ON_ERROR:
.PRECIOUS: %/bin/pip %/bin/uv  # make would remove them as intermediate files
.PHONY: help run test test-live test-real test-clients test-more-clients test-deploy test-wheel \
	test-all test-pythons test-latest test-min coverage chaos soak fuzz fuzz-real parity parity-glance \
	bench bench-short lint docs dist audit lock pictures screenshots clean

help:
	@awk -F ':.*## ' '/^##@ / { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

##@ To start with

run: $(VENV)/installed  ## serve the fake cloud, or what SHIM_BACKEND says, on http://127.0.0.1:8774
	exec $(VENV)/bin/nova-image-shim $(if $(SHIM_BACKEND),serve,fake)

test: $(VENV)/tested  ## the fast tests: run them on every change
	$(PYTEST) $(FAST) $(PYTEST_ARGS)

lint: $(LINT)/installed  ## ruff, mypy, and the schemas of workflows and other forms
	$(LINT)/bin/ruff check
	$(LINT)/bin/ruff format --check
	$(LINT)/bin/mypy -p nova_image_shim
	$(LINT)/bin/mypy tests
	MYPYPATH=tests $(LINT)/bin/mypy -p bench
	$(call check_schema,github-workflows,.github/workflows/*.yml)
	$(call check_schema,github-issue-forms,$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml)))
	$(call check_schema,github-issue-config,.github/ISSUE_TEMPLATE/config.yml)
	$(call check_schema,readthedocs,.readthedocs.yaml)
	$(LINT)/bin/pre-commit validate-config

check_schema = $(LINT)/bin/check-jsonschema --quiet --builtin-schema vendor.$(1) $(2)

docs: $(SITE)/installed  ## the documentation as a site in docs/_build
	$(SITE)/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs docs/_build

clean:  ## remove everything that these commands made
	rm -rf .venv .venv-* .real .clients .bench docs/_build build dist *.egg-info .coverage* \
		.hypothesis .*_cache

##@ More tests

test-live: $(VENV)/tested-live  ## tests that start gunicorn or a browser, or wait for a real clock
	$(PYTEST) -m "live and not ($(APART))" $(PYTEST_ARGS)

test-real: $(VENV)/tested-real  ## tests on a real Keystone, Glance and Nova, which it installs
	$(VENV)/bin/python tests/real/install.py nova
	REQUIRE_REAL=1 $(VENV)/bin/pytest -m real $(PYTEST_ARGS)

# Without Keystone and Glance, the tests on them are skipped.
test-clients: $(VENV)/tested  ## real clients, which it installs, on the fake cloud and a real one
	-$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/python tests/clients/install.py
	$(VENV)/bin/pytest tests/clients -m clients $(PYTEST_ARGS)

test-more-clients: $(VENV)/tested  ## the same with ten more clients
	-$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/python tests/clients/install.py more
	MORE_CLIENTS=1 $(VENV)/bin/pytest tests/clients -m clients $(PYTEST_ARGS)

test-deploy: $(VENV)/tested-deploy  ## the files of deploy/, with real proxies and services
	$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/pytest tests/deploy -m deploy $(PYTEST_ARGS)

test-wheel: $(VENV)/tested-wheel  ## the wheel and the sdist, installed into empty environments
	$(VENV)/bin/pytest -m wheel $(PYTEST_ARGS)

test-all: $(VENV)/tested  ## every test that can run here, and a table of what was skipped and why
	$(VENV)/bin/python tests/tools/run_all.py

test-pythons: $(VENV)/tested  ## make test on every supported Python and the newest one here
	PYTHONPATH=tests $(VENV)/bin/python -m tools.pythons

# The upper bounds of pyproject.toml apply; the list of outdated packages shows what they hold back.
test-latest: $(LATEST)/bin/uv  ## make test with the newest version of every dependency
	$(LATEST)/bin/uv pip install --quiet --compile-bytecode --upgrade --editable .[test] \
		--python $(LATEST)/bin/python
	$(LATEST)/bin/uv pip list --outdated --python $(LATEST)/bin/python
	$(LATEST)/bin/pytest -n $(JOBS) --dist worksteal $(FAST) $(PYTEST_ARGS)

test-min: $(OLDEST)/tested  ## make test with the oldest version of every direct dependency
	$(OLDEST)/bin/pytest -n $(JOBS) --dist worksteal $(FAST) $(PYTEST_ARGS)

# pytest-cov would not measure the processes that tests start.
coverage: $(VENV)/tested-live  ## branch coverage of test and test-live
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n $(JOBS) --dist worksteal -m "not ($(APART))" $(PYTEST_ARGS)
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

# Without Keystone and Glance, the tests on them are skipped; those on the fakes are not.
chaos: $(VENV)/tested-live  ## faults of Keystone, Glance and memcached; overload, reloads, crashes
	-$(VENV)/bin/python tests/real/install.py
	LOAD_SECONDS=$(or $(LOAD_SECONDS),60) $(VENV)/bin/pytest -m chaos $(PYTEST_ARGS)

soak: $(VENV)/tested-live  ## ten minutes of load: memory, files and threads stay level
	SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(VENV)/bin/pytest tests/chaos/test_overload.py \
		-k long_load $(PYTEST_ARGS)

# Every run prints its seed: `make fuzz SEED=...` repeats it.
SEED = $(shell awk 'BEGIN { srand(); print int(rand() * 1000000000) }')

fuzz: $(VENV)/tested-live  ## 100,000 random inputs
	FUZZ_EXAMPLES=$(or $(EXAMPLES),12000) $(VENV)/bin/pytest tests/fuzz \
		--hypothesis-seed=$(SEED) $(PYTEST_ARGS)

fuzz-real: $(VENV)/tested-real  ## random steps on a real Glance
	$(VENV)/bin/python tests/real/install.py
	REQUIRE_REAL=1 FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(VENV)/bin/pytest \
		tests/real/test_machine.py tests/real/test_image_machine.py --hypothesis-seed=$(SEED) $(PYTEST_ARGS)

parity: $(VENV)/tested  ## the same requests to a real Nova, which it installs, and to the service
	$(VENV)/bin/python tests/real/install.py nova
	$(VENV)/bin/python tests/parity/run.py $(PARITY_ARGS)

parity-glance: $(VENV)/tested  ## the same requests to a real Glance, which it installs, and to the fake cloud
	$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/python tests/parity_glance/run.py $(PARITY_ARGS)

bench: $(VENV)/tested-bench  ## the figures of docs/explanation/performance.md, beside Nova and others
	$(VENV)/bin/python bench/install.py nova
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench $(BENCH_ARGS)

bench-short: $(VENV)/tested-bench  ## a minute of it: fails if the service became much slower
	$(VENV)/bin/python bench/install.py
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench --short

##@ Maintenance

dist: $(RELEASE)/installed  ## the wheel, the sdist and an SBOM in dist/
	rm -rf dist
	$(RELEASE)/bin/python -m build --quiet
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --of JSON -o dist/nova-image-shim.cdx.json

audit: $(RELEASE)/installed  ## known vulnerabilities of the locked versions
	$(RELEASE)/bin/python tests/tools/audit.py requirements.lock

# The second file has the dependencies of every extra, at the same versions as the first.
lock: $(VENV)/bin/uv  ## renew requirements.lock and requirements-dev.lock
	$(COMPILE) --extra fake --output-file requirements.lock
	$(COMPILE) --all-extras --constraint requirements.lock --output-file requirements-dev.lock

COMPILE = $(VENV)/bin/uv pip compile pyproject.toml --quiet --upgrade --generate-hashes --universal \
	--python-version 3.11 --custom-compile-command "make lock"

pictures:  ## the pictures drawn from docs/images/*.dot, by graphviz
	for name in overview request; do dot -Tsvg docs/images/$$name.dot -o docs/images/$$name.svg; done

screenshots: $(VENV)/tested-live  ## the pictures of docs/images, taken by Chromium
	PYTHONPATH=tests $(VENV)/bin/python -m tools.screenshots

# Environments. A stamp is the last file of an installation: nothing incomplete has one.
# Every version and hash is that of the lock files; uv needs a third of pip's time.

LOCKS := pyproject.toml requirements.lock requirements-dev.lock

# $(call install,FOLDER,WHAT): install the locked packages, then the project without dependencies.
define install
	@echo "Installing the locked packages into $(1); the first time takes up to a minute ..."
	@$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --require-hashes $(2) \
		|| { echo "If pyproject.toml has changed, run make lock." >&2; exit 1; }
	@$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python --no-deps \
		--build-constraint requirements-dev.lock $(3) --editable .
endef
extras = --requirement requirements.lock --constraint requirements-dev.lock --requirement pyproject.toml \
	$(addprefix --extra=,$(1))

$(VENV)/installed: $(LOCKS) | $(VENV)/bin/uv
	$(call install,$(VENV),--requirement requirements.lock)
	@touch $@

$(VENV)/tested: $(LOCKS) | $(VENV)/bin/uv
	$(call install,$(VENV),$(call extras,test))
	@touch $@ $(VENV)/installed

$(VENV)/tested-%: $(LOCKS) | $(VENV)/bin/uv
	$(call install,$(VENV),$(call extras,test $*))
	@touch $@ $(VENV)/tested $(VENV)/installed

$(SITE)/installed: $(LOCKS) | $(SITE)/bin/uv
	$(call install,$(SITE),$(call extras,docs))
	@touch $@

$(RELEASE)/installed: $(LOCKS) | $(RELEASE)/bin/uv
	$(call install,$(RELEASE),$(call extras,release))
	@touch $@

# mypy follows an editable install only if it consists of links, which a new module needs anew.
$(LINT)/installed: $(LOCKS) $(shell find app adapters -name '*.py') | $(LINT)/bin/uv
	$(call install,$(LINT),$(call extras,lint test live real deploy bench),--config-setting editable_mode=strict)
	@touch $@

$(OLDEST)/tested: pyproject.toml | $(OLDEST)/bin/uv
	$(OLDEST)/bin/uv pip install --quiet --compile-bytecode --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable .[test]
	@touch $@

%/bin/uv: | %/bin/pip
	@echo "Installing uv into $* ..."
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock | \
		$*/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement /dev/stdin

%/bin/pip:
	@sh tests/tools/venv.sh $* '$(PYTHON)'
