// SPDX-License-Identifier: MIT
//
// The peer Go: children and signals. It has no executor: a goroutine that
// blocks has a thread of its own, and files are such calls.

package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	big   = 512 << 20
	piped = 1 << 30
)

func wallNs(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func child1(n int) float64 {
	start := time.Now()
	for i := 0; i < n; i++ {
		check(exec.Command("/bin/true").Run())
	}
	return wallNs(start, n) / 1e3
}

func childBig(n int) float64 {
	memory := make([]byte, big)
	for i := 0; i < big; i += 4096 {
		memory[i] = 1
	}
	us := child1(n)
	memory[0] = 2
	return us
}

func child1000(n int) float64 {
	children := make([]*exec.Cmd, n)
	doors := make([]io.Closer, n)
	start := time.Now()
	for i := range children {
		children[i] = exec.Command("/bin/cat")
		door, err := children[i].StdinPipe()
		check(err)
		doors[i] = door
		check(children[i].Start())
	}
	for _, door := range doors {
		check(door.Close())
	}
	for _, child := range children {
		check(child.Wait())
	}
	return wallNs(start, 1) / 1e6
}

func shell(command string) *exec.Cmd {
	before := os.Getenv("BENCH_CHILD")
	return exec.Command("/bin/sh", "-c", "exec "+before+" "+command)
}

func writeAll(pipe io.WriteCloser, n int) {
	buffer := make([]byte, chunk)
	for left := n; left > 0; left -= chunk {
		_, err := pipe.Write(buffer)
		check(err)
	}
	check(pipe.Close())
}

func readAll(pipe io.Reader, n int) {
	buffer := make([]byte, chunk)
	got := 0
	for {
		some, err := pipe.Read(buffer)
		got += some
		if err == io.EOF {
			break
		}
		check(err)
	}
	if got != n {
		check(io.ErrUnexpectedEOF)
	}
}

func pipes(child *exec.Cmd, n int, writes, reads bool) float64 {
	var in io.WriteCloser
	var out io.Reader
	var err error

	start := time.Now()
	if writes {
		in, err = child.StdinPipe()
		check(err)
	}
	if reads {
		out, err = child.StdoutPipe()
		check(err)
	}
	check(child.Start())
	if writes && reads {
		go writeAll(in, n)
	} else if writes {
		writeAll(in, n)
	}
	if reads {
		readAll(out, n)
	}
	check(child.Wait())
	return float64(n) / (1 << 20) / time.Since(start).Seconds()
}

func pipeOut(n int) float64 {
	count := strconv.Itoa(n / chunk)
	dd := "dd if=/dev/zero bs=65536 count=" + count + " status=none"
	return pipes(shell(dd), n, false, true)
}

func pipeIn(n int) float64 {
	return pipes(shell("cat >/dev/null"), n, true, false)
}

func pipeBoth(n int) float64 {
	return pipes(shell("cat"), n, true, true)
}

func signals(n int) float64 {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	start := cpuNs()
	for i := 0; i < n; i++ {
		check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
		<-told
	}
	return nsPerOp(start, n)
}
