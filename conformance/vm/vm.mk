# The virtual machines of the harness: the puppet that goes into the guest, and the library that
# starts VMs and talks to it.

VM_CFLAGS := -Iconformance
VM_LIB_SRC := conformance/puppet/puppet_wire.c conformance/puppet/puppet_client.c conformance/vm/qmp.c \
	conformance/vm/vm.c conformance/vm/vm_hash.c conformance/vm/vm_snapshot.c conformance/vm/vm_moment.c
VM_LIB_OBJ := $(VM_LIB_SRC:%.c=$(BUILD)/%.o)
VM_LIBS    := -ljansson

PUPPET     := $(BUILD)/vpc-puppet
PUPPET_SRC := conformance/puppet/puppet.c conformance/puppet/puppet_ops.c conformance/puppet/puppet_thing.c \
	conformance/puppet/puppet_wire.c
PUPPET_OBJ := $(PUPPET_SRC:conformance/%.c=$(BUILD)/conformance/static/%.o)
PROGRAMS   += $(PUPPET)

# Static, and without the sanitizers, which cannot be: it runs where there is no library at all.
$(PUPPET): $(PUPPET_OBJ)
	$(CC) $(if $(HARDENED),-static-pie,-static) $(HARDEN_LDFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(PUPPET_OBJ): $(BUILD)/conformance/static/%.o: conformance/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out $(SANFLAGS),$(VPC_CFLAGS)) $(VM_CFLAGS) -MMD -MP -c -o $@ $<

-include $(PUPPET_OBJ:.o=.d)

$(VM_LIB_OBJ): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) $(VM_CFLAGS) -MMD -MP -c -o $@ $<

# The tests: with the puppet on a socket in `make check`, with real VMs in `make check-vm`.
TESTS += $(patsubst %,$(BUILD)/conformance/tests/%,test_puppet_wire test_puppet test_qmp)

VM_TESTS := $(patsubst %,$(BUILD)/conformance/tests/%,test_puppet_wire test_puppet test_qmp test_vm)
$(VM_TESTS): $(BUILD)/conformance/tests/%: conformance/tests/%.c $(VM_LIB_OBJ) | $(PUPPET)
	@mkdir -p $(@D)
	$(CC) $(VPC_CFLAGS) $(VM_CFLAGS) -DVPC_PUPPET_PROGRAM='"$(PUPPET)"' \
		-DVPC_GUEST='"$(GUEST)"' -MMD -MP -o $@ $(filter %.c %.o,$^) $(VPC_LDFLAGS) \
		-lcriterion $(VM_LIBS)

-include $(VM_LIB_OBJ:.o=.d) $(VM_TESTS:=.d)

# The guest of the tests: its first program is the puppet.
$(GUEST)/puppet.cpio.gz: $(PUPPET) tools/guest-image tools/guest/init
	tools/guest-image --dir $(GUEST) --overlay $(PUPPET):/etc/vpc/boot:755 -o $@

# In two steps: nothing may be built, however parallel, before the set-up is complete.
.PHONY: check-vm run-check-vm
check-vm: setup ## test the harness's VMs (boots QEMU)
	@$(MAKE) --no-print-directory run-check-vm

run-check-vm: $(GUEST)/puppet.cpio.gz $(BUILD)/conformance/tests/test_vm all
	$(BUILD)/conformance/tests/test_vm -j1
	conformance/tests/check-qemu $(BUILD)
