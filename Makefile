# The commands of the house. `make` alone prints them.

.DEFAULT_GOAL := help
# rustup's folder, for shells that have not read its `env` file yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

setup := sh .ci/setup
nextest_profile := $(if $(CI),ci,default)

.PHONY: help
help: ## Prints these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Builds bongsu and shows four outages and a flood, told apart and explained
	@$(setup) build
	@cargo run --locked --release -- demo

.PHONY: test
test: ## Passes all tests
	@$(setup) build test
	@cargo nextest run --locked --profile $(nextest_profile)
	@cargo test --locked --doc --quiet

.PHONY: damage
damage: ## Cuts every shared capture at 64 places and reads what is left
	@$(setup) build test
	@cargo nextest run --locked --release --run-ignored only -E 'binary(cuts)'

.PHONY: crowds
crowds: ## Replays a flood amid a million sources in one second, and holds its memory to the budget
	@$(setup) build test
	@cargo nextest run --locked --release --run-ignored only --no-capture --test crowds

SECONDS ?= 60
.PHONY: fuzz
fuzz: ## Feeds every reader hostile bytes, SECONDS=60 each (needs rustup)
	@$(setup) build fuzz
	@sh .ci/fuzz $(SECONDS)

.PHONY: bench
bench: ## Measures stages and the whole program beside other tools; writes docs/performance.md (QUICK=1 prints only)
	@$(setup) build bench
	@sh benches/suricata.sh trixie forky
	@cargo bench --locked --bench attribute --bench decode --bench stages
	@QUICK=$(QUICK) ROUNDS=$(ROUNDS) cargo bench --locked --bench peers -- --measure

.PHONY: bench-ci
bench-ci: ## Counts the instructions of each stage; fails 3 % above the committed figures (UPDATE=1 commits)
	@$(setup) build count
	@UPDATE=$(UPDATE) cargo bench --locked --bench stages -- --count

.PHONY: growth
growth: ## Counts how cost grows with packets, flows, clients, services, rules, ticks; writes docs/performance.md
	@$(setup) build count
	@QUICK=$(QUICK) SERIES=$(SERIES) cargo bench --locked --bench growth -- --measure

.PHONY: agreement
agreement: ## Compares flows with what others say of captures; writes docs/agreement.md
	@$(setup) build
	@cargo test --locked --release --quiet --test agreement -- --ignored --exact agreement --nocapture

.PHONY: verdicts
verdicts: ## Scores verdicts on captures and scenarios; writes docs/verdicts.md
	@$(setup) build
	@cargo test --locked --release --quiet --test verdicts -- --ignored --exact verdicts --nocapture

.PHONY: lint
lint: ## Checks formatting, warnings, documentation, licences and banned packages
	@$(setup) build lint
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D rustdoc::broken_intra_doc_links" cargo doc --locked --no-deps --quiet
	@cargo deny --log-level error --locked check bans licenses sources

FAULT ?=
.PHONY: faults
faults: ## Runs faults of lines, memory, sinks and disks, a line each (root; SOAK=30m, FAULT_ROUNDS=200, FAULT=name)
	@$(setup) build test
	@cargo test --locked --release --quiet --test faults -- --ignored --nocapture --test-threads 1 $(FAULT)

.PHONY: deb
deb: ## Builds a Debian package with unit, manual pages and completions (needs cargo-deb 3.8)
	@$(setup) build
	@cargo build --locked --release
	@target/release/bongsu man target/packaging/man
	@target/release/bongsu completions target/packaging/completions
	@cargo deb --locked --no-build

.PHONY: clean
clean: ## Removes what was built
	@cargo clean
