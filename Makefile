# Every command that people and CI use.
.DEFAULT_GOAL := help
.PHONY: help setup demo up restart down status logs reset observe observe-down test test-slow simulate mutation-test chaos chaos-full test-observability test-containers test-containers-short bench bench-against bench-baseline bench-long bench-smoke check format generate new-service lock release-schemas

PYTHON := .venv/bin/python
TEST_REPORT := .pytest_cache/tests.xml
STACK_COMMAND := $(PYTHON) -m local_stack

# These use the native stack even with a Docker engine, so the set-up installs its programs.
test-observability chaos chaos-full bench bench-against bench-baseline bench-long bench-smoke: export STACK := native

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Tests of every group need the packages of every group.
test: G := all
setup: ## install what is missing: .venv from the lock, programs, Kafka's jars, secrets; G=… packages of groups
	@deploy/local/bootstrap.sh $(G)
	@$(STACK_COMMAND) setup

demo: up ## start the core, confirm real payments and show the results
	@$(PYTHON) -m ops.demo

up: setup ## start the core, G="core risk" groups, G=all everything, or S="confirm risk"; wait until ready
	@$(STACK_COMMAND) up --groups "$(G)" $(S)

restart: setup ## stop and start what runs, or only S="confirm", after a change of code
	@$(STACK_COMMAND) restart $(S)

down: ## stop everything that `up` started
	@$(STACK_COMMAND) down

status: ## list the processes with group and memory
	@$(STACK_COMMAND) status

logs: ## show the logs, or only those of S="confirm"; F=1 follows them
	@$(STACK_COMMAND) logs $(S) $(if $(F),--follow)

reset: ## stop, and remove all state
	@$(STACK_COMMAND) reset

observe: setup ## start collector, Jaeger, Prometheus and their pages beside the system; built once
	@$(STACK_COMMAND) observe

observe-down: ## stop what `observe` started; the services keep running
	@$(STACK_COMMAND) observe-down

test: setup ## run the tests on their own stack (ports + 10,000), beside a running `up`; T="services/otp -k expired"
	@$(PYTHON) -m pytest --junitxml=$(TEST_REPORT) $(T)

test-slow: setup ## list the twenty slowest tests of the last `make test`, and the sum
	@$(PYTHON) tests/slowest.py $(TEST_REPORT)

test-observability: export WITH_BROWSER := 1
test-observability: setup ## test alert rules, dashboards, pages and staged faults on a stack with observability
	@$(STACK_COMMAND) observe-tools
	@$(PYTHON) -m pytest -m observability tests/observability $(T)

test-containers: setup ## test the containers, on the running Docker engine or on one started here
	@$(PYTHON) tests/containers

test-containers-short: setup ## the short form: the demonstration, and two images with the other builders
	@$(PYTHON) tests/containers --short

simulate: setup ## run all services on virtual time, with crashes and faults; SEEDS=n FIRST=n
	@OTEL_SDK_DISABLED=true $(PYTHON) tests/simulation $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(ONLY),--only '$(ONLY)')

mutation-test: setup ## plant bugs and show that the simulation catches each one
	@OTEL_SDK_DISABLED=true $(PYTHON) tests/simulation/mutation.py

chaos: setup ## kill, stop and cut off real processes under load: a smoke run; SEED=n ONLY='fault'
	@$(PYTHON) tests/chaos $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

chaos-full: setup ## the same with 10,000 payments and 200 kills; writes docs/reliability-results.md
	@$(PYTHON) tests/chaos --full $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

bench: setup ## measure rate, latency, CPU and bytes a payment; writes benchmarks/RESULTS.md
	@$(STACK_COMMAND) observe-tools
	@$(PYTHON) -m bench bench

bench-baseline: setup ## measure Kafka and PostgreSQL alone with the same records and rows
	@$(PYTHON) -m bench baseline

bench-long: setup ## table size, soak, backlogs, instances: hours; writes RESULTS-LONG.md
	@$(PYTHON) -m bench long

bench-against: setup ## windows of this revision and of REF=commit in turn; ROUNDS=5 ONLY="closed 64"
	@$(PYTHON) -m bench against

bench-smoke: setup ## some seconds of load, judged by the benchmark's gate
	@$(PYTHON) -m bench smoke

check: setup ## lint, format, types, imports, dependencies, tidiness, events against the released ones
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@MYPYPATH=$$(echo libs/*/src services/*/src deploy/*/src benchmarks/src | tr ' ' :) .venv/bin/mypy
	@.venv/bin/lint-imports
	@for package in $(dir $(wildcard */*/pyproject.toml */pyproject.toml)); do \
		found=$$(cd $$package && $(CURDIR)/.venv/bin/deptry src --no-ansi 2>&1) \
			|| { echo "$$package: $$found"; exit 1; }; \
	done
	@$(PYTHON) -m pytest -q tests/test_tidy.py deploy/contracts/tests/test_releases.py

format: setup ## format the code and apply automatic fixes
	@.venv/bin/ruff check --fix-only
	@.venv/bin/ruff format

generate: setup ## write the generated files
	@$(STACK_COMMAND) generate
	@$(PYTHON) -m contracts.generate
	@$(PYTHON) -m observability.generate

new-service: setup ## write a service: NAME=x GROUP=y KIND=consumer|api|job|push, and PORT=n if not the first free
	@$(STACK_COMMAND) new-service --name "$(NAME)" --group "$(GROUP)" --kind "$(KIND)" --port "$(PORT)"
	@$(MAKE) -s generate

lock: setup ## pin the packages that a group's services need beyond requirements.lock
	@$(STACK_COMMAND) lock

release-schemas: setup ## release the events as they are; refused where that breaks a reader
	@$(PYTHON) -m contracts.releases
