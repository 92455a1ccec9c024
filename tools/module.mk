# Set-up and the guest image: each does nothing, and at once, when there is nothing to do.

.PHONY: setup guest-image
setup: ## install what the project needs (apt packages; root, unless all is there)
	@tools/setup

guest-image: setup ## make the kernel and the initrd that guests boot
	@tools/guest-image --dir $(GUEST)
