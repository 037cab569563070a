# SPDX-License-Identifier: Apache-2.0
# The stub: freestanding code at a fixed address, embedded into runsc by platform/stub_image.c. It
# is built the same way in every mode (no sanitizer can work there).
STUB_DIR := platform/stub
STUB_O := $(O)/platform/stub
STUB_SRCS := $(wildcard $(STUB_DIR)/*.c $(STUB_DIR)/*.S)
STUB_OBJS := $(patsubst $(STUB_DIR)/%,$(STUB_O)/%.o,$(STUB_SRCS))
STUB_CFLAGS := -std=gnu17 -g $(WARN) -I. -D_GNU_SOURCE -ffreestanding -fPIC -fvisibility=hidden \
	-mgeneral-regs-only -fno-stack-protector -O2 -fcf-protection=none -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-builtin -mno-red-zone -U_FORTIFY_SOURCE

$(STUB_O)/%.o: $(STUB_DIR)/%
	@mkdir -p $(@D)
	@echo '  STUB    $<'
	@$(CC) $(STUB_CFLAGS) -MMD -MP -c -o $@ $<

$(STUB_O)/stub.elf: $(STUB_OBJS) $(STUB_DIR)/stub.ld
	@$(CC) -nostdlib -static -Wl,-T,$(STUB_DIR)/stub.ld -Wl,-z,max-page-size=4096 \
		-Wl,--build-id=none -Wl,--no-undefined -o $@.full $(STUB_OBJS)
	@strip -s -o $@ $@.full

$(O)/platform/stub_image.o: $(STUB_O)/stub.elf
$(O)/platform/stub_image.o: CFLAGS_ALL += -DSTUB_ELF='"$(STUB_O)/stub.elf"'

-include $(STUB_OBJS:.o=.d)
