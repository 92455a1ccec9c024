# tools/bench/: what VPCBus costs beside other ways into a guest.  See README.md.

BENCH          ?=
BENCH_PROGRAMS := $(BUILD)/bench/bench-client $(BUILD)/guest/bench-server $(BUILD)/guest/bench-relay
BENCH_NEEDS    := $(BENCH_PROGRAMS) $(addprefix $(BUILD)/,vpc-host vpc-guest vpcctl)
BENCH_CFLAGS    = $(VPC_CFLAGS) -Iimpl/lib -MMD -MP -MF $(BUILD)/bench/$(@F).d

$(BUILD)/bench/bench-client: tools/bench/client.c $(BUILD)/libvpc.a
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) $(VPC_LDFLAGS) -o $@ $(filter %.c %.a,$^) -ljansson

# These run in the guest too.
$(BUILD)/guest/bench-%: tools/bench/%.c
	@mkdir -p $(@D) $(BUILD)/bench
	$(CC) $(BENCH_CFLAGS) $(VPC_LDFLAGS) $(IMPL_STATIC) -o $@ $<

.PHONY: bench run-bench
bench: setup ## VPCBus beside other ways into a guest, in ten minutes (BENCH='--quick --only socket')
	@$(MAKE) --no-print-directory run-bench

run-bench: $(BENCH_NEEDS)
	@tools/guest-image --dir $(GUEST)
	@tools/bench/bench.py --build $(BUILD) $(BENCH)

.PHONY: bench-forwards
bench-forwards: $(BENCH_NEEDS) ## a forward beside QEMU's hostfwd, with many connections, in some minutes
	@tools/guest-image --dir $(GUEST)
	@tools/bench/forwards.py --build $(BUILD)

CHECKS += check-bench
.PHONY: check-bench
check-bench: $(BENCH_NEEDS) ## the tool that measures: its arithmetic, and a quick run without QEMU
	@tools/bench/test_bench.py $(BUILD)

# What the shells cost in instructions and system calls, against tools/bench/costs.json.
CHECKS += check-costs
.PHONY: check-costs costs-renew
check-costs: $(BENCH_NEEDS) ## instructions and system calls of the endpoints, against what they were
	@tools/bench/costs.py --build $(BUILD)

costs-renew: $(BENCH_NEEDS) ## write that down anew, in tools/bench/costs.json
	@tools/bench/costs.py --build $(BUILD) --renew

-include $(wildcard $(BUILD)/bench/*.d)
