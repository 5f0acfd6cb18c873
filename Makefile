# The verbs a person uses. `make` alone lists them.

STACK ?= local

TOOLCHAIN := python3 components/headrace/toolchain
BIN := .venv/bin
HEADRACE := $(BIN)/headrace
PYTHON := $(BIN)/python
AGENTS_PYTHON := agent_jobs/.venv/bin/python
# Unit tests, and programs of benchmarks, that need the agents' environment.
AGENTS_TESTS := $(wildcard tests/unit/agents tests/unit/agents_docs tests/unit/scripted_model tests/unit/support_triage)
AGENTS_TESTS += tests/bench/agents/programs tests/verification/programs
SUITES := python3 tests/run_suites.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up down plan status watch clean lint format lock policy
.PHONY: test test-unit test-components test-policies test-engine test-local test-chaos engine chaos soak
.PHONY: image-test bench bench-agents bench-up bench-cdc bench-drill bench-layer bench-preview bench-check bench-upgrade bench-verification

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything this checkout needs; quick where it is there
	@$(TOOLCHAIN) setup

setup-tests: setup ## build what tests alone need: a Kubernetes API server; quick where it is there
	@$(TOOLCHAIN) setup-tests

up: setup ## bring the stack up, from whatever state it is in (STACK=local)
	@$(HEADRACE) up --stack $(STACK)

down: setup ## stop everything; data stays
	@$(HEADRACE) down --stack $(STACK)

plan: setup ## show what is worked out from the declaration, with reasons
	@$(HEADRACE) plan --stack $(STACK)

status: setup ## show what runs and how it is doing
	@$(HEADRACE) status --stack $(STACK)

watch: setup ## show decisions as they arrive
	@$(HEADRACE) watch --stack $(STACK)

clean: setup ## stop the stack and remove its data, after asking (FORCE=1 asks nothing)
	@$(HEADRACE) clean --stack $(STACK) $(if $(FORCE),--yes)

policy: setup ## judge a saved state by an environment's policies (STACK=prod STATE=state.json)
	@$(PYTHON) -m headrace_policies.check $(STATE) --config policies/environments/$(STACK).json \
	  $(if $(SARIF),--sarif $(SARIF)) $(if $(JUNIT),--junit $(JUNIT))

lint: setup ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy components/headrace policies stacks tests $(AGENTS_TESTS:%=--exclude %/)
	$(BIN)/mypy --python-executable $(AGENTS_PYTHON) agent_jobs $(AGENTS_TESTS)
	$(BIN)/lint-imports --no-logo

format: setup ## format the code and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve dependencies anew and write locks/ (UPGRADE=1 takes newer versions)
	@$(TOOLCHAIN) lock $(if $(UPGRADE),--upgrade)

test: ## set up, lint, and run every suite, timed
	@$(SUITES) setup setup-tests lint unit components policies engine local chaos

test-unit: setup ## pure code, no network; under 30 s
	@$(SUITES) unit

test-components: setup ## Pulumi mocks
	@$(SUITES) components

test-policies: setup ## the policy pack, as the engine calls it
	@$(SUITES) policies

test-engine: setup-tests ## the real Pulumi engine
	@$(SUITES) engine

test-local: setup ## the real pipeline on this machine
	@$(SUITES) local

test-chaos: setup ## the real pipeline, broken on purpose, small sizes
	@$(SUITES) chaos

engine: setup-tests ## the real Pulumi engine, every case of AWS's stacks too
	@HEADRACE_TEST_SIZE=full $(SUITES) engine

chaos: setup ## the same at full size
	@HEADRACE_TEST_SIZE=full HEADRACE_RECORD=1 $(SUITES) chaos

soak: setup ## ten minutes of load: Python's memory stays flat; writes JSON
	@HEADRACE_RECORD=1 $(SUITES) soak

image-test: setup ## build the agents' image on a Debian root, and run it read-only; needs root, buildah, mmdebstrap
	@$(SUITES) image

bench: setup ## measure latency, checkpoints and memory; writes JSON
	@$(PYTHON) -m tests.bench.run

bench-agents: setup ## compare the agent runtime with other programs; writes JSON (ARGS="--quick")
	@$(PYTHON) -m tests.bench.agents.run $(ARGS)

bench-up: setup ## measure a first and a second `make up`; writes JSON
	@$(PYTHON) -m tests.bench.up

bench-drill: setup ## kill TaskManager, JobManager and worker under load; writes JSON (ARGS="--runs 1")
	@$(PYTHON) -m tests.bench.drill $(ARGS)

bench-cdc: setup ## measure commit to record in Kafka at rising rates; writes JSON (ARGS="--runs 1")
	@$(PYTHON) -m tests.bench.capture $(ARGS)

bench-layer: setup ## measure what the layer over a model's client takes of the processor; writes JSON
	@$(PYTHON) -m tests.bench.layer $(ARGS)

bench-verification: setup ## measure the verification of a savepoint of 100 000 memories on one core; writes JSON
	@$(PYTHON) -m tests.bench.verification $(ARGS)

bench-upgrade: setup ## measure the gap in decisions at an upgrade under load; writes JSON (ARGS="--runs 1")
	@$(PYTHON) -m tests.bench.upgrade $(ARGS)

bench-preview: setup ## measure a cold preview of production by phase; writes JSON (ARGS="--runs 1")
	@$(PYTHON) -m tests.bench.preview $(ARGS)

bench-check: setup ## compare the newest figures with the limits
	@$(PYTHON) -m tests.bench.check
