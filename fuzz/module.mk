# fuzz/: libFuzzer targets, what makes their inputs, and drivers that replay the corpora without clang.
#
#   make fuzz FUZZ_TIME=60     each target for so many seconds; finds go to build/fuzz
#   make fuzz-replay           each input of fuzz/corpus once (part of make check)
#   make fuzz-link             each target links with libFuzzer and runs once (CI)
#   make fuzz-corpus           what build/fuzz found, made small, becomes fuzz/corpus
#   make fuzz-negative         planted bugs, each of which must be found in FUZZ_NEGATIVE seconds
#   make fuzz-speed            executions per second of processor time
#   make fuzz-afl              the same targets by AFL++
#   make check-msan check-valgrind      the corpora under MemorySanitizer, under valgrind (CI: make check-memory)
#   make fuzz-bundle OUT=DIR   what OSS-Fuzz and ClusterFuzzLite want (fuzz/oss-fuzz/build.sh)

FUZZ_TARGETS  := frame session pair script harness control pipe_name errand talk
FUZZ_TIME     ?= 20
FUZZ_NEGATIVE ?= 30
FUZZ_DIR      := $(BUILD)/fuzz
FUZZ_CC       ?= clang
FUZZ_LINK     ?= $(FUZZ_CC)
FUZZ_CXXFLAGS ?= $(FUZZ_CFLAGS)
FUZZ_JANSSON  ?= -ljansson
FUZZ_ENGINE   ?= -fsanitize=fuzzer
FUZZ_CFLAGS   ?= -O2 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_DEFINES   = -std=c17 -D_GNU_SOURCE -DVPC_VERSION=$(VERSION) -w -Ifuzz -I. -Ispec -Iproto -I$(PROTO_DIR) -Iimpl/lib -Iimpl -I$(IMPL_GEN) -Iconformance -Iimpl/core -Iimpl/shell $(addprefix -I$(EX)/,talk watch run print)

# ---- what each target is made of; the whole is compiled again, since the fuzzer must see its branches -----------------

FUZZ_PROTO := $(PROTO_DIR)/parser.c $(PROTO_DIR)/machines.c \
              $(addprefix proto/,encode.c session.c pair.c pair_receive.c pair_local.c output.c heartbeat.c)
FUZZ_NAMES := $(IMPL_GEN)/pipe_name.c impl/lib/file_name.c

FUZZ_SRC_frame     := $(FUZZ_PROTO)
FUZZ_SRC_session   := $(FUZZ_PROTO)
FUZZ_SRC_pair      := $(FUZZ_PROTO)
FUZZ_SCRIPT        := $(wildcard conformance/script/*.c conformance/document/*.c) conformance/files.c conformance/memory.c
FUZZ_SRC_script    := $(FUZZ_SCRIPT) conformance/document/embedded.S $(CONFORM_GEN)/script/script.rl.c
# fuzz/harness.c stands for backends/object.c.
FUZZ_HARNESS       := $(wildcard $(addprefix conformance/,run/*.c testers/*.c record/*.c codec/*.c document/*.c script/*.c alter/*.c \
                      backends/inproc.c backends/backend_inproc.c backends/descriptor.c backends/words.c backends/process.c backends/load.c backends/confine.c backends/filter.c backends/group.c backends/sandbox.c files.c memory.c clock.c chance.c verdict.c clean.c))
FUZZ_HARNESS_RL    := script/script testers/monitor
FUZZ_SRC_harness   := $(FUZZ_HARNESS) conformance/document/embedded.S $(FUZZ_HARNESS_RL:%=$(CONFORM_GEN)/%.rl.c)
FUZZ_SRC_control   := $(FUZZ_PROTO) $(FUZZ_NAMES) $(CORE_SRC:%=impl/core/%.c) $(CORE_MADE:%=$(IMPL_GEN)/%.c) \
                      $(patsubst %,impl/lib/%.c,$(filter-out file_name,$(IMPL_LIB_SRC)))
FUZZ_SRC_pipe_name := $(FUZZ_NAMES)
FUZZ_SRC_errand    := $(addprefix impl/shell/,acts.c bus_dial.c bus_turn.c bus_vsock.c kept_files.c named_socket.c opener.c pcapng.c sandbox.c) \
                      $(IMPL_GEN)/pipe_name.c $(IMPL_LIB_SRC:%=impl/lib/%.c)
FUZZ_SRC_talk      := $(EX_GRAMMARS:%=$(EX_GEN)/%.c) $(EX)/talk/talk_io.c

FUZZ_MUTATOR_frame   := fuzz/mutate_frames.c
FUZZ_MUTATOR_session := fuzz/mutate_steps.c
FUZZ_MUTATOR_pair    := fuzz/mutate_steps.c

FUZZ_LIBS_script  = $(FUZZ_JANSSON)
FUZZ_LIBS_harness = $(FUZZ_JANSSON) -lseccomp
FUZZ_LIBS_control = $(FUZZ_JANSSON)
FUZZ_LIBS_errand  = $(FUZZ_JANSSON) -lseccomp

# The replay drivers are linked with what the project builds anyway.
FUZZ_REPLAY_frame     := $(LIBVPCBUS)
FUZZ_REPLAY_session   := $(LIBVPCBUS)
FUZZ_REPLAY_pair      := $(LIBVPCBUS)
FUZZ_REPLAY_script    := $(FUZZ_SCRIPT:%.c=$(BUILD)/%.o) $(CONFORM_OBJ)/document/embedded.o $(CONFORM_OBJ)/script/script.rl.o
FUZZ_REPLAY_harness   := $(FUZZ_HARNESS:%.c=$(BUILD)/%.o) $(CONFORM_OBJ)/document/embedded.o $(FUZZ_HARNESS_RL:%=$(CONFORM_OBJ)/%.rl.o)
FUZZ_REPLAY_control    = $(CORE_OBJS) $(LIBVPCBUS) $(BUILD)/libvpc.a
FUZZ_REPLAY_pipe_name := $(BUILD)/libvpc.a
FUZZ_REPLAY_errand     = $(patsubst impl/shell/%.c,$(BUILD)/impl/shell/%.o,$(filter impl/shell/%,$(FUZZ_SRC_errand))) $(BUILD)/libvpc.a
FUZZ_REPLAY_talk      := $(EX_GRAMMARS:%=$(EX_OBJ)/%.o) $(EX_OBJ)/talk/talk_io.o

# Frames and steps are kept whole by a mutator: tracing compares there would only cost time.
FUZZ_QUICK ?= -fno-sanitize-coverage=trace-cmp
FUZZ_UNTRACED := $(FUZZ_PROTO) fuzz/frame.c fuzz/session.c fuzz/pair.c fuzz/mutate_frames.c fuzz/mutate_steps.c

FUZZ_GENERATED := $(PROTO_DIR)/parser.c $(PROTO_DIR)/machines.c $(PROTO_DIR)/lifecycle_events.h \
                  $(CORE_MADE:%=$(IMPL_GEN)/%.c) \
                  $(IMPL_GEN)/pipe_name.c $(CORE_GEN) $(SHELL_GEN) $(EX_GRAMMARS:%=$(EX_GEN)/%.c) $(FUZZ_HARNESS_RL:%=$(CONFORM_GEN)/%.rl.c)
FUZZ_HEADERS   := $(wildcard conformance/*/*.def fuzz/*.h proto/*.h spec/*.h impl/core/*.h impl/lib/*.h impl/shell/*.h impl/examples/*/*.h conformance/*.h conformance/*/*.h)

$(FUZZ_DIR):
	mkdir -p $@

fuzz_objects = $(patsubst %,$(FUZZ_DIR)/obj/%.o,$(subst $(BUILD)/,,$(1)))

# $(1): a source.
define fuzz_object_rule
$(call fuzz_objects,$(1)): $(1) $$(FUZZ_HEADERS) $$(FUZZ_GENERATED)
	@mkdir -p $$(@D)
	$$(FUZZ_CC) $$(FUZZ_DEFINES) $$(FUZZ_CFLAGS) $(if $(filter $(1),$(FUZZ_UNTRACED)),$$(FUZZ_QUICK)) -c -o $$@ $$<
endef
$(foreach s,$(sort $(foreach t,$(FUZZ_TARGETS),fuzz/$(t).c $(FUZZ_SRC_$(t)) $(FUZZ_MUTATOR_$(t)))),$(eval $(call fuzz_object_rule,$(s))))

# fuzz-NAME with the engine and its mutator, replay-NAME with a driver of our own.  $(1): the target.
define fuzz_target_rules
$(FUZZ_DIR)/fuzz-$(1): $(call fuzz_objects,fuzz/$(1).c $(FUZZ_SRC_$(1)) $(FUZZ_MUTATOR_$(1)))
	$$(FUZZ_LINK) $$(FUZZ_CXXFLAGS) $$(FUZZ_ENGINE) -o $$@ $$^ $$(FUZZ_LIBS_$(1))

$(FUZZ_DIR)/replay-$(1): fuzz/replay.c fuzz/$(1).c $$(FUZZ_REPLAY_$(1)) fuzz/input.h | $(FUZZ_DIR)
	$$(CC) $$(FUZZ_DEFINES) $$(SANFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter-out %.h,$$^) $$(FUZZ_LIBS_$(1))
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_target_rules,$(t))))

# ---- first inputs, and words ----------------------------------------------------------------------------------------

.PHONY: fuzz-seeds
fuzz-seeds: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/first/%) $(FUZZ_TARGETS:%=$(FUZZ_DIR)/%.dict) ## first inputs and dictionaries, of the vectors and tables

$(FUZZ_DIR)/first/%: fuzz/seeds.py fuzz/seeds.txt $(wildcard spec/vectors/*.json conformance/scenarios/*/*/*.vpcs) | $(FUZZ_DIR)
	python3 fuzz/seeds.py $* $@

$(FUZZ_DIR)/%.dict: fuzz/dictionary.jq spec/messages.json $(FUZZ_DIR)/steps.txt | $(FUZZ_DIR)
	jq -r --arg target $* --rawfile steps $(FUZZ_DIR)/steps.txt -f $(wordlist 1,2,$^) > $@

$(FUZZ_DIR)/steps.txt: fuzz/forms.def conformance/script/steps.def | $(FUZZ_DIR)
	$(CC) -E -P -I. -x c -o $@ $<

# ---- fuzzing ----------------------------------------------------------------------------------------------------------

.PHONY: fuzz fuzz-replay fuzz-corpus $(FUZZ_TARGETS:%=fuzz-run-%)
fuzz: $(FUZZ_TARGETS:%=fuzz-run-%) ## fuzz each target for FUZZ_TIME seconds (clang)

$(FUZZ_TARGETS:%=fuzz-run-%): fuzz-run-%: $(FUZZ_DIR)/fuzz-% $(FUZZ_DIR)/%.dict $(FUZZ_DIR)/first/%
	mkdir -p $(FUZZ_DIR)/corpus-$*
	$(FUZZ_DIR)/fuzz-$* -max_total_time=$(FUZZ_TIME) $$(sed -n 's/^\([a-z_]* = .*\)/-\1/p' fuzz/oss-fuzz/$*.options | tr -d ' ') \
	    -print_final_stats=1 -dict=$(FUZZ_DIR)/$*.dict -artifact_prefix=$(FUZZ_DIR)/$*- \
	    $(FUZZ_DIR)/corpus-$* fuzz/corpus/$* $(FUZZ_DIR)/first/$*

fuzz-replay: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/replay-%) ## run every input of fuzz/corpus once
	@for t in $(FUZZ_TARGETS); do $(FUZZ_DIR)/replay-$$t fuzz/corpus/$$t || exit 1; done

# Quick, and so without optimization: what is to be seen is that the lists of sources above are whole.
FUZZ_LINKED := $(FUZZ_DIR)/linked
.PHONY: fuzz-link run-fuzz-link
fuzz-link: ## link each target with libFuzzer and run it once (clang)
	@$(MAKE) --no-print-directory -j$$(nproc) run-fuzz-link FUZZ_DIR=$(FUZZ_LINKED) FUZZ_CFLAGS='-O0 -fsanitize=fuzzer-no-link'

run-fuzz-link: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/fuzz-%)
	@for t in $(FUZZ_TARGETS); do \
	    timeout 60 $(FUZZ_DIR)/fuzz-$$t -runs=1 >$(FUZZ_DIR)/$$t.log 2>&1 || { cat $(FUZZ_DIR)/$$t.log >&2; exit 1; }; done

fuzz-corpus: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/fuzz-%) $(FUZZ_TARGETS:%=$(FUZZ_DIR)/first/%) ## make fuzz/corpus of what was found
	fuzz/shrink $(FUZZ_DIR) $(FUZZ_TARGETS)

CHECKS += fuzz-replay

# ---- does the fuzzer find anything, and how fast is it ----------------------------------------------------------------

.PHONY: fuzz-negative fuzz-speed fuzz-afl
fuzz-negative: fuzz-seeds $(FUZZ_GENERATED) ## bugs planted in copies must each be found in FUZZ_NEGATIVE seconds
	@fuzz/negative $(FUZZ_DIR) $(FUZZ_NEGATIVE) '$(FUZZ_CC) $(FUZZ_DEFINES) -O1 -g -fsanitize=address $(FUZZ_QUICK) $(FUZZ_ENGINE)' \
	    $(FUZZ_PROTO)

fuzz-speed: $(FUZZ_DIR)/fuzz-session ## executions per second of processor time: frame plain, session with AddressSanitizer
	@$(MAKE) --no-print-directory $(FUZZ_DIR)/plain/fuzz/fuzz-frame BUILD=$(FUZZ_DIR)/plain FUZZ_CFLAGS='-O2 -fsanitize=fuzzer-no-link'
	@fuzz/speed frame 3000000 $(FUZZ_DIR)/plain/fuzz/fuzz-frame
	@fuzz/speed session 200000 $(FUZZ_DIR)/fuzz-session

# A mutator of one's own is libFuzzer's alone.
FUZZ_AFL_TIME ?= 5
fuzz-afl: fuzz-seeds ## build the targets for AFL++ and run each for a few seconds
	@if ! command -v afl-clang-fast >/dev/null; then echo 'no afl-clang-fast (package afl++): skipped'; else \
	    $(MAKE) --no-print-directory $(FUZZ_TARGETS:%=$(FUZZ_DIR)/afl/fuzz/fuzz-%) BUILD=$(FUZZ_DIR)/afl FUZZ_CC=afl-clang-fast \
	        FUZZ_CFLAGS='-O2 -g' FUZZ_QUICK= $(FUZZ_TARGETS:%=FUZZ_MUTATOR_%=) && \
	    fuzz/afl $(FUZZ_DIR) $(FUZZ_AFL_TIME) $(FUZZ_TARGETS); fi

# ---- memory ------------------------------------------------------------------------------------------------------------

# jansson is not built for MemorySanitizer, so the targets that use it stay out.
FUZZ_MSAN := frame session pair pipe_name talk
.PHONY: check-memory check-msan check-valgrind
check-memory: setup ## what CI wants of memory: both of check-msan and check-valgrind, neither skipped
	@for c in clang valgrind; do command -v $$c >/dev/null || { echo "check-memory: no $$c" >&2; exit 1; }; done
	@$(MAKE) --no-print-directory check-msan
	@$(MAKE) --no-print-directory check-valgrind

check-msan: ## the corpora of the parser and the session under MemorySanitizer (clang)
	@if ! command -v clang >/dev/null; then echo 'no clang: MemorySanitizer skipped'; else \
	    $(MAKE) --no-print-directory fuzz-replay BUILD=$(FUZZ_DIR)/msan CC=clang SAN=memory CFLAGS='-O1 -g' \
	        FUZZ_TARGETS='$(FUZZ_MSAN)'; fi

FUZZ_VALGRIND := frame session pair pipe_name talk
check-valgrind: $(FUZZ_VALGRIND:%=$(FUZZ_DIR)/replay-%) ## the same corpora under valgrind
	@if ! command -v valgrind >/dev/null; then echo 'no valgrind: skipped'; else \
	    for t in $(FUZZ_VALGRIND); do \
	        valgrind -q --error-exitcode=1 --leak-check=full $(FUZZ_DIR)/replay-$$t fuzz/corpus/$$t || exit 1; done; fi

# ---- OSS-Fuzz ------------------------------------------------------------------------------------------------------------

# build.sh calls this with the compilers, flags and engine of its environment.
.PHONY: fuzz-bundle
OUT ?= $(FUZZ_DIR)/bundle
fuzz-bundle: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/fuzz-%) fuzz-seeds ## targets, dictionaries, options and zipped corpora in OUT
	mkdir -p $(OUT)
	for t in $(FUZZ_TARGETS); do \
	    cp $(FUZZ_DIR)/fuzz-$$t $(OUT)/$$t && cp $(FUZZ_DIR)/$$t.dict fuzz/oss-fuzz/$$t.options $(OUT) && \
	    rm -f $(OUT)/$${t}_seed_corpus.zip && \
	    zip -q -j -r $(OUT)/$${t}_seed_corpus.zip fuzz/corpus/$$t && \
	    zip -q -j -r $(OUT)/$${t}_seed_corpus.zip $(FUZZ_DIR)/first/$$t || exit 1; done # twice: one input may be in both

# ---- coverage of proto/ by its tests and the corpora ----------------------------------------------------------------------

.PHONY: coverage
COVERAGE := $(BUILD)/coverage
coverage: ## lines and branches of proto/ that tests and corpora reach; fails below the goals (clang, llvm)
	@$(MAKE) --no-print-directory run-coverage BUILD=$(COVERAGE) CC=clang \
	    CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping' LDFLAGS=-fprofile-instr-generate

run-coverage: $(PROTO_TESTS) $(FUZZ_TARGETS:%=$(FUZZ_DIR)/replay-%)
	@fuzz/coverage $(BUILD) '$(PROTO_TESTS)' '$(FUZZ_TARGETS)'
