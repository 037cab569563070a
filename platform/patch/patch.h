/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting call sites: which `syscall` instructions of a program's text can be entered through a
 * jump, and with which bytes. Pure: bytes in, bytes out; nothing here knows of processes.
 *
 * A site. Directly in front of a `syscall` lie whole instructions of at least five bytes that can
 * be moved, the *window*. They are replaced by a jump to a *trampoline* which holds them, loads
 * what the stub wants to know, and goes to STUB_FAST_ENTRY:
 *
 *	start:	mov $1,%eax	->	start:	jmp trampoline	   trampoline: mov $1,%eax
 *	call:	syscall			call:	syscall			       lea call+2(%rip),%rcx
 *	after:	...			after:	...			       movabs $entry,%r11
 *									       jmp *%r11
 *
 * The `syscall` itself stays where it is, so whoever jumps straight to it, restarts it (rip - 2) or
 * returns from it finds what was always there; and the stub can fall back to it at any time.
 *
 * Why this is right whatever the program does. The only bytes that change are those of the window,
 * and every way to reach them is accounted for:
 *
 *	at start		the moved instructions run, then the call is made: the same effect.
 *	behind start		in the middle of an instruction, or at an instruction of the window
 *				other than the first (a branch there, a thread that was just there
 *				when the page was exchanged, a signal frame that says so). Every
 *				byte behind the jump's opcode is chosen so that it is no instruction
 *				in 64-bit mode: the thread faults with SIGILL at this very address
 *				and nothing else has happened. The sentry then lets it go on at the
 *				same instruction in the trampoline, or puts the original text back.
 *	read as data		see sentry/mm/patch.h: text is mapped execute-only.
 *
 * So what is chosen here by looking at the code - that no branch of the file leads behind start -
 * is about speed. Only one thing must be true for it to be right: that an instruction begins at
 * start, and the window is the sequence that follows. That is why patterns are never trusted:
 * windows are found by decoding the function they lie in from its beginning, which the file's
 * unwind table, symbols or Go's table of functions tell, with every byte in between understood.
 *
 * The four bytes of the jump's distance must all come from the set of bytes that begin no
 * instruction. That leaves 17^4 distances, and with them the place of the trampoline: in an *area*
 * at a distance of some hundred MiB from the text, the same in every process. Each site has 187
 * places in its part of the area.
 *
 * Turned down: moving instructions behind the `syscall` as well (a thread that waits in the call
 * returns into the middle); one-byte traps in the middle of text; areas next to the text (no
 * distance there has bytes that all fault).
 */
#ifndef PLATFORM_PATCH_PATCH_H
#define PLATFORM_PATCH_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATCH_WINDOW_MAX 20 /* five bytes, or less and the longest instruction */
#define PATCH_INSNS_MAX	 5
#define PATCH_TAIL	 20 /* lea, movabs, jmp */
#define PATCH_TEXT_MAX	 (64u << 20)
#define PATCH_SITES_MAX	 65536u

/* What becomes of a pair of bytes 0f 05. */
enum patch_verdict {
	PATCH_OK,
	PATCH_NO_FUNCTION, /* it lies in no known function */
	PATCH_NOT_DECODED, /* something before it in the function is not understood */
	PATCH_NOT_A_CALL,  /* it is part of another instruction */
	PATCH_TOO_SHORT,   /* less than five bytes since the function began */
	PATCH_NOT_MOVABLE, /* one of the instructions before can't be moved */
	PATCH_BRANCH,	   /* a branch leads between them */
	PATCH_NO_PLACE,	   /* no place for a trampoline, or too many sites */
	PATCH_VERDICTS
};
const char *patch_verdict_name(enum patch_verdict v);

/* A file to be read. read: all of size bytes at pos, or false. */
struct patch_source {
	bool (*read)(void *arg, void *buf, size_t size, uint64_t pos);
	void *arg;
	uint64_t size;
};

/* A program's text and where its functions begin. Addresses are the file's own (p_vaddr). */
struct patch_text {
	uint8_t *bytes; /* owned */
	uint64_t va, size, offset;
	uint64_t *starts; /* owned, ascending, within the text */
	uint32_t start_count;
	bool fixed; /* the file says where it is to be loaded */
	bool pie;   /* a program with an interpreter: loaded far below the libraries */
};

/*
 * Reads the text (the first executable segment) and the function starts of an ELF file. 0; -ENOEXEC
 * if it is no ELF file with such a segment; -E2BIG; -EIO.
 */
int patch_text_read(const struct patch_source *src, struct patch_text *ret);
void patch_text_free(struct patch_text *t);

struct patch_site {
	uint32_t start; /* of the window, in the text */
	uint32_t tramp; /* its trampoline, in the area */
	uint8_t size;	/* of the window: start + size is the syscall */
	uint8_t tramp_size;
	uint8_t insn_count;
	bool off; /* of a page: the text has changed; only the trampoline is there */
	uint8_t from[PATCH_INSNS_MAX]; /* where each instruction is in the window */
	uint8_t to[PATCH_INSNS_MAX];   /* ... and in the trampoline */
	uint8_t orig[PATCH_WINDOW_MAX];
};

struct patch {
	uint64_t text_va, text_size; /* as in patch_text */
	int64_t area_distance;	     /* from text_va to the area; page aligned relative to it */
	uint64_t area_size;	     /* bytes, whole pages; 0: no sites */
	uint8_t *area;		     /* owned: the trampolines, NULL once taken over */
	struct patch_site *sites;    /* owned, ascending */
	uint32_t *by_tramp;	     /* owned: indices of sites, by trampoline */
	uint32_t site_count;
	uint32_t verdicts[PATCH_VERDICTS];
};

/* Called for each candidate, for tools that print them; va: of the 0f 05. */
typedef void (*patch_trace_fn)(void *arg, uint64_t va, enum patch_verdict v);

/*
 * Finds the sites and makes the trampolines. spread: any number; different files should have
 * different ones, so that their areas don't meet. 0 or negative errno.
 */
int patch_analyze(const struct patch_text *t, uint32_t spread, patch_trace_fn trace, void *arg,
		  struct patch *ret);
void patch_free(struct patch *p);

/*
 * The same for a page of text whose functions are not known: sites that were seen to make calls
 * (witness.c says which of them can be patched, and why).
 */
struct patch_call {
	uint32_t offset;	    /* in the text: of a syscall that was executed ... */
	uint64_t rax;		    /* ... with this in rax */
	enum patch_verdict verdict; /* out */
};
/*
 * t: the page, at its va; `before` bytes in front of t->bytes can be read, too: what is in front of
 * the page, as far as an instruction can begin there. former: what was made for this page before,
 * with the same spread: its trampolines stay as and where they are. 0; -ENOENT: no call can be
 * patched; or -ENOMEM.
 */
int patch_page(const struct patch_text *t, uint32_t before, struct patch_call *calls,
	       uint32_t count, const struct patch *former, uint32_t spread, struct patch *ret);
/* Where its trampolines will be, for each spread < PATCH_SPREADS. */
#define PATCH_SPREADS 324u
void patch_page_area(uint64_t va, uint32_t spread, uint64_t *ret_start, uint64_t *ret_end);

/* Writes the jumps over bytes [offset, offset + size) of the text. */
void patch_apply(const struct patch *p, uint64_t offset, uint8_t *bytes, size_t size);
/* The reverse: puts back what was there. */
void patch_unapply(const struct patch *p, uint64_t offset, uint8_t *bytes, size_t size);

/* The site whose window holds this offset of the text, or NULL. */
const struct patch_site *patch_site_at(const struct patch *p, uint64_t offset);
/* Whether any window touches the range of the text. */
bool patch_any(const struct patch *p, uint64_t offset, uint64_t size);
/*
 * From a place within a window to the same instruction in the trampoline (offset in the area).
 * False: no instruction of the window begins there, or it is the first one, which is the jump's.
 */
bool patch_to_trampoline(const struct patch *p, uint64_t offset, uint64_t *ret_area);
/*
 * From a place in the area to the instruction of the text (offset) that is the next to be executed:
 * one of the window, or the syscall. False: no trampoline is there.
 */
bool patch_to_text(const struct patch *p, uint64_t area, uint64_t *ret_offset);

/* encode.c, for analyze.c and tests */
bool patch_byte_faults(uint8_t b);
/* Whether the instruction can be moved; see encode.c. */
struct patch_insn {
	uint8_t bytes[15];
	uint8_t size;
	uint8_t disp_offset; /* of a rip-relative displacement of four bytes; 0: none */
	bool is_jcc;	     /* a conditional jump with a distance of one or four bytes */
};
/* Encodes it at va `to`, from va `from`; bytes written (at most 15), 0: out of reach. */
uint32_t patch_move(const struct patch_insn *in, uint64_t from, uint64_t to, uint8_t *out);

#endif
