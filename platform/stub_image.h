/* SPDX-License-Identifier: Apache-2.0 */
/* The stub's ELF file, embedded (platform/stub/stub.mk). */
#ifndef PLATFORM_STUB_IMAGE_H
#define PLATFORM_STUB_IMAGE_H

#include <stdint.h>

extern const uint8_t stub_image_begin[], stub_image_end[];

#endif
