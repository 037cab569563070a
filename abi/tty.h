/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals (asm-generic/termbits.h, asm-generic/ioctls.h) and the other ioctls of plain files. */
#ifndef ABI_TTY_H
#define ABI_TTY_H

#include "abi/types.h"

#define ABI_NCCS 19

struct abi_termios {
	uint32_t iflag;
	uint32_t oflag;
	uint32_t cflag;
	uint32_t lflag;
	uint8_t line;
	uint8_t cc[ABI_NCCS];
};
ABI_SIZE(struct abi_termios, 36);

struct abi_termios2 {
	uint32_t iflag;
	uint32_t oflag;
	uint32_t cflag;
	uint32_t lflag;
	uint8_t line;
	uint8_t cc[ABI_NCCS];
	uint32_t ispeed;
	uint32_t ospeed;
};
ABI_SIZE(struct abi_termios2, 44);

struct abi_termio {
	uint16_t iflag;
	uint16_t oflag;
	uint16_t cflag;
	uint16_t lflag;
	uint8_t line;
	uint8_t cc[8];
};
ABI_SIZE(struct abi_termio, 18);

struct abi_winsize {
	uint16_t row;
	uint16_t col;
	uint16_t xpixel;
	uint16_t ypixel;
};
ABI_SIZE(struct abi_winsize, 8);

/* indices of cc */
#define ABI_VINTR    0
#define ABI_VQUIT    1
#define ABI_VERASE   2
#define ABI_VKILL    3
#define ABI_VEOF     4
#define ABI_VTIME    5
#define ABI_VMIN     6
#define ABI_VSWTC    7
#define ABI_VSTART   8
#define ABI_VSTOP    9
#define ABI_VSUSP    10
#define ABI_VEOL     11
#define ABI_VREPRINT 12
#define ABI_VDISCARD 13
#define ABI_VWERASE  14
#define ABI_VLNEXT   15
#define ABI_VEOL2    16

/* iflag */
#define ABI_IGNBRK  0x1
#define ABI_BRKINT  0x2
#define ABI_IGNPAR  0x4
#define ABI_PARMRK  0x8
#define ABI_INPCK   0x10
#define ABI_ISTRIP  0x20
#define ABI_INLCR   0x40
#define ABI_IGNCR   0x80
#define ABI_ICRNL   0x100
#define ABI_IUCLC   0x200
#define ABI_IXON    0x400
#define ABI_IXANY   0x800
#define ABI_IXOFF   0x1000
#define ABI_IMAXBEL 0x2000
#define ABI_IUTF8   0x4000

/* oflag */
#define ABI_OPOST  0x1
#define ABI_OLCUC  0x2
#define ABI_ONLCR  0x4
#define ABI_OCRNL  0x8
#define ABI_ONOCR  0x10
#define ABI_ONLRET 0x20
#define ABI_OFILL  0x40
#define ABI_OFDEL  0x80
#define ABI_TABDLY 0x1800
#define ABI_XTABS  0x1800

/* cflag */
#define ABI_CBAUD   0x100f
#define ABI_B0	    0x0
#define ABI_B9600   0xd
#define ABI_B38400  0xf
#define ABI_B115200 0x1002
#define ABI_CSIZE   0x30
#define ABI_CS5	    0x0
#define ABI_CS6	    0x10
#define ABI_CS7	    0x20
#define ABI_CS8	    0x30
#define ABI_CSTOPB  0x40
#define ABI_CREAD   0x80
#define ABI_PARENB  0x100
#define ABI_PARODD  0x200
#define ABI_HUPCL   0x400
#define ABI_CLOCAL  0x800

/* lflag */
#define ABI_ISIG    0x1
#define ABI_ICANON  0x2
#define ABI_XCASE   0x4
#define ABI_ECHO    0x8
#define ABI_ECHOE   0x10
#define ABI_ECHOK   0x20
#define ABI_ECHONL  0x40
#define ABI_NOFLSH  0x80
#define ABI_TOSTOP  0x100
#define ABI_ECHOCTL 0x200
#define ABI_ECHOPRT 0x400
#define ABI_ECHOKE  0x800
#define ABI_FLUSHO  0x1000
#define ABI_PENDIN  0x4000
#define ABI_IEXTEN  0x8000
#define ABI_EXTPROC 0x10000

#define ABI_N_TTY 0

/* ioctls of terminals */
#define ABI_TCGETS	0x5401u
#define ABI_TCSETS	0x5402u
#define ABI_TCSETSW	0x5403u
#define ABI_TCSETSF	0x5404u
#define ABI_TCGETA	0x5405u
#define ABI_TCSETA	0x5406u
#define ABI_TCSETAW	0x5407u
#define ABI_TCSETAF	0x5408u
#define ABI_TCSBRK	0x5409u
#define ABI_TCXONC	0x540au
#define ABI_TCFLSH	0x540bu
#define ABI_TIOCEXCL	0x540cu
#define ABI_TIOCNXCL	0x540du
#define ABI_TIOCSCTTY	0x540eu
#define ABI_TIOCGPGRP	0x540fu
#define ABI_TIOCSPGRP	0x5410u
#define ABI_TIOCOUTQ	0x5411u
#define ABI_TIOCSTI	0x5412u
#define ABI_TIOCGWINSZ	0x5413u
#define ABI_TIOCSWINSZ	0x5414u
#define ABI_TIOCMGET	0x5415u
#define ABI_TIOCLINUX	0x541cu
#define ABI_TIOCCONS	0x541du
#define ABI_TIOCPKT	0x5420u
#define ABI_TIOCNOTTY	0x5422u
#define ABI_TIOCSETD	0x5423u
#define ABI_TIOCGETD	0x5424u
#define ABI_TCSBRKP	0x5425u
#define ABI_TIOCGSID	0x5429u
#define ABI_TCGETS2	0x802c542au
#define ABI_TCSETS2	0x402c542bu
#define ABI_TCSETSW2	0x402c542cu
#define ABI_TCSETSF2	0x402c542du
#define ABI_TIOCGPTN	0x80045430u
#define ABI_TIOCSPTLCK	0x40045431u
#define ABI_TIOCGDEV	0x80045432u
#define ABI_TIOCSIG	0x40045436u
#define ABI_TIOCVHANGUP 0x5437u
#define ABI_TIOCGPKT	0x80045438u
#define ABI_TIOCGPTLCK	0x80045439u
#define ABI_TIOCGEXCL	0x80045440u
#define ABI_TIOCGPTPEER 0x5441u

/* arguments of TCFLSH and TCXONC */
#define ABI_TCIFLUSH  0
#define ABI_TCOFLUSH  1
#define ABI_TCIOFLUSH 2
#define ABI_TCOOFF    0
#define ABI_TCOON     1
#define ABI_TCIOFF    2
#define ABI_TCION     3

/* packet mode */
#define ABI_TIOCPKT_DATA       0
#define ABI_TIOCPKT_FLUSHREAD  1
#define ABI_TIOCPKT_FLUSHWRITE 2
#define ABI_TIOCPKT_STOP       4
#define ABI_TIOCPKT_START      8
#define ABI_TIOCPKT_NOSTOP     16
#define ABI_TIOCPKT_DOSTOP     32
#define ABI_TIOCPKT_IOCTL      64

/* ioctls of any file */
#define ABI_FIONREAD 0x541bu /* also TIOCINQ */
#define ABI_FIONBIO  0x5421u
#define ABI_FIONCLEX 0x5450u
#define ABI_FIOCLEX  0x5451u
#define ABI_FIOASYNC 0x5452u
#define ABI_FIOQSIZE 0x5460u
#define ABI_FIBMAP   0x1u
#define ABI_FIGETBSZ 0x2u

/* ioctls of file systems (linux/fs.h) */
#define ABI_FS_IOC_GETFLAGS   0x80086601u
#define ABI_FS_IOC_SETFLAGS   0x40086602u
#define ABI_FS_IOC_FIEMAP     0xc020660bu
#define ABI_FS_IOC_FSGETXATTR 0x801c581fu
#define ABI_FS_IOC_FSSETXATTR 0x401c5820u
#define ABI_FICLONE	      0x40049409u
#define ABI_FICLONERANGE      0x4020940du
#define ABI_FIDEDUPERANGE     0xc0189436u
#define ABI_BLKGETSIZE64      0x80081272u

/* ioctls of pidfds' and namespaces' files (linux/nsfs.h) */
#define ABI_NS_GET_USERNS    0xb701u
#define ABI_NS_GET_PARENT    0xb702u
#define ABI_NS_GET_NSTYPE    0xb703u
#define ABI_NS_GET_OWNER_UID 0xb704u

#endif
