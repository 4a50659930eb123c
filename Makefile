# make run        serve the embedded image store (or, with SHIM_BACKEND=glance, a real cloud)
# make test       all tests that need nothing but PyPI
# make test-min   the same tests with the oldest versions of what is depended on
# make test-real  the tests on a real Keystone and Glance, which it installs and starts
# make bench      how fast it is beside Nova and others, into docs/performance.md
# make bench-short  the same for continuous integration: fails where it lost grossly
# make parity     the same requests to a real Nova, which it installs too, and to the service
# make lint       ruff and mypy

PYTHON ?= python3
VENV := .venv
LINT := .venv-lint
OLDEST := .venv-min

.PHONY: run test test-min test-real parity bench bench-short lint clean

run: $(VENV)/installed
	exec $(VENV)/bin/gunicorn

test: $(VENV)/tested
	$(VENV)/bin/pytest -m "not real" $(PYTEST_ARGS)

test-min: $(OLDEST)/tested
	$(OLDEST)/bin/pytest -m "not real" $(PYTEST_ARGS)

test-real: $(VENV)/tested-real
	$(VENV)/bin/python tests/real/install.py
	REQUIRE_REAL=1 $(VENV)/bin/pytest -m real $(PYTEST_ARGS)

bench: $(VENV)/benched
	$(VENV)/bin/python bench/install.py nova
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench $(BENCH_ARGS)

bench-short: $(VENV)/benched
	$(VENV)/bin/python bench/install.py
	PYTHONPATH=.:tests $(VENV)/bin/python -m bench --short

parity: $(VENV)/tested
	$(VENV)/bin/python tests/real/install.py nova
	$(VENV)/bin/python tests/parity/run.py $(PARITY_ARGS)

lint: $(LINT)/installed
	$(LINT)/bin/ruff check
	$(LINT)/bin/ruff format --check
	$(LINT)/bin/mypy -p nova_image_shim
	$(LINT)/bin/mypy tests
	MYPYPATH=tests $(LINT)/bin/mypy -p bench

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/tested: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .[test]
	touch $@ $(VENV)/installed

$(VENV)/tested-real: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .[test,real]
	touch $@ $(VENV)/tested $(VENV)/installed

$(VENV)/benched: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable .[test,bench]
	touch $@ $(VENV)/tested $(VENV)/installed

$(OLDEST)/tested: pyproject.toml | $(OLDEST)/bin/python
	$(OLDEST)/bin/pip install --quiet --disable-pip-version-check uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --compile-bytecode \
		--resolution lowest-direct --editable .[test]
	touch $@

# mypy follows an editable install only where it is made of links.
$(LINT)/installed: pyproject.toml $(wildcard app/*.py adapters/*.py) | $(LINT)/bin/python
	$(LINT)/bin/pip install --quiet --disable-pip-version-check \
		--config-settings editable_mode=strict --editable .[lint,test,real,bench]
	touch $@

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is wanted: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $*

clean:
	rm -rf $(VENV) $(LINT) $(OLDEST) .real build dist *.egg-info .coverage .hypothesis .*_cache
