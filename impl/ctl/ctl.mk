# impl/ctl: the tests of vpcctl and of the control socket.

TESTS += $(BUILD)/test_impl_vpcctl

$(BUILD)/test_impl_vpcctl: $(BUILD)/impl/ctl/ctl.o $(BUILD)/impl/tests/programs.o $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_vpcctl: | $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl

.PHONY: check-control
CHECKS += check-control
check-control: $(BUILD)/vpc-host $(BUILD)/vpc-guest ## the control sockets' lines against spec/control.schema.json
	@impl/tests/check-control $(BUILD)
