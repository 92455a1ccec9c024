# tools/package/: what is handed to others: Debian packages, a tarball, small programs for guests (README.md).
#
# The tools are installed by `tools/setup --for deb` and `--for cross`, never by make.

DEB_DIR := $(BUILD)/deb

.PHONY: deb check-deb check-abi
deb: ## Debian packages, in build/deb (tools/setup --for deb)
	@tools/package/deb "$(DEB_DIR)"
	@ls -s --block-size=KiB "$(DEB_DIR)"/*.deb

check-deb: ## packages: lintian, the same when built again, in a clean chroot; minutes, as root
	@tools/package/check-deb "$(DEB_DIR)"

# What is installed and in no package is found here already.
CHECKS += check-packaged
.PHONY: check-packaged
check-packaged: all ## see that each file that install lays is in a package
	@tools/package/check-packaged $(MAKE) BUILD=$(BUILD) SAN=$(SAN)

# libvpc as the programs know it that were linked with it before.
CHECKS += check-abi
ifeq ($(if $(SAN),,$(and $(filter -g,$(CFLAGS)),$(shell command -v abidiff))),)
check-abi:
	@echo 'check-abi: skipped: it wants abidiff (tools/setup --for deb), debug information and no sanitizer'
else
check-abi: $(BUILD)/libvpc.so
	@tools/package/check-abi $(BUILD)
endif

# ---- guests of another kind -------------------------------------------------------------------------------

STATIC_DIR := $(BUILD)/static

.PHONY: guest-static check-cross
guest-static: ## vpc-guest and vpcctl with musl, small, in build/static/musl (tools/setup --for cross)
	@tools/package/static musl "$(STATIC_DIR)"

check-cross: $(addprefix $(BUILD)/,vpc-conform vpc-host vpcctl hello_channel) ## vpc-guest with musl, and for arm64 and i386: built, started and judged; minutes
	@tools/package/check-cross "$(BUILD)" "$(STATIC_DIR)"
	@tools/package/check-arm64 "$(BUILD)" "$(STATIC_DIR)"

# ---- the tarball -------------------------------------------------------------------------------------------

.PHONY: dist check-dist ragel-made
dist: ## a tarball that builds without Ragel, in build/vpcbus-VERSION.tar.gz
	@tools/package/dist $(VERSION) "$(BUILD)/vpcbus-$(VERSION).tar.gz"
	@echo "$(BUILD)/vpcbus-$(VERSION).tar.gz"

check-dist: ## the tarball: the same when made again, and it builds, passes tests and installs without Ragel
	@tools/package/check-dist $(VERSION) "$(BUILD)/vpcbus-$(VERSION).tar.gz"

# All that Ragel makes; the tarball has it, for machines without Ragel (tools/package/ragel).
ragel-made: $(RAGEL_MADE)
	@printf '%s\n' $(RAGEL_MADE:$(BUILD)/%=%)
