# SPDX-License-Identifier: Apache-2.0
"""Terminals: runsc's own relayed, and the master handed over a socket."""
import array
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import termios
import threading

from harness import check, contains, equal, test


class Terminal:
    """The side of a pseudo-terminal that a person would sit at."""

    def __init__(self, master):
        self.master = master
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        os.write(self.master, data)

    def expect(self, text, seconds=30):
        """Reads until text was seen; what came before it is dropped."""
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], seconds)
            check(ready, f"terminal: want {text!r}, got {self.seen!r}")
            try:
                data = os.read(self.master, 4096)
            except OSError:
                data = b""
            check(data, f"terminal: want {text!r}, got {self.seen!r} and the end")
            self.seen += data
        self.seen = self.seen.split(text, 1)[1]


def on_terminal(box, *words):
    """runsc on a new pseudo-terminal: its process, the terminal, and the slave's descriptor."""
    master, slave = os.openpty()
    box.config["process"]["terminal"] = True
    box.write()
    terminal = Terminal(master)
    terminal.resize(33, 77)

    def become_leader():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    p = box.start_process(box.command("run", "--bundle", box.bundle, *words, box.id), stdin=slave,
                          stdout=slave, stderr=slave, preexec_fn=become_leader)
    return p, terminal, slave


@test
def run_on_a_terminal(box):
    box.script("tty; stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; read line; echo got $line; exit 6")
    p, terminal, slave = on_terminal(box)
    before = termios.tcgetattr(slave)
    terminal.expect(b"/dev/")
    terminal.expect(b"33 77\r\n")
    terminal.expect(b"all\r\n")
    terminal.send(b"hello\r")
    terminal.expect(b"hello\r\n")
    terminal.expect(b"got hello\r\n")
    equal(p.wait(30), 6, "status")
    check(termios.tcgetattr(slave)[3] & termios.ECHO, "the terminal stays raw")
    equal(termios.tcgetattr(slave)[:4][3] & termios.ICANON, before[3] & termios.ICANON | termios.ICANON, "ICANON")


@test
def resize(box):
    box.script("trap 'stty size' WINCH; echo ready; while :; do read x; done")
    p, terminal, _ = on_terminal(box)
    terminal.expect(b"ready\r\n")
    terminal.resize(50, 132)
    p.send_signal(signal.SIGWINCH)
    terminal.expect(b"50 132\r\n")
    box.ok("delete", "--force", box.id)
    equal(p.wait(30), 137, "status")


@test
def control_c_and_end_of_file(box):
    box.script("trap 'echo interrupted' INT; echo ready; read x || read x; echo read; cat; echo end")
    p, terminal, _ = on_terminal(box)
    terminal.expect(b"ready\r\n")
    terminal.send(b"\x03")
    terminal.expect(b"interrupted\r\n")
    terminal.send(b"\r")
    terminal.expect(b"read\r\n")
    terminal.send(b"text\r")
    terminal.expect(b"text\r\ntext\r\n")
    terminal.send(b"\x04")
    terminal.expect(b"end\r\n")
    equal(p.wait(30), 0, "status")


@test
def job_control(box):
    """An interactive shell has a controlling terminal and its own foreground group."""
    box.args("sh", "-i")
    p, terminal, _ = on_terminal(box)
    terminal.expect(b"# ")
    check(b"job control" not in terminal.seen, f"shell: {terminal.seen!r}")
    terminal.send(b"sh -c 'echo u\"\"p; exec sleep 1000'\r")
    terminal.expect(b"up\r\n")
    terminal.send(b"\x1a")
    terminal.expect(b"Stopped")
    # The shell doesn't exit before it has seen the job's end.
    terminal.send(b"kill -9 %1; while jobs >/tmp/j; grep -q Stopped /tmp/j; do :; done; exit 3\r")
    equal(p.wait(30), 3, "status")


@test
def terminal_hangs_up(box):
    """Whoever sat at the terminal goes away: the container's terminal hangs up too."""
    box.script("echo ready; while read x; do :; done; exit 4")
    p, terminal, slave = on_terminal(box)
    terminal.expect(b"ready\r\n")
    os.close(slave)
    os.close(terminal.master)
    equal(p.wait(30), 4, "status")


class ConsoleSocket:
    """Takes the master as an engine does."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        self.master = -1
        self.name = b""
        self.thread = threading.Thread(target=self.take)
        self.thread.start()

    def take(self):
        self.listener.settimeout(30)
        conn, _ = self.listener.accept()
        fds = array.array("i")
        self.name, ancillary, _, _ = conn.recvmsg(4096, socket.CMSG_LEN(4))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:4])
        self.master = fds[0]
        conn.close()

    def terminal(self):
        self.thread.join(30)
        check(self.master >= 0, "no master came over the console socket")
        return Terminal(self.master)


@test
def console_socket(box):
    box.config["process"]["terminal"] = True
    box.config["process"]["consoleSize"] = {"height": 21, "width": 99}
    box.script("stty size; read line; echo got $line")
    listener = ConsoleSocket(box.path("sock"))
    box.create("--console-socket", box.path("sock"))
    terminal = listener.terminal()
    check(listener.name.startswith(b"/dev/pts/"), f"name {listener.name!r}")
    box.ok("start", box.id)
    terminal.expect(b"21 99\r\n")
    terminal.send(b"abc\r")
    terminal.expect(b"got abc\r\n")
    box.ok("delete", "--force", box.id)


@test
def detached_with_console_socket(box):
    box.config["process"]["terminal"] = True
    box.script("echo on $(tty); exec sleep 1000")
    listener = ConsoleSocket(box.path("sock"))
    r = box.run("--detach", "--console-socket", box.path("sock"))
    equal((r.status, r.out, r.err), (0, "", ""), "run --detach")
    listener.terminal().expect(b"on /dev/")
    box.ok("delete", "--force", box.id)


@test
def terminals_that_cannot_be(box):
    box.config["process"]["terminal"] = True
    box.write()
    message = "cannot allocate tty if runsc will detach without setting console socket"
    box.refused("create", "--bundle", box.bundle, box.id, message=message)
    box.refused("run", "--detach", "--bundle", box.bundle, box.id, message=message)
    box.refused("create", "--bundle", box.bundle, "--console-socket", box.path("nothing"), box.id,
                message="--console-socket")
    r = subprocess.run(box.command("run", "--bundle", box.bundle, box.id), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, timeout=60,
                       check=False)
    equal(r.returncode, 1, "run without a terminal")
    contains(r.stderr.decode(), "open /dev/tty", "run without a terminal")
    box.config["process"]["terminal"] = False
    box.write()
    box.refused("create", "--bundle", box.bundle, "--console-socket", box.path("nothing"), box.id,
                message="cannot use console socket")
