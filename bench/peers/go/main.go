// SPDX-License-Identifier: MIT

// The peer Go: goroutines on one processor (GOMAXPROCS 1)
//
// The command line is the one of peer.h. A task is a goroutine, a callback
// has no twin, a timer is a time.AfterFunc, whose function runs in a goroutine
// of its own: that is how Go has it.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	batch    = 1000
	churn    = 10000
	million  = 1000000
	sleepers = 100000
)

type work struct {
	run func(n int) float64
	n   int
}

var works = map[string]work{
	"yield2":       {func(n int) float64 { return yield(2, n) }, 4000000},
	"yield1000":    {func(n int) float64 { return yield(1000, n) }, 4000000},
	"spawn1":       {func(n int) float64 { return spawn(1, n) }, 2000000},
	"spawn1000":    {func(n int) float64 { return spawn(batch, n) }, 2000000},
	"gather1000":   {func(n int) float64 { return spawn(batch, n) }, 2000000},
	"queue":        {queue, 5000000},
	"lock":         {lock, 50000000},
	"timeout":      {timeout, 2000000},
	"timer_arm":    {timerArm, million},
	"timer_cancel": {timerCancel, million},
	"timer_fire":   {timerFire, million},
	"timer_churn":  {timerChurn, 5000000},
	"rss":          {rss, sleepers},
	"child-1":      {child1, 1000},
	"child-big":    {childBig, 1000},
	"child-1000":   {child1000, batch},
	"pipe-out":     {pipeOut, piped},
	"pipe-in":      {pipeIn, piped},
	"pipe-both":    {pipeBoth, piped},
	"signal":       {signals, 100000},
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func cpuNs() int64 {
	const processCPU = 2
	var now syscall.Timespec
	_, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processCPU,
		uintptr(unsafe.Pointer(&now)), 0)
	if err != 0 {
		check(err)
	}
	return now.Nano()
}

func nsPerOp(start int64, n int) float64 {
	return float64(cpuNs()-start) / float64(n)
}

// Tasks

func yield(tasks, n int) float64 {
	var done sync.WaitGroup
	done.Add(tasks)
	start := cpuNs()
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < n/tasks; j++ {
				runtime.Gosched()
			}
			done.Done()
		}()
	}
	done.Wait()
	return nsPerOp(start, n/tasks*tasks)
}

func spawn(alive, n int) float64 {
	var done sync.WaitGroup
	start := cpuNs()
	for round := 0; round < n/alive; round++ {
		done.Add(alive)
		for i := 0; i < alive; i++ {
			go done.Done()
		}
		done.Wait()
	}
	return nsPerOp(start, n/alive*alive)
}

func queue(n int) float64 {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for i := 0; i < n/2; i++ {
			back <- <-there
		}
	}()
	start := cpuNs()
	for i := 0; i < n/2; i++ {
		there <- 7
		<-back
	}
	return nsPerOp(start, n/2*2)
}

func lock(n int) float64 {
	var mutex sync.Mutex
	start := cpuNs()
	for i := 0; i < n; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
	return nsPerOp(start, n)
}

func timeout(n int) float64 {
	start := cpuNs()
	for i := 0; i < n; i++ {
		_, cancel := context.WithTimeout(context.Background(), time.Minute)
		cancel()
	}
	return nsPerOp(start, n)
}

func resident() int {
	var size, pages int
	statm, err := os.ReadFile("/proc/self/statm")
	check(err)
	_, err = fmt.Sscan(string(statm), &size, &pages)
	check(err)
	return pages * os.Getpagesize()
}

func rss(n int) float64 {
	before := resident()
	for i := 0; i < n; i++ {
		go time.Sleep(time.Hour)
	}
	time.Sleep(500 * time.Millisecond)
	return float64(resident()-before) / float64(n)
}

// Timers, with the deadlines of peer.h

func delays(n int, from, span time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	dice := uint64(88172645463325252)
	for i := range all {
		dice ^= dice << 13
		dice ^= dice >> 7
		dice ^= dice << 17
		all[i] = from + time.Duration(dice%uint64(span))
	}
	return all
}

func order(n int) []int {
	all := make([]int, n)
	dice := uint64(2463534242)
	for i := range all {
		dice ^= dice << 13
		dice ^= dice >> 7
		dice ^= dice << 17
		j := int(dice % uint64(i+1))
		all[i] = all[j]
		all[j] = i
	}
	return all
}

func armFar(n int) ([]*time.Timer, float64) {
	timers := make([]*time.Timer, n)
	after := delays(n, time.Second, 999*time.Second)
	start := cpuNs()
	for i := range timers {
		timers[i] = time.AfterFunc(after[i], func() {})
	}
	return timers, nsPerOp(start, n)
}

func timerArm(n int) float64 {
	timers, ns := armFar(n)
	runtime.KeepAlive(timers)
	return ns
}

func timerCancel(n int) float64 {
	timers, _ := armFar(n)
	indices := order(n)
	start := cpuNs()
	for _, i := range indices {
		timers[i].Stop()
	}
	return nsPerOp(start, n)
}

// The timers are due only a second after the first was armed, lest they fire
// meanwhile. Go cannot be kept from firing them as they fall due, so here the
// figure includes the wake-ups, which the sheer number of timers makes few;
// and it includes the goroutines, most of them alive at once.
func timerFire(n int) float64 {
	var fired sync.WaitGroup
	fired.Add(n)
	after := delays(n, time.Second+time.Millisecond, 50*time.Millisecond)
	origin := time.Now()
	for i := range after {
		time.AfterFunc(after[i]-time.Since(origin), fired.Done)
	}
	start := cpuNs()
	fired.Wait()
	return nsPerOp(start, n)
}

func timerChurn(n int) float64 {
	timers, _ := armFar(churn)
	start := cpuNs()
	for i := 0; i < n; i++ {
		timers[i%churn].Reset(time.Minute)
	}
	return nsPerOp(start, n)
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) < 2 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: peer_go WORK [N] | SERVICE AT [WHAT]")
		os.Exit(2)
	}
	name, n := os.Args[1], 0
	if serve, known := services[name]; known {
		args := append(os.Args[2:], "", "")
		serve(args[0], args[1])
	}
	if len(os.Args) == 3 {
		var err error
		n, err = strconv.Atoi(os.Args[2])
		check(err)
	}
	work, known := works[name]
	if !known {
		fmt.Println(name, "unsupported")
		os.Exit(3)
	}
	if n == 0 {
		n = work.n
	}
	fmt.Printf("%s %.3f\n", name, work.run(n))
}
