# conformance: the installation of the harness.
#
# What vpc-conform looks for beside itself lies in one folder with it, CONFORMLIBDIR, and the scenarios and tools in CONFORMDATADIR
# as they lie in the project, with that folder as their build; links between them are relative, so that the whole may be copied.

CONFORMLIBDIR  ?= $(LIBDIR)/vpcbus
CONFORMDATADIR ?= $(PREFIX)/share/vpcbus

CONFORM_INSTALLED := $(addprefix $(BUILD)/,vpc-conform vpc-puppet libvpc_reference.so vpc-host vpc-guest vpcctl guest/vpcctl)
CONFORM_TREES     := conformance/scenarios conformance/adapter tools/guest
CONFORM_FILES     := $(wildcard conformance/implementations/reference-*.ini) conformance/LANGUAGE.md conformance/report/report.schema.json \
                     tools/guest-image tools/vm tools/service/vpc-guest.init

.PHONY: install-conform uninstall-conform
install: install-conform
install-conform: $(CONFORM_INSTALLED) ## install vpc-conform with scenarios, tools and manual (DESTDIR, PREFIX)
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(SBINDIR)" "$(DESTDIR)$(CONFORMLIBDIR)/guest" "$(DESTDIR)$(CONFORMDATADIR)" "$(DESTDIR)$(MANDIR)/man1"
	$(INSTALL) $(addprefix $(BUILD)/,vpc-conform vpc-puppet libvpc_reference.so) "$(DESTDIR)$(CONFORMLIBDIR)"
	$(INSTALL) $(BUILD)/guest/vpcctl "$(DESTDIR)$(CONFORMLIBDIR)/guest"
	ln -sfr "$(DESTDIR)$(CONFORMLIBDIR)/vpc-conform" "$(DESTDIR)$(BINDIR)/vpc-conform"
	ln -sfr "$(DESTDIR)$(BINDIR)/vpcctl" "$(DESTDIR)$(SBINDIR)/vpc-host" "$(DESTDIR)$(SBINDIR)/vpc-guest" "$(DESTDIR)$(CONFORMLIBDIR)"
	ln -sfrn "$(DESTDIR)$(CONFORMLIBDIR)" "$(DESTDIR)$(CONFORMDATADIR)/build"
	for tree in $(CONFORM_TREES); do \
	    rm -rf "$(DESTDIR)$(CONFORMDATADIR)/$$tree" && $(INSTALL) -d "$(DESTDIR)$(CONFORMDATADIR)/$$tree" && \
	    cp -R $$tree/. "$(DESTDIR)$(CONFORMDATADIR)/$$tree" || exit 1; done
	for file in $(CONFORM_FILES); do \
	    $(INSTALL) -D -m $$(test -x $$file && echo 755 || echo 644) $$file "$(DESTDIR)$(CONFORMDATADIR)/$$file" || exit 1; done
	test ! -f $(GUEST)/stamp || $(INSTALL) -m 644 $(GUEST)/vmlinuz $(GUEST)/base.cpio.gz $(GUEST)/stamp "$(DESTDIR)$(CONFORMLIBDIR)/guest"
	$(INSTALL) -m 644 conformance/vpc-conform.1 "$(DESTDIR)$(MANDIR)/man1"

uninstall: uninstall-conform
uninstall-conform:
	rm -rf "$(DESTDIR)$(CONFORMLIBDIR)" "$(DESTDIR)$(CONFORMDATADIR)"
	rm -f "$(DESTDIR)$(BINDIR)/vpc-conform" "$(DESTDIR)$(MANDIR)/man1/vpc-conform.1"

STRANGE += check-install-conform
.PHONY: check-install-conform
check-install-conform: all ## install vpc-conform, take the tree away, and judge with what is there
	@conformance/tests/check-install-conform $(MAKE) BUILD=$(BUILD) SAN=$(SAN)
