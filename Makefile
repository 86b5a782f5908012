# Every command that people and CI use.
.DEFAULT_GOAL := help
.PHONY: help setup demo up restart down status logs rotate reset observe observe-down test test-slow fuzz simulate simulate-charges mutation-test chaos chaos-charges chaos-full conformance test-observability test-containers test-containers-short bench bench-against bench-backlog bench-banks bench-baseline bench-charges bench-console bench-encryption bench-flat bench-protection bench-routing bench-scale bench-screening bench-smoke bench-soak bench-streams bench-webhooks test-brokers check format generate new-service lock release-schemas pictures images sbom image-digests audit-dependencies

PYTHON := .venv/bin/python
TEST_REPORT := .pytest_cache/tests.xml
STACK_COMMAND := $(PYTHON) -m local_stack

# These use the native stack even with a Docker engine, so the set-up installs its programs.
test-observability test-brokers chaos chaos-charges chaos-full: export STACK := native
bench bench-against bench-backlog bench-banks bench-baseline bench-charges bench-console bench-encryption bench-flat bench-protection bench-routing bench-scale bench-screening bench-smoke bench-soak bench-streams bench-webhooks: export STACK := native

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Tests and types of every group need the packages of every group.
test check: G := all
# One of them compiles the example bank in Java.
test: export WITH_JDK := 1
# Keys of encrypted requests may be in a PKCS#11 token: SoftHSM stands for one.
test bench-encryption: export WITH_TOKEN := 1
# The TypeScript client is tested in Node and in a browser.
test check: export WITH_NODE := 1
# A system that starts has the page at /app, where Node.js can build it.
up restart: export WITH_WALLET := if-there
test check: export WITH_WALLET := 1
test: export WITH_BROWSER := 1
# The models of fraud are trained by packages that no service has; their types are checked, too.
test check train train-smoke: export WITH_TRAINING := 1
ifeq ($(MAKECMDGOALS),setup)
export WITH_NODE := if-there
export WITH_WALLET := if-there
endif
setup: ## install what is missing: .venv from the lock, programs, Kafka's jars, secrets; G=… packages of groups
	@deploy/local/bootstrap.sh $(G)
	@$(STACK_COMMAND) setup

demo: up ## start the core, confirm real payments and show the results
	@$(PYTHON) -m ops.demo

up: setup ## start the core, G="core risk" groups, G=all everything, or S="confirm risk"; wait until ready
	@$(STACK_COMMAND) up --groups "$(G)" $(S)

restart: setup ## stop and start what runs, or only S="confirm", after a change of code; `make up` applies changed settings
	@$(STACK_COMMAND) restart $(S)

down: ## stop everything that `up` started
	@$(STACK_COMMAND) down

status: ## list the processes with group and memory
	@$(STACK_COMMAND) status

logs: ## show the logs, or only those of S="confirm"; F=1 follows them
	@$(STACK_COMMAND) logs $(S) $(if $(F),--follow)

rotate: ## give a process a new password: P=confirm (Kafka), P=database-confirm, P=redis-gateway
	@$(STACK_COMMAND) rotate "$(P)"

reset: ## stop, and remove all state
	@$(STACK_COMMAND) reset

observe: setup ## start collector, Jaeger, Prometheus and their pages beside the system; built once
	@$(STACK_COMMAND) observe

observe-down: ## stop what `observe` started; the services keep running
	@$(STACK_COMMAND) observe-down

test: setup ## run the tests on their own stack (ports + 10,000), beside a running `up`; T="services/otp -k expired"
	@$(PYTHON) -m pytest $(if $(T),,-n 2) --junitxml=$(TEST_REPORT) $(T)

test-slow: setup ## list the twenty slowest tests of the last `make test`, and the sum
	@$(PYTHON) tests/slowest.py $(TEST_REPORT)

pictures: export WITH_NODE := 1
pictures: export WITH_WALLET := 1
pictures: export WITH_BROWSER := 1
pictures: export PICTURES := 1
pictures: G := all
pictures: setup ## write the screenshots of the wallet and the console to docs/images
	@$(PYTHON) -m pytest -q tests/e2e/test_wallet.py tests/e2e/test_console*.py tests/e2e/test_identity_console.py tests/e2e/test_reviews.py tests/e2e/test_fraud.py

.PHONY: train train-smoke
train: G := core risk
train: setup ## generate payments, train and judge the fraud models, write docs/models and the shipped ones; SEEDS=5
	@$(PYTHON) -m training full $(if $(SEEDS),--seeds $(SEEDS)) $(if $(CUSTOMERS),--customers $(CUSTOMERS))

train-smoke: G := core risk
train-smoke: setup ## the same, small, into a temporary folder: under a minute
	@$(PYTHON) -m training smoke

fuzz: export FUZZ_MINUTES := $(or $(MINUTES),10)
fuzz: setup ## send and parse what nobody expects for MINUTES=10, every time something else
	@$(PYTHON) -m pytest --timeout=0 tests/fuzz $(T)

test-observability: export WITH_BROWSER := 1
test-observability: G := core edge risk
test-observability: setup ## test alert rules, dashboards, pages and staged faults on a stack with observability
	@$(STACK_COMMAND) observe-tools
	@$(PYTHON) -m pytest -m observability tests/observability $(T)

test-containers: setup ## test the containers, on the running Docker engine or on one started here
	@$(PYTHON) tests/containers

test-containers-short: setup ## the short form: the demonstration, also by TLS, and two images with the other builders
	@$(PYTHON) tests/containers --short

test-brokers: setup ## kill one of three Kafka brokers while payments run: none may be lost
	@$(PYTHON) -m bench brokers

conformance: export CONFORMANCE_DATA := $(DATA)
conformance: G := all
conformance: setup ## ISO 20022 messages, screening against lists and rules in CEL, with the files in DATA=../shared/data
	@$(PYTHON) -m pytest -q -s tests/conformance $(T)

simulate: setup ## run all services on virtual time, with crashes and faults; SEEDS=n FIRST=n
	@OTEL_SDK_DISABLED=true $(PYTHON) tests/simulation $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(ONLY),--only '$(ONLY)')

simulate-charges: setup ## card payments in SEEDS=10000 orders of calls, losses, kills, webhooks, lies
	@CHARGE_SEEDS=$(or $(SEEDS),10000) $(PYTHON) -m pytest -q services/charges/tests/test_interleavings.py

mutation-test: setup ## plant bugs and show that the simulation catches each one
	@OTEL_SDK_DISABLED=true $(PYTHON) tests/simulation/mutation.py

chaos: setup ## kill, stop and cut off real processes under load: a smoke run; SEED=n ONLY='fault'
	@$(PYTHON) tests/chaos $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

chaos-charges: G := core edge rails
chaos-charges: setup ## card payments while the providers lie and charges is killed, for a minute; SEED=n
	@$(PYTHON) tests/chaos --charges $(if $(SEED),--seed $(SEED))

chaos-full: setup ## the same with 10,000 payments and 200 kills; writes docs/reliability-results.md
	@$(PYTHON) tests/chaos --full $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

bench: setup ## measure rate, latency, CPU and bytes a payment; writes benchmarks/RESULTS.md; G=rails: bench-charges
ifeq ($(G),rails)
	@$(MAKE) bench-charges G="core edge rails"
else
	@$(STACK_COMMAND) observe-tools
	@$(PYTHON) -m bench bench
endif

bench-baseline: setup ## measure Kafka and PostgreSQL alone with the same records and rows
	@$(PYTHON) -m bench baseline

bench-flat: setup ## measure with 10^3 to 10^6 payments in the tables; MOST=100000 for fewer
	@$(PYTHON) -m bench flat

bench-console: G := core risk rails
bench-console: setup ## the console's pages with 10^6 payments in the tables; MOST=100000 for fewer, ROUNDS=20
	@$(PYTHON) -m bench console

bench-soak: setup ## measure memory and CPU each minute of constant load; MINUTES=15
	@$(PYTHON) -m bench soak

bench-backlog: setup ## stop audit, settlement, notification for DOWN_S=30 each; measure how they catch up
	@$(PYTHON) -m bench backlog

bench-banks: setup ## instructions through a bank on Kafka and one over HTTP; COUNT=20000 ROUNDS=3; or KILLS=20
	@$(PYTHON) -m bench banks

bench-protection: setup ## what MACs, logins and rights cost, by windows with and without in turn; ROUNDS=3
	@$(PYTHON) -m bench protection

bench-webhooks: G := core edge
bench-webhooks: setup ## 10,000 webhook deliveries while other endpoints misbehave; COUNT=10000 RATE=200
	@$(PYTHON) -m bench webhooks

bench-charges: G := core edge rails
bench-charges: setup ## card payments through the providers' mocks: own latency, rate, CPU each; COUNT=2000
	@$(PYTHON) -m bench charges

bench-routing: setup ## what routing gains over the best fixed provider, and the plot of its regret
	@$(PYTHON) services/charges/tests/routing_report.py

bench-scale: setup ## 1, 2, 4 instances on 2, 4, 8 partitions, and three brokers; fills docs/sizing.md
	@$(PYTHON) -m bench scale

bench-against: setup ## windows of this revision and of REF=commit in turn; ROUNDS=3 ONLY="closed 64"
	@$(PYTHON) -m bench against

bench-screening: G := risk
bench-screening: export DATA := $(DATA)
bench-screening: setup ## what payees' names cost a payment, 0, 10, 100 % of them new; DATA=../shared/data ROUNDS=3
	@$(PYTHON) -m bench screening

bench-encryption: setup ## encrypted requests that a core opens in a second: EC, RSA, in files and a token; ROUNDS=3
	@$(PYTHON) -m bench encryption

bench-streams: setup ## memory and idle CPU of a gateway with COUNT=5000 open streams
	@$(PYTHON) -m bench streams

bench-smoke: setup ## some seconds of load, judged by the benchmark's gate
	@$(PYTHON) -m bench smoke

images: setup ## build every image with the Docker engine, and write their bills of materials
	@$(STACK_COMMAND) images
	@$(PYTHON) -m supply_chain sbom

sbom: setup ## write each image's bill of materials (CycloneDX) to build/sbom, from the locks
	@$(PYTHON) -m supply_chain sbom

image-digests: setup ## ask the registries for the digests of the images of others, and pin them
	@$(PYTHON) -m supply_chain digests
	@$(MAKE) -s generate

audit-dependencies: setup ## look for known vulnerabilities of every locked package
	@$(PYTHON) -m supply_chain audit

check: setup ## lint, format, types (Python, TypeScript), imports, dependencies, secrets, tidiness, events against the released ones
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@MYPYPATH=$$(echo libs/*/src services/*/src clients/*/src deploy/*/src benchmarks/src | tr ' ' :) .venv/bin/mypy
	@cd clients/typescript && npm run --silent check
	@cd clients/wallet && npm run --silent check
	@.venv/bin/lint-imports
	@for package in $(dir $(wildcard */*/pyproject.toml */pyproject.toml)); do \
		found=$$(cd $$package && $(CURDIR)/.venv/bin/deptry src --no-ansi 2>&1) \
			|| { echo "$$package: $$found"; exit 1; }; \
	done
	@.venv/bin/bandit -q -c pyproject.toml -r libs services deploy benchmarks
	@$(PYTHON) -m supply_chain secrets
	@$(PYTHON) -m supply_chain pinned
	@$(PYTHON) -m pytest -q tests/test_tidy.py deploy/contracts/tests/test_releases.py

format: setup ## format the code and apply automatic fixes
	@.venv/bin/ruff check --fix-only
	@.venv/bin/ruff format

generate: export WITH_NODE := if-there
generate: setup ## write the generated files
	@$(STACK_COMMAND) generate
	@$(PYTHON) -m contracts.generate
	@$(PYTHON) -m observability.generate

new-service: setup ## write a service: NAME=x GROUP=y KIND=consumer|api|job|import|push, and PORT=n if not the first free
	@$(STACK_COMMAND) new-service --name "$(NAME)" --group "$(GROUP)" --kind "$(KIND)" --port "$(PORT)"
	@$(MAKE) -s generate

lock: setup ## pin the packages that a group's services need beyond requirements.lock
	@$(STACK_COMMAND) lock

release-schemas: setup ## release the events as they are; refused where that breaks a reader
	@$(PYTHON) -m contracts.releases
