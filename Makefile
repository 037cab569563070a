# SPDX-License-Identifier: Apache-2.0
# cvisor's build. `make help` lists the targets.
MODE ?= release
O ?= out/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
AR := $(if $(filter default,$(origin AR)),ar,$(AR))
CACHE ?= .cache

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings \
	-Wformat=2 -Wcast-function-type -Wno-missing-field-initializers -Werror
CFLAGS_COMMON := -std=gnu17 -g $(WARN) -I. -I/usr/include/libunwind -I$(O)/gen -D_GNU_SOURCE -fno-strict-aliasing -fstack-protector-strong \
	-ffunction-sections -fdata-sections -pthread

ifeq ($(MODE),release)
CFLAGS_MODE := -O2 -fPIE -D_FORTIFY_SOURCE=2
LDFLAGS_MODE := -static-pie -Wl,--gc-sections
LIBS := -lseccomp -ljansson -l:libjemalloc_pic.a -lunwind -llzma -lz -lcapstone -lm -ldl
else ifeq ($(MODE),debug)
CFLAGS_MODE := -O1 -fPIE -DDEBUG -fno-omit-frame-pointer
LDFLAGS_MODE := -static-pie
LIBS := -lseccomp -ljansson -lunwind -llzma -lz -lcapstone -lm
else ifeq ($(MODE),asan)
CFLAGS_MODE := -O1 -fPIE -DDEBUG -DSANITIZER -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_MODE := -pie -fsanitize=address,undefined -static-libasan -static-libubsan
LIBS := -lseccomp -ljansson -lunwind -lcapstone -lm
else ifeq ($(MODE),ubsan)
CFLAGS_MODE := -O1 -fPIE -DDEBUG -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=undefined
LDFLAGS_MODE := -pie -fsanitize=undefined -static-libubsan
LIBS := -lseccomp -ljansson -lunwind -lcapstone -lm
else ifeq ($(MODE),tsan)
CFLAGS_MODE := -O1 -fPIE -DDEBUG -DSANITIZER -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS_MODE := -pie -fsanitize=thread -static-libtsan
LIBS := -lseccomp -ljansson -lunwind -lcapstone -lm
else ifeq ($(MODE),cov)
CFLAGS_MODE := -O0 -fPIE -DDEBUG --coverage
LDFLAGS_MODE := -pie --coverage
LIBS := -lseccomp -ljansson -lunwind -lcapstone -lm
else
$(error MODE=$(MODE): expected release, debug, asan, ubsan, tsan or cov)
endif
CFLAGS_ALL := $(CFLAGS_COMMON) $(CFLAGS_MODE) $(CFLAGS)

include platform/stub/stub.mk

FOLDERS := $(wildcard base abi platform sentry syscalls fsgofer runsc)
SRCS := $(filter-out platform/stub/%,$(shell find $(FOLDERS) -name '*.c' | sort))
OBJS := $(SRCS:%.c=$(O)/%.o)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

##@ Building
.PHONY: all
all: $(O)/bin/runsc ## build runsc (MODE=release|debug|asan|ubsan|tsan|cov, CC=gcc|clang)

# The flags a folder of objects was built with: another CC or CFLAGS rebuilds it.
BUILD_ID := $(CC) $(CFLAGS_ALL) $(LDFLAGS_MODE) $(LIBS)
ifneq ($(BUILD_ID),$(file <$(O)/.flags))
$(shell mkdir -p $(O))
$(file >$(O)/.flags,$(BUILD_ID))
endif

$(O)/bin/runsc: $(OBJS)
	@mkdir -p $(@D)
	@echo '  LD      $@'
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_MODE) -o $@ $(OBJS) $(LIBS)

# In debug builds the platform's operations pass through platform/facade.c.
$(O)/platform/%.o: CFLAGS_ALL += -DPLATFORM_IMPLEMENTATION

$(O)/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

include tests/unit/unit.mk
-include $(wildcard tests/compat/compat.mk)
-include $(wildcard tests/fuzz/fuzz.mk)
include tools/rootfs.mk
include tools/lint.mk

.PHONY: install
install: $(O)/bin/runsc ## copy runsc to $(DESTDIR)$(PREFIX)/bin
	install -D -m 0755 $(O)/bin/runsc $(DESTDIR)$(PREFIX)/bin/runsc

.PHONY: deps
deps: ## install what building and testing need, from Debian's packages (as root)
	@tools/deps

.PHONY: clean distclean
clean: ## remove what was built
	rm -rf out
distclean: clean ## and the cached root file systems
	rm -rf $(CACHE)

##@ Testing
# A suite is an executable tests/<suite>/run; it appends its results to $$RESULTS (tests/README.md).
SUITES := compat oci workloads stress engines matrix debuggers

.PHONY: check check-all
check: ## install what is needed, lint, all tests (as root); ends with one line of sums
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(shell nproc) all tests-built rootfs
	@MAKE='$(MAKE) O=$(O) CC=$(CC)' MODE=$(MODE) O=$(abspath $(O)) CACHE=$(abspath $(CACHE)) \
		tools/check lint unit $(SUITES)
check-all: check ## the whole matrix of hosts, then all again in a debug build (lock order, leaks) and with ASan, UBSan
	@MATRIX=whole SUITE_TIMEOUT=86400 $(MAKE) --no-print-directory check-matrix
	@$(MAKE) --no-print-directory MODE=debug check
	@$(MAKE) --no-print-directory MODE=asan check

.PHONY: tests-built $(SUITES:%=check-%) check-terminal
tests-built: $(UNIT_TESTS:%=$(O)/tests/unit/%) $(COMPAT_PROGRAMS)
$(SUITES:%=check-%) check-terminal: check-%: all tests-built rootfs ## one suite: check-compat, check-oci, ...
	@MAKE='$(MAKE) O=$(O) CC=$(CC)' MODE=$(MODE) O=$(abspath $(O)) CACHE=$(abspath $(CACHE)) tools/check $*

BENCH := MODE=$(MODE) O=$(abspath $(O)) CACHE=$(abspath $(CACHE)) tests/bench/run
.PHONY: check-storm
check-storm: all ## 100,000 signals, stops and kills over 200 threads, on each platform
	@for p in notify ptrace; do RUNSC=$(abspath $(O))/bin/runsc RUNSC_FLAGS=--platform=$$p \
		tests/stress/run storm || exit 1; done

.PHONY: check-rewrites
check-rewrites: all tests-built ## a million exchanges of text under its threads, a million of rewrites by the guest
	@REWRITES=1000000 TEST_SECONDS=1800 RUNSC=$(abspath $(O))/bin/runsc O=$(abspath $(O)) CACHE=$(abspath $(CACHE)) \
		tests/oci/run patch.text_is_exchanged
	@for f in "" --force=patch; do RUNSC=$(abspath $(O))/bin/runsc RUNSC_FLAGS=$$f \
		tests/stress/run million || exit 1; done

.PHONY: bench bench-all bench-docs
bench: all rootfs-busybox rootfs-bench ## native and cvisor, side by side: the quick rows, and which budgets hold
	@$(BENCH) --json $(O)/bench.json
bench-all: all rootfs-busybox rootfs-bench ## all rows: also configure, make, gcc, git, node, sqlite
	@$(BENCH) --all --idle 60 --json $(O)/bench.json
bench-docs: bench-all ## measure all rows and put the figures and the chart into docs/performance.md
	@$(BENCH) --from $(O)/bench.json --docs docs/performance.md --chart docs/performance.svg >/dev/null

.PHONY: demo
demo: ## install what is needed, build, and show a shell session in the sandbox (as root)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory all rootfs-busybox
	@O=$(abspath $(O)) CACHE=$(abspath $(CACHE)) tools/demo

##@ Help
.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z$$][^=]*:.*## / { n = split($$1, t, " "); name = t[1]; sub(/:.*/, "", name); \
			if (name ~ /^\$$/) name = "check-SUITE"; printf "  %-16s %s\n", name, $$2 }' \
		Makefile tools/lint.mk tools/rootfs.mk tests/unit/unit.mk

-include $(OBJS:.o=.d)
