# SPDX-License-Identifier: Apache-2.0
# Unit tests: tests/unit/test_<name>.c, a cmocka program each. UNIT_<name> lists the sources beside
# base/ that it links (with fakes for the rest in the test); a test without such a list links
# whatever it needs out of the whole. UNIT_LIBS_<name> adds libraries.
UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
BASE_SRCS := $(wildcard base/*.c)

UNIT_base := base/mem.c
UNIT_abi := base/mem.c tests/unit/abi_tty.c
UNIT_hostcall := base/mem.c
UNIT_strace := syscalls/strace.c syscalls/strace_args.c syscalls/strace_flags.c \
	syscalls/strace_structs.c

# Every constant of abi/, compared where the host's headers have it: abi_names.h, and abi_tty_names.h
# for a source of its own, because terminals' headers of the C library and the kernel exclude each other.
abi_names = sed -n 's/^\#define ABI_\([A-Z0-9_]*\)[ \t].*/\#ifdef \1\nSAME(\1);\n\#endif/p'
$(O)/tests/unit/abi_names.h: $(filter-out abi/tty.h,$(wildcard abi/*.h))
	@mkdir -p $(@D)
	@$(abi_names) $^ >$@
$(O)/tests/unit/abi_tty_names.h: abi/tty.h
	@mkdir -p $(@D)
	@$(abi_names) $^ >$@
$(O)/tests/unit/test_abi.o: $(O)/tests/unit/abi_names.h
$(O)/tests/unit/abi_tty.o: $(O)/tests/unit/abi_tty_names.h
$(O)/tests/unit/test_abi.o $(O)/tests/unit/abi_tty.o: CFLAGS_ALL += -I$(O)/tests/unit

# Everything but main().
$(O)/libcvisor.a: $(filter-out $(O)/runsc/main.o,$(OBJS))
	@echo '  AR      $@'
	@rm -f $@ && ar rcsT $@ $^

GOFER_SERVER_SRCS := fsgofer/server.c fsgofer/handles.c fsgofer/names.c fsgofer/attrs.c \
	fsgofer/xattrs.c fsgofer/readdir.c
UNIT_gofer_protocol := fsgofer/handles.c
UNIT_gofer_server := $(GOFER_SERVER_SRCS)
UNIT_gofer_process := $(GOFER_SERVER_SRCS) fsgofer/gofer.c fsgofer/confine.c fsgofer/mounts.c \
	fsgofer/mountpoints.c fsgofer/filter.c
UNIT_LIBS_gofer_process := -lseccomp
PATCH_SRCS := $(wildcard platform/patch/*.c)
PATCH_MM_SRCS := sentry/mm/patch_cache.c sentry/mm/patch_map.c sentry/kernel/waitqueue.c \
	$(PATCH_SRCS)
UNIT_loader := $(PATCH_MM_SRCS) sentry/mm/mm.c sentry/mm/vma.c sentry/mm/area.c sentry/loader/elf.c \
	sentry/loader/script.c sentry/loader/stack.c sentry/loader/creds.c sentry/loader/load.c
UNIT_timer := sentry/kernel/timer.c
UNIT_usermem := sentry/mm/usermem.c
UNIT_mm := $(PATCH_MM_SRCS) sentry/mm/mm.c sentry/mm/vma.c sentry/mm/area.c sentry/mm/map.c sentry/mm/change.c
UNIT_patch_mm := $(UNIT_mm) sentry/mm/patch_heat.c sentry/mm/patch_page.c sentry/mm/patch_fault.c
UNIT_ldisc := sentry/tty/ldisc.c sentry/tty/ldisc_out.c
UNIT_LIBS_ldisc := -lutil
UNIT_config := runsc/config.c runsc/config_linux.c runsc/json.c runsc/error.c
UNIT_cgroup := runsc/cgroup.c runsc/cgroup_path.c runsc/error.c runsc/options.c
UNIT_control := runsc/control.c runsc/error.c
PLATFORM_SRCS := $(filter-out platform/stub/%,$(wildcard platform/*.c platform/*/*.c))
UNIT_platform := $(PLATFORM_SRCS) tests/unit/guest/minisentry.c
UNIT_platform_hostile := $(UNIT_platform)
UNIT_platform_facade := $(UNIT_platform)
UNIT_platform_zygote := $(UNIT_platform)
UNIT_platform_ptrace := $(UNIT_platform)
UNIT_platform_hostile_ptrace := $(UNIT_platform)
UNIT_platform_zygote_ptrace := $(UNIT_platform)
UNIT_platform_unborn := $(UNIT_platform)
UNIT_platform_lent := $(UNIT_platform)
UNIT_platform_stock := $(UNIT_platform)
UNIT_platform_unborn_ptrace := $(UNIT_platform)
UNIT_place := platform/notify/place.c
UNIT_patch := $(PATCH_SRCS)
UNIT_platform_filter := platform/filter.c
include tests/unit/guest/guest.mk

define unit_rule
$(O)/tests/unit/$(1): $(O)/tests/unit/test_$(1).o $$(BASE_SRCS:%.c=$(O)/%.o) \
		$(if $(UNIT_$(1)),$(UNIT_$(1):%.c=$(O)/%.o),$(O)/libcvisor.a)
	@echo '  LD      $$@'
	@$$(CC) $$(CFLAGS_ALL) $$(filter-out -static-pie,$$(LDFLAGS_MODE)) -pie -o $$@ $$^ \
		$$(UNIT_LIBS_$(1)) -Wl,--as-needed $$(filter-out -l:libjemalloc_pic.a,$$(LIBS)) -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t))))

# tests/bench/handlers.c: the handlers with a platform that the linker puts in.
HANDLERS_WRAP := platform_window platform_window_written platform_window_rest platform_read \
	platform_write platform_thread_mm malloc calloc
$(O)/tests/bench/handlers: $(O)/tests/bench/handlers.o $(BASE_SRCS:%.c=$(O)/%.o) \
		$(GOFER_SERVER_SRCS:%.c=$(O)/%.o) $(O)/libcvisor.a
	@echo '  LD      $@'
	@$(CC) $(CFLAGS_ALL) $(filter-out -static-pie,$(LDFLAGS_MODE)) -pie -o $@ $^ \
		$(HANDLERS_WRAP:%=-Wl,--wrap=%) \
		-Wl,--as-needed $(filter-out -l:libjemalloc_pic.a,$(LIBS)) -lcmocka
-include $(O)/tests/bench/handlers.d
.PHONY: bench-handlers
bench-handlers: $(O)/tests/bench/handlers ## what the handlers cost by themselves, and their allocations
	@$<

.PHONY: unit
unit: $(UNIT_TESTS:%=$(O)/tests/unit/%)
	@for t in $(UNIT_TESTS); do timeout 300 $(O)/tests/unit/$$t || exit 1; done

-include $(UNIT_TESTS:%=$(O)/tests/unit/test_%.d)
