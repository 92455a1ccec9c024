# Set-up and the guest image: each does nothing, and at once, when there is nothing to do.

.PHONY: setup guest-image
setup: ## install what the project needs (apt packages; root, unless all is there)
	@tools/setup

guest-image: setup ## make the kernel and the initrd that guests boot
	@tools/guest-image --dir $(GUEST)

.PHONY: demo run-demo
demo: setup ## the whole scene once: hello world between a host program and a guest program
	@$(MAKE) --no-print-directory run-demo

run-demo: all
	tools/guest-image --dir $(GUEST)
	tools/demo $(BUILD)
