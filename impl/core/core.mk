# impl/core: the decisions of both endpoints, and the shared object that exports them.

CORE_SRC  := abi actions options eventlog guestlog relay host guest control direct
CORE_OBJS  = $(CORE_SRC:%=$(BUILD)/impl/core/%.o)
CORE_PIC   = $(CORE_SRC:%=$(BUILD)/impl-pic/core/%.o)
CORE_GEN  := $(BUILD)/gen/impl/event_catalogue.h

PROGRAMS += $(BUILD)/libvpc_reference.so

# The catalogue stands once, in spec/.
$(CORE_GEN): impl/core/catalogue.jq spec/events.json
	@mkdir -p $(@D)
	jq -rf $^ > $@

$(CORE_OBJS) $(CORE_PIC) $(BUILD)/impl/lib/log_entry.o $(BUILD)/impl-pic/lib/log_entry.o: $(CORE_GEN)
$(CORE_OBJS) $(CORE_PIC): IMPL_CFLAGS += -Iproto -I$(BUILD)/gen/impl
$(BUILD)/impl/lib/log_entry.o $(BUILD)/impl-pic/lib/log_entry.o: IMPL_CFLAGS += -I$(BUILD)/gen/impl

$(BUILD)/libvpc_reference.so: $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libvpc_reference.so -Wl,-Bsymbolic -o $@ $^ -ljansson

# ---- tests: the endpoints behind the ABI, on a virtual clock ------------------------------------------------

CORE_TESTS    := start relay drain control guestlog hostile walk memory
CORE_TEST_RIG  = $(addprefix $(BUILD)/impl/core/tests/,rig.o rig_say.o peer.o)
TESTS         += $(CORE_TESTS:%=$(BUILD)/test_core_%)

$(BUILD)/impl/core/tests/%.o: IMPL_CFLAGS += -Iproto -DEVENTS_JSON='"$(CURDIR)/spec/events.json"'

$(CORE_TESTS:%=$(BUILD)/test_core_%): $(BUILD)/test_core_%: $(BUILD)/impl/core/tests/test_%.o $(CORE_TEST_RIG) \
        $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion -ljansson

# These count and refuse memory.
CORE_HEAP_WRAP  := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free,--wrap=json_loads,--wrap=json_loadb
CORE_HEAP_TESTS := walk memory
$(CORE_HEAP_TESTS:%=$(BUILD)/test_core_%): $(BUILD)/impl/core/tests/heap.o
$(CORE_HEAP_TESTS:%=$(BUILD)/test_core_%): VPC_LDFLAGS += $(CORE_HEAP_WRAP)

-include $(wildcard $(BUILD)/impl/core/tests/*.d)
