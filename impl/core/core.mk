# impl/core: the decisions of both endpoints, and the shared object that exports them.

CORE_SRC  := abi endpoint events action_queue options eventlog guestlog relay relays relay_actions relay_limits forward \
             time_limits host guest machine control direct
CORE_MADE := machines forward_machine
CORE_OBJS  = $(addprefix $(BUILD)/impl/core/,$(addsuffix .o,$(CORE_SRC) $(CORE_MADE)))
CORE_PIC   = $(addprefix $(BUILD)/impl-pic/core/,$(addsuffix .o,$(CORE_SRC) $(CORE_MADE)))
CORE_GEN  := $(addprefix $(BUILD)/gen/impl/,event_catalogue.h local_events.h forward_events.h)

PROGRAMS += $(BUILD)/libvpc_reference.so

# The catalogue stands once, in spec/.
$(BUILD)/gen/impl/event_catalogue.h: impl/core/catalogue.jq spec/events.json
	@mkdir -p $(@D)
	jq -rf $^ > $@

# The names of a relay's events, and of a forward's, stand once, in the grammar.
$(BUILD)/gen/impl/local_events.h: EVENT_PREFIX = VPC_LOCAL_
$(BUILD)/gen/impl/forward_events.h: EVENT_PREFIX = VPC_FORWARD_ON_
$(BUILD)/gen/impl/%_events.h: impl/core/%.rl
	@mkdir -p $(@D)
	{ echo '/* Generated from $<. */'; echo 'enum vpc_$*_event {'; \
	  sed 's/#.*//' $< | grep -oE '[a-z_]+ *= *[0-9]+;' | \
	  sed -E 's/([a-z_]+) *= *([0-9]+);/    $(EVENT_PREFIX)\U\1\E = \2,/'; echo '};'; } > $@

RAGEL_MADE += $(CORE_MADE:%=$(BUILD)/gen/impl/%.c)

$(BUILD)/gen/impl/machines.c: impl/core/local.rl
$(BUILD)/gen/impl/forward_machine.c: impl/core/forward.rl
$(CORE_MADE:%=$(BUILD)/gen/impl/%.c): $(BUILD)/gen/impl/%.c: impl/core/%.rl
	@mkdir -p $(@D)
	$(RAGEL) -G2 -I impl/core -o $@ $<

CORE_MACHINES_CFLAGS = $(IMPL_CFLAGS) $(GEN_CFLAGS) -Iimpl/core -MMD -MP -c
$(CORE_MADE:%=$(BUILD)/impl/core/%.o): $(BUILD)/impl/core/%.o: $(BUILD)/gen/impl/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_MACHINES_CFLAGS) -o $@ $<

$(CORE_MADE:%=$(BUILD)/impl-pic/core/%.o): $(BUILD)/impl-pic/core/%.o: $(BUILD)/gen/impl/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_MACHINES_CFLAGS) -fPIC -o $@ $<

$(CORE_OBJS) $(CORE_PIC) $(BUILD)/impl/lib/log_entry.o $(BUILD)/impl-pic/lib/log_entry.o: $(CORE_GEN)
$(CORE_OBJS) $(CORE_PIC): IMPL_CFLAGS += -Iproto -I$(BUILD)/gen/impl
$(BUILD)/impl/lib/log_entry.o $(BUILD)/impl-pic/lib/log_entry.o: IMPL_CFLAGS += -I$(BUILD)/gen/impl

$(BUILD)/libvpc_reference.so: $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libvpc_reference.so -Wl,-Bsymbolic -o $@ $^ -ljansson

# ---- the machines as tables and pictures --------------------------------------------------------------------

# As for spec/lifecycle.rl: `ragel -x` wants every action defined before the grammar is included.
CORE_LOCAL    := $(BUILD)/gen/local
CORE_MACHINES := vpc_local_opening vpc_local_writing vpc_local_delivery

RAGEL_MADE += $(CORE_MACHINES:%=$(CORE_LOCAL)/%.xml)

$(CORE_LOCAL)/%.xml: impl/core/local.rl
	@mkdir -p $(@D)
	{ echo '%%{'; echo 'machine $*_stub;'; \
	  sed 's/#.*//' $< | grep -oE '[@~][a-z_]+' | sort -u | sed -E 's/.(.*)/action \1 {}/'; \
	  echo 'include $* "local.rl";'; echo 'write data;'; echo '}%%'; } > $(@:.xml=.stub.rl)
	$(RAGEL) -x -I impl/core -o $@ $(@:.xml=.stub.rl)

$(CORE_LOCAL)/local_rules.h: $(CORE_MACHINES:%=$(CORE_LOCAL)/%.xml) tools/lifecycle.awk
	{ for m in $(CORE_MACHINES); do \
	    awk -v form=c -v machine=$$m -f tools/lifecycle.awk impl/core/local.rl $(CORE_LOCAL)/$$m.xml || exit 1; done; } > $@

# The document's figures and tables, anew.
$(CORE_LOCAL)/LIFECYCLE.md: impl/core/LIFECYCLE.md impl/core/local.rl $(CORE_MACHINES:%=$(CORE_LOCAL)/%.xml) tools/lifecycle.awk
	impl/core/lifecycle-doc $(CORE_LOCAL) < $< > $@

.PHONY: lifecycle check-lifecycle
lifecycle: $(CORE_LOCAL)/LIFECYCLE.md ## fill in the figures and tables of impl/core/LIFECYCLE.md
	@cmp -s $< impl/core/LIFECYCLE.md || cp $< impl/core/LIFECYCLE.md

check-lifecycle: $(CORE_LOCAL)/LIFECYCLE.md
	@cmp -s $< impl/core/LIFECYCLE.md || { echo 'impl/core/LIFECYCLE.md: is not what impl/core/local.rl says: make lifecycle'; exit 1; }

CHECKS += check-lifecycle

# ---- tests: the endpoints behind the ABI, on a virtual clock ------------------------------------------------

CORE_TESTS    := start relay drain control guestlog hostile walk memory
CORE_CROWD     = $(BUILD)/impl/core/tests/crowd.o $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
CORE_TEST_RIG  = $(addprefix $(BUILD)/impl/core/tests/,rig.o rig_say.o peer.o)
TESTS         += $(CORE_TESTS:%=$(BUILD)/test_core_%) $(BUILD)/test_core_local $(BUILD)/test_core_work

$(BUILD)/impl/core/tests/%.o: IMPL_CFLAGS += -Iproto -Iimpl/core -I$(BUILD)/gen/impl \
        -DEVENTS_JSON='"$(CURDIR)/spec/events.json"'
$(BUILD)/impl/core/tests/test_local.o: IMPL_CFLAGS += -I$(CORE_LOCAL)
$(BUILD)/impl/core/tests/test_local.o $(BUILD)/impl/core/tests/test_work.o: $(CORE_GEN)
$(BUILD)/impl/core/tests/test_local.o: $(CORE_LOCAL)/local_rules.h

$(CORE_TESTS:%=$(BUILD)/test_core_%): $(BUILD)/test_core_%: $(BUILD)/impl/core/tests/test_%.o $(CORE_TEST_RIG) \
        $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion -ljansson

# The machines alone: the test defines their actions and sees which of them run.
$(BUILD)/test_core_local: $(BUILD)/impl/core/tests/test_local.o $(BUILD)/impl/core/machines.o
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion

$(BUILD)/test_core_work: $(BUILD)/impl/core/tests/test_work.o $(CORE_CROWD)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -lcriterion -ljansson

.PHONY: bench-core
$(BUILD)/bench-core: $(BUILD)/impl/core/bench/starts.o $(CORE_CROWD)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -ljansson

bench-core: $(BUILD)/bench-core ## what a start costs beside 0, 999 and 9999 other pairs
	@for n in 1 1000 10000; do $< $$n; done

# These count and refuse memory.
CORE_HEAP_WRAP  := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free,--wrap=json_loads,--wrap=json_loadb
CORE_HEAP_TESTS := walk memory
$(CORE_HEAP_TESTS:%=$(BUILD)/test_core_%): $(BUILD)/impl/core/tests/heap.o
$(CORE_HEAP_TESTS:%=$(BUILD)/test_core_%): VPC_LDFLAGS += $(CORE_HEAP_WRAP)

-include $(wildcard $(BUILD)/impl/core/tests/*.d)
