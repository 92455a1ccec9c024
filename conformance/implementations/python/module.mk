# An implementation in Python, from the specification alone: how one in an interpreted language is judged, in the guest too.

PYTHON_DIR := $(CONFORM)/implementations/python

# The interpreter and all that it needs, as one archive for the guest.
$(BUILD)/python-guest.tar: $(wildcard $(PYTHON_DIR)/*.py) $(PYTHON_DIR)/tree
	$(PYTHON_DIR)/tree $@

CHECKS += check-python
.PHONY: check-python check-python-vm
check-python: $(BUILD)/vpc-conform ## judge the guest endpoint in Python on sockets
	@if command -v python3 >/dev/null; then $(PYTHON_DIR)/check $<; else echo 'check-python: skipped: no python3 on this machine'; fi

# Two scenarios in a virtual machine: what is asked for is whether it is there at all.
run-check-vm: check-python-vm
check-python-vm: $(BUILD)/vpc-conform $(BUILD)/vpc-puppet $(BUILD)/python-guest.tar ## judge the guest endpoint in Python in QEMU
	@$(PYTHON_DIR)/check $< --backend qemu --guest-dir $(GUEST) 'guest/*/hello-world' 'guest/*/half-close*'
