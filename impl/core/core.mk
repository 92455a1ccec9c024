# impl/core: the decisions of both endpoints, and the shared object that exports them.

CORE_SRC  := abi actions options eventlog relay host guest control
CORE_OBJS  = $(CORE_SRC:%=$(BUILD)/impl/core/%.o)
CORE_PIC   = $(CORE_SRC:%=$(BUILD)/impl-pic/core/%.o)
CORE_GEN  := $(BUILD)/gen/impl/event_catalogue.h

PROGRAMS += $(BUILD)/libvpc_reference.so

# The catalogue stands once, in spec/.
$(CORE_GEN): spec/events.json
	@mkdir -p $(@D)
	{ echo '/* Generated from spec/events.json. */'; \
	  jq -r '"enum vpc_log_id {", (.events[] | "    VPC_LOG_\(.name) = \(.id),"), "};", \
	    "struct vpc_log_kind {\n    int id;\n    const char *name, *level, *message;\n};", \
	    "static const struct vpc_log_kind vpc_log_kinds[] = {", \
	    (.events[] | "    {\(.id), \(.name|@json), \(.level|@json), \(.message|@json)},"), "};"' $<; } > $@

$(CORE_OBJS) $(CORE_PIC): $(CORE_GEN)
$(CORE_OBJS) $(CORE_PIC): IMPL_CFLAGS += -Iproto -I$(BUILD)/gen/impl -Wno-unused-const-variable

$(BUILD)/libvpc_reference.so: $(CORE_PIC) $(IMPL_LIB_PIC) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -shared -Wl,-soname,libvpc_reference.so -Wl,-Bsymbolic -o $@ $^ -ljansson
