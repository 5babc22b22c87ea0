# `make` lists the targets. Everything is installed into .venv; data lives under .local.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PYTHONUNBUFFERED := 1
# What is tested again on a Redis Cluster.
OF_THE_HOT_STORE := tests/integration/ingest tests/integration/query/test_source.py \
	tests/integration/api/test_interactions_once.py tests/integration/api/test_traces_once.py \
	$(addprefix tests/integration/rollup/test_,rollup.py ticks.py disorder.py)

.PHONY: help install up test lint soak bench docs lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

install: .venv/.local ## create .venv with what `make up` needs

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv

.venv/.local: requirements/local.txt pyproject.toml | .venv/bin/python
	@test -e .venv/.dev -a ! requirements/local.txt -nt .venv/.dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/local.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: .venv/.local ## run everything on this machine, with sample traffic and one incident
	@exec $(BIN)/python manage.py up

test: .venv/.dev ## run every test, on throw-away servers of its own
	$(BIN)/python -m tests.browser.provision
	$(BIN)/python -m tests.bench.prometheus
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	HOT_STORE=cluster $(BIN)/python -m pytest $(OF_THE_HOT_STORE)

lint: .venv/.dev ## ruff, mypy, import contracts, missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	SECRET_KEY=lint DATABASE_URL=postgresql://127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 $(BIN)/mypy
	$(BIN)/lint-imports
	SECRET_KEY=lint $(BIN)/python -W ignore manage.py makemigrations --check --dry-run
	INSECURE_HTTP=0 SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') $(BIN)/python manage.py check --deploy --fail-level WARNING

soak: .venv/.dev ## 1,000 kills and restarts at random, then every number is compared (`SOAK=--help`)
	$(BIN)/python -m tests.faults.soak $(SOAK)

bench: .venv/.dev ## all benchmarks, peers side by side
	$(BIN)/python -m tests.bench

docs: .venv/.dev ## write the tables of docs/metrics.md and docs/prometheus.md anew, and say where the documentation is
	@$(BIN)/python -m tests.reference.metrics
	@DJANGO_SETTINGS_MODULE=config.settings SECRET_KEY=docs DATABASE_URL=postgresql://127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 $(BIN)/python -m tests.reference.prometheus
	@ls docs/*.md docs/decisions/*.md

lock: | .venv/bin/python ## resolve the requirements anew, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml requirements/build.in --extra local --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements/local.txt
	$(BIN)/uv pip compile pyproject.toml requirements/build.in --extra local --extra test --extra bench --extra lint --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements/dev.txt

clean: ## remove .venv and caches; data under .local stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
