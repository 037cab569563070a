// SPDX-License-Identifier: Apache-2.0
// What the Go runtime asks of a kernel: threads, timers, signals, preemption, netpoll, exec.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func goroutines() {
	var sum int64
	var wait sync.WaitGroup
	for i := 0; i < 1000; i++ {
		wait.Add(1)
		go func(n int64) {
			defer wait.Done()
			runtime.Gosched()
			atomic.AddInt64(&sum, n)
		}(int64(i))
	}
	wait.Wait()
	fmt.Println("goroutines:", sum)
}

// Threads that are locked to goroutines, and a loop that must be preempted by a signal.
func threads() {
	var wait sync.WaitGroup
	var stop int32
	go func() {
		for atomic.LoadInt32(&stop) == 0 {
		}
	}()
	for i := 0; i < 20; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			runtime.LockOSThread()
			runtime.GC()
		}()
	}
	wait.Wait()
	atomic.StoreInt32(&stop, 1)
	fmt.Println("threads: done")
}

func timers() {
	begin := time.Now()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-time.After(10 * time.Second):
		fmt.Println("timers: late")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println("timers:", time.Since(begin) >= 30*time.Millisecond, ctx.Err())
}

func signals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	fmt.Println("signals:", <-c)
}

func files() {
	dir, err := os.MkdirTemp("", "go")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "f")
	check(os.WriteFile(path, []byte("content"), 0o600))
	data, err := os.ReadFile(path)
	check(err)
	info, err := os.Stat(path)
	check(err)
	fmt.Println("files:", string(data), info.Size(), info.Mode())
}

func sockets() {
	dir, err := os.MkdirTemp("", "go")
	check(err)
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	check(err)
	go func() {
		conn, err := listener.Accept()
		check(err)
		io.Copy(conn, conn)
		conn.Close()
	}()
	conn, err := net.Dial("unix", filepath.Join(dir, "s"))
	check(err)
	fmt.Fprintln(conn, "echo me")
	line, err := bufio.NewReader(conn).ReadString('\n')
	check(err)
	conn.Close()
	fmt.Print("sockets: ", line)
}

func processes() {
	out, err := exec.Command("/bin/sh", "-c", "cat; echo from a child; exit 3").CombinedOutput()
	fmt.Print("processes: ", string(out), err, "\n")
}

func memory() {
	kept := make([][]byte, 0, 64)
	for i := 0; i < 200; i++ {
		kept = append(kept[:i%64], make([]byte, 1<<20))
	}
	runtime.GC()
	fmt.Println("memory:", len(kept))
}

func main() {
	goroutines()
	threads()
	timers()
	signals()
	files()
	processes()
	memory()
	if len(os.Args) > 1 && os.Args[1] == "sockets" {
		sockets()
	}
	os.Exit(7)
}
