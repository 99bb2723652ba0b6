# `make run` starts everything here; `make test` runs every test. Both set up what they need.
# The commands of the first Lokole (build, start, logs, stop, integration-tests, test-emails) work as they did, on plain processes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

BIN := .venv/bin
# Where `make run` and `make start` keep their data, the log and the process id.
DATA ?= .lokole
# How much goes on side by side: as many as there are cores. Tests wait a third of their time for servers and browsers, so one more of them does.
WORKERS ?= 2
TESTERS := $(shell expr 1 '+' $(WORKERS))
# Further options of `lokole local`, as in: make run OPTIONS="--device-port 5001"
OPTIONS ?=
export DATA OPTIONS
# Node and npm come with the Python packages.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 20

.PHONY: setup setup-run setup-dev setup-test
setup: setup-run setup-test ## all that running and testing needs

setup-run: ## what `make run` needs: Python packages, no browser, no database server
	@tools/setup.sh run

setup-dev: ## the Python tools of tests and checks as well
	@tools/setup.sh dev

setup-test: ## what tests need: servers, a browser, npm tools
	@tools/setup.sh test

.PHONY: run start logs stop
run: setup-run ## both sides and a small outside world, in the foreground
	@mkdir -p $(DATA)
	exec $(BIN)/lokole local --data $(DATA)/data --demo $(OPTIONS)

start: setup-run ## the same in the background; waits until it is ready
	@tools/background.sh start

logs: ## what it wrote last; on a terminal also what it writes next
	@tools/background.sh logs

stop: ## stop what `make start` started
	@tools/background.sh stop

.PHONY: build unit test test-slow bench bench-server lighthouse integration-tests test-emails
build: setup unit check ## set-up, unit tests and checks

unit: setup-dev ## the fast tests
	$(BIN)/pytest -q tests/unit -m "not e2e"

test: setup check ## set up and run every test but the slow ones
	$(BIN)/pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder tests \
	  --ignore tests/slow --ignore tests/bench --ignore tests/integration

test-slow: ## the tests that take minutes
	@tools/setup.sh slow
	$(BIN)/pytest tests/slow -m slow

bench: setup ## measure; one JSON line per figure
	$(BIN)/python -m tests.bench.run

bench-server: setup ## the same of a whole server: a database, a store, a thousand boxes; a quarter of an hour
	$(BIN)/python -m tests.bench.run --server

lighthouse: setup ## Lighthouse's scores of the pages, median of five
	$(BIN)/python -m tests.bench.lighthouse

.PHONY: proof-simulate
proof-simulate: setup-dev ## 20,000 simulated exchanges under faults
	$(BIN)/python -m tests.rigs.simulate --jobs $(WORKERS) --note

integration-tests: setup-dev start ## the sample workflows, against what `make start` runs
	$(BIN)/pytest -q tests/integration -m integration

test-emails: start ## more letters from the outside world to the people of the local box
	$(BIN)/python tools/test_emails.py

# Every rig to its full number, half an hour each at most; the result is a row of docs/proof.md.
# Some wait for their programs, or for a box that gives up, half of the time: two for each core.
WAITING := $(shell expr 2 '*' $(WORKERS))
PROOFS := proof-simulate proof-kill proof-power proof-disk proof-clock proof-cut proof-intake proof-provider proof-damage proof-machines proof-twins proof-many mutants
.PHONY: proof $(PROOFS)
proof: $(PROOFS) ## every one of them, one after the other: a few hours

proof-cut: setup ## cut the line after every byte of an exchange, both ways
	$(BIN)/python -m tests.rigs.every_byte --workers $(WORKERS) --note

proof-kill: setup ## end box and server at every call of an exchange that writes
	$(BIN)/python -m tests.rigs.kill --check
	$(BIN)/python -m tests.rigs.kill --workers $(WAITING) --note

proof-power: setup ## cut the power at 500 moments
	$(BIN)/python -m tests.rigs.power --workers $(WORKERS) --note

proof-disk: setup ## full and failing disks, 500 times
	$(BIN)/python -m tests.rigs.disk --workers $(WAITING) --note

proof-clock: setup ## wrong and jumping clocks
	$(BIN)/python -m tests.rigs.clock --workers $(WORKERS) --note

proof-intake: setup ## break the server 1,000 times while it takes letters in
	$(BIN)/python -m tests.rigs.intake --workers $(WORKERS) --note

proof-provider: setup ## 2,000 times a way out that fails, hangs or drops the line
	$(BIN)/python -m tests.rigs.provider --workers $(WAITING) --note

proof-damage: setup ## 100,000 damaged letters among good ones, up and down
	$(BIN)/python -m tests.rigs.damage --workers $(WORKERS) --note

proof-machines: setup ## 2,000 runs of the mailbox's state machine, 200 times many exchanges at once
	$(BIN)/python -m tests.rigs.machines --workers $(WORKERS) --note
	$(BIN)/python -m tests.rigs.parallel --workers $(WORKERS) --note

proof-twins: setup ## old disks, copied cards and reset boxes, 1,000 times
	$(BIN)/python -m tests.rigs.twins --workers $(WORKERS) --note

proof-many: setup ## two servers and two workers: kill them, PostgreSQL and RabbitMQ for ten minutes
	$(BIN)/python -m tests.rigs.many --note

mutants: setup ## sabotage the code; a test must notice each
	$(BIN)/python -m tests.rigs.mutants --workers $(WORKERS) --note

# The pages' sentences: what the code says, what each language says, what the pages read (docs/translate.md).
TEXTS := src/lokole/webmail/translations
.PHONY: texts texts-compiled
texts: setup-dev ## bring babel.pot and every messages.po up to the code
	$(BIN)/pybabel -q extract -F babel.cfg -k lazy_gettext -k mark -c Translators: --add-location=file --sort-by-file -w 110 \
	  --project Lokole --version 1 --copyright-holder "the Lokole maintainers" \
	  --msgid-bugs-address https://github.com/ascoderu/lokole/issues -o babel.pot .
	$(BIN)/pybabel -q update -i babel.pot -d $(TEXTS) -w 110 --ignore-pot-creation-date --ignore-obsolete

texts-compiled: setup-dev ## make every messages.mo from its messages.po
	$(BIN)/pybabel compile -d $(TEXTS)

.PHONY: check format docs lock clean
check: setup-dev ## ruff, mypy, import layers, translations, the status page's types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests tools
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m lokole.webmail.translate
	@tools/statuspage.sh check

.PHONY: statuspage
statuspage: setup-test ## build the status page into src/lokole/server/status, where the server finds it
	@tools/statuspage.sh build

format: setup-dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup-dev ## write the generated page of settings
	$(BIN)/python tools/settings_page.py

lock: setup-dev ## remake requirements/*.lock; UPGRADE=--upgrade takes newer versions
	tools/lock.sh $(UPGRADE)

clean: stop ## forget what `make run` and `make start` kept
	rm -rf $(DATA)
