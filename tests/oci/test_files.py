# SPDX-License-Identifier: Apache-2.0
"""The container's files as engines lay them out."""
import os
import subprocess

from harness import Skip, equal, test


@test
def overlay_files_copied_up_while_open(box):
    """A file that was open, read and mapped when its first writer came: everybody sees the new content."""
    upper, work, merged = (box.path(d) for d in ("upper", "work", "merged"))
    for d in (upper, work, merged):
        os.mkdir(d)
    with open(os.path.join(box.rootfs, "file"), "w") as f:
        f.write("old\n" * 5000)
    mount = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                            f"lowerdir={box.rootfs},upperdir={upper},workdir={work}", merged])
    if mount.returncode:
        raise Skip("no overlayfs")
    try:
        box.config["root"]["path"] = merged
        box.script("""
            exec 3</file 4</file 5</file
            for i in 1 2 3; do cat /file; done | sort | uniq -c | tr -s ' '
            dd if=/dev/zero bs=4 count=1 conv=notrunc of=/file 2>/dev/null
            for fd in 3 4; do cat <&$fd | head -c 4 | hexdump -C; done
            cat /file /file | wc -c
            echo new >/file
            cat /file /file <&5
            cat <&5; cat /file""")
        r = box.run()
        equal((r.status, r.err), (0, ""), "run")
        zeros = "00000000  00 00 00 00                                       |....|\n00000004\n"
        equal(r.out, " 15000 old\n" + 2 * zeros + "40000\n" + 4 * "new\n", "what was read")
        with open(os.path.join(box.rootfs, "file")) as f:
            equal(f.read(), "old\n" * 5000, "the lower file")
    finally:
        subprocess.run(["umount", merged], check=True)


@test
def a_name_appears_on_the_host(box):
    """The root isn't shared, and the host makes a file that the container knows to be absent."""
    box.script("""
        for i in a b c; do test -e /new/$i && exit 1; done
        mkdir /new; test -e /new/a || echo absent
        read -r line
        echo "$line" >>/new/a
        cat /new/a
        mkdir /new/b 2>/dev/null || ls /new""")
    box.write()
    p = box.start_process(box.command("run", "--bundle", box.bundle, box.id),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    equal(p.stdout.readline(), "absent\n", "before")
    with open(os.path.join(box.rootfs, "new", "a"), "w") as f:
        f.write("the host's\n")
    os.mkdir(os.path.join(box.rootfs, "new", "b"))
    out, _ = p.communicate("the container's\n", timeout=20)
    equal((p.returncode, out), (0, "the host's\nthe container's\na\nb\n"), "after")
