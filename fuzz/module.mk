# fuzz/: libFuzzer targets of the protocol library, and a driver that replays their corpora without clang.
#
#   make fuzz FUZZ_TIME=60     each target for so many seconds; finds go to build/fuzz
#   make fuzz-replay           each input of fuzz/corpus once (part of make check)
#   make fuzz-corpus           what build/fuzz found, made small, becomes fuzz/corpus

FUZZ_TARGETS := frame session
FUZZ_TIME    ?= 20
FUZZ_DIR     := $(BUILD)/fuzz
FUZZ_CC      ?= clang
FUZZ_FLAGS    = -std=c17 -D_GNU_SOURCE -O1 -g -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
                -Iproto -I$(PROTO_DIR)
FUZZ_SOURCES := $(PROTO_DIR)/parser.c $(PROTO_DIR)/machines.c \
                $(addprefix proto/,encode.c session.c pair.c pair_receive.c pair_local.c output.c)

$(FUZZ_DIR):
	mkdir -p $@

# The whole library is compiled again: the fuzzer must see its branches.
$(FUZZ_DIR)/fuzz-%: fuzz/%.c $(FUZZ_SOURCES) $(wildcard proto/*.h) $(PROTO_DIR)/lifecycle_events.h | $(FUZZ_DIR)
	$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ $< $(FUZZ_SOURCES)

$(FUZZ_DIR)/%.o: fuzz/%.c $(PROTO_DIR)/lifecycle_events.h | $(FUZZ_DIR)
	$(CC) $(PROTO_CFLAGS) -c -o $@ $<

$(FUZZ_DIR)/replay-%: $(FUZZ_DIR)/replay.o $(FUZZ_DIR)/%.o $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^

$(FUZZ_DIR)/seeds: $(FUZZ_DIR)/seeds.o $(LIBVPCBUS)
	$(CC) $(VPC_LDFLAGS) -o $@ $^

$(FUZZ_DIR)/frame.dict: fuzz/dictionary.jq spec/messages.json | $(FUZZ_DIR)
	jq -rf $^ > $@

.PRECIOUS: $(FUZZ_DIR)/%.o $(FUZZ_DIR)/fuzz-%
.PHONY: fuzz fuzz-replay fuzz-corpus $(FUZZ_TARGETS:%=fuzz-run-%)
fuzz: $(FUZZ_TARGETS:%=fuzz-run-%) ## fuzz each target for FUZZ_TIME seconds (clang)

$(FUZZ_TARGETS:%=fuzz-run-%): fuzz-run-%: $(FUZZ_DIR)/fuzz-% $(FUZZ_DIR)/frame.dict $(FUZZ_DIR)/seeds
	mkdir -p $(FUZZ_DIR)/corpus-$* $(FUZZ_DIR)/seeds-frame
	$(FUZZ_DIR)/seeds $(FUZZ_DIR)/seeds-frame
	$(FUZZ_DIR)/fuzz-$* -max_total_time=$(FUZZ_TIME) -timeout=10 -max_len=2048 -print_final_stats=1 \
	    $(if $(filter frame,$*),-dict=$(FUZZ_DIR)/frame.dict) -artifact_prefix=$(FUZZ_DIR)/$*- \
	    $(FUZZ_DIR)/corpus-$* fuzz/corpus/$* $(if $(filter frame,$*),$(FUZZ_DIR)/seeds-frame)

fuzz-replay: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/replay-%) ## run every input of fuzz/corpus once
	@for t in $(FUZZ_TARGETS); do $(FUZZ_DIR)/replay-$$t fuzz/corpus/$$t || exit 1; done

# Inputs of every size, and what has a name of its own (a fault that was found) stays.
fuzz-corpus: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/fuzz-%) ## make fuzz/corpus of what was found
	@for t in $(FUZZ_TARGETS); do \
	    rm -rf $(FUZZ_DIR)/small && mkdir $(FUZZ_DIR)/small && \
	    $(FUZZ_DIR)/fuzz-$$t -merge=1 $(FUZZ_DIR)/small fuzz/corpus/$$t $(FUZZ_DIR)/corpus-$$t && \
	    find fuzz/corpus/$$t -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete && \
	    ls -S -r $(FUZZ_DIR)/small | awk -v n=$$(ls $(FUZZ_DIR)/small | wc -l) 'int(NR * 80 / n) > int((NR - 1) * 80 / n)' | \
	        sed 's|^|$(FUZZ_DIR)/small/|' | xargs cp -t fuzz/corpus/$$t || exit 1; done

CHECKS += fuzz-replay
