# The Promela models, checked with SPIN.  The channels' and the session's transitions come from the grammar.

MODEL_DIR := $(BUILD)/model

$(MODEL_DIR)/lifecycle.pml: $(SPEC_MACHINES:%=$(SPEC_DIR)/%.xml) tools/lifecycle.awk spec/lifecycle.rl
	mkdir -p $(@D)
	{ echo '#define ILLEGAL (-1)'; for m in $(SPEC_MACHINES); do \
	    awk -v form=promela -v machine=$$m -f tools/lifecycle.awk spec/lifecycle.rl $(SPEC_DIR)/$$m.xml || exit 1; \
	done; } | awk '!/^#define/ || !seen[$$0]++' > $@

.PHONY: model model-large model-mutations model-counterexamples model-figures
model: setup $(MODEL_DIR)/lifecycle.pml ## prove the models' small configurations, and find what each variant breaks
	@spec/model/check "$(abspath $(BUILD))" small

model-large: setup $(MODEL_DIR)/lifecycle.pml ## prove the models' large configurations (up to 15 minutes each)
	@spec/model/check "$(abspath $(BUILD))" large $(RUNS)

model-mutations: setup $(MODEL_DIR)/lifecycle.pml ## break the models line by line; a small run must find each (RUNS: some of them)
	@spec/model/check "$(abspath $(BUILD))" mutations $(RUNS)

model-counterexamples: setup $(MODEL_DIR)/lifecycle.pml ## write spec/model/counterexamples anew
	@spec/model/check "$(abspath $(BUILD))" counterexamples

model-figures: $(MODEL_DIR)/lifecycle.pml ## write what these runs measured into the tables of spec/model/README.md
	@spec/model/check "$(abspath $(BUILD))" figures
