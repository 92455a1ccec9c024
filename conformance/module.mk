# conformance/: vpc-conform, the harness that judges any implementation.  It shares only spec/ with the others.

CONFORM      := conformance
CONFORM_OBJ  := $(BUILD)/conformance
CONFORM_GEN  := $(BUILD)/gen/conformance
CONFORM_SRCS := $(filter-out $(addprefix $(CONFORM)/,main.c puppet%.c qmp.c vm%.c),$(wildcard $(CONFORM)/*.c))
CONFORM_RL   := $(patsubst $(CONFORM)/%.rl,%,$(wildcard $(CONFORM)/*.rl))
CONFORM_OBJS := $(CONFORM_SRCS:%.c=$(BUILD)/%.o) $(CONFORM_OBJ)/embedded.o \
                $(CONFORM_RL:%=$(CONFORM_OBJ)/%.rl.o)
CONFORM_LIBS := -ljansson -linih -ldl

-include $(CONFORM)/vm.mk

PROGRAMS += $(BUILD)/vpc-conform

# VM_LIB_OBJ (vm.mk): what boots a virtual machine and talks to the puppet in it.
$(BUILD)/vpc-conform: $(CONFORM_OBJ)/main.o $(CONFORM_OBJS) $(VM_LIB_OBJ)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ $(CONFORM_LIBS)

$(CONFORM_OBJ)/%.o: $(CONFORM)/%.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -MMD -MP -c -o $@ $<

$(CONFORM_OBJ)/embedded.o: $(CONFORM)/embedded.S spec/messages.json spec/events.json spec/VPCBUS.md
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

$(CONFORM_GEN)/%.rl.c: $(CONFORM)/%.rl $(wildcard spec/*.rl)
	@mkdir -p $(@D)
	$(RAGEL) -C -T0 -I spec -o $@ $<

$(CONFORM_OBJ)/%.rl.o: $(CONFORM_GEN)/%.rl.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) $(GEN_CFLAGS) -I$(CONFORM) -I. -MMD -MP -c -o $@ $<

# ---- tests ----------------------------------------------------------------------------------------------------------

CONFORM_TESTS := $(patsubst %,$(CONFORM_OBJ)/tests/test_%,codec script descriptor verdict)
TESTS += $(CONFORM_TESTS)

$(CONFORM_OBJ)/tests/%.o: $(CONFORM)/tests/%.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -DVPC_TEST_DIR='"$(abspath $(CONFORM_OBJ)/tests)"' -MMD -MP -c -o $@ $<

# An endpoint that lies on demand: the harness must see it.
CONFORM_FAKE := $(CONFORM)/tests/fake.c $(addprefix $(CONFORM)/,codec.c decoder.c table.c memory.c)

$(CONFORM_OBJ)/tests/fake.so: $(CONFORM_FAKE) $(CONFORM_OBJ)/embedded.o
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) -I$(CONFORM) -I. -fPIC -shared -Wl,-Bsymbolic -o $@ $^ -ljansson

$(CONFORM_OBJ)/tests/test_verdict: | $(CONFORM_OBJ)/tests/fake.so

$(CONFORM_TESTS): %: %.o $(CONFORM_OBJS) $(VM_LIB_OBJ)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ $(CONFORM_LIBS) -lcriterion

.SECONDARY: $(CONFORM_RL:%=$(CONFORM_GEN)/%.rl.c) $(CONFORM_TESTS:%=%.o)

-include $(wildcard $(CONFORM_OBJ)/*.d $(CONFORM_OBJ)/tests/*.d)
