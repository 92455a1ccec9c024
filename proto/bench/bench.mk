# proto/bench/: how fast the library is.  Not a part of `make check`: figures are for a reader.

PROTO_BENCH_DIR  := $(BUILD)/proto/bench
PROTO_BENCH_OBJS := $(addprefix $(PROTO_BENCH_DIR)/,main.o goals.o report.o measure.o streams.o verify.o codec.o \
                    rig.o lines.o session_suites.o instructions.o hand_decoder.o)
BENCH_ARGS       ?=

$(PROTO_BENCH_DIR):
	mkdir -p $@

$(PROTO_BENCH_DIR)/%.o: proto/bench/%.c | $(PROTO_BENCH_DIR)
	$(CC) $(PROTO_CFLAGS) -Iproto/bench -c -o $@ $<

$(PROTO_BENCH_DIR)/bench-proto: $(PROTO_BENCH_OBJS) $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^ -ljansson

.PHONY: bench-proto
bench-proto: $(PROTO_BENCH_DIR)/bench-proto ## measure the protocol library (BENCH_ARGS=--json for programs)
	@$< $(BENCH_ARGS)

-include $(PROTO_BENCH_OBJS:.o=.d)
