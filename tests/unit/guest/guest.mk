# SPDX-License-Identifier: Apache-2.0
# The guest programs of test_platform: one flat image for GUEST_BASE.
GUEST_O := $(O)/tests/unit/guest

$(GUEST_O)/guest.bin: tests/unit/guest/guest.c tests/unit/guest/guest.h
	@mkdir -p $(@D)
	@echo '  GUEST   $<'
	@$(CC) -std=gnu17 -O2 $(WARN) -I. -ffreestanding -fno-stack-protector -fno-pie -fno-builtin -static -nostdlib \
		-fcf-protection=none -fno-asynchronous-unwind-tables -mno-sse -mgeneral-regs-only -mcmodel=large \
		-Wl,-T,tests/unit/guest/guest.ld -Wl,--build-id=none -Wl,--no-warn-rwx-segments -o $(@:.bin=.elf) $<
	@objcopy -O binary $(@:.bin=.elf) $@

$(O)/tests/unit/guest/minisentry.o: $(GUEST_O)/guest.bin
$(O)/tests/unit/guest/minisentry.o: CFLAGS_ALL += -DGUEST_BIN='"$(GUEST_O)/guest.bin"'
