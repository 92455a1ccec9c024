# spec/: what is derived from the normative files: tables, figures, checks.

SPEC_DIR  := $(BUILD)/spec
SPEC_MACHINES := vpc_session vpc_sending_channel vpc_receiving_channel

# `ragel -x` and `ragel -Vp` want every action defined before the grammar is included: these stubs define them empty.
$(SPEC_DIR)/%.stub.rl: spec/lifecycle.rl
	mkdir -p $(@D)
	{ echo '%%{'; echo 'machine $*_stub;'; \
	  sed 's/#.*//' $< | grep -oE '[@~][a-z_]+' | sort -u | sed -E 's/.(.*)/action \1 {}/'; \
	  echo 'include $* "lifecycle.rl";'; echo 'write data;'; echo '}%%'; } > $@

RAGEL_MADE += $(SPEC_MACHINES:%=$(SPEC_DIR)/%.xml)

$(SPEC_DIR)/%.xml: $(SPEC_DIR)/%.stub.rl
	$(RAGEL) -x -I spec -o $@ $<

FIGURES := $(SPEC_MACHINES:%=$(BUILD)/figures/%.svg)

$(BUILD)/figures/%.dot: $(SPEC_DIR)/%.xml tools/lifecycle.awk spec/lifecycle.rl
	mkdir -p $(@D)
	awk -v form=dot -v machine=$* -f tools/lifecycle.awk spec/lifecycle.rl $< > $@

$(BUILD)/figures/%.svg: $(BUILD)/figures/%.dot
	dot -Tsvg -o $@ $<

.PRECIOUS: $(SPEC_DIR)/%.stub.rl $(SPEC_DIR)/%.xml $(BUILD)/figures/%.dot

.PHONY: figures spec check-spec check-prose
figures: $(FIGURES:.svg=.dot) ## draw the lifecycle machines to build/figures
	@if command -v dot > /dev/null; then $(MAKE) --no-print-directory $(FIGURES); \
	 else echo 'figures: no dot on this machine: only the .dot files are made (install graphviz for the pictures)'; fi

spec: ## fill in the tables of spec/VPCBUS.md
	@tools/spec-doc

check-spec: check-prose ## see that the document, its tables and the grammar agree
	@tools/spec-doc --check

check-prose: ## see that prose has lines of at most 120 columns (python3)
	@if command -v python3 > /dev/null; then tools/wrap-prose --check; \
	 else echo 'check-prose: skipped: no python3 on this machine'; fi

# One page with all that the document refers to in it, and the document on paper.  What makes them is installed by
# `tools/setup --for spec-html`, never by make.
SPEC_PAGE  := $(BUILD)/spec/VPCBUS.html
SPEC_PAPER := $(BUILD)/spec/VPCBUS.pdf
SPEC_HTML_TOOLS := cmark-gfm dot weasyprint pdftotext python3

$(SPEC_PAGE) $(BUILD)/spec/VPCBUS.print.html: tools/spec-html spec/VPCBUS.md spec/frames.rl spec/names.rl \
		spec/messages.json spec/events.json spec/control.schema.json spec/vpc_endpoint.h \
		$(FIGURES:.svg=.dot) $(wildcard conformance/scenarios/*/*/*.vpcs)
	tools/spec-html $(if $(findstring print,$@),--print) $(BUILD)/figures $@

$(SPEC_PAPER): $(BUILD)/spec/VPCBUS.print.html
	weasyprint -q $< $@

.PHONY: spec-html spec-pdf check-spec-html
spec-html: $(SPEC_PAGE) ## the document as one page, in build/spec
	@echo $<

spec-pdf: $(SPEC_PAPER) ## the document on paper, in build/spec
	@echo $<

ifeq ($(strip $(foreach tool,$(SPEC_HTML_TOOLS),$(if $(shell command -v $(tool)),,$(tool)))),)
check-spec-html: $(SPEC_PAGE) $(SPEC_PAPER) ## look at the page and the paper
	@tools/check-spec-html $^
else
check-spec-html:
	@echo 'check-spec-html: skipped: not all of $(SPEC_HTML_TOOLS) on this machine (tools/setup --for spec-html)'
endif

# The vectors are committed: who only builds and tests needs no Python.
.PHONY: vectors check-vectors
vectors: ## write spec/vectors and the hex dumps anew (python3)
	@spec/vectors/generate

check-vectors: ## see that the vectors are what their generator writes (python3)
	@if command -v python3 > /dev/null; then spec/vectors/generate --check; \
	 else echo 'check-vectors: skipped: no python3 on this machine'; fi

CHECKS += check-spec check-spec-html check-vectors

include spec/model/model.mk
