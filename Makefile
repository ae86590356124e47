# Two commands matter: make demo and make test. Everything they need is built here; only Go, a C
# compiler (for the race detector) and the module proxy are expected on the machine.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A temporal on the PATH is used when there is one; otherwise the pinned one is built once.
TEMPORAL := $(or $(shell command -v temporal),bin/temporal)
RACE     := $(if $(shell command -v $$(go env CC)),-race)
TESTARGS ?=
FUZZTIME ?= 60s

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build $(TEMPORAL) ## Roll 24 emulated servers to a new OS, for real, and kill the worker on the way
	@bin/reimage demo --temporal $(abspath $(TEMPORAL))

.PHONY: test
test: lint oracle $(TEMPORAL) ## Run every check and every test
	$(if $(RACE),,@echo "There is no C compiler ($$(go env CC)): the tests run without the race detector.")
	REIMAGE_TEMPORAL=$(abspath $(TEMPORAL)) go test $(RACE) -timeout 30m $(TESTARGS) ./...

# Without the race detector: nothing in there runs side by side, and the large SDK is compiled once for vet and test.
.PHONY: oracle
oracle: ## Hold the client and the emulator against the official Go SDK of the cloud
	cd tests/oracle && go test $(TESTARGS) ./...

# Without a Docker engine it says so and skips. Stand-ins for images that cannot be pulled take minutes, once.
.PHONY: test-compose
test-compose: ## Run docker-compose.yml with emulated servers, and kill its parts (tests/compose/README.md)
	REIMAGE_COMPOSE=1 go test ./tests/compose -count=1 -v -timeout 90m -run TestStack $(TESTARGS)

.PHONY: build
build: ## Build bin/reimage and bin/reimage-worker
	@mkdir -p bin
	go build -o bin/reimage ./starter
	go build -o bin/reimage-worker ./worker

.PHONY: image
image: ## Build the container image reimage, which knows its version
	docker build --tag reimage \
		--build-arg VERSION="$$(git describe --tags --dirty 2>/dev/null)" \
		--build-arg COMMIT="$$(git rev-parse HEAD)$$(git diff --quiet HEAD || echo -dirty)" \
		--build-arg DATE="$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)" .

.PHONY: lint
lint: bin/workflowcheck ## Check formatting, vet, and the determinism of workflow code
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w is needed for:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go vet -tags record ./tests/replay
	cd tests/oracle && go vet ./...
	bin/workflowcheck ./workflows/... ./rollout/...
	cd examples/runbook && go vet ./... && ../../bin/workflowcheck ./...

.PHONY: faults
faults: $(TEMPORAL) ## Run the fault campaigns whole: docs/reliability.md says what they are, some two hours
	go test ./rollout/change -count=1 -v -timeout 2h -run 'TestSearch|TestMutants' -faults 2 -mutants | grep -v '^=== '
	go test ./tests/faults -count=1 -v -timeout 2h -run 'TestCampaign|TestMutants' -schedules 10000 -mutant-schedules 1000 | grep -v '^=== '
	REIMAGE_TEMPORAL=$(abspath $(TEMPORAL)) go test ./tests/faults/real -count=1 -v -timeout 5h -args -rollouts 300 | grep -v '^=== '

.PHONY: recall
recall: $(TEMPORAL) ## Abort a rollout with 500 servers in flight: the time to answer, and what is stopped or changed after it
	REIMAGE_TEMPORAL=$(abspath $(TEMPORAL)) go test ./tests/e2e -count=1 -v -timeout 30m -run TestAbortRecallsWhatWasNotSubmitted -args -recall-servers 500 -recall-calls 150

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

# The targets are those that there are, in the packages that have any: other tests refuse to be listed without a Temporal
# server. All of them run, also after one has found something. By default, making one input smaller may take a whole minute,
# in which nothing else is tried.
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (60s), one after the other
	@go test -list '^Fuzz' $$(grep -rl --include='*_test.go' '^func Fuzz' ./* | xargs -n 1 dirname | sort -u) \
		| awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' \
		| { failed=0; while read -r package name; do \
			echo "== $$package $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s $(TESTARGS) "$$package" < /dev/null || failed=1; \
		done; exit $$failed; }

.PHONY: record
record: $(TEMPORAL) ## Record the workflow histories that the replay tests use (see tests/replay/README.md)
	REIMAGE_TEMPORAL=$(abspath $(TEMPORAL)) go test -tags record -count=1 -v -timeout 30m -run TestRecord ./tests/replay

# The Temporal server has some two thousand packages, so the first build takes minutes; the count shows
# that it moves.
bin/temporal: tools/go.mod tools/go.sum
	@echo "Building the Temporal server into bin/temporal. This happens once and takes 4 to 10 minutes on two cores."
	@mkdir -p bin
	@cd tools && go build -v -o ../bin/temporal github.com/temporalio/cli/cmd/temporal 2>&1 \
		| awk '/^go: / { if (!d++) print "  downloading modules"; fflush(); next } /^[^ ]*$$/ { if (++n % 100 == 0) { printf "  %d packages compiled\n", n; fflush() } next } { print } END { print "  " n+0 " packages compiled, done" }'

bin/workflowcheck: tools/go.mod tools/go.sum
	@mkdir -p bin
	cd tools && go build -o ../bin/workflowcheck go.temporal.io/sdk/contrib/tools/workflowcheck
