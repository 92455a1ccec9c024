# impl/ctl: the tests of vpcctl.

TESTS += $(BUILD)/test_impl_vpcctl

$(BUILD)/test_impl_vpcctl: $(BUILD)/impl/ctl/ctl.o $(BUILD)/impl/tests/programs.o $(IMPL_RIG_OBJ)
$(BUILD)/test_impl_vpcctl: | $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/vpcctl
