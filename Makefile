# Epitaph. `make` builds everything into build/; `make check` tests it.

# What you may override.
CC = gcc
CXX = g++
CFLAGS = -O2 -g
LDFLAGS =
PREFIX = /usr/local
DESTDIR =
B = build

# Lists: one name per line, sorted.
REPORT_SRCS = \
	lib/report/bytes.c \
	lib/report/context_x86_64.c \
	lib/report/error.c \
	lib/report/fingerprint.c \
	lib/report/gzip.c \
	lib/report/meta.c \
	lib/report/minidump.c \
	lib/report/report.c \
	lib/report/semantic.c \
	lib/report/siginfo.c \
	lib/report/uuid.c

UNWIND_SRCS = \
	lib/unwind/cfi.c \
	lib/unwind/unwind.c

PROC_SRCS = \
	lib/proc/maps.c \
	lib/proc/stop.c

SPOOL_SRCS = \
	lib/spool/http.c \
	lib/spool/ship.c \
	lib/spool/spool.c

# The signal zone: own flags, and scripts/check-zone proves what it may do.
ZONE_SRCS = \
	shim/signal/capture.c \
	shim/signal/handler.c \
	shim/signal/mem.c \
	shim/signal/release.c \
	shim/signal/threads.c \
	shim/signal/witness.c

SHIM_SRCS = \
	shim/interpose/sigaction.c \
	shim/interpose/thread.c \
	shim/preload.c \
	shim/resolve.c \
	shim/settings.c

HELPER_SRCS = \
	shim/helper/crash.c \
	shim/helper/main.c

COLLECTOR_SRCS = \
	collector/main.c

SYMBOLIZER_SRCS = \
	symbolizer/lookup.c

CLI_SRCS = \
	symbolizer/cli/main.c

# Unit tests: tests/unit/NAME.c each make one program, built with sanitizers.
UNIT_TESTS = \
	bytes

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
	-fasynchronous-unwind-tables
ZONE_FLAGS = $(SHIM_FLAGS) -fno-jump-tables -Wframe-larger-than=1024 \
	-foptimize-sibling-calls
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer

# The helper is static: nothing to relocate, nothing to look up at a crash.
HELPER_LIBS = -ldw -lelf -lz -llzma -lbz2 -ljansson -lmd
COLLECTOR_LIBS = -lmicrohttpd -lsqlite3 -ljansson -lseccomp -lz -lmd
CLI_LIBS = -ldw -lelf -lz -ljansson -lmd -lcurl -liberty

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
asan = $(patsubst %.c,$(B)/asan/%.o,$(1))

LIB_SRCS = $(REPORT_SRCS) $(UNWIND_SRCS) $(PROC_SRCS) $(SPOOL_SRCS)
UNIT_BINS = $(patsubst %,$(B)/unit/%,$(UNIT_TESTS))

all: $(PROGRAMS)

$(B)/obj/shim/signal/%.o: shim/signal/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(ZONE_FLAGS) -c -o $@ $<

$(B)/obj/shim/helper/%.o: shim/helper/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(PROJECT) -c -o $@ $<

$(B)/obj/shim/%.o: shim/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SHIM_FLAGS) -c -o $@ $<

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(PROJECT) -c -o $@ $<

$(B)/asan/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) -O1 -g $(PROJECT) $(SANITIZE) -c -o $@ $<

$(B)/libepitaph.so: $(call objs,$(ZONE_SRCS) $(SHIM_SRCS)) shim/EXPORTS
	$(CC) -nostdlib -shared $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,-z,initfirst \
		-Wl,--hash-style=both -Wl,-soname,libepitaph.so \
		-Wl,--version-script=shim/exports.map

$(B)/epitaph-helper: $(call objs,$(HELPER_SRCS) $(LIB_SRCS))
	$(CC) -static $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(B)/epitaphd: $(call objs,$(COLLECTOR_SRCS) $(REPORT_SRCS))
	$(CC) -pie $(LDFLAGS) -o $@ $^ $(COLLECTOR_LIBS)

$(B)/epitaph: $(call objs,$(CLI_SRCS) $(SYMBOLIZER_SRCS) $(LIB_SRCS))
	$(CC) -pie $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(B)/unit/%: $(B)/asan/tests/unit/%.o $(call asan,$(LIB_SRCS))
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ -ldw -lelf -lz -ljansson -lmd

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: all clean
