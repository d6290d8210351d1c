// workloads.go: the Go half of tests/bench/compare; see workloads.c, which does the same operations
// under the same names. Written as Go is usually written: no tuning that the C half does not have.
//
//	workloads NAME [N]     GOMAXPROCS in the environment says on how many Ps
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	_ "unsafe" // for go:linkname
)

const (
	minTime = 300 * time.Millisecond

	many    = 1000
	batch   = 100
	workers = 8
	buffer  = 128
	leaves  = 1000000
	fanout  = 10
	fibN    = 27
	primes  = 5000
	parkers = 1000000
	timers  = 1000000
	window  = 64
	nap     = 50 * time.Microsecond
)

func fail(what string) {
	fmt.Fprintln(os.Stderr, "workloads:", what)
	os.Exit(1)
}

// ---- Yield

func yieldOf(goroutines, n int) time.Duration {
	var wg sync.WaitGroup
	each := n / goroutines
	start := time.Now()
	wg.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func() {
			for i := 0; i < each; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func yield2(n int) time.Duration    { return yieldOf(2, n) }
func yield1000(n int) time.Duration { return yieldOf(many, n) }

// ---- Channels

func pingpong(n int) time.Duration {
	ping, pong := make(chan int), make(chan int)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			pong <- <-ping
		}
	}()
	for i := 0; i < n; i++ {
		ping <- i
		if <-pong != i {
			fail("pingpong: wrong value")
		}
	}
	return time.Since(start)
}

func streamOf(workers, n int) time.Duration {
	var producers, consumers sync.WaitGroup
	var lock sync.Mutex
	total, each := 0, n/workers
	c := make(chan int, buffer)
	start := time.Now()
	producers.Add(workers)
	consumers.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			for i := 0; i < each; i++ {
				c <- i
			}
			producers.Done()
		}()
		go func() {
			sum := 0
			for v := range c {
				sum += v
			}
			lock.Lock()
			total += sum
			lock.Unlock()
			consumers.Done()
		}()
	}
	producers.Wait()
	close(c)
	consumers.Wait()
	elapsed := time.Since(start)
	if total != each*(each-1)/2*workers {
		fail("stream: wrong sum")
	}
	return elapsed
}

func spsc(n int) time.Duration { return streamOf(1, n) }
func mpmc(n int) time.Duration { return streamOf(workers, n) }

// ---- Select

func selectReady(n int) time.Duration {
	a, b := make(chan int, 1), make(chan int, 1)
	a <- 7
	b <- 7
	start := time.Now()
	for i := 0; i < n; i++ {
		select {
		case v := <-a:
			a <- v
		case v := <-b:
			b <- v
		}
	}
	return time.Since(start)
}

func recvEither(a, b chan int) int {
	select {
	case v := <-a:
		return v
	case v := <-b:
		return v
	}
}

func selectPark(n int) time.Duration {
	ping := [2]chan int{make(chan int), make(chan int)}
	pong := [2]chan int{make(chan int), make(chan int)}
	start := time.Now()
	go func() {
		for i := 0; i < n/2; i++ {
			v := recvEither(ping[0], ping[1])
			pong[v&1] <- v
		}
	}()
	for i := 0; i < n/2; i++ {
		ping[i&1] <- i
		if recvEither(pong[0], pong[1]) != i {
			fail("select_park: wrong value")
		}
	}
	return time.Since(start)
}

func selectDefault2(n int) time.Duration {
	a, b := make(chan int, 1), make(chan int, 1)
	start := time.Now()
	for i := 0; i < n; i++ {
		select {
		case <-a:
			fail("select: something was ready")
		case <-b:
			fail("select: something was ready")
		default:
		}
	}
	return time.Since(start)
}

func selectDefault8(n int) time.Duration {
	var c [8]chan int
	for i := range c {
		c[i] = make(chan int, 1)
	}
	start := time.Now()
	for i := 0; i < n; i++ {
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		case <-c[4]:
		case <-c[5]:
		case <-c[6]:
		case <-c[7]:
		default:
			continue
		}
		fail("select: something was ready")
	}
	return time.Since(start)
}

// ---- Timers

func nothing() {}

var live bool

func liveTimers() {
	x := uint64(1)
	for i := 0; !live && i < timers; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		time.AfterFunc(time.Hour+time.Duration(x>>22)%time.Hour, nothing)
	}
	live = true
}

func timerStartstop(n int) time.Duration {
	liveTimers()
	start := time.Now()
	for i := 0; i < n; i++ {
		if !time.AfterFunc(5400*time.Second, nothing).Stop() {
			fail("timer: it ran")
		}
	}
	return time.Since(start)
}

func timerWindow(n int) time.Duration {
	var w [window]*time.Timer
	x := uint64(1)
	liveTimers()
	start := time.Now()
	for i := 0; i < n; i++ {
		t := &w[i%window]
		if *t != nil && !(*t).Stop() {
			fail("timer: it ran")
		}
		x = x*6364136223846793005 + 1442695040888963407
		*t = time.AfterFunc(time.Hour+time.Duration(x>>22)%time.Hour, nothing)
	}
	for _, t := range w {
		if t != nil {
			t.Stop()
		}
	}
	return time.Since(start)
}

func timerReset(n int) time.Duration {
	liveTimers()
	t := time.AfterFunc(5400*time.Second, nothing)
	start := time.Now()
	for i := 0; i < n; i++ {
		t.Reset(5400 * time.Second)
	}
	elapsed := time.Since(start)
	t.Stop()
	return elapsed
}

func naps(n int) time.Duration {
	start := time.Now()
	for i := 0; i < n; i++ {
		time.Sleep(nap)
	}
	return time.Since(start) - time.Duration(n)*nap
}

// ---- Spawn

func spawn(n int) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n; i += batch {
		wg.Add(batch)
		for j := 0; j < batch; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
	return time.Since(start)
}

// ---- Mutex

func mutexOf(workers, n int) time.Duration {
	var lock sync.Mutex
	var wg sync.WaitGroup
	count, each := 0, n/workers
	start := time.Now()
	wg.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			for i := 0; i < each; i++ {
				lock.Lock()
				count++
				lock.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	elapsed := time.Since(start)
	if count != each*workers {
		fail("mutex: wrong count")
	}
	return elapsed
}

func mutex1(n int) time.Duration { return mutexOf(1, n) }
func mutex8(n int) time.Duration { return mutexOf(workers, n) }

// ---- The other locks

// Go's semaphores are the runtime's: sync reaches them like this, too.

//go:linkname semacquire sync.runtime_Semacquire
func semacquire(s *uint32)

//go:linkname semrelease sync.runtime_Semrelease
func semrelease(s *uint32, handoff bool, skipframes int)

func sema(n int) time.Duration {
	var ping, pong uint32
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(1)
	go func() {
		for i := 0; i < n; i++ {
			semacquire(&ping)
			semrelease(&pong, false, 0)
		}
		wg.Done()
	}()
	for i := 0; i < n; i++ {
		semrelease(&ping, false, 0)
		semacquire(&pong)
	}
	elapsed := time.Since(start)
	wg.Wait()
	return elapsed
}

func cond(n int) time.Duration {
	var lock sync.Mutex
	var wg sync.WaitGroup
	conds := [2]*sync.Cond{sync.NewCond(&lock), sync.NewCond(&lock)}
	turn := 0
	takeTurns := func(me int) {
		lock.Lock()
		for i := 0; i < n; i++ {
			for turn != me {
				conds[me].Wait()
			}
			turn = 1 - me
			conds[1-me].Signal()
		}
		lock.Unlock()
	}
	start := time.Now()
	wg.Add(1)
	go func() {
		takeTurns(1)
		wg.Done()
	}()
	takeTurns(0)
	wg.Wait()
	return time.Since(start)
}

func readOf(workers, n int) time.Duration {
	var lock sync.RWMutex
	var wg sync.WaitGroup
	each := n / workers
	start := time.Now()
	wg.Add(workers)
	for i := 0; i < workers; i++ {
		go func() {
			for i := 0; i < each; i++ {
				lock.RLock()
				lock.RUnlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func rwread1(n int) time.Duration { return readOf(1, n) }
func rwread8(n int) time.Duration { return readOf(workers, n) }

func waitgroup(n int) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n; i++ {
		wg.Add(1)
		wg.Done()
	}
	wg.Wait()
	return time.Since(start)
}

func once(n int) time.Duration {
	var o sync.Once
	calls := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		o.Do(func() { calls++ })
	}
	elapsed := time.Since(start)
	if calls != 1 {
		fail("once: wrong count")
	}
	return elapsed
}

func pool(n int) time.Duration {
	var p sync.Pool
	p.Put(new(int))
	start := time.Now()
	for i := 0; i < n; i++ {
		p.Put(p.Get())
	}
	return time.Since(start)
}

// ---- Skynet

func skynet(up chan int, first, leaves int) {
	if leaves == 1 {
		up <- first
		return
	}
	sums := make(chan int)
	for i := 0; i < fanout; i++ {
		go skynet(sums, first+i*(leaves/fanout), leaves/fanout)
	}
	sum := 0
	for i := 0; i < fanout; i++ {
		sum += <-sums
	}
	up <- sum
}

func skynetOnce(leaves int) time.Duration {
	up := make(chan int)
	start := time.Now()
	go skynet(up, 0, leaves)
	sum := <-up
	elapsed := time.Since(start)
	if sum != leaves*(leaves-1)/2 {
		fail("skynet: wrong sum")
	}
	return elapsed
}

func skynetWarm(leaves int) time.Duration {
	skynetOnce(leaves)
	return skynetOnce(leaves)
}

// ---- Fork and join

func fib(n int) int {
	if n < 2 {
		return n
	}
	var wg sync.WaitGroup
	var result int
	wg.Add(1)
	go func() {
		result = fib(n - 1)
		wg.Done()
	}()
	rest := fib(n - 2)
	wg.Wait()
	return result + rest
}

func fibOnce(n int) time.Duration {
	start := time.Now()
	result := fib(n)
	elapsed := time.Since(start)
	if n == fibN && result != 196418 {
		fail("fib: wrong result")
	}
	return elapsed
}

func fibWarm(n int) time.Duration {
	fibOnce(n)
	return fibOnce(n)
}

// ---- Sieve

func generate(out chan<- int) {
	for i := 2; ; i++ {
		out <- i
	}
}

func sift(in <-chan int, out chan<- int, prime int) {
	for {
		if v := <-in; v%prime != 0 {
			out <- v
		}
	}
}

func sieve(n int) time.Duration {
	start := time.Now()
	c, prime := make(chan int), 0
	go generate(c)
	for i := 0; i < n; i++ {
		prime = <-c
		out := make(chan int)
		go sift(c, out, prime)
		c = out
	}
	elapsed := time.Since(start)
	if n == primes && prime != 48611 {
		fail("sieve: wrong prime")
	}
	return elapsed
}

// ---- Deferred calls, panics

//go:noinline
func deferring(calls *int) {
	defer func() { *calls++ }()
}

func deferred(n int) time.Duration {
	calls := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		deferring(&calls)
	}
	elapsed := time.Since(start)
	if calls != n {
		fail("defer: wrong count")
	}
	return elapsed
}

//go:noinline
func panicking(calls *int) {
	defer func() {
		if v := recover(); v != nil {
			*v.(*int)++
		}
	}()
	panic(calls)
}

func panicRecover(n int) time.Duration {
	calls := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		panicking(&calls)
	}
	elapsed := time.Since(start)
	if calls != n {
		fail("panic: wrong count")
	}
	return elapsed
}

// ---- Parked goroutines; the C half is parked.c

func resident() int {
	var size, pages int
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err.Error())
	}
	fmt.Sscan(string(statm), &size, &pages)
	return pages * os.Getpagesize()
}

func parked(n int) {
	var started, woken sync.WaitGroup
	c := make(chan int)
	before := resident()
	start := time.Now()
	started.Add(n)
	woken.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			started.Done()
			<-c
			woken.Done()
		}()
	}
	started.Wait()
	spawned := time.Now()
	bytes := resident() - before
	closing := time.Now()
	close(c)
	woken.Wait()
	end := time.Now()
	fmt.Printf("parked_spawn %.3f ns\n", float64(spawned.Sub(start))/float64(n))
	fmt.Printf("parked_wake %.3f ns\n", float64(end.Sub(closing))/float64(n))
	fmt.Printf("parked_bytes %.1f B\n", float64(bytes)/float64(n))
}

// ---- Measuring

type workload struct {
	name  string
	run   func(n int) time.Duration // n operations; how long they took
	unit  int                       // n is rounded up to a multiple
	fixed int                       // not 0: this many, once; reported is the whole, in ms, and the resident peak in MiB
}

var workloads = []workload{
	{"yield2", yield2, 2, 0},
	{"yield1000", yield1000, many, 0},
	{"pingpong", pingpong, 1, 0},
	{"spsc128", spsc, 1, 0},
	{"mpmc128", mpmc, workers, 0},
	{"select2_ready", selectReady, 1, 0},
	{"select2_park", selectPark, 2, 0},
	{"select2_default", selectDefault2, 1, 0},
	{"select8_default", selectDefault8, 1, 0},
	{"timer_startstop", timerStartstop, 1, 0},
	{"timer_window", timerWindow, 1, 0},
	{"timer_reset", timerReset, 1, 0},
	{"sleep50us", naps, 1, 0},
	{"spawn100", spawn, batch, 0},
	{"mutex1", mutex1, 1, 0},
	{"mutex8", mutex8, workers, 0},
	{"sema", sema, 1, 0},
	{"cond", cond, 1, 0},
	{"rwread1", rwread1, 1, 0},
	{"rwread8", rwread8, workers, 0},
	{"waitgroup", waitgroup, 1, 0},
	{"once", once, 1, 0},
	{"pool", pool, 1, 0},
	{"skynet_cold", skynetOnce, 1, leaves},
	{"skynet_warm", skynetWarm, 1, leaves},
	{"fib_cold", fibOnce, 1, fibN},
	{"fib_warm", fibWarm, 1, fibN},
	{"sieve", sieve, 1, primes},
	{"defer", deferred, 1, 0},
	{"panic", panicRecover, 1, 0},
}

func residentPeak() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		fail(err.Error())
	}
	return float64(used.Maxrss) / 1024
}

func measure(name string, given int) bool {
	for _, w := range append(workloads, allocations...) {
		if w.name != name {
			continue
		}
		if w.fixed != 0 {
			n := w.fixed
			if given != 0 {
				n = given
			}
			fmt.Printf("%s %.3f ms\n", name, float64(w.run(n))/float64(time.Millisecond))
			fmt.Printf("%s_peak %.1f MiB\n", name, residentPeak())
			return true
		}
		n := 1000
		if given != 0 {
			n = given
		}
		for {
			n = (n + w.unit - 1) / w.unit * w.unit
			t := w.run(n)
			if t >= minTime || given != 0 {
				fmt.Printf("%s %.3f ns\n", name, float64(t)/float64(n))
				return true
			}
			if t < minTime/100 {
				n *= 100
			} else {
				n = int(float64(n) * 1.2 * float64(minTime) / float64(t))
			}
		}
	}
	return false
}

func main() {
	n := 0
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	switch {
	case len(os.Args) > 1 && os.Args[1] == "parked":
		if n == 0 {
			n = parkers
		}
		parked(n)
	case len(os.Args) > 1 && measure(os.Args[1], n):
	default:
		fmt.Fprintln(os.Stderr, "usage: workloads NAME [N]")
		os.Exit(2)
	}
}
