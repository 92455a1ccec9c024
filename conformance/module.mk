# conformance/: vpc-conform, the harness that judges any implementation.  It shares only spec/ with the others.

CONFORM      := conformance
CONFORM_OBJ  := $(BUILD)/conformance
CONFORM_GEN  := $(BUILD)/gen/conformance
CONFORM_DIRS := document codec script testers run backends verdicts report cli generate record interop alter
CONFORM_SRCS := $(addprefix $(CONFORM)/,memory.c clock.c chance.c verdict.c clean.c files.c) $(wildcard $(CONFORM_DIRS:%=$(CONFORM)/%/*.c))
CONFORM_RL   := $(patsubst $(CONFORM)/%.rl,%,$(wildcard $(CONFORM)/*/*.rl))
CONFORM_OBJS := $(CONFORM_SRCS:%.c=$(BUILD)/%.o) $(CONFORM_OBJ)/document/embedded.o \
                $(CONFORM_RL:%=$(CONFORM_OBJ)/%.rl.o)
CONFORM_LIBS := -ljansson -ldl -lseccomp

-include $(CONFORM)/vm/vm.mk
include $(CONFORM)/install.mk
-include $(CONFORM)/implementations/go/module.mk
-include $(CONFORM)/implementations/python/module.mk

PROGRAMS += $(BUILD)/vpc-conform

# VM_LIB_OBJ (vm.mk): what boots a virtual machine and talks to the puppet in it.  Symbols are bound at once (-z now): each
# run is three copies of the process, which would bind them again.
$(BUILD)/vpc-conform: $(CONFORM_OBJ)/main.o $(CONFORM_OBJS) $(VM_LIB_OBJ)
	$(CC) $(VPC_LDFLAGS) -pie -Wl,-z,now -o $@ $^ $(CONFORM_LIBS)

$(CONFORM_OBJ)/%.o: $(CONFORM)/%.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -MMD -MP -c -o $@ $<

# It tells the version and is made anew with it.
$(CONFORM_OBJ)/main.o: Makefile

$(CONFORM_OBJ)/document/embedded.o: $(CONFORM)/document/embedded.S spec/messages.json spec/events.json spec/control.schema.json spec/VPCBUS.md $(wildcard $(CONFORM)/report/page.* $(CONFORM)/cli/templates/*)
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

RAGEL_MADE += $(CONFORM_RL:%=$(CONFORM_GEN)/%.rl.c)

$(CONFORM_GEN)/%.rl.c: $(CONFORM)/%.rl $(wildcard spec/*.rl)
	@mkdir -p $(@D)
	$(RAGEL) -C -T0 -I spec -o $@ $<

$(CONFORM_OBJ)/%.rl.o: $(CONFORM_GEN)/%.rl.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) $(GEN_CFLAGS) -I$(CONFORM) -I. -MMD -MP -c -o $@ $<

# ---- tests ----------------------------------------------------------------------------------------------------------

CONFORM_TESTS := $(patsubst %,$(CONFORM_OBJ)/tests/test_%,codec monitor schema fields vectors entry entry_order entry_relay script language values files generate descriptor guest_image machine bounds group jobs load verdict report record shrink)
TESTS += $(CONFORM_TESTS)

$(CONFORM_OBJ)/tests/%.o: $(CONFORM)/tests/%.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -DVPC_TEST_DIR='"$(abspath $(CONFORM_OBJ)/tests)"' \
		-DVPC_SCENARIOS='"$(abspath $(CONFORM)/scenarios)"' -DVPC_EDITOR='"$(abspath tools/editor)"' -DVPC_MANUAL='"$(abspath $(CONFORM)/LANGUAGE.md)"' -DVPC_GOLDEN='"$(abspath $(CONFORM)/tests/golden)"' -DVPC_VECTORS='"$(abspath spec/vectors)"' -MMD -MP -c -o $@ $<

# An endpoint that lies on demand: the harness must see it.
CONFORM_FAKE := $(CONFORM)/tests/fake.c $(CONFORM)/tests/deeds.c $(addprefix $(CONFORM)/,codec/codec.c codec/decoder.c document/table.c memory.c)

$(CONFORM_OBJ)/tests/fake.so: $(CONFORM_FAKE) $(CONFORM_OBJ)/document/embedded.o
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -fPIC -shared -Wl,-Bsymbolic -o $@ $^ -ljansson

$(CONFORM_OBJ)/tests/test_verdict $(CONFORM_OBJ)/tests/test_shrink $(CONFORM_OBJ)/tests/test_fields: | $(CONFORM_OBJ)/tests/fake.so

$(CONFORM_TESTS): %: %.o $(CONFORM_OBJS) $(VM_LIB_OBJ)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ $(CONFORM_LIBS) -lcriterion

# ---- checks ---------------------------------------------------------------------------------------------------------

CHECKS += check-rooms check-coverage check-numbers check-judge check-must-nots check-inproc check-product check-stall
STRANGE += check-hostile check-machine check-fields
.PHONY: check-rooms check-coverage check-numbers check-judge check-must-nots check-inproc check-page check-product check-hostile check-stall check-machine coverage-spec

# No include goes up, so there is no circle of rooms.
check-rooms:
	@$(CONFORM)/tests/check-rooms $(CONFORM)

# Every MUST and every event has a scenario, or a reason.
check-coverage: $(BUILD)/vpc-conform
	@$< coverage --gate >$(BUILD)/coverage.txt || { tail -n 20 $(BUILD)/coverage.txt; exit 1; }
	@tail -n 1 $(BUILD)/coverage.txt

# Every number that a requirement states has faults that are off by it, or a reason.
check-numbers:
	@$(CONFORM)/tests/check-numbers

# Two runs of `make mutants`, or of `make mutate`, do not work in one folder at once.
check-judge:
	@$(CONFORM)/tests/check-judge

# What must not happen has scenarios that show that it does not.
check-must-nots:
	@$(CONFORM)/tests/check-must-nots $(CONFORM)/scenarios 14

# Scenarios that follow from spec/, and some by chance.
GENERATED := $(BUILD)/scenarios/generated
$(GENERATED)/made: $(BUILD)/vpc-conform
	@rm -rf $(@D)
	$< generate --out $(@D) >$(BUILD)/generated.txt
	@mv $(BUILD)/generated.txt $@

# The reference in-process, cut in every way; under SAN it is judged with its memory watched.
check-inproc: $(BUILD)/vpc-conform $(BUILD)/libvpc_reference.so $(GENERATED)/made
	@for split in $(if $(SAN),random,whole 1 random largest); do \
		$< run --implementation $(CONFORM)/implementations/reference-host.ini \
			--implementation $(CONFORM)/implementations/reference-guest.ini \
			--split $$split --jobs 2 --min 500 --out $(BUILD)/check-inproc.out \
			--report $(BUILD)/check-inproc.txt $(CONFORM)/scenarios $(GENERATED) >/dev/null || \
			{ grep -v ^pass $(BUILD)/check-inproc.txt; exit 1; }; \
		tail -n 1 $(BUILD)/check-inproc.txt; \
	done

# The harness as a product: with implementations that no one would want, full disks, bad command lines.
$(CONFORM_OBJ)/tests/rogue: $(CONFORM)/tests/rogue.c $(CONFORM)/tests/deeds.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) -I$(CONFORM) -o $@ $^

check-product: $(BUILD)/vpc-conform $(BUILD)/libvpc_reference.so $(CONFORM_OBJ)/tests/fake.so $(CONFORM_OBJ)/tests/rogue
	@SAN=$(SAN) $(CONFORM)/tests/check-product $(BUILD)

# Subjects that attack the harness: what each comes to, and that nothing of them stays.
check-hostile: $(BUILD)/vpc-conform $(CONFORM_OBJ)/tests/fake.so $(CONFORM_OBJ)/tests/rogue
	@SAN=$(SAN) $(CONFORM)/tests/check-hostile $(BUILD)

check-stall: $(BUILD)/vpc-conform $(BUILD)/vpc-host
	@$(CONFORM)/tests/check-stall $(BUILD)

# Machines that lack something: room, paths, descriptors, processor time.
check-machine: $(BUILD)/vpc-conform $(BUILD)/vpc-host $(BUILD)/vpc-guest
	@$(CONFORM)/tests/check-machine $(BUILD)

# Every field that the specification knows has a scenario that fails when it is wrong, or a reason; a minute and a half.
.PHONY: check-fields
check-fields: $(BUILD)/vpc-conform $(BUILD)/libvpc_reference.so ## each field with the scenario that notices when it is wrong; red when one has none
	@$< fields --gate --jobs "$$(nproc)" --implementation $(CONFORM)/implementations/reference-host.ini \
		--implementation $(CONFORM)/implementations/reference-guest.ini >$(BUILD)/fields.txt || \
		{ grep GAP $(BUILD)/fields.txt; exit 1; }
	@tail -n 1 $(BUILD)/fields.txt

coverage-spec: $(BUILD)/vpc-conform ## each requirement with its scenarios; red when a MUST or an event has none
	@$< coverage --gate

# The page of the report in a browser, which root gets installed; not of `make check`, which stays lean.
check-page: $(BUILD)/vpc-conform $(BUILD)/libvpc_reference.so $(CONFORM_OBJ)/tests/fake.so ## look at the report in a browser
	@$(CONFORM)/tests/check-page $(BUILD)

# In a fresh VM each; --jobs as the processors are many.
.PHONY: conformance-generated
conformance-generated: all $(GENERATED)/made ## judge the reference in QEMU by the scenarios that are generated
	@tools/guest-image --dir $(GUEST)
	@$(BUILD)/vpc-conform run --backend qemu --jobs "$$(nproc)" --min 400 \
		--implementation $(CONFORM)/implementations/reference-host.ini \
		--implementation $(CONFORM)/implementations/reference-guest.ini \
		--guest-dir $(GUEST) --out $(BUILD)/generated.out $(GENERATED) | tail -n 1

# An implementation that is spoken to by a program of its own, and programs that lie.
CHECKS += check-adapter
.PHONY: check-adapter
check-adapter: $(BUILD)/vpc-conform $(BUILD)/vpc-host ## judge the reference through an adapter
	@$(CONFORM)/tests/check-adapter $(BUILD)

# Every host with every guest that is known; the harness stands in the middle.  Those in Go where there is a Go.
INTEROP := $(addprefix --implementation $(CONFORM)/implementations/,reference-host.ini reference-guest.ini \
             $(if $(HAVE_GO),go-host.ini go-guest.ini))
CHECKS += check-interop
.PHONY: interop check-interop
interop: $(BUILD)/vpc-conform $(BUILD)/vpc-host $(BUILD)/vpc-guest $(if $(HAVE_GO),go) ## each host endpoint that is known with each guest endpoint: the matrix
	@$< interop $(INTEROP) --split random --out $(BUILD)/interop.out --json $(BUILD)/interop.json

check-interop: $(BUILD)/vpc-conform $(BUILD)/vpc-host $(BUILD)/vpc-guest
	@$(CONFORM)/tests/check-interop $(BUILD)

# Faults of the reference, each of which a scenario of its requirement must see (mutants/README.md; three minutes).
# MUTANTS='--backend inproc' leaves out those that need real time.
.PHONY: mutants
mutants: all ## judge faulty copies of the reference: the mutation score (python3)
	@$(CONFORM)/mutants/judge $(MUTANTS) --report $(BUILD)/mutants.md $(BUILD)

# Every place of the reference that can be changed, one at a time (mutants/README.md).  MUTATE has the options: a sample, files, minutes.
.PHONY: mutate check-mutate
mutate: $(BUILD)/vpc-conform $(GENERATED)/made ## change the reference everywhere, one place at a time (tools/setup --for mutate)
	@$(CONFORM)/mutants/systematic/mutate $(MUTATE) $(BUILD)

check-mutate: ## look at the tool of make mutate itself
	@$(CONFORM)/mutants/systematic/check-rewrite

.SECONDARY: $(CONFORM_RL:%=$(CONFORM_GEN)/%.rl.c) $(CONFORM_TESTS:%=%.o)

-include $(wildcard $(CONFORM_OBJ)/*.d $(CONFORM_OBJ)/*/*.d)
