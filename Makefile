# `make` alone lists what there is. Everything lives in .venv and .trunkline; the system is left alone.
.DEFAULT_GOAL := help
.PHONY: help setup up demo test test-fast attack drills check bench clean

bin := .venv/bin
workers ?= 7
kills ?= 300

# Tests start several hundred Python processes: without files to read the compiled modules from, each compiles all of them again.
unexport PYTHONDONTWRITEBYTECODE

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

setup: ## fetch everything needed to run, test and check
	@scripts/bootstrap dev
	@$(bin)/trunkline setup

up: ## start the PBX; Ctrl-C stops it
	@scripts/bootstrap
	@exec $(bin)/trunkline up

demo: ## show a call from ring to report, in about a minute
	@scripts/bootstrap
	@exec $(bin)/trunkline demo run

test: ## run all tests on the real engines (workers=N)
	@scripts/bootstrap dev
	@$(bin)/trunkline setup
	@$(bin)/python -m pytest -n $(workers) --dist loadgroup $(arguments)

# They compute, and wait for PostgreSQL: each further process would only collect the tests once more.
test-fast: workers = 4
test-fast: ## run the tests of rules and SQL only, without Asterisk, other processes and servers
	@scripts/bootstrap dev
	@QUEUE_WALKS=50 $(bin)/python -m pytest -n $(workers) --dist loadgroup -m "not engine and not phones and not attack and not drill and not shells" $(arguments)

attack: ## play a hostile tenant, client and phone against the product
	@scripts/bootstrap dev
	@$(bin)/trunkline setup
	@$(bin)/python -m pytest -n $(workers) --dist loadgroup -m "attack or isolation" $(arguments)

drills: ## kill processes at random moments and count every call (kills=N; report=FILE: the table as JSON)
	@scripts/bootstrap dev
	@$(bin)/trunkline setup
	@$(bin)/python -m pytest -m "drill or durability" --long-drills --kills $(kills) $(if $(report),--kills-report $(report)) -s $(arguments)

check: ## lint, formatting, types, and the direction of imports
	@scripts/bootstrap dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

bench: ## measure against a bare Asterisk on this machine
	@scripts/bootstrap dev
	@exec $(bin)/trunkline bench

clean: ## remove the environment and fetched programs; the data in .trunkline/data stays
	rm -rf .venv .trunkline/runtime .trunkline/tools
