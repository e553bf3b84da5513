# Two commands do everything on a fresh Debian 12 machine with Rust:
#   make demo   installs what it needs, builds, and plays the whole story on loopback
#   make test   installs what it needs, and runs every check and test
# Also: make lint, make bench, make help.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One target folder for every run on this machine: a second clone builds in seconds.
export CARGO_TARGET_DIR ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/kekkai/target
BIN := $(CARGO_TARGET_DIR)/debug
STATE ?= $(CURDIR)/artefacts/demo
PATIENTS ?= 100000

# What the daemons need to build and run, and what plays the story.
DEMO_PACKAGES := gcc make pkg-config libtss2-dev libtss2-tcti-swtpm0 swtpm swtpm-tools gnutls-bin openssh-client \
  python3 python3-venv
# What the tests need besides: real clients and peers.
TEST_PACKAGES := $(DEMO_PACKAGES) openssh-server openssh-sftp-server chromium chromium-driver \
  libnss3-tools libssl-dev openssl tpm2-tools fonts-ipaexfont-gothic \
  clang lld wasi-libc libclang-rt-14-dev-wasm32 util-linux \
  tesseract-ocr tesseract-ocr-eng tesseract-ocr-jpn \
  xvfb cage libwayland-dev shellcheck nftables iproute2
# What figures are compared with.
BENCH_PACKAGES := bubblewrap tigervnc-standalone-server

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 18

# Installs Debian packages that are missing, and nothing else.
define install
	@missing=(); for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing+=($$p); done; \
	if (( $${#missing[@]} )); then \
	  echo "installing: $${missing[*]}"; \
	  sudo=; if (( EUID )); then sudo=sudo; fi; \
	  $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
	fi
endef

.PHONY: setup
setup:
	$(call install,$(TEST_PACKAGES))

.PHONY: build
build: ## Build the daemons and the kekkai command
	$(call install,$(DEMO_PACKAGES))
	@echo "building (a first build takes about ten minutes on two cores) …"
	cargo build --locked --bins --examples
	images/python-session/build.sh "$(BIN)"

.PHONY: demo
demo: build ## Play the whole story: sign in, ask, submit, review, release, audit
	"$(BIN)/kekkai" demo --state "$(STATE)" --patients $(PATIENTS)

.PHONY: env
env: ## Print what puts the built programs on your PATH: eval "$$(make -s env)"
	@echo 'export PATH="$(BIN):$$PATH"'

.PHONY: lint
lint: setup ## Formatting and lints, as errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; else echo "cargo-deny is not installed: deny.toml not checked"; fi

.PHONY: test
test: setup lint ## Run every check and test
	cargo build --locked --workspace --bins --examples
	images/python-session/build.sh "$(BIN)"
	images/python-session/test.sh
	images/python-session/test-component.sh "$(BIN)" "$(BIN)/kekkai-tool-stand-in"
	KEKKAI_TOOL_LINK="$(BIN)/kekkai-tool-link" KEKKAI_TOOL_STAND_IN="$(BIN)/kekkai-tool-stand-in" \
	  images/tool-templates/build.sh "$(BIN)/tools" --test
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace --no-fail-fast; else cargo test --locked --workspace --no-fail-fast; fi

.PHONY: bench
bench: setup ## Print figures beside what they are compared with
	$(call install,$(BENCH_PACKAGES))
	cargo build --locked --workspace --bins --examples
	images/python-session/build.sh "$(BIN)"
	KEKKAI_TOOL_LINK="$(BIN)/kekkai-tool-link" images/tool-templates/build.sh "$(BIN)/tools"
	images/bench.sh
