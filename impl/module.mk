# impl: the two endpoints' programs, the client library and the command line.

IMPL_GEN     := $(BUILD)/gen/impl
IMPL_CFLAGS   = $(VPC_CFLAGS) -Ispec -Iproto -Iimpl/lib -Iimpl
IMPL_LIB_SRC := channel_end control file_name group hresult local_socket log_entry log_line named_event output readiness runtime_dir trust virtual_machine
IMPL_LIB_OBJ := $(IMPL_LIB_SRC:%=$(BUILD)/impl/lib/%.o) $(BUILD)/impl/lib/pipe_name.o
IMPL_LIB_PIC := $(IMPL_LIB_OBJ:$(BUILD)/impl/%=$(BUILD)/impl-pic/%)

IMPL_SHELL_SRC := acts bus bus_address bus_dial bus_vsock carry_out control_server daemon entry journal kept_files listener log_file log_link log_share loop named_socket opener pcapng pipe_input pipe_server ready_event run sandbox service_manager settings shell stream stream_io stream_machines tcp_client trace trace_cut
# What befalls the machine, and whose turn it is at its bus.
IMPL_SHELL_SRC += bus_turn machine observer qmp
IMPL_SHELL_SRC += forward
IMPL_SHELL_OBJ := $(IMPL_SHELL_SRC:%=$(BUILD)/impl/shell/%.o)

# The machines of a stream: the names of the events stand once, in the grammar.
SHELL_GEN := $(BUILD)/gen/impl/stream_events.h
$(SHELL_GEN): impl/shell/stream.rl
	@mkdir -p $(@D)
	{ echo '/* Generated from impl/shell/stream.rl. */'; echo 'enum vpc_stream_event {'; \
	  sed 's/#.*//' $< | grep -oE '^[a-z_]+ *= *[0-9]+;' | \
	  sed -E 's/([a-z_]+) *= *([0-9]+);/    VPC_ON_\U\1\E = \2,/'; echo '};'; } > $@

RAGEL_MADE += $(BUILD)/gen/impl/stream_machines.c $(IMPL_GEN)/pipe_name.c

$(BUILD)/gen/impl/stream_machines.c: impl/shell/stream_machines.rl impl/shell/stream.rl
	@mkdir -p $(@D)
	$(RAGEL) -G2 -I impl/shell -o $@ $<

$(BUILD)/impl/shell/stream_machines.o: $(BUILD)/gen/impl/stream_machines.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) -Iimpl/shell $(GEN_CFLAGS) -MMD -MP -c -o $@ $<

# What ragel itself says of each machine: for the test, and for the document.  `ragel -x` wants every action defined.
STREAM_MACHINES := vpc_stream_life vpc_pipe_input vpc_tcp_input vpc_stream_output
STREAM_XML := $(STREAM_MACHINES:%=$(BUILD)/gen/impl/%.xml)
RAGEL_MADE += $(STREAM_XML)

$(STREAM_XML:.xml=.stub.rl): $(BUILD)/gen/impl/%.stub.rl: impl/shell/stream.rl
	@mkdir -p $(@D)
	{ echo '%%{'; echo 'machine $*_stub;'; \
	  sed 's/#.*//' $< | grep -oE '[@~][a-z_]+' | sort -u | sed -E 's/.(.*)/action \1 {}/'; \
	  echo 'include $* "stream.rl";'; echo 'write data;'; echo '}%%'; } > $@

$(STREAM_XML): %.xml: %.stub.rl
	$(RAGEL) -x -I impl/shell -o $@ $<

$(BUILD)/gen/impl/stream_rules.h: $(STREAM_XML) tools/lifecycle.awk
	{ for m in $(STREAM_MACHINES); do \
	    awk -v form=c -v machine=$$m -f tools/lifecycle.awk impl/shell/stream.rl $(BUILD)/gen/impl/$$m.xml || exit 1; done; } > $@

.PHONY: stream-doc check-stream-doc
stream-doc: $(STREAM_XML) ## write impl/shell/STREAM.md anew
	impl/shell/stream-doc $(BUILD)/gen/impl > impl/shell/STREAM.md

CHECKS += check-stream-doc
check-stream-doc: $(STREAM_XML) ## see that impl/shell/STREAM.md is what stream.rl says
	@impl/shell/stream-doc $(BUILD)/gen/impl | cmp - impl/shell/STREAM.md || { echo 'run make stream-doc' >&2; exit 1; }

# The functions that impl/README.md leads through are there.
.PHONY: check-map
CHECKS += check-map
check-map: ## see that impl/README.md names functions that there are
	@for f in $$(grep -oE '`[a-z_]+\(\)`' impl/README.md | tr -d '`()' | sort -u); do \
	    grep -rqwF --include=*.[chl] --include=*.rl "$$f" impl proto spec || { echo "impl/README.md: there is no $$f()"; exit 1; }; done

# The trace asks the protocol's parser what a frame is.

MANPAGES := $(wildcard impl/*.[1-8])

include impl/core/core.mk
include impl/install.mk
include impl/examples/examples.mk

# The shell's own entries of the log are in the catalogue too.
$(IMPL_SHELL_OBJ): $(CORE_GEN) $(SHELL_GEN)
$(IMPL_SHELL_OBJ): IMPL_CFLAGS += -I$(BUILD)/gen/impl

IMPL_CTL_OBJ := $(patsubst %,$(BUILD)/impl/%.o,vpcctl ctl/ctl ctl/vm ctl/wait_ready ctl/channel ctl/events ctl/event_xml ctl/log_files ctl/connect)
IMPL_CTL_OBJ += $(BUILD)/impl/ctl/forward.o
IMPL_CTL_OBJ += $(BUILD)/impl/ctl/events_json.o

# The guest's programs stand alone in an image without libraries; a sanitizer's runtime can't be linked like that.
IMPL_STATIC := $(if $(SAN),-pie,$(if $(HARDENED),-static-pie,-static))

# Who tells the version is made anew with it.
$(addprefix $(BUILD)/impl,/vpcctl.o /shell/settings.o /core/control.o /core/endpoint.o -pic/core/control.o -pic/core/endpoint.o): Makefile

PROGRAMS += $(BUILD)/libvpc.a $(BUILD)/libvpc.so $(BUILD)/vpcctl $(BUILD)/guest/vpcctl $(BUILD)/hello_channel
PROGRAMS += $(BUILD)/vpc-host $(BUILD)/vpc-guest

$(BUILD)/impl/%.o: impl/%.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/impl-pic/%.o: impl/%.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(IMPL_GEN)/pipe_name.c: impl/lib/pipe_name.rl spec/names.rl
	@mkdir -p $(@D)
	$(RAGEL) -C -G2 -I spec -o $@ $<

$(BUILD)/impl/lib/pipe_name.o: $(IMPL_GEN)/pipe_name.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) $(GEN_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/impl-pic/lib/pipe_name.o: $(IMPL_GEN)/pipe_name.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) $(GEN_CFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(BUILD)/libvpc.a: $(IMPL_LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

# The catalogue for `vpcctl events --explain`, octet by octet.
$(IMPL_GEN)/events_json.c: spec/events.json
	@mkdir -p $(@D)
	{ echo 'extern const char vpc_events_json[];'; echo 'const char vpc_events_json[] = {'; \
	  od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g'; echo '0};'; } > $@

$(BUILD)/impl/ctl/events_json.o: $(IMPL_GEN)/events_json.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/vpcctl: $(IMPL_CTL_OBJ) $(BUILD)/libvpc.a
	$(CC) $(VPC_LDFLAGS) -pie -o $@ $^ -ljansson

$(BUILD)/guest/vpcctl: $(IMPL_CTL_OBJ) $(BUILD)/libvpc.a
	@mkdir -p $(@D)
	$(CC) $(VPC_LDFLAGS) $(IMPL_STATIC) -o $@ $^ -ljansson

$(BUILD)/hello_channel: $(BUILD)/impl/examples/hello_channel.o $(BUILD)/libvpc.so
	$(CC) $(VPC_LDFLAGS) -o $@ $< -L$(BUILD) -lvpc -Wl,-rpath,'$$ORIGIN'

$(BUILD)/vpc-host: $(BUILD)/impl/vpc-host.o $(IMPL_SHELL_OBJ) $(CORE_OBJS) $(LIBVPCBUS) $(BUILD)/libvpc.a
	$(CC) $(VPC_LDFLAGS) -pie -o $@ $^ -ljansson -lseccomp

$(BUILD)/vpc-guest: $(BUILD)/impl/vpc-guest.o $(IMPL_SHELL_OBJ) $(CORE_OBJS) $(LIBVPCBUS) $(BUILD)/libvpc.a
	$(CC) $(VPC_LDFLAGS) $(IMPL_STATIC) -o $@ $^ -ljansson -lseccomp

# ---- tests ----------------------------------------------------------------------------------------

IMPL_TESTS := stream_machines timers open_files crowd pipe_name name_vectors named_event bus shell shell_streams strangers trace log_file full_disk daemons sandbox floods failures listener two_vms footprint journal service_manager opener group
IMPL_TESTS += observer qmp
IMPL_TESTS += forward
TESTS      += $(IMPL_TESTS:%=$(BUILD)/test_impl_%)

IMPL_RIG_OBJ := $(BUILD)/impl/tests/fake_endpoint.o $(BUILD)/impl/tests/shell_rig.o $(IMPL_SHELL_OBJ) $(LIBVPCBUS)
$(BUILD)/test_impl_shell $(BUILD)/test_impl_shell_streams $(BUILD)/test_impl_daemons: $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_strangers $(BUILD)/test_impl_sandbox $(BUILD)/test_impl_floods $(BUILD)/test_impl_trace $(BUILD)/test_impl_log_file: $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_log_file: $(BUILD)/impl/ctl/log_files.o
$(BUILD)/test_impl_listener $(BUILD)/test_impl_two_vms $(BUILD)/test_impl_bus $(BUILD)/test_impl_crowd: $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_forward: $(IMPL_RIG_OBJ)
$(BUILD)/impl/tests/test_crowd.o: IMPL_CFLAGS += -I$(BUILD)/gen/impl
$(BUILD)/impl/tests/test_crowd.o: $(CORE_GEN) $(SHELL_GEN)
$(BUILD)/impl/tests/test_listener.o $(BUILD)/impl/tests/test_log_file.o: IMPL_CFLAGS += -I$(BUILD)/gen/impl
$(BUILD)/impl/tests/test_listener.o $(BUILD)/impl/tests/test_log_file.o: $(CORE_GEN)
$(BUILD)/test_impl_footprint: $(IMPL_RIG_OBJ) $(BUILD)/impl/tests/programs.o
$(BUILD)/test_impl_footprint $(BUILD)/test_impl_two_vms $(BUILD)/test_impl_forward: | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_daemons $(BUILD)/test_impl_floods $(BUILD)/test_impl_two_vms $(BUILD)/test_impl_forward $(BUILD)/test_impl_bus: $(BUILD)/impl/tests/programs.o
$(BUILD)/test_impl_daemons $(BUILD)/test_impl_trace: $(BUILD)/impl/tests/trace_reader.o
$(BUILD)/test_impl_floods: $(BUILD)/impl/tests/flood_rig.o $(BUILD)/impl/tests/wire_peer.o | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_open_files: $(BUILD)/impl/tests/programs.o | $(BUILD)/vpc-host
$(BUILD)/test_impl_journal: $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_service_manager: $(IMPL_RIG_OBJ) $(BUILD)/impl/tests/programs.o | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_stream_machines: $(BUILD)/impl/shell/stream_machines.o
$(BUILD)/impl/tests/test_stream_machines.o: $(BUILD)/gen/impl/stream_rules.h $(SHELL_GEN)
$(BUILD)/impl/tests/test_stream_machines.o: IMPL_CFLAGS += -I$(BUILD)/gen/impl
$(BUILD)/test_impl_full_disk: $(IMPL_RIG_OBJ) $(BUILD)/impl/tests/programs.o | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_opener: $(IMPL_RIG_OBJ) $(BUILD)/impl/tests/programs.o | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_observer $(BUILD)/test_impl_qmp: $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_group: $(IMPL_RIG_OBJ) $(BUILD)/impl/tests/programs.o | $(BUILD)/vpc-host $(BUILD)/vpc-guest
$(BUILD)/test_impl_timers: $(BUILD)/impl/shell/loop.o
$(BUILD)/test_impl_daemons: | $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl

# In this one system calls and memory fail on demand.
IMPL_FAILING := accept4 socket bind listen connect flock epoll_create1 epoll_ctl ftruncate mmap open
$(BUILD)/test_impl_failures: $(IMPL_RIG_OBJ) $(CORE_OBJS) \
        $(addprefix $(BUILD)/impl/,tests/failing.o core/tests/heap.o)
$(BUILD)/test_impl_failures: VPC_LDFLAGS += $(CORE_HEAP_WRAP) $(IMPL_FAILING:%=-Wl,--wrap=%)

$(BUILD)/impl/tests/%.o: IMPL_CFLAGS += -Iimpl/shell -Iproto -I. -DVPC_BUILD='"$(BUILD)"' -DVPC_VECTORS='"$(abspath spec/vectors)"'

$(BUILD)/test_impl_%: $(BUILD)/impl/tests/test_%.o $(BUILD)/impl/tests/scratch.o $(BUILD)/libvpc.a
	$(CC) $(VPC_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcriterion -ljansson -lseccomp

# ---- the journal's message catalogue -----------------------------------------------------------------

PROGRAMS += $(BUILD)/vpcbus.catalog
JOURNAL_PREFIX = $(shell sed -n 's/^\#define VPC_JOURNAL_MESSAGE_ID "\(.*\)"/\1/p' impl/shell/journal.h)

$(BUILD)/vpcbus.catalog: impl/journal-catalog.jq spec/events.json impl/shell/journal.h
	@mkdir -p $(@D)
	jq -r --arg prefix '$(JOURNAL_PREFIX)' -f impl/journal-catalog.jq spec/events.json > $@

.PHONY: check-journal-catalog
CHECKS += check-journal-catalog
check-journal-catalog: $(BUILD)/vpcbus.catalog ## let journalctl read the message catalogue, where it is there
	@impl/tests/check-journal-catalog $<

include impl/ctl/ctl.mk

# ---- manual pages ----------------------------------------------------------------------------------

.PHONY: check-man
CHECKS += check-man
check-man: ## check the manual pages, where mandoc is there
	@if command -v mandoc >/dev/null; then mandoc -Tlint -W warning $(MANPAGES); else echo 'no mandoc: manual pages not checked'; fi

# ---- the forms of the event log -----------------------------------------------------------------------

.PHONY: check-event-xml check-events-follow
CHECKS += check-event-xml check-events-follow
check-events-follow: $(BUILD)/vpcctl ## follow the event log over log rotation
	@impl/tests/check-events-follow $<

check-event-xml: $(BUILD)/vpcctl ## validate the event log's Windows XML, where xmllint is there
	@impl/tests/check-event-xml $<

-include $(wildcard $(BUILD)/impl/*.d $(BUILD)/impl/*/*.d $(BUILD)/impl-pic/*/*.d)
