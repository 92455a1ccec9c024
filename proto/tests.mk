# proto/tests/: the tests of the protocol library.

NM               ?= nm
PROTO_TEST_DIR   := $(BUILD)/proto/tests
PROTO_TEST_NAMES := test_frames test_frame_limits test_hunt test_edge test_lifecycle test_session test_session_end test_recovery \
                    test_pairs test_guards test_walk test_rare test_faults
VECTOR_TESTS     := test_vectors test_transcripts test_octets
PROTO_TESTS      := $(addprefix $(PROTO_TEST_DIR)/,$(PROTO_TEST_NAMES) $(VECTOR_TESTS))
PROTO_TEST_CFLAGS = $(PROTO_CFLAGS) -Iproto/tests -I$(PROTO_TEST_DIR) -I. -DVPC_VECTORS='"$(abspath spec/vectors)"' -DVPC_SPEC='"$(abspath spec)"'

TESTS += $(PROTO_TESTS)

$(PROTO_TEST_DIR):
	mkdir -p $@

# The vectors: written from the document by an encoder of their own.
$(PROTO_TEST_DIR)/test_transcripts: $(PROTO_TEST_DIR)/play.o
$(VECTOR_TESTS:%=$(PROTO_TEST_DIR)/%): %: %.o $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -ljansson -lcriterion

# What the grammar says, read by ragel itself and not by the code under test.
$(PROTO_TEST_DIR)/lifecycle_rules.h: $(SPEC_MACHINES:%=$(BUILD)/spec/%.xml) tools/lifecycle.awk | $(PROTO_TEST_DIR)
	{ for m in $(SPEC_MACHINES); do \
	    awk -v form=c -v machine=$$m -f tools/lifecycle.awk spec/lifecycle.rl $(BUILD)/spec/$$m.xml || exit 1; done; } > $@

$(PROTO_TEST_DIR)/test_lifecycle.o: $(PROTO_TEST_DIR)/lifecycle_rules.h

$(PROTO_TEST_DIR)/%.o: proto/tests/%.c $(PROTO_DIR)/lifecycle_events.h | $(PROTO_TEST_DIR)
	$(CC) $(PROTO_TEST_CFLAGS) -c -o $@ $<

# The machines alone: the test defines their actions and sees which of them run.
$(PROTO_TEST_DIR)/test_lifecycle: $(PROTO_TEST_DIR)/test_lifecycle.o $(PROTO_DIR)/machines.o
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion

$(PROTO_TEST_DIR)/test_frames $(PROTO_TEST_DIR)/test_frame_limits: $(PROTO_TEST_DIR)/samples.o
PARSER_TESTS := test_frames test_frame_limits test_hunt test_edge
$(PARSER_TESTS:%=$(PROTO_TEST_DIR)/%): %: %.o $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion

$(addprefix $(PROTO_TEST_DIR)/,$(filter-out $(PARSER_TESTS) test_lifecycle,$(PROTO_TEST_NAMES))): %: %.o $(PROTO_TEST_DIR)/bench.o $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion

-include $(PROTO_TEST_DIR)/bench.d $(PROTO_TEST_DIR)/play.d $(PROTO_TEST_DIR)/samples.d $(PROTO_TESTS:%=%.d)

# The library wants memcpy, memmove, memset and memcmp of its surroundings and nothing else (vpcbus.h).
# The compiler adds the checks that a hardened build has.
.PHONY: check-proto check-proto-symbols
ifeq ($(SAN),)
check-proto-symbols: $(LIBVPCBUS)
	@foreign=$$($(NM) -u $< | awk '$$1 == "U" {print $$2}' | sort -u | \
	    grep -vxE "mem(cpy|move|set|cmp)|__mem(cpy|move|set)_chk|__stack_chk_fail|$$($(NM) --defined-only $< | awk 'NF == 3 {print $$3}' | paste -sd'|')"); \
	 if [ -n "$$foreign" ]; then echo "$<: wants more than mem*:" $$foreign; exit 1; fi
else
check-proto-symbols: ; # a sanitizer brings symbols of its own
endif

check-proto: $(PROTO_TESTS) check-proto-symbols ## the tests of the protocol library
	@for t in $(PROTO_TESTS); do echo "$$t"; $$t || exit 1; done

# Longer than the walks of `make check`; and that a failure can be had again from what it prints.
WALKS      ?= 40
WALK_STEPS ?= 500000
.PHONY: walk
walk: $(PROTO_TEST_DIR)/test_walk $(PROTO_TEST_DIR)/test_faults ## random walks of millions of steps (WALKS=, WALK_STEPS=; WALK_SEED= for one); every fault
	WALKS=$(WALKS) WALK_STEPS=$(WALK_STEPS) $<
	FAULTS_EVERY=1 $(PROTO_TEST_DIR)/test_faults
	proto/tests/reproduce $(BUILD)

CHECKS += check-proto-symbols

# Not in `make check`: it takes minutes.
.PHONY: mutate-proto
mutate-proto: $(PROTO_TESTS) ## plant faults in copies of the protocol library: do its tests see them?
	proto/tests/mutate $(BUILD) $(PROTO_TESTS)

# The example of proto/README.md does what the text around it says.
.PHONY: check-example
check-example: $(LIBVPCBUS) proto/README.md
	@sed -n '/^```c$$/,/^```$$/{/^```/d;p}' proto/README.md > $(PROTO_DIR)/example.c
	@$(CC) $(VPC_CFLAGS) -Wno-shadow -Wno-unused-parameter -Iproto -o $(PROTO_DIR)/example $(PROTO_DIR)/example.c $< $(VPC_LDFLAGS)
	@test "$$($(PROTO_DIR)/example)" = 'Hello World!' || { echo 'proto/README.md: the example does not say Hello World!' >&2; exit 1; }

CHECKS += check-example
