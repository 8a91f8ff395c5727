# Every target prepares what it needs; only Node (20 or later) and npm must be there before.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run demo test check lint fix types openapi openapi-check bench chaos fuzz simulators clean

# The packages bring their own Node 26: it goes first, but not while npm replaces it.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
INSTALLED := node_modules/.installed
READY := node_modules/.ready

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Install the runtime and the dependencies (the others do it when needed)
	@echo 'Ready.'

run: $(READY) ## Serve on 127.0.0.1:8080 with the embedded database
	@exec node src/main.ts serve

demo: $(READY) ## Ninety days of a clinic in a minute: who got what, who returned
	@node src/main.ts demo

test: $(READY) ## Run all tests, or some: make test FILES=test/rules/*.ts
	@tap run $(FILES)

check: lint types test openapi-check demo ## The gate: lint, types, tests, OpenAPI drift, demo

lint: $(READY) ## Check format and style
	@echo 'Lint ...'
	@biome check --error-on-warnings

fix: $(READY) ## Format, and repair what lint can repair
	@biome check --write

types: $(READY) ## Check the types
	@echo 'Types ...'
	@tsc -p .

openapi: $(READY) ## Write openapi/openapi.json from the routes
	@mkdir -p openapi
	@node src/main.ts openapi > openapi/.next && mv openapi/.next openapi/openapi.json

openapi-check: $(READY) ## Fail when openapi/openapi.json is not what the routes say
	@echo 'OpenAPI drift ...'
	@node src/main.ts openapi | diff -u openapi/openapi.json - || { echo 'Run "make openapi" and commit the result.'; exit 1; }

bench: $(READY) ## Measure against floors of the same run
	@npm run --silent bench -- $(ARGS)

chaos: $(READY) ## Kills, database crashes, outages and races, with a control that must fail
	@npm run --silent chaos -- $(ARGS)
	@npm run --silent oracle -- $(filter --short,$(ARGS))

fuzz: $(READY) ## Hostile requests from the OpenAPI document: no 5xx, no leak
	@npm run --silent fuzz -- $(ARGS)

simulators: $(READY) ## Stand-ins for the providers, to try the adapters by hand
	@npm run --silent simulators -- $(ARGS)

clean: ## Remove what set-up, tests and the demo made; .retorno (your data) stays
	@rm -rf node_modules .tap coverage

# npm may be told to run no install scripts; the one of the package "node" brings the runtime.
$(INSTALLED): package-lock.json
	@echo 'Setting up: dependencies and Node 26, about half a minute ...'
	@PATH="$(SYSTEM_PATH)" npm ci --loglevel=error --no-audit --no-fund --no-update-notifier
	@test -x node_modules/.bin/node || PATH="$(SYSTEM_PATH)" npm rebuild node --ignore-scripts=false --loglevel=error
	@touch $@

# Without its TypeScript plugin tap has to build its test class anew.
$(READY): $(INSTALLED) .taprc
	@echo 'Preparing the test runner ...'
	@tap build
	@touch $@
