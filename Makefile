# Throng: `make run` starts the product with demo data, `make test` runs every test.
#
# The target folder lies outside the checkout, so that a fresh clone builds on what is there.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/throng/target

THRONG := $(CARGO_TARGET_DIR)/release/throng

.PHONY: run test build web bench tools clean-web

## run: the program on embedded parts, with a demo app, a month of history and live traffic
run: build
	$(THRONG) serve --demo

## test: formatting, lints, tidy, all tests, web app, browser; prints how long each part took and how many tests ran
test:
	./.ci/test.sh

## build: the web app, then the program that serves it
build: web
	cargo build --release --workspace --bins

web: web/dist/index.html

web/dist/index.html: web/package-lock.json web/vite.config.ts sdk/js/bundle.ts $(shell find web/src web/public web/index.html sdk/js/src -type f 2>/dev/null)
	@command -v npm >/dev/null || { echo "throng needs Node.js 20 or newer with npm to build its web app"; exit 1; }
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run build

## bench: every benchmark; writes docs/benchmarks.md
bench: build
	cargo xtask bench all
	cargo xtask bench peers
