# make run                serve the embedded cloud, or what SHIM_BACKEND says
# make test               the fast tests: two minutes, nothing needed but PyPI; run it on every change
# make test-live          the tests that start gunicorn or a browser, or wait for a real clock
# make test-all           everything this machine can run, and a table of what it skipped and why
# make test-min           the same tests with the oldest versions of what is depended on
# make test-real          the tests on a real Keystone and Glance, which it installs and starts
# make test-clients       real clients, which it installs, over the embedded cloud and a real one
# make test-more-clients  the same with ten more, see docs/clients.md
# make test-deploy        what deploy/ holds: nginx and HAProxy before real services, and the rest
# make test-wheel         the wheel and the sdist, installed where nothing else is
# make chaos              every fault of Keystone, Glance and memcached, overload, reload and death
# make soak               ten minutes of load: memory, files and threads stay level
# make coverage           branch coverage of test and test-live; fails below the figure reached
# make fuzz               100,000 random inputs; `make fuzz-real`: random steps against a real Glance
# make lock               requirements.lock: every dependency of today's, with hashes
# make audit              known vulnerabilities in them; skipped, not passed, where there is no data
# make parity             the same requests to a real Nova, which it installs too, and to the service
# make bench              how fast it is beside Nova and others, into docs/performance.md
# make bench-short        the same in a minute: fails where it lost grossly
# make lint               ruff and mypy
# make docs               the documentation as a site in docs/_build, warnings being errors
# make dist               the wheel and the sdist in dist/, checked, and an SBOM in CycloneDX's form
# make pictures           the pictures drawn from docs/images/*.dot, by Debian's graphviz
# make screenshots        the pictures in docs/images, by Debian's chromium and chromium-driver

PYTHON ?= python3
VENV := .venv
LINT := .venv-lint
SITE := .venv-docs
OLDEST := .venv-min
RELEASE := .venv-release

# Tests with one of these marks have a target of their own.
APART := real or chaos or clients or deploy or wheel
JOBS ?= $(shell nproc)
PYTEST := $(VENV)/bin/pytest -n $(JOBS) --dist worksteal
# uv installs and compiles in a third of pip's time, of which a fresh clone has little.
INSTALL = $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python

.PRECIOUS: %/bin/python %/bin/uv  # make would remove them as intermediate files
.PHONY: run test test-live test-all coverage test-min test-real test-clients test-more-clients \
	test-deploy test-wheel chaos soak fuzz fuzz-real lock audit parity bench bench-short lint docs \
	dist pictures screenshots clean

run: $(VENV)/installed
	exec $(VENV)/bin/nova-image-shim $(if $(SHIM_BACKEND),serve,fake)

test: $(VENV)/tested
	$(PYTEST) -m "not (live or $(APART))" $(PYTEST_ARGS)

test-live: $(VENV)/tested-live
	$(PYTEST) -m "live and not ($(APART))" $(PYTEST_ARGS)

test-all:
	$(PYTHON) tests/tools/run_all.py

# The processes that the tests start are measured, too, hence no pytest-cov.
coverage: $(VENV)/tested-live
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n $(JOBS) --dist worksteal -m "not ($(APART))" $(PYTEST_ARGS)
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

test-min: $(OLDEST)/tested
	$(OLDEST)/bin/pytest -n $(JOBS) --dist worksteal -m "not (live or $(APART))" $(PYTEST_ARGS)

test-real: $(VENV)/tested-real
	$(VENV)/bin/python tests/real/install.py
	REQUIRE_REAL=1 $(VENV)/bin/pytest -m real $(PYTEST_ARGS)

# Where Keystone and Glance cannot be had, their cells are skipped; the fakes' are not.
chaos: $(VENV)/tested-live
	-$(VENV)/bin/python tests/real/install.py
	LOAD_SECONDS=$(or $(LOAD_SECONDS),60) $(VENV)/bin/pytest -m chaos $(PYTEST_ARGS)

soak: $(VENV)/tested-live
	SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(VENV)/bin/pytest tests/chaos/test_overload.py -k long_load $(PYTEST_ARGS)

# Every run has a seed of its own, which it prints: `make fuzz SEED=...` makes it again.
SEED = $(shell $(PYTHON) -c 'import random; print(random.randrange(10**9))')

fuzz: $(VENV)/tested-live
	FUZZ_EXAMPLES=$(or $(EXAMPLES),12000) $(VENV)/bin/pytest tests/fuzz \
		--hypothesis-seed=$(SEED) $(PYTEST_ARGS)

fuzz-real: $(VENV)/tested-real
	$(VENV)/bin/python tests/real/install.py
	REQUIRE_REAL=1 FUZZ_EXAMPLES=$(or $(EXAMPLES),300) $(VENV)/bin/pytest \
		tests/real/test_machine.py --hypothesis-seed=$(SEED) $(PYTEST_ARGS)

bench: $(VENV)/tested-bench
	$(VENV)/bin/python bench/install.py nova
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench $(BENCH_ARGS)

bench-short: $(VENV)/tested-bench
	$(VENV)/bin/python bench/install.py
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench --short

lock: $(RELEASE)/installed
	$(RELEASE)/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
		--custom-compile-command "make lock" --upgrade --extra fake pyproject.toml -o requirements.lock

audit: $(RELEASE)/installed
	$(RELEASE)/bin/python tests/tools/audit.py requirements.lock

$(RELEASE)/installed: pyproject.toml | $(RELEASE)/bin/python
	$(RELEASE)/bin/pip install --quiet --disable-pip-version-check --editable .[release]
	touch $@

# Where Keystone and Glance cannot be had, the tests on them are skipped.
test-clients: $(VENV)/tested
	-$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/python tests/clients/install.py
	$(VENV)/bin/pytest tests/clients -m clients $(PYTEST_ARGS)

test-more-clients: $(VENV)/tested
	-$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/python tests/clients/install.py more
	MORE_CLIENTS=1 $(VENV)/bin/pytest tests/clients -m clients $(PYTEST_ARGS)

# Debian's nginx and haproxy are wanted; what is not there is skipped, with the reason.
test-deploy: $(VENV)/tested-deploy
	$(VENV)/bin/python tests/real/install.py
	$(VENV)/bin/pytest tests/deploy -m deploy $(PYTEST_ARGS)

test-wheel: $(VENV)/tested-wheel
	$(VENV)/bin/pytest -m wheel $(PYTEST_ARGS)

parity: $(VENV)/tested
	$(VENV)/bin/python tests/real/install.py nova
	$(VENV)/bin/python tests/parity/run.py $(PARITY_ARGS)

lint: $(LINT)/installed
	$(LINT)/bin/ruff check
	$(LINT)/bin/ruff format --check
	$(LINT)/bin/mypy -p nova_image_shim
	$(LINT)/bin/mypy tests
	MYPYPATH=tests $(LINT)/bin/mypy -p bench

docs: $(SITE)/installed
	$(SITE)/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env docs docs/_build

pictures:
	for name in overview request; do dot -Tsvg docs/images/$$name.dot -o docs/images/$$name.svg; done

dist: $(RELEASE)/installed
	rm -rf dist
	$(RELEASE)/bin/python -m build --quiet
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --of JSON -o dist/nova-image-shim.cdx.json

screenshots: $(VENV)/tested-live
	PYTHONPATH=tests $(VENV)/bin/python -m tools.screenshots

$(VENV)/installed: pyproject.toml | $(VENV)/bin/uv
	$(INSTALL) --editable .[fake]
	touch $@

$(VENV)/tested: pyproject.toml | $(VENV)/bin/uv
	$(INSTALL) --editable .[test]
	touch $@ $(VENV)/installed

$(VENV)/tested-%: pyproject.toml | $(VENV)/bin/uv
	$(INSTALL) --editable .[test,$*]
	touch $@ $(VENV)/tested $(VENV)/installed

$(OLDEST)/tested: pyproject.toml | $(OLDEST)/bin/uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --compile-bytecode \
		--resolution lowest-direct --editable .[test]
	touch $@

$(SITE)/installed: pyproject.toml | $(SITE)/bin/python
	$(SITE)/bin/pip install --quiet --disable-pip-version-check --editable .[docs]
	touch $@

# mypy follows an editable install only where it is made of links.
$(LINT)/installed: pyproject.toml $(shell find app adapters -name '*.py') | $(LINT)/bin/python
	$(LINT)/bin/pip install --quiet --disable-pip-version-check \
		--config-settings editable_mode=strict --editable .[lint,test,live,real,deploy,bench]
	touch $@

%/bin/uv: | %/bin/python
	$*/bin/pip install --quiet --disable-pip-version-check uv

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is wanted: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $*

clean:
	rm -rf $(VENV) $(LINT) $(OLDEST) $(RELEASE) $(SITE) .real .clients .bench docs/_build build dist \
		*.egg-info .coverage* .hypothesis .*_cache
