# Every command a person types. A target is a line or two that calls a script; the scripts say what they do.
PROFILE ?= virt
TEST ?=
export PATH := $(CURDIR)/build/bin:$(PATH)
NODE := node --import ./register.mjs
BUILD := $(NODE) image/builder/src/main.ts

.DEFAULT_GOAL := help
.PHONY: help deps tools image media cli run demo check format test test-all qemu-test netns-test crash-test bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install the Debian and npm packages that the other targets need
	@scripts/deps.sh

tools: deps ## Make the trixie tools tree that mkosi and debos run in
	@$(BUILD) tools

image: deps ## Build the system disk: make image PROFILE=virt|metal
	@$(BUILD) image --profile $(PROFILE)

media: deps ## Wrap the disk into media (qcow2): make media PROFILE=virt|metal
	@$(BUILD) media --profile $(PROFILE)

cli: deps ## Build the command as one file for any computer with Node 20: build/cli/steelyard.mjs
	@$(BUILD) cli

run: media ## Boot the appliance in a lab of its own, console attached
	@$(NODE) qemu-tests/src/run.ts --profile $(PROFILE)

demo: ## Build, boot and balance: what the product does, in a few minutes
	@$(MAKE) --no-print-directory media PROFILE=virt
	@$(NODE) qemu-tests/src/demo.ts

check: deps ## Format, lint, types, unit and golden tests: under two minutes
	@$(NODE) scripts/test.ts check

format: deps ## Put every file into the project's format
	@npx --no-install biome check --write .

netns-test: deps ## Tests with real daemons in network namespaces
	@$(NODE) scripts/test.ts netns

crash-test: deps ## Power cuts at any block write of the configuration
	@$(NODE) scripts/test.ts crash

test: deps ## Everything once: check, namespaces, power cuts, image, virtual machines
	@$(NODE) scripts/test.ts check netns crash image vm

test-all: deps ## The long sweeps and full matrices; writes docs/test-report.md
	@STEELYARD_CRASH_POINTS=3000 STEELYARD_FUZZ_RUNS=5000 STEELYARD_TLS_CHECKS=all TAP_TIMEOUT=600 $(NODE) scripts/test.ts check netns crash image metal vm-metal vm-all report

qemu-test: media ## Suites in virtual machines: make qemu-test [TEST=name]
	@$(NODE) qemu-tests/src/run-suites.ts --profile $(PROFILE) $(if $(TEST),--test $(TEST))

bench: $(if $(filter control,$(ONLY)),deps,media) ## Measure beside the peers: build/bench/report.md
	@$(NODE) bench/src/main.ts

clean: ## Remove all that was built
	@$(if $(wildcard node_modules),$(BUILD) clean,rm -rf build)
