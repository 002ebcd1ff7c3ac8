# Everything a person or a machine does with this repository. `make help` lists it.

GO ?= go
BIN := bin/rapsheet
FUZZTIME ?= 60s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2

KILLS ?= 300

.PHONY: help build test test-clients lint bench fuzz kills man clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

build: ## the program, into bin/
	$(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/rapsheet

test: ## every test, and again with the race detector; says in one line what is missing
	@./scripts/test

test-clients: ## scanners that take long to build, against exports and the server; docs/clients.md has its results
	@./scripts/test-clients

lint: ## gofmt, go vet, golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run $(GOLANGCI) run ./...

bench: build ## benchmarks, and the bars of docs/performance.md against real peers
	@./scripts/bench

fuzz: ## every fuzz target for FUZZTIME each
	@./scripts/fuzz $(FUZZTIME)

kills: ## kill -9 at KILLS random moments of import and publish, on both engines
	RAPSHEET_KILLS=$(KILLS) $(GO) test -count=1 -timeout 60m -v -run TestKilledAtAnyMoment ./internal/cli

man: ## manual pages, into dist/man
	$(GO) run ./internal/cli/man dist/man

clean: ## remove what the targets above made
	rm -rf bin dist
