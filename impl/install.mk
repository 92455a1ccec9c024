# impl: the client library as it is delivered, and the installation.
#
# The library has the project's version.  Its soname has the first number, which changes when a program that was linked
# before would break; impl/lib/libvpc.map holds the versions of symbols.

LIBVPC_VERSION := $(VERSION)
LIBVPC_SONAME  := libvpc.so.$(firstword $(subst ., ,$(LIBVPC_VERSION)))

PREFIX       ?= /usr/local
BINDIR       ?= $(PREFIX)/bin
SBINDIR      ?= $(PREFIX)/sbin
LIBDIR       ?= $(PREFIX)/lib
INCLUDEDIR   ?= $(PREFIX)/include
MANDIR       ?= $(PREFIX)/share/man
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
DOCDIR       ?= $(PREFIX)/share/doc/vpcbus
BASHCOMPDIR  ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR   ?= $(PREFIX)/share/zsh/site-functions
INSTALL      ?= install

$(BUILD)/$(LIBVPC_SONAME): $(IMPL_LIB_PIC) impl/lib/libvpc.map
	$(CC) $(VPC_LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,$(LIBVPC_SONAME) -Wl,--version-script=impl/lib/libvpc.map \
	    -o $@ $(IMPL_LIB_PIC) -ljansson

$(BUILD)/libvpc.so: $(BUILD)/$(LIBVPC_SONAME)
	ln -sf $(<F) $@

# Made anew each time: the paths come from the command line.
.PHONY: $(BUILD)/libvpc.pc
$(BUILD)/libvpc.pc: impl/lib/libvpc.pc.in
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(LIBVPC_VERSION)|' $< > $@

# The specification, and what it is made of.
SPEC_INSTALLED := $(wildcard spec/*.md spec/*.rl spec/*.json)

INSTALLED := $(BUILD)/vpcctl $(BUILD)/vpc-host $(BUILD)/vpc-guest $(BUILD)/$(LIBVPC_SONAME) $(BUILD)/libvpc.a

# Every path of the installation is quoted: DESTDIR may have spaces.
.PHONY: install uninstall
install: $(INSTALLED) $(BUILD)/libvpc.pc ## install programs, library, headers, manual pages, completions, specification (DESTDIR, PREFIX)
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(SBINDIR)" "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(INCLUDEDIR)/vpcbus" \
	    "$(DESTDIR)$(PKGCONFIGDIR)" "$(DESTDIR)$(BASHCOMPDIR)" "$(DESTDIR)$(ZSHCOMPDIR)"
	$(INSTALL) $(BUILD)/vpcctl "$(DESTDIR)$(BINDIR)"
	$(INSTALL) $(BUILD)/vpc-host $(BUILD)/vpc-guest "$(DESTDIR)$(SBINDIR)"
	$(INSTALL) -m 644 $(BUILD)/$(LIBVPC_SONAME) "$(DESTDIR)$(LIBDIR)/libvpc.so.$(LIBVPC_VERSION)"
	ln -sf libvpc.so.$(LIBVPC_VERSION) "$(DESTDIR)$(LIBDIR)/$(LIBVPC_SONAME)"
	ln -sf $(LIBVPC_SONAME) "$(DESTDIR)$(LIBDIR)/libvpc.so"
	$(INSTALL) -m 644 $(BUILD)/libvpc.a "$(DESTDIR)$(LIBDIR)"
	$(INSTALL) -m 644 impl/lib/vpc.h impl/lib/vpc_control.h "$(DESTDIR)$(INCLUDEDIR)/vpcbus"
	$(INSTALL) -m 644 $(BUILD)/libvpc.pc "$(DESTDIR)$(PKGCONFIGDIR)"
	$(INSTALL) -m 644 impl/completion/vpcctl.bash "$(DESTDIR)$(BASHCOMPDIR)/vpcctl"
	$(INSTALL) -m 644 impl/completion/_vpcctl "$(DESTDIR)$(ZSHCOMPDIR)"
	$(INSTALL) -d "$(DESTDIR)$(DOCDIR)/spec"
	$(INSTALL) -m 644 $(SPEC_INSTALLED) "$(DESTDIR)$(DOCDIR)/spec"
	for page in $(MANPAGES); do \
	    $(INSTALL) -D -m 644 $$page "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; done

uninstall: ## remove what install has laid (DESTDIR, PREFIX); folders that others share stay
	rm -f "$(DESTDIR)$(BINDIR)/vpcctl" "$(DESTDIR)$(SBINDIR)/vpc-host" "$(DESTDIR)$(SBINDIR)/vpc-guest"
	rm -f "$(DESTDIR)$(LIBDIR)"/libvpc.so "$(DESTDIR)$(LIBDIR)"/libvpc.so.* "$(DESTDIR)$(LIBDIR)/libvpc.a"
	rm -rf "$(DESTDIR)$(INCLUDEDIR)/vpcbus" "$(DESTDIR)$(DOCDIR)/spec"
	rm -f "$(DESTDIR)$(PKGCONFIGDIR)/libvpc.pc" "$(DESTDIR)$(BASHCOMPDIR)/vpcctl" "$(DESTDIR)$(ZSHCOMPDIR)/_vpcctl"
	for page in $(MANPAGES); do rm -f "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; done

# ---- checks -------------------------------------------------------------------------------------------------

CHECKS += check-symbols check-install

.PHONY: check-symbols check-install
check-symbols: $(BUILD)/libvpc.so ## see that libvpc exports what its headers declare, versioned, and nothing else
	@impl/tests/check-symbols $(BUILD)/libvpc.so impl/lib/vpc.h impl/lib/vpc_control.h

check-install: all ## install to a temporary directory, and build C and C++ programs against what is there
	@impl/tests/check-install $(MAKE) BUILD=$(BUILD) SAN=$(SAN)
