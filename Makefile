# Everything here runs from nothing: what is missing is fetched first.

FUZZTIME ?= 5s
GO       ?= go

.PHONY: build test lint unit measure fuzz bench conformance crash held screenshots fetch clean

build:
	$(GO) build -trimpath -o bin/sallyport ./cmd/sallyport

test: fetch lint unit measure fuzz

# Node, real clients and servers, and the conformance suite.
fetch:
	@test/fetch.sh

lint:
	@test -z "$$(gofmt -l . 2>/dev/null | grep -v node_modules)" || { echo "gofmt would change:"; gofmt -l . | grep -v node_modules; exit 1; }
	$(GO) vet ./...
	cd tools && $(GO) build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck ./...

# Unit, scenario, crash and end-to-end tests. Tests that start the gateway
# build it themselves, so that they test what is in the tree.
# The lab and the red team play attacks through the same gateways by the hundred,
# and gateways that live alone die at any moment and at every so many writes: with the
# race detector these would take longer than all others together.
unit:
	SALLYPORT_TEST_FETCHED=1 $(GO) test -race -timeout 30m -skip 'AtEveryWrite|KilledAgainAndAgain' $$($(GO) list ./... | grep -v -e '/internal/lab$$' -e '/internal/redteam$$')
	$(GO) test -timeout 30m -run 'AtEveryWrite|KilledAgainAndAgain' ./internal/store
	$(GO) test -timeout 30m ./internal/lab ./internal/redteam

# What is measured on recorded attacks and labelled texts, where they are.
measure:
	$(GO) test -v -run 'Bars|Training|Transcripts|Shift' ./internal/lab/replay ./internal/inspect/train

fuzz:
	@test/fuzz.sh $(FUZZTIME)

bench: build
	$(GO) run ./test/bench -binary bin/sallyport
	$(GO) run ./test/kill -binary bin/sallyport
	$(GO) test -run '^$$' -bench . -benchtime 1s . ./proof ./internal/...

# Every check of the official suite, directly and through the gateway.
conformance: fetch build
	$(GO) run ./test/conformance

crash:
	SALLYPORT_CRASH_KILLS=1000 $(GO) test -timeout 60m -v -run TestKilledUnderLoad ./test/crash

# How calls of real clients end when people take so long to answer.
HELD ?= 30s,90s,240s
held: fetch
	SALLYPORT_HELD=$(HELD) SALLYPORT_TEST_FETCHED=1 $(GO) test -v -count 1 -timeout 30m -parallel 11 -run TestHeldForLong ./test/e2e

# Every screen of the console with what agents did, light and dark, on a desktop
# and on a phone.
screenshots: fetch
	mkdir -p docs/screenshots
	SALLYPORT_SCREENSHOTS=$(CURDIR)/docs/screenshots $(GO) test -count 1 -timeout 10m -run 'TestScreens$$' ./test/console

clean:
	rm -rf bin build
