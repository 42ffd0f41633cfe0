# Every target starts with `setup`, which makes .venv from Python 3.11+ and the package registry alone.
.DEFAULT_GOAL := help
.PHONY: help setup browser demo play run test check fmt bench docs lock clean
V := .venv/bin
INSTR := instrumentation/opentelemetry-instrumentation-aiogram

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	@$(V)/mypy --no-error-summary app tests scripts/*.py
	@$(V)/mypy --no-error-summary $(INSTR)/src $(INSTR)/tests
	@report=$$($(V)/lint-imports --no-logo) || { echo "$$report"; exit 1; }
	@$(V)/pytest -q tests/unit tests/consistency

test: check browser  ## All tests: check, then integration and end to end, in a real browser and on a real PostgreSQL
	@$(V)/pytest -q $(INSTR)/tests
	@$(V)/pytest -q tests/integration tests/e2e tests/bench

bench: setup  ## What telemetry costs an update: ours, bare and naive in one run (5 minutes, needs valgrind)
	@./scripts/setup-bench
	@$(V)/python -m tests.bench

docs: setup  ## Write the generated documents (docs/metrics.md, docs/config.md, .env.example)
	@$(V)/python scripts/generate_docs.py

lock: setup  ## Compile requirements/*.lock again: no package hosts in it, hashes for all
	@for name in bootstrap run dev; do ./scripts/lock $$name; done

clean:  ## Remove .venv and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
