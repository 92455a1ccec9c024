# proto/: the protocol library.

PROTO_DIR := $(BUILD)/proto
PROTO_OBJS := $(addprefix $(PROTO_DIR)/,parser.o machines.o encode.o session.o pair.o pair_receive.o pair_local.o output.o heartbeat.o)
LIBVPCBUS := $(BUILD)/libvpcbus.a

$(PROTO_DIR):
	mkdir -p $@

# The names of the events stand once, in the grammar.
$(PROTO_DIR)/lifecycle_events.h: spec/lifecycle.rl | $(PROTO_DIR)
	{ echo '/* Generated from spec/lifecycle.rl. */'; echo 'enum vpc_lifecycle_event {'; \
	  sed 's/#.*//' $< | grep -oE '[a-z_]+ *= *[0-9]+;' | \
	  sed -E 's/([a-z_]+) *= *([0-9]+);/    VPC_LC_\U\1\E = \2,/'; echo '};'; } > $@

RAGEL_MADE += $(PROTO_DIR)/parser.c $(PROTO_DIR)/machines.c

$(PROTO_DIR)/parser.c: proto/parser.rl spec/frames.rl | $(PROTO_DIR)
	$(RAGEL) -G2 -I spec -o $@ $<

$(PROTO_DIR)/machines.c: proto/machines.rl spec/lifecycle.rl | $(PROTO_DIR)
	$(RAGEL) -G2 -I spec -o $@ $<

PROTO_CFLAGS = $(VPC_CFLAGS) -fPIC -Iproto -I$(PROTO_DIR) -MMD -MP

$(PROTO_DIR)/parser.o $(PROTO_DIR)/machines.o: $(PROTO_DIR)/%.o: $(PROTO_DIR)/%.c $(PROTO_DIR)/lifecycle_events.h
	$(CC) $(PROTO_CFLAGS) $(GEN_CFLAGS) -c -o $@ $<

$(PROTO_DIR)/%.o: proto/%.c $(PROTO_DIR)/lifecycle_events.h
	$(CC) $(PROTO_CFLAGS) -c -o $@ $<

$(LIBVPCBUS): $(PROTO_OBJS)
	rm -f $@
	$(AR) rcs $@ $^

PROGRAMS += $(LIBVPCBUS)
-include $(PROTO_OBJS:.o=.d)

include proto/tests.mk
include proto/bench/bench.mk
