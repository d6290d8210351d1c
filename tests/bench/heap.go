// heap.go: the Go half of tests/bench/heap; see heap.c, which makes the same objects in the same order and prints the
// same figures.
//
//	heap [LIVE [SECONDS]]
package main

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/metrics"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chain   = 64
	replace = 8
	fulls   = 5
	sub     = 16
	buckets = 48 * sub
	entry   = 504 // bytes of classes that an entry takes, on average
)

type cell struct {
	next, other *cell
	data        []byte
	key         uint64
}

type worker struct {
	seed, steps, longest uint64
	counts               [buckets]uint64
	table                []*cell
	lists                uint64
}

var (
	over  atomic.Bool
	start = time.Now() // the clock: nanoseconds since then, one reading each
)

func fail(what string) {
	fmt.Fprintln(os.Stderr, "heap:", what)
	os.Exit(1)
}

func next(s *uint64) uint64 {
	x := *s
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*s = x
	return x
}

// ---- Entries

func sizeOfBlock(r uint64) uint64 {
	kind := r % 1000
	if kind == 0 {
		return 32 << 10
	}
	if kind <= 10 {
		return 1024 + (r>>10)%3072
	}
	return 16 + (r>>10)%240
}

func makeCell(r uint64) *cell {
	c := &cell{key: r}
	c.data = make([]byte, sizeOfBlock(r))
	for i := range c.data[:16] {
		c.data[i] = byte(r & 127)
	}
	return c
}

func makeEntry(w *worker) *cell {
	c := makeCell(next(&w.seed))
	c.other = makeCell(next(&w.seed))
	return c
}

func put(w *worker, c *cell) {
	before := w.table[next(&w.seed)%w.lists]
	for place := next(&w.seed) % replace; place > 0; place-- {
		before = before.next
	}
	if before.next.data[0] != byte(before.next.key&127) {
		fail("a live block was changed")
	}
	c.next = before.next.next
	before.next = c
}

func step(w *worker) {
	c := makeEntry(w)
	if w.steps%replace == 0 {
		put(w, c)
	}
	w.steps++
}

// ---- Steps by the clock

func bucketOf(ns uint64) int {
	if ns < sub {
		return int(ns)
	}
	b := bits.Len64(ns) - 1
	return (b-3)*sub + int(ns>>(b-4)&(sub-1))
}

func endOfBucket(i int) float64 {
	if i < sub {
		return float64(i + 1)
	}
	return float64(uint64(sub+i%sub+1) << (i/sub - 1))
}

func fill(w *worker) {
	w.table = make([]*cell, w.lists)
	for i := 0; i < chain; i++ {
		for l := range w.table {
			c := makeEntry(w)
			c.next = w.table[l]
			w.table[l] = c
		}
	}
}

func allocate(w *worker) {
	at := time.Since(start)
	for !over.Load() {
		was := at
		step(w)
		at = time.Since(start)
		took := uint64(at - was)
		w.counts[bucketOf(took)]++
		if took > w.longest {
			w.longest = took
		}
	}
}

func all(workers []*worker, fn func(*worker)) {
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Add(1)
		go func() {
			fn(w)
			wg.Done()
		}()
	}
	wg.Wait()
}

// ---- The runtime's figures

func read(name string) metrics.Value {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() == metrics.KindBad {
		fail(name)
	}
	return s[0].Value
}

func figure(name string) uint64 { return read(name).Uint64() }

func counts(name string) []uint64 {
	return append([]uint64(nil), read(name).Float64Histogram().Counts...)
}

func percentile(counts []uint64, share float64, end func(int) float64) float64 {
	var all, sum uint64
	for _, n := range counts {
		all += n
	}
	for i, n := range counts {
		sum += n
		if sum > 0 && float64(sum) >= share*float64(all) {
			return end(i)
		}
	}
	return 0
}

func endPauses(name, metric string, before []uint64) {
	h := read(metric).Float64Histogram()
	n := append([]uint64(nil), h.Counts...)
	for i := range n {
		n[i] -= before[i]
	}
	end := func(i int) float64 { return h.Buckets[i+1] * 1e6 }
	for i := range n {
		if n[i] != 0 {
			fmt.Printf("%s@%.3f %d n\n", name, end(i), n[i])
		}
	}
	fmt.Printf("%s_max %.3f us\n", name, percentile(n, 1, end))
}

// ---- Main

func full() float64 {
	var took []float64
	for i := 0; i < fulls; i++ {
		was := time.Since(start)
		runtime.GC()
		took = append(took, float64(time.Since(start)-was)/1e6)
	}
	sort.Float64s(took)
	return took[fulls/2]
}

func residentPeak() float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); words[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib / 1024
		}
	}
	return 0
}

func watch(seconds float64) (heap, marked uint64) {
	now := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	for until := time.Since(start) + time.Duration(seconds*1e9); time.Since(start) < until; {
		metrics.Read(now)
		heap = max(heap, now[0].Value.Uint64())
		marked = max(marked, now[1].Value.Uint64())
		time.Sleep(20 * time.Millisecond)
	}
	return heap, marked
}

func argument(i int, def float64) float64 {
	if len(os.Args) <= i {
		return def
	}
	v, err := strconv.ParseFloat(os.Args[i], 64)
	if err != nil {
		fail("usage: heap [LIVE [SECONDS]]")
	}
	return v
}

func main() {
	live, seconds := argument(1, 1024), argument(2, 10)
	n := runtime.GOMAXPROCS(0)
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = &worker{seed: uint64(i) + 1,
			lists: uint64(live*(1<<20)/float64(n)/chain/entry) + 1}
	}
	all(workers, fill)
	const total, stopping = "/sched/pauses/total/gc:seconds", "/sched/pauses/stopping/gc:seconds"
	totals, stoppings := counts(total), counts(stopping)
	cycles := figure("/gc/cycles/total:gc-cycles")
	began := time.Since(start)
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Add(1)
		go func() {
			allocate(w)
			wg.Done()
		}()
	}
	heap, marked := watch(seconds)
	over.Store(true)
	wg.Wait()
	took := float64(time.Since(start) - began)
	var steps, longest uint64
	all := make([]uint64, buckets)
	for _, w := range workers {
		steps += w.steps
		longest = max(longest, w.longest)
		for i, n := range w.counts {
			all[i] += n
		}
	}
	fmt.Printf("allocs %.0f /s\n", float64(steps)*4/took*1e9)
	fmt.Printf("step %.1f ns\n", took*float64(n)/float64(steps))
	fmt.Printf("step_999 %.3f us\n", percentile(all, 0.999, endOfBucket)/1e3)
	fmt.Printf("stall %.3f ms\n", float64(longest)/1e6)
	endPauses("pause", total, totals)
	endPauses("stopping", stopping, stoppings)
	fmt.Printf("cycles %d n\n", figure("/gc/cycles/total:gc-cycles")-cycles)
	fmt.Printf("limited %d n\n", figure("/gc/limiter/last-enabled:gc-cycle"))
	fmt.Printf("full %.1f ms\n", full())
	fmt.Printf("live %.1f MiB\n", float64(figure("/gc/heap/live:bytes"))/(1<<20))
	fmt.Printf("marked %.1f MiB\n", float64(marked)/(1<<20))
	fmt.Printf("heap_peak %.1f MiB\n", float64(heap)/(1<<20))
	fmt.Printf("resident_peak %.1f MiB\n", residentPeak())
	runtime.KeepAlive(workers)
}
