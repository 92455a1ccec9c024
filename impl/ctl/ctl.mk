# impl/ctl: the tests of vpcctl and of the control socket.

TESTS += $(BUILD)/test_impl_vpcctl

$(BUILD)/test_impl_vpcctl: $(BUILD)/impl/ctl/ctl.o $(BUILD)/impl/tests/programs.o $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_vpcctl: | $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl

.PHONY: check-control check-completion
CHECKS += check-control check-completion
check-completion: $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl ## what shells complete of vpcctl's command line
	@impl/tests/check-completion $(BUILD)

check-control: $(BUILD)/vpc-host $(BUILD)/vpc-guest ## the control sockets' lines against spec/control.schema.json
	@impl/tests/check-control $(BUILD)
