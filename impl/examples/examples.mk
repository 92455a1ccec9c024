# impl/examples: applications of a channel, a program for each side.  The host's use libvpc as any other program does;
# the guest's stand alone, like vpc-guest.

EX          := impl/examples
EX_OBJ      := $(BUILD)/impl/examples
EX_GEN      := $(BUILD)/gen/impl/examples
EX_GRAMMARS := talk/talk watch/watch run/run run/rules print/print print/uri
EX_HOST     := vpc-watch vpc-run vpc-print
EX_DAEMONS  := vpc-watchd vpc-rund vpc-printd
EX_GUEST    := $(EX_DAEMONS) vpcbus
EX_UNITS    := $(wildcard $(EX)/*/*.service.in)
EX_MANPAGES := $(wildcard $(EX)/*/*.[1-8])

EX_TALK  := $(EX_OBJ)/talk/talk.o $(EX_OBJ)/talk/talk_io.o
EX_CALL  := $(EX_TALK) $(EX_OBJ)/talk/channel.o
EX_SERVE := $(EX_TALK) $(EX_OBJ)/talk/serve.o $(EX_OBJ)/talk/account.o

PROGRAMS  += $(EX_HOST:%=$(BUILD)/%) $(EX_GUEST:%=$(BUILD)/guest/%)
MANPAGES  += $(EX_MANPAGES)

RAGEL_MADE += $(EX_GRAMMARS:%=$(EX_GEN)/%.c)

$(EX_GRAMMARS:%=$(EX_GEN)/%.c): $(EX_GEN)/%.c: $(EX)/%.rl
	@mkdir -p $(@D)
	$(RAGEL) -G2 -o $@ $<

$(EX_GRAMMARS:%=$(EX_OBJ)/%.o): $(EX_OBJ)/%.o: $(EX_GEN)/%.c
	@mkdir -p $(@D)
	$(CC) $(IMPL_CFLAGS) -I$(EX)/$(*D) $(GEN_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/vpc-watch: $(addprefix $(EX_OBJ)/watch/,vpc-watch.o view.o watch.o) $(EX_CALL)
$(BUILD)/guest/vpc-watchd: $(addprefix $(EX_OBJ)/watch/,vpc-watchd.o watch.o) $(EX_SERVE)

$(BUILD)/vpc-run: $(addprefix $(EX_OBJ)/run/,vpc-run.o run.o) $(EX_CALL)
$(BUILD)/guest/vpc-rund: $(addprefix $(EX_OBJ)/run/,vpc-rund.o session.o command.o run.o rules.o) $(EX_SERVE)

$(BUILD)/vpc-print: $(addprefix $(EX_OBJ)/print/,vpc-print.o keep.o print.o) $(EX_CALL)
$(BUILD)/guest/vpc-printd: $(addprefix $(EX_OBJ)/print/,vpc-printd.o handover.o print.o) $(EX_SERVE)
$(BUILD)/guest/vpcbus: $(addprefix $(EX_OBJ)/print/,vpcbus.o handover.o print.o uri.o) $(EX_TALK)

$(EX_HOST:%=$(BUILD)/%): $(BUILD)/libvpc.a
	$(CC) $(VPC_LDFLAGS) -pie -o $@ $(filter %.o,$^) $(filter %.a,$^) -ljansson

$(EX_GUEST:%=$(BUILD)/guest/%):
	@mkdir -p $(@D)
	$(CC) $(VPC_LDFLAGS) $(IMPL_STATIC) -o $@ $^

-include $(wildcard $(EX_OBJ)/*/*.d)

# ---- tests ----------------------------------------------------------------------------------------------------------

TESTS += $(BUILD)/test_examples_talk
$(BUILD)/test_examples_talk: $(EX_TALK) $(addprefix $(EX_OBJ)/,watch/watch.o run/run.o run/rules.o print/print.o print/uri.o)
$(BUILD)/test_examples_%: $(EX_OBJ)/tests/test_%.o
	$(CC) $(VPC_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcriterion

EX_CHECKS := check-watch check-run check-print check-hostile-guest
CHECKS    += $(EX_CHECKS)
.PHONY: $(EX_CHECKS)
check-watch: ## vpc-watch and vpc-watchd over both endpoints
check-run: ## vpc-run and vpc-rund over both endpoints
check-hostile-guest: ## vpc-watch, vpc-run and vpc-print with a guest that is not what it should be
check-print: ## the CUPS backend, vpc-printd and vpc-print over both endpoints
$(EX_CHECKS): $(EX_HOST:%=$(BUILD)/%) $(EX_GUEST:%=$(BUILD)/guest/%) $(addprefix $(BUILD)/,vpc-host vpc-guest vpcctl)
	@$(EX)/tests/$@ $(BUILD)

# Half a minute, with QEMU.
.PHONY: check-examples
check-vm: check-examples
check-examples: all ## each example between the host and a real guest
	@tools/guest-image --dir $(GUEST)
	@$(EX)/tests/check-examples $(BUILD)

# ---- installation ---------------------------------------------------------------------------------------------------

CUPSBACKENDDIR ?= $(PREFIX)/lib/cups/backend

.PHONY: install-examples uninstall-examples
install: install-examples
install-examples: $(EX_HOST:%=$(BUILD)/%) $(EX_GUEST:%=$(BUILD)/guest/%)
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(SBINDIR)" "$(DESTDIR)$(UNITDIR)"
	for unit in $(basename $(EX_UNITS)); do \
	    sed 's|@SBINDIR@|$(SBINDIR)|' $$unit.in >"$(DESTDIR)$(UNITDIR)/$${unit##*/}" && \
	    chmod 644 "$(DESTDIR)$(UNITDIR)/$${unit##*/}" || exit 1; done
	$(INSTALL) $(EX_HOST:%=$(BUILD)/%) "$(DESTDIR)$(BINDIR)"
	$(INSTALL) $(EX_DAEMONS:%=$(BUILD)/guest/%) "$(DESTDIR)$(SBINDIR)"
	$(INSTALL) -D $(BUILD)/guest/vpcbus "$(DESTDIR)$(CUPSBACKENDDIR)/vpcbus"
	$(INSTALL) -d "$(DESTDIR)$(DOCDIR)/examples"
	$(INSTALL) -m 644 $(EX)/ssh_config "$(DESTDIR)$(DOCDIR)/examples"

uninstall: uninstall-examples
uninstall-examples:
	for name in $(EX_HOST); do rm -f "$(DESTDIR)$(BINDIR)/$$name" || exit 1; done
	rm -rf "$(DESTDIR)$(DOCDIR)/examples"
	rm -f "$(DESTDIR)$(CUPSBACKENDDIR)/vpcbus"
	for name in $(EX_DAEMONS); do \
	    rm -f "$(DESTDIR)$(SBINDIR)/$$name" "$(DESTDIR)$(UNITDIR)/$$name.service" || exit 1; done
