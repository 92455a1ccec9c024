# An implementation in Go, from the specification alone.  Plain `make` needs no Go: where there is none this is skipped.

GO_DIR   := $(CONFORM)/implementations/go
GO_BUILD := $(BUILD)/go
GO_TOOLS := $(addprefix $(GO_BUILD)/,vpc-host-go vpc-guest-go vpc-wait-go)
GO_ENV   := CGO_ENABLED=0 GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GOCACHE="$(abspath $(GO_BUILD)/cache)"
HAVE_GO  := $(shell command -v go)

.PHONY: go check-go
ifneq ($(HAVE_GO),)
go: $(GO_TOOLS) ## build the implementation in Go, to be judged like any other

$(GO_TOOLS): $(GO_BUILD)/%: $(GO_DIR)/go.mod $(wildcard $(GO_DIR)/*/*.go $(GO_DIR)/cmd/*/*.go)
	@mkdir -p $(@D)
	cd $(GO_DIR) && $(GO_ENV) go build -trimpath -o "$(abspath $@)" ./cmd/$*

check-go: ## vet and test the implementation in Go
	@cd $(GO_DIR) && unformatted=$$(gofmt -l .) && { test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }; }
	@cd $(GO_DIR) && $(GO_ENV) go vet ./... && VPC_VECTORS="$(abspath spec/vectors)" $(GO_ENV) go test -timeout 120s ./...
.PHONY: interop-go
interop-go: $(GO_TOOLS) $(BUILD)/vpc-host $(BUILD)/vpc-guest ## the pairs of interop once more, by a test that is written in Go
	@cd $(GO_DIR) && VPC_BUILD="$(abspath $(BUILD))" $(GO_ENV) go test -count 1 -timeout 300s -v ./interop
else
go check-go interop-go:
	@echo '$@: skipped: no go on this machine (install golang-go)'
endif

CHECKS += check-go
