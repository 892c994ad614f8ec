# Two commands: `make demo` shows the product at work, `make test` proves it.
CARGO ?= cargo
# cargo-nextest where it is installed, the built-in runner elsewhere; both run the same tests.
RUNNER := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo "nextest run" || echo "test --lib --bins --tests")

.PHONY: demo tour test check release outside bench bench-proxy soak fuzz setup

demo: ## start the gate on a bundled bank and stay up
	$(CARGO) run --release --locked -- demo

tour: ## the same as a story that checks itself
	$(CARGO) run --release --locked -- demo --tour

test: setup ## all tests, documentation examples included
	$(CARGO) test --doc --locked
	$(CARGO) $(RUNNER) --locked

check: ## format, lints and documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --all-features

outside: ## suites that others wrote, against a gate of its own; writes docs/outside-checks.md
	sh tests/outside/setup.sh
	$(CARGO) build --release --locked --bin menshen
	python3 tests/outside/run.py

bench: ## measurements, each beside something to compare with
	$(CARGO) bench --locked --all-features

release: ## the program as it is released, built for what it mostly does, into target/released
	sh deploy/release.sh

bench-proxy: ## the gate beside nginx and HAProxy: processor time for each request
	$(CARGO) build --release --locked --bin menshen
	python3 bench/proxy/run.py
	python3 bench/proxy/growth.py

MINUTES ?= 60
soak: ## the gate under mixed load: memory, descriptors, threads and latency over time, into soak.csv and soak.svg
	$(CARGO) build --release --locked --bin menshen
	python3 bench/soak/run.py --minutes $(MINUTES)

TARGET ?= json
SECONDS ?= 60
fuzz: ## one fuzz target, with a nightly compiler
	bash fuzz/fuzz.sh $(TARGET) -max_total_time=$(SECONDS)

setup: ## what the tests need besides Rust and a C compiler
	sh tests/setup.sh
