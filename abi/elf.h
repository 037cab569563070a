/* SPDX-License-Identifier: Apache-2.0 */
/* ELF64 as the loader needs it (linux/elf.h), and the auxiliary vector (linux/auxvec.h). */
#ifndef ABI_ELF_H
#define ABI_ELF_H

#include "abi/types.h"

struct abi_elf64_ehdr {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t phoff;
	uint64_t shoff;
	uint32_t flags;
	uint16_t ehsize;
	uint16_t phentsize;
	uint16_t phnum;
	uint16_t shentsize;
	uint16_t shnum;
	uint16_t shstrndx;
};
ABI_SIZE(struct abi_elf64_ehdr, 64);

struct abi_elf64_phdr {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;
	uint64_t memsz;
	uint64_t align;
};
ABI_SIZE(struct abi_elf64_phdr, 56);

struct abi_elf64_shdr {
	uint32_t name;
	uint32_t type;
	uint64_t flags;
	uint64_t addr;
	uint64_t offset;
	uint64_t size;
	uint32_t link;
	uint32_t info;
	uint64_t addralign;
	uint64_t entsize;
};
ABI_SIZE(struct abi_elf64_shdr, 64);

struct abi_elf64_sym {
	uint32_t name;
	uint8_t info;
	uint8_t other;
	uint16_t shndx;
	uint64_t value;
	uint64_t size;
};
ABI_SIZE(struct abi_elf64_sym, 24);

#define ABI_EI_CLASS   4
#define ABI_EI_DATA    5
#define ABI_EI_VERSION 6
#define ABI_EI_OSABI   7

#define ABI_ELFCLASS64	2
#define ABI_ELFDATA2LSB 1
#define ABI_EV_CURRENT	1
#define ABI_ET_EXEC	2
#define ABI_ET_DYN	3
#define ABI_EM_X86_64	62

#define ABI_PT_NULL	    0
#define ABI_PT_LOAD	    1
#define ABI_PT_DYNAMIC	    2
#define ABI_PT_INTERP	    3
#define ABI_PT_NOTE	    4
#define ABI_PT_PHDR	    6
#define ABI_PT_TLS	    7
#define ABI_PT_GNU_EH_FRAME 0x6474e550u
#define ABI_PT_GNU_STACK    0x6474e551u
#define ABI_PT_GNU_RELRO    0x6474e552u
#define ABI_PT_GNU_PROPERTY 0x6474e553u

#define ABI_PF_X 1u
#define ABI_PF_W 2u
#define ABI_PF_R 4u

#define ABI_AT_NULL		 0
#define ABI_AT_IGNORE		 1
#define ABI_AT_EXECFD		 2
#define ABI_AT_PHDR		 3
#define ABI_AT_PHENT		 4
#define ABI_AT_PHNUM		 5
#define ABI_AT_PAGESZ		 6
#define ABI_AT_BASE		 7
#define ABI_AT_FLAGS		 8
#define ABI_AT_ENTRY		 9
#define ABI_AT_NOTELF		 10
#define ABI_AT_UID		 11
#define ABI_AT_EUID		 12
#define ABI_AT_GID		 13
#define ABI_AT_EGID		 14
#define ABI_AT_PLATFORM		 15
#define ABI_AT_HWCAP		 16
#define ABI_AT_CLKTCK		 17
#define ABI_AT_SECURE		 23
#define ABI_AT_BASE_PLATFORM	 24
#define ABI_AT_RANDOM		 25
#define ABI_AT_HWCAP2		 26
#define ABI_AT_RSEQ_FEATURE_SIZE 27
#define ABI_AT_RSEQ_ALIGN	 28
#define ABI_AT_EXECFN		 31
#define ABI_AT_SYSINFO_EHDR	 33
#define ABI_AT_MINSIGSTKSZ	 51

struct abi_auxv {
	uint64_t type;
	uint64_t value;
};
ABI_SIZE(struct abi_auxv, 16);

#endif
