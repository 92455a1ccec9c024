#!/bin/bash -eu
# Builds the targets into $OUT with the compilers, flags and engine that OSS-Fuzz and ClusterFuzzLite give.  The runners
# have no jansson: it is linked into the targets.
cd "$SRC/vpcbus"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
engine=${FUZZING_ENGINE:-libfuzzer}
own=()
[[ $engine == libfuzzer ]] || own=(FUZZ_MUTATOR_frame= FUZZ_MUTATOR_session= FUZZ_MUTATOR_pair=)
make fuzz-bundle BUILD="$build" OUT="$OUT" FUZZ_CC="$CC" FUZZ_LINK="$CXX" FUZZ_CFLAGS="$CFLAGS" \
    FUZZ_CXXFLAGS="$CXXFLAGS" FUZZ_ENGINE="$LIB_FUZZING_ENGINE" FUZZ_QUICK= \
    FUZZ_JANSSON='-Wl,-Bstatic -ljansson -Wl,-Bdynamic' "${own[@]}"
