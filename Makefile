# Two commands do all the set-up: `make demo` and `make test`.
# A fresh machine needs Python 3.11 or newer, make and git; everything else goes into .venv/.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXAMPLE := examples/flights

# The first Python that is new enough; `make PYTHON=/path/to/python3.12 demo` says otherwise.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c "$(NEW_ENOUGH)" >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# What compiles the fault injector of the crash test; zig's comes from PyPI where there is none.
COMPILER := $(shell command -v cc || command -v gcc || command -v clang)

.PHONY: help demo test test-services orchestrator-test crash-test crash-sample side-by-side lint format docs clean
.PHONY: object-crash-test object-crash-sample kafka-crash-test kafka-crash-sample soak scheduler-test
.PHONY: bench bench-peers bench-compare

help:
	@echo "make demo           watch real, dirty data become tested tables"
	@echo "make test           all tests that need no service (3 minutes on 2 cores)"
	@echo "make test-services  tests against PostgreSQL, object stores and broken disks, all brought along"
	@echo "make orchestrator-test  the same project under Airflow, Dagster, Prefect and Luigi (half an hour)"
	@echo "make crash-test     kill, starve and lie to updates at every call (hours; goes on where it was)"
	@echo "make crash-sample   what five minutes of that suffice for, drawn by a printed seed"
	@echo "make object-crash-test  the same at every request to an object store (hours; it goes on, too)"
	@echo "make object-crash-sample  what a minute of that suffices for"
	@echo "make kafka-crash-test   kills, restarts and cuts at each step of an update with Kafka (an hour; goes on)"
	@echo "make kafka-crash-sample what forty seconds of that suffice for"
	@echo "make soak           100,000 epochs of a continuous update: rows, memory, time to open (hours)"
	@echo "make scheduler-test two schedulers over 10,000 due times, with kills, sleeps and jumps of clocks (a quarter of an hour)"
	@echo "make side-by-side   eight processes over forty datasets, with kills and sleeps (half an hour)"
	@echo "make lint           ruff and mypy"
	@echo "make format         let ruff repair what it can"
	@echo "make docs           write the reference anew from the code"
	@echo "make bench          measure the promised figures, each beside its baseline"
	@echo "make bench-peers    measure the demo beside dbt, SQLMesh, dlt and a plain DuckDB script"
	@echo "make bench-compare  measure this checkout beside another commit (BASE=main)"
	@echo "make clean          remove what these made"

# The stamps make a second call cheap; a change of pyproject.toml installs again.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Qanat needs Python 3.11 or newer, and found none."; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@# Older ones know no dependency groups.
	@$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml $(EXAMPLE)/requirements.txt
	@echo "Installing Qanat into $(VENV) (once, about half a minute)"
	@$(PIP) install --editable . --requirement $(EXAMPLE)/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "Installing Qanat and what its developers use into $(VENV) (once, about a minute)"
	@$(PIP) install --editable ".[all]" --group dev
	@touch $@

demo: $(VENV)/.demo
	@cd $(EXAMPLE) && ../../$(BIN)/python prepare.py && ../../$(BIN)/qanat run
	@cat $(EXAMPLE)/next_steps.txt

# Tests start hundreds of processes, which would compile everything anew where no bytecode may be
# written, and sync thousands of files, which costs nothing in memory (where there are 4 GB to spare).
MEMORY := $(shell test -w /dev/shm && \
	df -Pk /dev/shm | awk 'NR == 2 && $$4 > 4000000 { print "PYTEST_DEBUG_TEMPROOT=/dev/shm" }')
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2

test: $(VENV)/.dev
	@$(MEMORY) $(PYTEST) --dist worksteal -m "not services and not crash and not orchestrators"

test-services: $(VENV)/.crash
	@$(PYTEST) -m "services or crash"

# `make orchestrator-test ARGS='-k luigi'` for one of them. They take turns: each starts servers.
orchestrator-test: $(VENV)/.dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m orchestrators \
		-o faulthandler_timeout=1800 tests/orchestrate $(ARGS)

$(VENV)/.crash: $(VENV)/.dev
	@test -n "$(COMPILER)" || $(PIP) install ziglang
	@touch $@

# `make crash-test ARGS='--kinds power --scenarios append'` for a part of it.
crash-test: $(VENV)/.crash
	@$(BIN)/python -m tests.crash.run $(ARGS)

# `make side-by-side ARGS='--rounds 20'` for fewer.
side-by-side: $(VENV)/.dev
	@$(BIN)/python -m tests.side_by_side.run $(ARGS)

crash-sample: $(VENV)/.crash
	@$(BIN)/python -m tests.crash.run --sample $(ARGS)

# `make object-crash-test ARGS='--kinds late,sleep-before --most 200 --seed 7'` for a part of it.
object-crash-test: $(VENV)/.dev
	@$(BIN)/python -m tests.objects.run $(ARGS)

object-crash-sample: $(VENV)/.dev
	@$(BIN)/python -m tests.objects.run --seconds 40 $(ARGS)

# `make kafka-crash-test ARGS='--kinds broker,cut --seed 7'` for a part of it.
kafka-crash-test: $(VENV)/.dev
	@$(BIN)/python -m tests.kafka.run $(ARGS)

kafka-crash-sample: $(VENV)/.dev
	@$(BIN)/python -m tests.kafka.run --seconds 40 $(ARGS)

# `make soak ARGS='--epochs 2000'` for fewer.
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak.run $(ARGS)

# `make scheduler-test ARGS='--ledger sqlite --seconds 20 --seed 7'` for a part of it.
scheduler-test: $(VENV)/.dev
	@$(BIN)/python -m tests.schedulers.run $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev
	@$(BIN)/python docs/generate.py

# What these compare with is installed by the scripts, into environments outside the checkout.
# `make bench ARGS='startup cold_run'` for a part of it.
bench: $(VENV)/.dev
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-peers: $(VENV)/.dev
	@$(BIN)/python benchmarks/side_by_side.py $(ARGS)

BASE := main
bench-compare: $(VENV)/.dev
	@$(BIN)/python benchmarks/compare.py $(BASE) $(ARGS)

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist
	@rm -rf examples/*/storage examples/*/archive examples/*/in $(EXAMPLE)/data
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
