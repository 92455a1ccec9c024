include conformance/vm.mk
