# SPDX-License-Identifier: Apache-2.0
"""A host that lacks or forbids some calls, imitated with a seccomp filter of the test's own around runsc and all it
starts. Unlike runsc's --without, nothing in runsc knows of it."""
import ctypes
import errno
import os
import struct

NUMBERS = {"ptrace": 101, "unshare": 272, "process_vm_readv": 310, "process_vm_writev": 311, "seccomp": 317,
           "memfd_create": 319, "execveat": 322, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437,
           "pidfd_getfd": 438, "ioctl": 16, "fsopen": 430}
SECCOMP_NEW_LISTENER = 8
NOTIF_SET_FLAGS = 0x40082104
NOTIF_RECV = 0xc0502100

LD_NR, LD_ARG1 = 0x20, 0x20
JEQ, JSET, RET = 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000


def _instruction(code, true, false, k):
    return struct.pack("<HBBI", code, true, false, k)


def _program(rules):
    code = b""
    for rule in rules:
        name, err = rule[0], rule[1]
        code += _instruction(LD_NR, 0, 0, 0)
        if len(rule) == 2:
            code += _instruction(JEQ, 0, 1, NUMBERS[name])
        else:  # the low half of the second argument: equal to a value, or with a bit of it
            test, value = rule[2], rule[3]
            code += _instruction(JEQ, 0, 3, NUMBERS[name]) + _instruction(LD_ARG1, 0, 0, 24)
            code += _instruction({"is": JEQ, "has": JSET}[test], 0, 1, value)
        code += _instruction(RET, 0, 0, ERRNO | err)
    return code + _instruction(RET, 0, 0, ALLOW)


NO_NOTIFICATION = ("seccomp", errno.EINVAL, "has", SECCOMP_NEW_LISTENER)
NO_SYNC_WAKE_UP = ("ioctl", errno.ENOTTY, "is", NOTIF_SET_FLAGS)


def deny(*rules):
    """For subprocess's preexec_fn. A rule is (call, errno), or one of those above."""
    code = _program(rules)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        assert buffer
        os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # LeakSanitizer needs ptrace, and fails without
        if os.geteuid() != 0:
            libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:  # PR_SET_SECCOMP
            raise OSError(ctypes.get_errno(), "seccomp filter")

    return install
