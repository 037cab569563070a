# SPDX-License-Identifier: Apache-2.0
# cvisor's build. `make help` lists the targets.
MODE ?= release
O ?= out/$(MODE)
PREFIX ?= /usr/local
CC ?= gcc

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wwrite-strings \
	-Wformat=2 -Wcast-function-type -Werror
CFLAGS_COMMON := -std=gnu17 -g $(WARN) -I. -I$(O)/gen -D_GNU_SOURCE -fno-strict-aliasing -fstack-protector-strong \
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

FOLDERS := $(wildcard base abi platform sentry syscalls fsgofer runsc)
SRCS := $(filter-out platform/stub/%,$(shell find $(FOLDERS) -name '*.c' | sort))
OBJS := $(SRCS:%.c=$(O)/%.o)

include tests/unit/unit.mk

.DEFAULT_GOAL := all
.PHONY: all clean unit
all: $(O)/runsc

$(O)/runsc: $(OBJS)
	@echo '  LD      $@'
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_MODE) -o $@ $(OBJS) $(LIBS)

$(O)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC      $<'
	@$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

clean:
	rm -rf out

-include $(OBJS:.o=.d)
