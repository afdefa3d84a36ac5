# The daily commands. `make` alone lists them.
BUILD ?= build
VERSION := $(shell sed -n 's/^project.kiln VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
STUBS ?= $(CURDIR)/.cache/stubs
# One cache for all clones of this user: paths below the clone do not count.
export CCACHE_DIR ?= $(HOME)/.cache/ccache
export CCACHE_BASEDIR ?= $(CURDIR)
export CCACHE_NOHASHDIR ?= 1

.PHONY: help setup build bench-gateway web gateway test test-browser screenshots demo check bench format clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing (asks for sudo only then)
	@KILN_STUBS=$(STUBS) scripts/setup

$(BUILD)/build.ninja: CMakeLists.txt
	cmake -G Ninja -B $(BUILD) -DCMAKE_BUILD_TYPE=RelWithDebInfo

build: setup $(BUILD)/build.ninja ## build everything into build/
	@cmake --build $(BUILD)
	@scripts/build-web
	@scripts/build-gateway $(BUILD)

web: ## build the operator's page alone
	@scripts/build-web

gateway: ## build kiln-gateway alone
	@scripts/build-gateway $(BUILD)

test: build ## build, then run every test that needs no special machinery
	@KILN_STUBS=$(STUBS) scripts/run-tests $(BUILD)

test-browser: build ## the page in Chromium against a whole station (needs scripts/setup --checks)
	@KILN_STUBS=$(STUBS) BUILD=$(BUILD) scripts/check browser

screenshots: build ## every view of the page into screenshots/
	@KILN_STUBS=$(STUBS) KILN_BIN=$(BUILD)/bin BROWSER_TESTS=tests/browser/screenshots.ts \
	  clients/web/node_modules/.bin/vitest run --config clients/web/vitest.browser.config.ts

demo: setup $(BUILD)/build.ninja ## four simulated boards through complete deployments (PORT=/dev/ttyUSB0: a real one)
	@cmake --build $(BUILD) --target kilnd kiln kiln-sim
	@scripts/build-web
	@scripts/build-gateway $(BUILD)
	@KILN_STUBS=$(STUBS) PORT="$(PORT)" scripts/demo $(BUILD)

check: ## the long suites: linters, sanitizers, oracles, crash tests (what .ci/run does after `make test`)
	@KILN_STUBS=$(STUBS) scripts/check

bench: build ## print the figures of docs/performance.md
	@KILN_STUBS=$(STUBS) scripts/bench $(BUILD)

bench-gateway: build ## print the figures of 200 event streams of one gateway
	@scripts/bench-gateway $(BUILD)

.PHONY: packages
packages: build ## the Debian packages of this distribution into build/packages
	@KILN_STUBS=$(STUBS) scripts/packages $(BUILD)

.PHONY: test-usb bench-usb
test-usb: setup $(BUILD)/build.ninja ## boards at a virtual USB in an emulated machine (CASES="mid_flash": only some)
	@KILN_STUBS=$(STUBS) scripts/setup --checks
	@cmake --build $(BUILD) --target kilnd kiln kiln-sim kiln-usb-probe kiln-line-bench
	@KILN_STUBS=$(STUBS) python3 -B tests/usb-vm/run.py $(BUILD) $(CASES)

bench-usb: setup $(BUILD)/build.ninja ## print how much of the wire each USB driver uses, in the same machine (ADAPTERS="cp2102n": only some)
	@KILN_STUBS=$(STUBS) scripts/setup --checks
	@cmake --build $(BUILD) --target kilnd kiln kiln-sim kiln-usb-probe kiln-line-bench
	@KILN_STUBS=$(STUBS) python3 -B tests/usb-vm/run.py --bench --timeout 3600 $(BUILD) $(ADAPTERS)

.PHONY: up down images test-containers
images: ## build the container images kiln/kilnd, kiln/kiln-gateway, kiln/kiln-sim
	@images/build

up: ## a working station in containers, with simulated boards where this machine has no USB
	@command -v docker >/dev/null || { echo "make up needs Docker (docs/containers.md)" >&2; exit 1; }
	@docker image inspect kiln/kilnd:$(VERSION) kiln/kiln-gateway:$(VERSION) kiln/kiln-sim:$(VERSION) >/dev/null 2>&1 || images/build
	@compose/start

down: ## stop that station; ledger and records stay
	@compose/stop

test-containers: ## the images and a whole stack in containers; cleans up after itself
	@scripts/test-containers

format: ## format the C++ sources and the page's
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i
	@scripts/build-web packages
	@for folder in clients/web tests/browser; do (cd $$folder && $(CURDIR)/clients/web/node_modules/.bin/biome check --write .); done

clean: ## remove the build folders
	rm -rf build build-*
