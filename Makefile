# Everything a newcomer or a maintainer does here. `make` alone lists the targets.
# Nothing needs to be installed first but Python 3.11+ and make.

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt bench fuzz soak crash-test screenshots mutate specs lock clean venv venv-run venv-interop

BIN := .venv/bin
ONCE_FLAG := $(if $(filter 1,$(ONCE)),--once,)
FRESH_FLAG := $(if $(filter 1,$(FRESH)),--fresh,)
TLS_FLAG := $(if $(filter 1,$(TLS)),--tls,)
HOST_FLAG := $(if $(ADDRESS),--host $(ADDRESS),)
PORT_FLAG := $(if $(BASE_PORT),--base-port $(BASE_PORT),)
MINUTES ?= 10
MUTATIONS ?= 40

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv-run:
	@sh tools/bootstrap.sh run

venv:
	@sh tools/bootstrap.sh dev

venv-interop: ## the second environment: other people's packages that tests/interop calls as programs
	@sh tools/bootstrap.sh interop

demo: venv-run ## the whole system on this machine; ONCE=1 ends after the story, FRESH=1 forgets the last run, BASE_PORT=8100, TLS=1 serves https, ADDRESS=a name that phones reach
	@$(BIN)/jigap demo $(ONCE_FLAG) $(FRESH_FLAG) $(PORT_FLAG) $(TLS_FLAG) $(HOST_FLAG)

test: venv ## all tests that need no service; lists every skip with its reason
	@$(BIN)/python -m pytest -n 3 --dist loadfile

check: venv ## format, lint, types, import contracts, docstrings, catalogue
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/interrogate -vv --omit-covered-files wallet_core issuer verifier holder_app demo
	@$(BIN)/jigap catalogue check

fmt: venv ## format and fix what can be fixed by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: venv ## speed as ratios to raw OpenSSL; also written to bench.json
	@$(BIN)/python -m tests.bench

fuzz: venv ## fuzz every parser for MINUTES, half of them with drawn messages, half guided by coverage; keeps what it finds
	@JIGAP_FUZZ_MINUTES=$(MINUTES) $(BIN)/python -m pytest -n 2 -m fuzz; drawn=$$?; \
	  $(BIN)/python -m tests.fuzz.guided --minutes $(MINUTES) --if-installed && exit $$drawn

soak: venv ## the job soaks in their long form
	@JIGAP_LONG=1 $(BIN)/python -m pytest -n 0 -m soak

crash-test: venv ## kill every server at every request of the story, about two hours; ONE_DELAY=1 at one moment of each, a third of the time
	@JIGAP_LONG=1 JIGAP_ONE_DELAY=$(ONE_DELAY) $(BIN)/python -m pytest -n 0 -o junit_family=xunit1 --junitxml=crash-test.xml tests/e2e/test_killed_servers.py

mutate: venv ## take the enforcing statements of MUTATIONS clauses out and see whether their tests notice; 0 means all
	@$(BIN)/python -m tools.mutate --count $(MUTATIONS)

specs: venv ## write what programs write in specs/: the commands, the tables of clauses
	@$(BIN)/python -m tools.commands
	@$(BIN)/python -m tools.spec_tables

screenshots: venv ## pictures of every page at 360 and 1280 px in both languages, into screenshots/ (needs Chromium)
	@JIGAP_REQUIRE=chromium JIGAP_SCREENSHOTS=screenshots $(BIN)/python -m pytest -q -n 0 -m browser tests/browser

lock: ## resolve the lock files anew (needs uv, npm)
	@printf "hatchling\neditables\n" | uv pip compile pyproject.toml - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet -o requirements/run.txt
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet -o requirements/dev.txt
	@printf "hatchling\neditables\n" | uv pip compile pyproject.toml - --extra postgres --extra hsm -c requirements/dev.txt \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command 'make lock' --quiet -o requirements/server.txt
	@uv pip compile requirements/interop.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --quiet -o requirements/interop.txt
	@npm install --prefix tests/interop/programs --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(BIN)/python -m tools.npm_lock tests/interop/programs/package-lock.json

clean: ## remove the virtual environment, caches and the demo's state
	@rm -rf .venv .venv-interop tests/interop/programs/node_modules .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .import_linter_cache bench.json crash-test.xml
