# Epitaph. `make` builds everything into build/; `make check` tests it.

# What you may override.
CC = gcc
CXX = g++
STRIP = strip
CFLAGS = -O2 -g
LDFLAGS =
PREFIX = /usr/local
DESTDIR =
B = build
CARRIED = $(B)/helper.carried
CLANG = clang
FUZZ_SECONDS = 20

# The machine to build for, by its compiler. What knows it is in files that are
# named for it.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))

# Lists: one name per line, sorted.
REPORT_SRCS = \
	lib/report/bytes.c \
	lib/report/context_$(ARCH).c \
	lib/report/error.c \
	lib/report/fingerprint.c \
	lib/report/funcname.c \
	lib/report/gzip.c \
	lib/report/instruction_$(ARCH).c \
	lib/report/meta_decode.c \
	lib/report/meta_encode.c \
	lib/report/minidump_decode.c \
	lib/report/minidump_encode.c \
	lib/report/reason.c \
	lib/report/repeat.c \
	lib/report/report.c \
	lib/report/semantic.c \
	lib/report/siginfo.c \
	lib/report/syscalls_$(ARCH).c \
	lib/report/utf.c \
	lib/report/uuid.c

UNWIND_SRCS = \
	lib/unwind/arch_$(ARCH).c \
	lib/unwind/cfi.c \
	lib/unwind/entry.c \
	lib/unwind/expr.c \
	lib/unwind/guess.c \
	lib/unwind/image.c \
	lib/unwind/memory.c \
	lib/unwind/prologue_$(ARCH).c \
	lib/unwind/shstk.c \
	lib/unwind/step.c \
	lib/unwind/table.c \
	lib/unwind/unwind.c

PROC_SRCS = \
	lib/proc/core.c \
	lib/proc/files.c \
	lib/proc/linkmap.c \
	lib/proc/maps.c \
	lib/proc/perfmap.c \
	lib/proc/pid.c \
	lib/proc/stop.c \
	lib/proc/user_$(ARCH).c

SPOOL_SRCS = \
	lib/spool/budget.c \
	lib/spool/http.c \
	lib/spool/ship.c \
	lib/spool/spool.c

# The signal zone: own flags, and scripts/check-zone proves what it may do.
ZONE_SRCS = \
	shim/signal/arch_$(ARCH).c \
	shim/signal/budget.c \
	shim/signal/capture.c \
	shim/signal/dispatch.c \
	shim/signal/frame_$(ARCH).c \
	shim/signal/handler.c \
	shim/signal/maps.c \
	shim/signal/mem.c \
	shim/signal/mem_$(ARCH).c \
	shim/signal/raw.c \
	shim/signal/release.c \
	shim/signal/siblings.c \
	shim/signal/stacks.c \
	shim/signal/stop.c \
	shim/signal/text.c \
	shim/signal/threads.c \
	shim/signal/tiers.c \
	shim/signal/witness.c

SHIM_SRCS = \
	shim/annotate.c \
	shim/interpose/altstack.c \
	shim/interpose/entry_$(ARCH).c \
	shim/interpose/exit.c \
	shim/interpose/filter.c \
	shim/interpose/jump.c \
	shim/interpose/mask.c \
	shim/interpose/name.c \
	shim/interpose/objects.c \
	shim/interpose/notify.c \
	shim/interpose/process.c \
	shim/interpose/seccomp.c \
	shim/interpose/sigaction.c \
	shim/interpose/syscall.c \
	shim/interpose/thread.c \
	shim/interpose/unload.c \
	shim/preload.c \
	shim/resolve.c \
	shim/settings.c

HELPER_SRCS = \
	shim/helper/crash.c \
	shim/helper/cxx.c \
	shim/helper/cxx_what_$(ARCH).c \
	shim/helper/exported.c \
	shim/helper/flush.c \
	shim/helper/jit.c \
	shim/helper/main.c \
	shim/helper/message.c \
	shim/helper/nomaps.c \
	shim/helper/notes.c \
	shim/helper/raw.c \
	shim/helper/registers_$(ARCH).c \
	shim/helper/rust.c \
	shim/helper/sandbox_$(ARCH).c \
	shim/helper/sender.c \
	shim/helper/stacks.c \
	shim/helper/unloaded.c

COLLECTOR_SRCS = \
	collector/api.c \
	collector/auth.c \
	collector/canary.c \
	collector/channel.c \
	collector/check.c \
	collector/check_body.c \
	collector/child.c \
	collector/config.c \
	collector/document.c \
	collector/health.c \
	collector/hitscan.c \
	collector/http.c \
	collector/ingest.c \
	collector/ingest_get.c \
	collector/ingest_hits.c \
	collector/ingest_report.c \
	collector/ingest_symbols.c \
	collector/log.c \
	collector/main.c \
	collector/page.c \
	collector/prepare.c \
	collector/program.c \
	collector/role.c \
	collector/sqlite.c \
	collector/sqlite_edge.c \
	collector/sqlite_group.c \
	collector/sqlite_read.c \
	collector/sqlite_report.c \
	collector/sqlite_sql.c \
	collector/sqlite_symbols.c \
	collector/stats.c \
	collector/store_role.c \
	collector/supervisor.c \
	collector/symbolize.c \
	collector/text.c \
	collector/token.c \
	collector/tool.c \
	collector/web.c \
	collector/wire.c

SYMBOLIZER_SRCS = \
	symbolizer/array.c \
	symbolizer/child.c \
	symbolizer/corefile.c \
	symbolizer/curl.c \
	symbolizer/debuginfod.c \
	symbolizer/demangle.c \
	symbolizer/dwarf/abbrev.c \
	symbolizer/dwarf/ahead.c \
	symbolizer/dwarf/attr.c \
	symbolizer/dwarf/die.c \
	symbolizer/dwarf/lines.c \
	symbolizer/dwarf/package.c \
	symbolizer/dwarf/ranges.c \
	symbolizer/dwarf/sections.c \
	symbolizer/dwarf/split.c \
	symbolizer/dwarf/tree.c \
	symbolizer/dwarf/unit.c \
	symbolizer/elffile.c \
	symbolizer/fetch.c \
	symbolizer/finder.c \
	symbolizer/gopclntab.c \
	symbolizer/index/aliases.c \
	symbolizer/index/build.c \
	symbolizer/index/from_cfi.c \
	symbolizer/index/from_dwarf.c \
	symbolizer/index/from_sym.c \
	symbolizer/index/index.c \
	symbolizer/index/known.c \
	symbolizer/index/make.c \
	symbolizer/index/pack.c \
	symbolizer/index/parts.c \
	symbolizer/index/strings.c \
	symbolizer/index/tails.c \
	symbolizer/intake.c \
	symbolizer/loaded.c \
	symbolizer/lookup.c \
	symbolizer/print_json.c \
	symbolizer/print_text.c \
	symbolizer/regular.c \
	symbolizer/remains.c \
	symbolizer/rewind.c \
	symbolizer/server.c \
	symbolizer/sites.c \
	symbolizer/source.c \
	symbolizer/store.c \
	symbolizer/stubs.c \
	symbolizer/sym.c \
	symbolizer/symbolize.c \
	symbolizer/symfile.c \
	symbolizer/symframes.c \
	symbolizer/symorder.c \
	symbolizer/symrules.c \
	symbolizer/symtab.c \
	symbolizer/symwrite.c \
	symbolizer/tailcall.c \
	symbolizer/values/code.c \
	symbolizer/values/contents.c \
	symbolizer/values/entry.c \
	symbolizer/values/format.c \
	symbolizer/values/found.c \
	symbolizer/values/lists.c \
	symbolizer/values/machine.c \
	symbolizer/values/node.c \
	symbolizer/values/place.c \
	symbolizer/values/reading.c \
	symbolizer/values/show.c \
	symbolizer/values/types.c \
	symbolizer/values/variables.c \
	symbolizer/values/worker.c \
	symbolizer/worker.c

CLI_SRCS = \
	symbolizer/cli/addr2line.c \
	symbolizer/cli/api.c \
	symbolizer/cli/common.c \
	symbolizer/cli/core.c \
	symbolizer/cli/dmp.c \
	symbolizer/cli/doctor.c \
	symbolizer/cli/doctor_child.c \
	symbolizer/cli/doctor_collector.c \
	symbolizer/cli/doctor_host.c \
	symbolizer/cli/doctor_probe.c \
	symbolizer/cli/flush.c \
	symbolizer/cli/http_curl.c \
	symbolizer/cli/input.c \
	symbolizer/cli/install.c \
	symbolizer/cli/list.c \
	symbolizer/cli/main.c \
	symbolizer/cli/run.c \
	symbolizer/cli/servers.c \
	symbolizer/cli/show.c \
	symbolizer/cli/stack.c \
	symbolizer/cli/symbolize.c \
	symbolizer/cli/symbols.c \
	symbolizer/cli/symbols_remote.c \
	symbolizer/cli/symbols_take.c \
	symbolizer/cli/symdump.c

# What the collector's tests of its own parsers link besides the libraries.
HITSCAN_SRCS = \
	collector/hitscan.c \
	collector/text.c \
	collector/wire.c

# What the tests of Breakpad's symbol files link besides.
SYM_SRCS = \
	symbolizer/array.c \
	symbolizer/demangle.c \
	symbolizer/index/aliases.c \
	symbolizer/index/build.c \
	symbolizer/index/from_sym.c \
	symbolizer/index/index.c \
	symbolizer/index/pack.c \
	symbolizer/index/parts.c \
	symbolizer/index/strings.c \
	symbolizer/index/tails.c \
	symbolizer/regular.c \
	symbolizer/sym.c \
	symbolizer/symfile.c \
	symbolizer/symframes.c \
	symbolizer/symorder.c \
	symbolizer/symrules.c \
	symbolizer/symwrite.c

# Unit tests: tests/unit/NAME.c each make one program, built with sanitizers.
# Units of these are tested with all of the symbolizer.
SYMBOLIZER_UNITS = \
	array \
	dwarf \
	dwarf_ahead \
	dwarf_lines \
	dwarf_package \
	dwarf_tree \
	gopclntab \
	index \
	index_aliases \
	index_dwarf \
	index_frames \
	store \
	symbols \
	symwrite \
	tails \
	values \
	values_text

UNIT_TESTS = \
	array \
	budget \
	bytes \
	cfi \
	context \
	core \
	corpus \
	dumps \
	dwarf \
	dwarf_ahead \
	dwarf_lines \
	dwarf_package \
	dwarf_tree \
	filter \
	fingerprint \
	gopclntab \
	gzip \
	hitscan \
	hostile \
	http \
	index \
	index_aliases \
	index_dwarf \
	index_frames \
	instruction \
	linkmap \
	maps \
	meta \
	minidump \
	mutate_minidump \
	mutate_unwind \
	notes \
	perfmap \
	prologue \
	repeat \
	report \
	sandbox \
	semantic \
	shstk \
	siginfo \
	spool \
	store \
	sym \
	symbols \
	symwrite \
	tails \
	unloaded \
	unwind \
	unwind_aarch64 \
	unwind_cases \
	utf \
	uuid \
	values \
	values_text \
	wire

# Fuzz targets: tests/fuzz/NAME.c each, with tests/fuzz/corpus/NAME. `make
# fuzz` needs clang; tests/unit/corpus.c replays what is kept without it.
FUZZ_TARGETS = \
	core \
	dwarf \
	gzip \
	hitscan \
	index \
	maps \
	memory \
	meta \
	minidump \
	package \
	perfmap \
	prologue \
	reason \
	sym \
	unwind \
	values

# Programs that die, for the tests: tests/crashers/NAME.c each.
CRASHERS = \
		ends \
		filtered \
		handlers \
		masks \
		menu \
		sabotage \
		stacks \
		threads \
		words \
	scenes

# One of C++, with a library; and the same source built to other addresses.
KNOWN = \
	$(B)/crashers/known \
	$(B)/crashers/libknown.so \
	$(B)/crashers/rebuilt/known \
	$(B)/crashers/rebuilt/libknown.so

BENCH_PROGRAMS = \
	$(B)/bench/chain \
	$(B)/bench/close \
	$(B)/bench/create \
	$(B)/bench/deep \
	$(B)/bench/death \
	$(B)/bench/die \
	$(B)/bench/die-modules \
	$(B)/bench/empty.so \
	$(B)/bench/gimli-lines \
	$(B)/bench/glog.so \
	$(B)/bench/handled \
	$(B)/bench/link.so \
	$(B)/bench/once \
	$(B)/bench/spawn \
	$(B)/bench/spin \
	$(B)/bench/unwind

# The oracle: it steps through programs and knows their stacks.
ORACLE_SRCS = \
	tests/oracle/judge.c \
	tests/oracle/oracle.c \
	tests/oracle/second.c \
	tests/oracle/shadow.c \
	tests/oracle/target.c

# Its corpus: SOURCE.COMPILER.WORD..., each word with flags of its own below. C
# by two compilers at each level; then one thing at a time.
ORACLE_CORPUS = \
	$(foreach cc,gcc clang,$(foreach level,O0 O1 O2 O3 Os, \
		calls.$(cc).$(level) thrown.$(cc).$(level))) \
	asm.clang.O2 \
	asm.clang.O2.nocfi \
	asm.clang.O2.wrongcfi \
	asm.gcc.O0.nocfi \
	asm.gcc.O0.wrongcfi \
	asm.gcc.O2 \
	asm.gcc.O2.fp.nocfi \
	asm.gcc.O2.handcfi \
	asm.gcc.O2.handcfi.fp \
	asm.gcc.O2.nocfi \
	asm.gcc.O2.wrongcfi \
	calls.clang.O0.nocfi \
	calls.clang.O2.debugframe \
	calls.clang.O2.fp \
	calls.clang.O2.lto \
	calls.clang.O2.nocfi \
	calls.clang.O2.nofp.lazy \
	calls.clang.O2.realign \
	calls.clang.O2.static \
	calls.gcc.O0.nocfi \
	calls.gcc.O0.nofp \
	calls.gcc.O1.nocfi \
	calls.gcc.O2.cet.lazy \
	calls.gcc.O2.debugframe \
	calls.gcc.O2.fp \
	calls.gcc.O2.fp.nocfi \
	calls.gcc.O2.fp.nocfi.static \
	calls.gcc.O2.gold \
	calls.gcc.O2.lazy \
	calls.gcc.O2.lld \
	calls.gcc.O2.lto \
	calls.gcc.O2.nocfi \
	calls.gcc.O2.nocfi.static \
	calls.gcc.O2.nofp \
	calls.gcc.O2.nopie \
	calls.gcc.O2.noplt \
	calls.gcc.O2.protected \
	calls.gcc.O2.realign \
	calls.gcc.O2.static \
	calls.gcc.O3.lto \
	calls.gcc.O3.native \
	calls.gcc.O3.nocfi \
	calls.gcc.O3.nofp.lto \
	calls.musl.O0 \
	calls.musl.O2 \
	calls.musl.O2.static \
	thrown.clang.O2.libcxx \
	thrown.gcc.O2.lto \
	thrown.gcc.O2.nofp \
	walk.rustc.O0 \
	walk.rustc.O2 \
	walk.rustc.O3.rustfp \
	walk.rustc.O3.rustlto

# What `make check` takes of it.
ORACLE_SAMPLE = \
	asm.clang.O2 \
	asm.clang.O2.wrongcfi \
	asm.gcc.O2 \
	asm.gcc.O2.nocfi \
	asm.gcc.O2.wrongcfi \
	calls.clang.O0 \
	calls.clang.O3 \
	calls.gcc.O0 \
	calls.gcc.O0.nocfi \
	calls.gcc.O2.cet.lazy \
	calls.gcc.O2.debugframe \
	calls.gcc.O2.lto \
	calls.gcc.O2.nocfi \
	calls.gcc.O2.static \
	calls.gcc.O3 \
	calls.musl.O2 \
	thrown.gcc.O2

# What is planted into the shim's zone: tests/zone/plant_NAME.c each.
PLANTS = \
	call \
	handler \
	witness

PROGRAMS = \
	$(B)/epitaph \
	$(B)/epitaph-helper \
	$(B)/epitaphd \
	$(B)/libepitaph.so

# Flags of the project, apart from the user's.
STD = -std=c11 -D_GNU_SOURCE
WARN = -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla
DEPS = -MMD -MP
HARDEN = -fstack-protector-strong -fno-strict-aliasing
PROJECT = $(STD) $(WARN) $(DEPS) $(HARDEN) -fPIE
SHIM_FLAGS = $(STD) $(WARN) $(DEPS) -fPIC -ffreestanding -fno-builtin \
	-fvisibility=hidden -fno-stack-protector -U_FORTIFY_SOURCE \
	-fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables \
	-fasynchronous-unwind-tables $(SHIM_FLAGS_$(ARCH))
SHIM_FLAGS_aarch64 = -mno-outline-atomics
# There gcc puts constants that need relocation where data is. The shim has
# none that is not zero at first, and no page for it below its stacks.
SHIM_AFTER_aarch64 = && $(CC:gcc=objcopy) \
	--rename-section .data=.data.rel.ro,alloc,load,data,contents $@
ZONE_FLAGS = $(SHIM_FLAGS) -fno-jump-tables -Wframe-larger-than=1024 \
	-foptimize-sibling-calls
# Where one library does not say that it gets on with shadow stacks the whole
# program has none. It does: scripts/check-zone looks at what could be the
# exception.
SHIM_LDFLAGS_x86_64 = -Wl,-z,shstk
SHIM_LDFLAGS = -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,-z,initfirst \
	-Wl,-z,noseparate-code -Wl,-z,defs $(SHIM_LDFLAGS_$(ARCH)) \
	-Wl,--hash-style=both -Wl,-soname,libepitaph.so \
	-Wl,--version-script=shim/exports.map
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer

# The helper is static: nothing to relocate, nothing to look up at a crash.
HELPER_LIBS = -ldw -lelf -lz -llzma -lbz2 -ljansson -lmd -liberty
COLLECTOR_LIBS = -lmicrohttpd -lsqlite3 -ljansson -lseccomp -lz -lmd
CLI_LIBS = -ldw -lelf -lz -llzma -ljansson -lmd -liberty -lisal -lzstd \
	-pthread

FUZZ = -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_FLAGS = -rss_limit_mb=1024 -malloc_limit_mb=300 -timeout=10 \
	-max_len=16384 -print_final_stats=1

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
asan = $(patsubst %.c,$(B)/asan/%.o,$(1))

LIB_SRCS = $(REPORT_SRCS) $(UNWIND_SRCS) $(PROC_SRCS) $(SPOOL_SRCS)
FUZZ_SRCS = $(REPORT_SRCS) $(UNWIND_SRCS) $(PROC_SRCS)
FUZZ_BINS = $(patsubst %,$(B)/fuzz/%,$(FUZZ_TARGETS))
UNIT_BINS = $(patsubst %,$(B)/unit/%,$(UNIT_TESTS))

CRASHER_BINS = $(patsubst %,$(B)/crashers/%,$(CRASHERS))

# As parallel as the machine, unless the user said how much.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE = $(MAKE) --no-print-directory $(PARALLEL)

all: $(PROGRAMS)

$(B)/obj/shim/signal/%.o: shim/signal/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(ZONE_FLAGS) -c -o $@ $< $(SHIM_AFTER_$(ARCH))

$(B)/obj/shim/helper/%.o: shim/helper/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(PROJECT) -c -o $@ $<

$(B)/obj/shim/%.o: shim/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SHIM_FLAGS) -c -o $@ $< $(SHIM_AFTER_$(ARCH))

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(PROJECT) -c -o $@ $<

$(B)/asan/tests/%.o: PROJECT += -DTESTS='"$(CURDIR)/tests"'

$(B)/asan/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) -O1 -g $(PROJECT) $(SANITIZE) -c -o $@ $<

# The shim carries the helper along.
$(B)/helper.carried: $(B)/epitaph-helper
	$(STRIP) -s -o $@ $<

$(B)/obj/shim/signal/carried.o: shim/signal/carried.S $(CARRIED)
	@mkdir -p $(@D)
	$(CC) -DCARRIED='"$(CARRIED)"' -c -o $@ $<

# The stacks come first, above the page that is made read-only.
$(B)/libepitaph.so: $(call objs,shim/signal/stacks.c $(ZONE_SRCS) \
		$(SHIM_SRCS)) \
		$(B)/obj/shim/signal/carried.o shim/EXPORTS
	$(CC) -nostdlib -shared $(LDFLAGS) -o $@ $(filter %.o,$^) \
		$(SHIM_LDFLAGS)

# Only what a crash needs: stopping and naming are for others.
$(B)/epitaph-helper: $(call objs,$(HELPER_SRCS) \
		$(filter-out $(PROC_SRCS) lib/report/semantic.c,$(LIB_SRCS)) \
		lib/proc/linkmap.c lib/proc/maps.c lib/proc/perfmap.c \
		lib/proc/pid.c lib/proc/user_$(ARCH).c)
	$(CC) -static $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(B)/epitaphd: $(call objs,$(COLLECTOR_SRCS) $(REPORT_SRCS))
	$(CC) -pie $(LDFLAGS) -o $@ $^ $(COLLECTOR_LIBS)

$(B)/epitaph: $(call objs,$(CLI_SRCS) $(SYMBOLIZER_SRCS) $(LIB_SRCS))
	$(CC) -pie $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(B)/unit/corpus $(B)/unit/hitscan $(B)/unit/wire: \
		$(call asan,$(HITSCAN_SRCS))

$(B)/unit/corpus: $(call asan,$(SYMBOLIZER_SRCS))

$(B)/unit/%: $(B)/asan/tests/unit/%.o $(call asan,$(LIB_SRCS))
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS)

$(B)/unit/corpus $(B)/unit/hostile $(B)/unit/notes $(B)/unit/unloaded: \
		$(call asan,$(filter-out shim/helper/main.c,$(HELPER_SRCS)))

# The unwinder of another machine, on this one.
aarch64 = $(patsubst %.c,$(B)/asan-aarch64/%.o,$(1))
UNWIND_AARCH64 = $(subst _$(ARCH),_aarch64,$(UNWIND_SRCS)) \
	lib/report/bytes.c lib/report/error.c lib/report/report.c

$(B)/asan-aarch64/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) -O1 -g $(PROJECT) $(SANITIZE) -DMACHINE_AARCH64 -c -o $@ $<

$(B)/unit/unwind_aarch64: $(B)/asan-aarch64/tests/unit/unwind_aarch64.o \
		$(call aarch64,$(UNWIND_AARCH64))
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS)

$(B)/test/walk_aarch64: $(call aarch64,tests/cross/walk.c $(UNWIND_AARCH64))
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS)

$(B)/unit/sandbox: $(call asan,shim/helper/sandbox_$(ARCH).c)

$(SYMBOLIZER_UNITS:%=$(B)/unit/%): $(call asan,$(SYMBOLIZER_SRCS))
$(B)/unit/sym: $(call asan,$(SYM_SRCS))
$(B)/unit/filter: $(call asan,shim/interpose/filter.c)

# Collector tests make their reports with the real codec.
$(B)/test/mkreport: $(call objs,tests/e2e/mkreport.c $(REPORT_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -ljansson -lz -lmd

$(B)/test/oracle: $(call objs,$(ORACLE_SRCS) $(REPORT_SRCS) \
		$(UNWIND_SRCS) $(PROC_SRCS))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

ORACLE_CC_clang = $(CLANG)
ORACLE_CC_gcc = gcc
ORACLE_CC_musl = musl-gcc
ORACLE_FLAGS_musl = -DNO_RESOLVERS
$(foreach level,O0 O1 O2 O3 Os,$(eval ORACLE_FLAGS_$(level) = -$(level)))
ORACLE_FLAGS_cet = -fcf-protection=full
ORACLE_FLAGS_debugframe = -g -fno-asynchronous-unwind-tables \
	-fno-unwind-tables
ORACLE_FLAGS_fp = -fno-omit-frame-pointer
ORACLE_FLAGS_gold = -fuse-ld=gold
ORACLE_FLAGS_handcfi = -DNO_CFI_IN_C -fno-asynchronous-unwind-tables \
	-fno-unwind-tables
ORACLE_FLAGS_lazy = -Wl,-z,lazy
ORACLE_FLAGS_libcxx = -stdlib=libc++
ORACLE_FLAGS_lld = -fuse-ld=lld
ORACLE_FLAGS_lto = -flto $(if $(findstring clang,$@),-fuse-ld=lld)
ORACLE_FLAGS_native = -march=x86-64-v2
ORACLE_FLAGS_nocfi = -DNO_CFI -fno-asynchronous-unwind-tables \
	-fno-unwind-tables
ORACLE_FLAGS_nofp = -fomit-frame-pointer
ORACLE_FLAGS_nopie = -no-pie -fno-pie
ORACLE_FLAGS_noplt = -fno-plt
ORACLE_FLAGS_protected = -fstack-protector-all -D_FORTIFY_SOURCE=2
ORACLE_FLAGS_realign = -mstackrealign
ORACLE_FLAGS_static = -static
ORACLE_FLAGS_wrongcfi = -DWRONG_CFI
ORACLE_FLAGS_rustfp = -C force-frame-pointers=yes
ORACLE_FLAGS_rustlto = -C lto=fat -C codegen-units=1
oracle_words = $(subst ., ,$(notdir $@))
oracle_cc = $(ORACLE_CC_$(word 2,$(oracle_words)))
oracle_flags = $(foreach word,$(oracle_words),$(ORACLE_FLAGS_$(word)))
oracle_lib = $(if $(filter static,$(oracle_words)),tests/oracle/corpus/lib.c, \
	$(dir $@)lib.$(word 2,$(oracle_words)).so '-Wl,-rpath,$$ORIGIN')

$(B)/oracle/lib.%.so: tests/oracle/corpus/lib.c Makefile
	@mkdir -p $(@D)
	$(ORACLE_CC_$*) -O2 $(ORACLE_FLAGS_$*) -fPIC -shared \
		-Wl,-soname,$(@F) -o $@ $<

$(B)/oracle/calls.%: tests/oracle/corpus/calls.c $(B)/oracle/lib.clang.so \
		$(B)/oracle/lib.gcc.so $(B)/oracle/lib.musl.so
	$(oracle_cc) $(oracle_flags) -o $@ $< $(oracle_lib)

$(B)/oracle/asm.%: tests/oracle/corpus/asm_main.c tests/oracle/corpus/asm.S \
		Makefile
	@mkdir -p $(@D)
	$(oracle_cc) $(oracle_flags) -o $@ $(filter-out Makefile,$^)

$(B)/oracle/thrown.%: tests/oracle/corpus/thrown.cc Makefile
	@mkdir -p $(@D)
	$(oracle_cc) $(oracle_flags) -o $@ -x c++ $< \
		$(if $(filter libcxx,$(oracle_words)),-lc++,-lstdc++)

$(B)/oracle/walk.%: tests/oracle/corpus/walk.rs Makefile
	@mkdir -p $(@D)
	rustc --edition 2021 --crate-name $(subst .,_,$(@F)) -o $@ $< \
		-C opt-level=$(patsubst O%,%,$(word 3,$(oracle_words))) \
		$(foreach word,$(filter rust%,$(oracle_words)), \
		$(ORACLE_FLAGS_$(word)))

oracle_programs = $(B)/test/oracle $(patsubst %,$(B)/oracle/%,$(1))

$(B)/crashers/%: tests/crashers/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -pthread -o $@ $< $(LDLIBS)

$(B)/crashers/filtered: LDLIBS = -lseccomp

$(B)/crashers/libscene.so: tests/crashers/scenes.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) -DSCENE -fPIC -shared -o $@ $<

KNOWN_FLAGS = -std=c++17 -O2 -g -Wall -Wextra $(DEPS)
REBUILT_FLAGS = $(KNOWN_FLAGS) -DKNOWN_REBUILT -fno-toplevel-reorder

$(B)/crashers/libknown.so: tests/crashers/known_lib.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(KNOWN_FLAGS) -fPIC -shared -Wl,-soname,libknown.so -o $@ $<

$(B)/crashers/known: tests/crashers/known.cc $(B)/crashers/libknown.so
	$(CXX) $(KNOWN_FLAGS) -o $@ $^ '-Wl,-rpath,$$ORIGIN'

$(B)/crashers/rebuilt/libknown.so: tests/crashers/known_lib.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(REBUILT_FLAGS) -fPIC -shared -Wl,-soname,libknown.so -o $@ $<

$(B)/crashers/rebuilt/known: tests/crashers/known.cc \
		$(B)/crashers/rebuilt/libknown.so
	$(CXX) $(REBUILT_FLAGS) -o $@ $^ '-Wl,-rpath,$$ORIGIN'

$(B)/bench/%: tests/bench/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -pthread -o $@ $<

# The same program with libraries enough to make 25 modules.
$(B)/bench/deep: tests/bench/deep.cc Makefile
	@mkdir -p $(@D)
	$(CXX) -O2 -g -std=c++17 -o $@ $<

$(B)/bench/die-modules: tests/bench/die.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -pthread -o $@ $< \
		-Wl,--no-as-needed -lmicrohttpd -ldw -lsqlite3 -ljansson \
		-lseccomp -lmd -lstdc++

# Another's reader of DWARF, of Debian's crates.
$(B)/bench/gimli-lines: tests/bench/gimli/src/main.rs \
		tests/bench/gimli/Cargo.toml
	@mkdir -p $(@D)
	cp -r tests/bench/gimli $(@D)
	cd $(@D)/gimli && cargo build --quiet --offline --release \
		--config 'source.crates-io.replace-with="debian"' --config \
		'source.debian.directory="/usr/share/cargo/registry"'
	cp $(@D)/gimli/target/release/gimli-lines $@

$(B)/bench/glog.so: tests/bench/glog.cc Makefile
	@mkdir -p $(@D)
	$(CXX) -O2 -g $(DEPS) -fPIC -shared -o $@ $< -lglog

$(B)/bench/link.so: tests/bench/link.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -fPIC -shared -o $@ $<

# It unwinds as the helper does, and is linked in the same way.
$(B)/bench/unwind: $(call objs,tests/bench/unwind.c $(UNWIND_SRCS) \
		lib/proc/maps.c lib/proc/stop.c lib/proc/user_$(ARCH).c \
		$(filter-out lib/report/semantic.c,$(REPORT_SRCS)))
	@mkdir -p $(@D)
	$(CC) -static $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

# The least that can be preloaded, to measure the shim's start against.
$(B)/bench/empty.so: tests/bench/empty.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(SHIM_FLAGS) -nostdlib -shared -o $@ $< \
		-Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,-z,initfirst \
		-Wl,--hash-style=both

# What there is of another machine's, for scripts/cross, with its compiler.
$(B)/cross/%: tests/cross/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -Werror -pthread -o $@ $<

cross: $(B)/libepitaph.so \
		$(call objs,$(UNWIND_SRCS) lib/proc/user_$(ARCH).c) \
		$(B)/cross/die $(B)/cross/show

# The shim with something wrong in its zone, for the trap to find.
PLANTED_LIBS = $(patsubst %,$(B)/test/plant_%.so,$(PLANTS))
WRAP_handler = complete_record
WRAP_witness = collect_threads
WRAP_call = collect_threads

$(B)/obj/tests/zone/plant_%.o: tests/zone/plant_%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(ZONE_FLAGS) -fno-plt -c -o $@ $<

$(PLANTED_LIBS): $(B)/test/plant_%.so: $(B)/obj/tests/zone/plant_%.o \
		$(call objs,$(ZONE_SRCS) $(SHIM_SRCS)) \
		$(B)/obj/shim/signal/carried.o
	@mkdir -p $(@D)
	$(CC) -nostdlib -shared $(LDFLAGS) -o $@ $^ $(SHIM_LDFLAGS) \
		-Wl,--wrap=$(WRAP_$*)

$(B)/test/inject $(B)/test/trap: $(B)/test/%: tests/zone/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -O2 -g $(STD) $(WARN) $(DEPS) -o $@ $<

crashers: $(CRASHER_BINS) $(KNOWN) $(B)/crashers/libscene.so \
		$(B)/test/inject $(B)/test/mkreport $(B)/test/trap \
		$(PLANTED_LIBS) $(call oracle_programs,$(ORACLE_SAMPLE))

corpus: $(call oracle_programs,$(ORACLE_CORPUS))

# What needs packages comes in two steps, so that a machine with nothing but
# make can do it: install them, then start over with a compiler there.
check:
	@scripts/setup
	@$(SUBMAKE) all crashers unit
	@tests/run

unit: $(UNIT_BINS)

check-unit: unit
	@tests/run --kind unit

check-zone: $(B)/libepitaph.so
	@scripts/check-zone --self-test
	@scripts/check-zone

check-layers check-style:
	@scripts/$@ --self-test
	@scripts/$@

demo:
	@scripts/setup
	@$(SUBMAKE) all crashers
	@scripts/demo

bench:
	@scripts/setup bench
	@$(SUBMAKE) all corpus $(BENCH_PROGRAMS)
	@tests/bench/run

# As long as it takes: SOAK = what tests/soak --help says.
SOAK =
soak: all crashers
	@tests/soak $(SOAK)

# Every system call of a crash fails in turn: INJECT = what tests/inject --help
# says.
INJECT =
inject: all crashers
	@tests/inject --table $(INJECT)

# Our stacks against the true ones: WORDS as for tests/oracle/run.
oracle:
	@scripts/setup oracle
	@$(SUBMAKE) corpus
	@tests/oracle/run $(WORDS)

# Other people's programs under the shim: `make programs WORDS='go redis'`.
programs:
	@scripts/setup programs
	@$(SUBMAKE) all crashers
	@tests/run --kind program -j1 $(WORDS)

fresh:
	@scripts/setup fresh
	@tests/fresh

# As root: make what is booted, and boot it, emulated.
vm:
	@scripts/setup vm
	@$(SUBMAKE) all crashers
	@tests/vm/run

lint:
	@scripts/setup lint
	@scripts/lint

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/epitaph
	install -m 755 $(B)/epitaph $(B)/epitaphd $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/epitaph-helper $(B)/libepitaph.so \
		$(DESTDIR)$(PREFIX)/lib/epitaph
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 include/epitaph.h $(DESTDIR)$(PREFIX)/include
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in epitaphd.service epitaph-flush.service; do \
		sed 's|/usr/bin/|$(PREFIX)/bin/|' docs/packaging/$$unit \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -m 644 docs/packaging/epitaph-flush.timer \
		$(DESTDIR)$(PREFIX)/lib/systemd/system
	for section in 1 7 8; do \
		install -d $(DESTDIR)$(PREFIX)/share/man/man$$section && \
		install -m 644 docs/man/*.$$section \
			$(DESTDIR)$(PREFIX)/share/man/man$$section; done

$(B)/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CLANG) -O1 -g $(STD) $(WARN) $(DEPS) $(FUZZ) \
		-fsanitize=fuzzer-no-link -c -o $@ $<

$(B)/fuzz/hitscan: $(patsubst %.c,$(B)/fuzz/obj/%.o,$(HITSCAN_SRCS))

$(B)/fuzz/sym: $(patsubst %.c,$(B)/fuzz/obj/%.o,$(SYM_SRCS))

$(B)/fuzz/dwarf $(B)/fuzz/index $(B)/fuzz/package $(B)/fuzz/values: \
		$(patsubst %.c,$(B)/fuzz/obj/%.o,$(SYMBOLIZER_SRCS) \
		$(SPOOL_SRCS))

$(B)/fuzz/memory: $(patsubst %.c,$(B)/fuzz/obj/%.o, \
		$(filter-out shim/helper/main.c,$(HELPER_SRCS)))

$(FUZZ_BINS): $(B)/fuzz/%: $(B)/fuzz/obj/tests/fuzz/%.o \
		$(patsubst %.c,$(B)/fuzz/obj/%.o,$(FUZZ_SRCS))
	$(CLANG) $(FUZZ) -fsanitize=fuzzer -o $@ $^ \
		$(CLI_LIBS)

$(B)/fuzz/seed: $(B)/asan/tests/fuzz/seed.o $(call asan,$(LIB_SRCS) \
		$(SYMBOLIZER_SRCS))
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS)

# New inputs stay in build/; the corpus in the tree is kept small by hand.
fuzz:
	@command -v $(CLANG) >/dev/null || \
		{ echo 'fuzz: needs clang: apt-get install clang' >&2; exit 1; }
	@$(MAKE) $(FUZZ_BINS)
	@for name in $(FUZZ_TARGETS); do \
		mkdir -p $(B)/fuzz/corpus/$$name && \
		$(B)/fuzz/$$name $(FUZZ_FLAGS) \
			-artifact_prefix=$(B)/fuzz/$$name- \
			-max_total_time=$(FUZZ_SECONDS) \
			$(B)/fuzz/corpus/$$name tests/fuzz/corpus/$$name \
			|| exit 1; done

fuzz-seeds: $(B)/fuzz/seed
	$< tests/fuzz/corpus

clean:
	rm -rf $(B)

-include $(shell find $(B) -path $(B)/fresh -prune -o \
	-path $(B)/vm -prune -o \
	-type f -name '*.d' -print 2>/dev/null)

# Objects that only a pattern names are kept, or each check builds them anew.
.SECONDARY:

.PHONY: all bench check check-layers check-style check-unit check-zone clean \
	corpus crashers cross demo fresh fuzz fuzz-seeds inject install lint \
	oracle programs soak unit vm
