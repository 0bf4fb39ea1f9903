// SPDX-License-Identifier: Apache-2.0

// What Go's runtime asks of a system: threads on every core, garbage collection while they run,
// preemption of loops by SIGURG, faults that become panics, timers, files, pipes and signals.
//
//	scheduler STATUS   all cases, then ends with STATUS
//	scheduler panic    ends by a panic that nobody recovers
//	scheduler deadlock ends because every goroutine waits
//
// Every line depends on the program alone, so a run on Linux prints the same.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

const sysGetcpu = 309 // the syscall package does not name it

func currentCore() int {
	var core uint32
	_, _, errno := syscall.RawSyscall(sysGetcpu, uintptr(unsafe.Pointer(&core)), 0, 0)
	if errno != 0 {
		panic(errno)
	}
	return int(core)
}

// Goroutines with threads of their own run until each core has been seen.
func everyCore() {
	var seen [64]int32
	var count int32
	var group sync.WaitGroup
	for i := 0; i < 4*runtime.NumCPU(); i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for atomic.LoadInt32(&count) < int32(runtime.NumCPU()) {
				if atomic.CompareAndSwapInt32(&seen[currentCore()], 0, 1) {
					atomic.AddInt32(&count, 1)
				}
				runtime.Gosched()
			}
		}()
	}
	group.Wait()
	fmt.Println("every core was seen:", int(count) == runtime.NumCPU())
}

func channels() {
	source := make(chan int)
	go func(out chan<- int) {
		for i := 2; ; i++ {
			out <- i
		}
	}(source)
	primes := []int{}
	for len(primes) < 60 {
		prime := <-source
		primes = append(primes, prime)
		filtered := make(chan int)
		go func(in <-chan int, out chan<- int) {
			for {
				if i := <-in; i%prime != 0 {
					out <- i
				}
			}
		}(source, filtered)
		source = filtered
	}
	fmt.Println("sieve of goroutines:", primes[57:])

	jobs, results := make(chan int, 16), make(chan int, 16)
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for job := range jobs {
				results <- job * job
			}
		}()
	}
	go func() {
		for i := 0; i < 2000; i++ {
			jobs <- i
		}
		close(jobs)
		group.Wait()
		close(results)
	}()
	sum := 0
	for result := range results {
		sum += result
	}
	fmt.Println("workers:", sum)
	select {
	case <-results:
		fmt.Println("select: the closed channel")
	case <-make(chan int):
		fmt.Println("select: wrong")
	}
}

func synchronisation() {
	var mutex sync.Mutex
	var rw sync.RWMutex
	var once sync.Once
	var group sync.WaitGroup
	var total, reads, starts int64
	shared := map[int]int{}
	var concurrent sync.Map
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func(id int) {
			defer group.Done()
			once.Do(func() { starts++ })
			for n := 0; n < 300; n++ {
				mutex.Lock()
				total += int64(n)
				mutex.Unlock()
				if n%10 == 0 {
					rw.Lock()
					shared[id*300+n] = n
					rw.Unlock()
				} else {
					rw.RLock()
					atomic.AddInt64(&reads, int64(len(shared)&0))
					rw.RUnlock()
				}
				concurrent.Store(n, id)
			}
		}(i)
	}
	group.Wait()
	entries := 0
	concurrent.Range(func(_, _ any) bool { entries++; return true })
	fmt.Println("locks:", total, len(shared), starts, entries, reads)

	queue, cond := []int{}, sync.NewCond(&mutex)
	taken := 0
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				mutex.Lock()
				for len(queue) == 0 {
					cond.Wait()
				}
				item := queue[0]
				queue = queue[1:]
				taken += item
				mutex.Unlock()
				if item == 0 {
					return
				}
			}
		}()
	}
	for i := 400; i > -4; i-- {
		mutex.Lock()
		queue = append(queue, max(i, 0))
		mutex.Unlock()
		cond.Signal()
	}
	group.Wait()
	fmt.Println("condition:", taken)
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

// Live data of all goroutines must survive collections that run beside them.
func garbage() {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var group sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		group.Add(1)
		go func(id int) {
			defer group.Done()
			kept := grow(12)
			for n := 0; n < 12; n++ {
				counts[id] += grow(9).count()
			}
			text := strings.Repeat(strconv.Itoa(id), 100000)
			counts[id] += kept.count() + len(text)
		}(i)
	}
	group.Wait()
	runtime.GC()
	finalised := make(chan bool)
	func() {
		runtime.SetFinalizer(&tree{left: &tree{}}, func(*tree) { close(finalised) })
	}()
	runtime.GC()
	<-finalised
	debug.FreeOSMemory()
	runtime.ReadMemStats(&after)
	fmt.Println("garbage:", counts, after.NumGC >= before.NumGC+3, after.HeapReleased > 0)
}

func deep(n int) int {
	var pad [64]byte
	pad[n%64] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(pad[n%64])
}

func attempt(name string, action func()) {
	defer func() {
		reason := recover()
		_, isRuntime := reason.(runtime.Error)
		fmt.Printf("recovered from %s: %v (%v)\n", name, reason, isRuntime)
	}()
	action()
	fmt.Println("not reached")
}

// A fault on any thread becomes a panic of the goroutine that made it.
func panics() {
	var nothing *tree
	var wild = (*byte)(unsafe.Pointer(^uintptr(0) >> 20 << 3))
	zero, index, any := 0, 9, interface{}("text")
	attempt("nil", func() { fmt.Println(nothing.left) })
	attempt("division", func() { fmt.Println(1 / zero) })
	attempt("bounds", func() { fmt.Println([]int{1, 2}[index]) })
	attempt("type", func() { fmt.Println(any.(int)) })
	attempt("error", func() { panic(errors.New("of our own")) })
	attempt("wild pointer", func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		fmt.Println(*wild)
	})
	var group sync.WaitGroup
	var caught int32
	for i := 0; i < 32; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 20; n++ {
				func() {
					defer func() {
						if recover() != nil {
							atomic.AddInt32(&caught, 1)
						}
					}()
					_ = *nothing
				}()
			}
		}()
	}
	group.Wait()
	fmt.Println("faults of goroutines:", caught, "deep stack:", deep(100000))
}

var spinning, stop int32

// A loop without a call can only be left by a signal.
func preemption() {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	done := make(chan bool)
	go func() {
		atomic.StoreInt32(&spinning, 1)
		for atomic.LoadInt32(&stop) == 0 {
		}
		close(done)
	}()
	for atomic.LoadInt32(&spinning) == 0 {
		runtime.Gosched()
	}
	atomic.StoreInt32(&stop, 1)
	<-done
	fmt.Println("preempted")
}

func timers() {
	start := time.Now()
	order := make(chan int, 3)
	for _, n := range []int{3, 1, 2} {
		n := n
		time.AfterFunc(time.Duration(n)*50*time.Millisecond, func() { order <- n })
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	ticker.Stop()
	fmt.Println("after functions:", <-order < 4, <-order < 4, <-order < 4)
	stopped := time.NewTimer(time.Hour)
	fmt.Println("stopped:", stopped.Stop(), "asked again:", stopped.Stop())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println("context:", ctx.Err())
	select {
	case <-time.After(10 * time.Millisecond):
		fmt.Println("time passed:", time.Since(start) >= 180*time.Millisecond)
	case <-make(chan int):
	}
}

func files() {
	folder, err := os.MkdirTemp("", "runtimes")
	must(err)
	defer os.RemoveAll(folder)
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(id int) {
			defer group.Done()
			name := filepath.Join(folder, fmt.Sprintf("part%d", id))
			must(os.WriteFile(name, bytes.Repeat([]byte{byte('a' + id)}, 10000+id), 0o640))
		}(i)
	}
	group.Wait()
	entries, err := os.ReadDir(folder)
	must(err)
	digest := sha256.New()
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		must(err)
		info, err := entry.Info()
		must(err)
		fmt.Fprintln(digest, entry.Name(), info.Size(), info.Mode())
		digest.Write(data)
	}
	fmt.Printf("files: %d %x\n", len(entries), digest.Sum(nil)[:8])
	must(os.Rename(filepath.Join(folder, "part0"), filepath.Join(folder, "moved")))
	_, err = os.Stat(filepath.Join(folder, "part0"))
	fmt.Println("renamed:", errors.Is(err, os.ErrNotExist))
	err = os.Remove(folder)
	fmt.Println("not empty:", errors.Is(err, syscall.ENOTEMPTY))
	file, err := os.OpenFile(filepath.Join(folder, "moved"), os.O_RDWR|os.O_APPEND, 0)
	must(err)
	fmt.Fprint(file, "the end")
	_, err = file.Seek(-7, io.SeekEnd)
	must(err)
	tail, err := io.ReadAll(file)
	must(err)
	must(file.Close())
	fmt.Printf("tail: %s\n", tail)
}

func pipes() {
	reader, writer, err := os.Pipe()
	must(err)
	go func() {
		packed := gzip.NewWriter(writer)
		for i := 0; i < 20000; i++ {
			fmt.Fprintln(packed, "line", i)
		}
		must(packed.Close())
		must(writer.Close())
	}()
	unpacked, err := gzip.NewReader(reader)
	must(err)
	digest := sha256.New()
	count, err := io.Copy(digest, unpacked)
	must(err)
	fmt.Printf("pipe: %d %x\n", count, digest.Sum(nil)[:8])
	must(reader.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
	_, err = reader.Read(make([]byte, 1))
	fmt.Println("end of the pipe:", err)
	reader, writer, err = os.Pipe()
	must(err)
	must(reader.SetReadDeadline(time.Now().Add(10 * time.Millisecond)))
	_, err = reader.Read(make([]byte, 1))
	fmt.Println("deadline:", errors.Is(err, os.ErrDeadlineExceeded))
	must(reader.Close())
	_, err = writer.Write([]byte("x"))
	fmt.Println("no reader:", errors.Is(err, syscall.EPIPE))
}

func signals() {
	arrived := make(chan os.Signal, 8)
	signal.Notify(arrived, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM)
	for _, number := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM} {
		must(syscall.Kill(os.Getpid(), number))
		fmt.Println("signal:", <-arrived)
	}
	signal.Ignore(syscall.SIGUSR1)
	must(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	signal.Stop(arrived)
	fmt.Println("ignored:", signal.Ignored(syscall.SIGUSR1), len(arrived))
}

func texts() {
	value := map[string]any{"name": "lagoon", "depth": 3.5, "reefs": []int{1, 2, 3}}
	packed, err := json.Marshal(value)
	must(err)
	var back map[string]any
	must(json.Unmarshal(packed, &back))
	keys := []string{}
	for key := range back {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	fmt.Println("json:", string(packed), keys)
	digest := sha256.Sum256(bytes.Repeat([]byte("atoll"), 100000))
	fmt.Printf("digest: %x\n", digest[:8])
}

func main() {
	switch os.Args[1] {
	case "panic":
		fmt.Println("before the panic")
		panic("nobody recovers")
	case "deadlock":
		fmt.Println("before the deadlock")
		<-make(chan int)
	}
	status, err := strconv.Atoi(os.Args[1])
	must(err)
	fmt.Println("threads:", runtime.GOMAXPROCS(0) == runtime.NumCPU())
	everyCore()
	channels()
	synchronisation()
	garbage()
	panics()
	preemption()
	timers()
	files()
	pipes()
	signals()
	texts()
	fmt.Println("end")
	os.Exit(status)
}
