# Every target starts with `setup`, which makes .venv from Python 3.11+ and the package registry alone.
.DEFAULT_GOAL := help
.PHONY: help setup browser pgbouncer demo play run test check fmt bench chaos stack stack-down stack-test docs dashboards lock clean
V := .venv/bin
INSTR := instrumentation/opentelemetry-instrumentation-aiogram

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv with everything in it (does nothing when it is up to date)
	@./scripts/setup

browser:  # A Chromium for the tests of the chat page; what is there is used.
	@./scripts/setup-browser

demo: setup  ## Run the bot in the local Telegram: prints the page's address (DEMO_PORT, default 8090, 0 = any)
	@exec $(V)/tracegram demo

play: setup  ## Play the main job without a browser: conversation, waterfalls, /debug
	@exec $(V)/tracegram demo --play

run: setup  ## Run the bot with the settings of the environment and .env
	@exec $(V)/tracegram run

fmt: setup  ## Format the code and sort the imports
	@$(V)/ruff check --quiet --fix-only .
	@$(V)/ruff format --quiet .

check: setup  ## Format, lint, types, contracts, unit and consistency tests (under a minute)
	@$(V)/ruff format --check --quiet . || { echo "make fmt mends this"; exit 1; }
	@$(V)/ruff check --quiet .
	@$(V)/mypy --no-error-summary app deploy tests scripts/*.py
	@$(V)/mypy --no-error-summary $(INSTR)/src $(INSTR)/tests
	@report=$$($(V)/lint-imports --no-logo) || { echo "$$report"; exit 1; }
	@$(V)/pytest -q tests/unit tests/consistency

pgbouncer:  # A PgBouncer for the tests of shared connections; what is there is used.
	@./scripts/setup-pgbouncer

test: check browser pgbouncer  ## All tests: check, then integration and end to end, in a real browser and on a real PostgreSQL
	@$(V)/pytest -q $(INSTR)/tests
	@./scripts/test-oldest
	@$(V)/pytest -q tests/integration tests/e2e tests/bench tests/chaos

bench: setup  ## What telemetry costs an update: ours, bare and naive in one run (5 minutes, needs valgrind)
	@./scripts/setup-bench
	@$(V)/python -m tests.bench

chaos: setup pgbouncer  ## Kill, freeze and time what must lose nothing: 20,000 updates, 200 kills (15 minutes)
	@$(V)/python -m tests.chaos

stack: setup  ## Run Collector, Tempo, Loki, Prometheus, Alertmanager and the bot on this machine (first time: half an hour)
	@$(V)/python -m deploy.native up

stack-down: setup  ## End what `make stack` has started
	@$(V)/python -m deploy.native down

stack-test: setup  ## Test the stack's real programs (the first time builds them: half an hour)
	@$(V)/python -m deploy.native build
	@$(V)/pytest -q tests/stack

docs: setup  ## Write what is generated: tables of docs/, .env.example, Prometheus' rules
	@$(V)/python scripts/generate_docs.py

dashboards: setup  ## Write Grafana's dashboards (RUNBOOK_URL=... links their panels to the runbooks there)
	@$(V)/python -m deploy.grafana.source --runbooks "$(RUNBOOK_URL)"

lock: setup  ## Compile requirements/*.lock again: no package hosts in it, hashes for all
	@for name in bootstrap run dev image oldest; do ./scripts/lock $$name; done

clean:  ## Remove .venv and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
