// allocate.go: workloads that allocate; the other half is allocate.c. See workloads.go.
package main

import (
	"runtime"
	"sync"
	"time"
)

const (
	treeDepth = 18
	shallow   = 4
)

// ---- One after the other

type pointer16 struct {
	first *int
	rest  [8]byte
}
type pointer64 struct {
	first *int
	rest  [56]byte
}
type pointer256 struct {
	first *int
	rest  [248]byte
}
type pointer1k struct {
	first *int
	rest  [1016]byte
}
type pointer32k struct {
	first *int
	rest  [32760]byte
}

var (
	sink16   *[16]byte
	sink64   *[64]byte
	sink256  *[256]byte
	sink1k   *[1024]byte
	sink32k  *[32768]byte
	sink16p  *pointer16
	sink64p  *pointer64
	sink256p *pointer256
	sink1kp  *pointer1k
	sink32kp *pointer32k
)

func timed(n int, one func(n int)) time.Duration {
	start := time.Now()
	one(n)
	return time.Since(start)
}

func new16(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink16 = new([16]byte)
		}
	})
}

func new64(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink64 = new([64]byte)
		}
	})
}

func new256(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink256 = new([256]byte)
		}
	})
}

func new1k(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink1k = new([1024]byte)
		}
	})
}

func new32k(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink32k = new([32768]byte)
		}
	})
}

func new16p(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink16p = new(pointer16)
		}
	})
}

func new64p(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink64p = new(pointer64)
		}
	})
}

func new256p(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink256p = new(pointer256)
		}
	})
}

func new1kp(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink1kp = new(pointer1k)
		}
	})
}

func new32kp(n int) time.Duration {
	return timed(n, func(n int) {
		for i := 0; i < n; i++ {
			sink32kp = new(pointer32k)
		}
	})
}

// ---- At once

var sinks [64][8]*pointer64

func new64x(n int) time.Duration {
	procs := runtime.GOMAXPROCS(0)
	each := n / procs
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(procs)
	for i := 0; i < procs; i++ {
		go func() {
			for j := 0; j < each; j++ {
				sinks[i%len(sinks)][0] = new(pointer64)
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return time.Since(start)
}

// ---- Binary trees

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

func fell(depth, trees int) {
	found := 0
	for i := 0; i < trees; i++ {
		found += grow(depth).count()
	}
	if found != trees*(2<<depth-1) {
		fail("trees: wrong count")
	}
}

func treesOf(depth int, atOnce bool) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	if grow(depth+1).count() != 4<<depth-1 {
		fail("trees: wrong count")
	}
	lives := grow(depth)
	for d := shallow; d <= depth; d += 2 {
		n := 1 << (depth - d + shallow)
		if !atOnce {
			fell(d, n)
			continue
		}
		wg.Add(1)
		go func() {
			fell(d, n)
			wg.Done()
		}()
	}
	wg.Wait()
	if lives.count() != 2<<depth-1 {
		fail("trees: wrong count")
	}
	return time.Since(start)
}

func trees(depth int) time.Duration  { return treesOf(depth, false) }
func treesx(depth int) time.Duration { return treesOf(depth, true) }

var allocations = []workload{
	{"new16", new16, 1, 0}, {"new16p", new16p, 1, 0},
	{"new64", new64, 1, 0}, {"new64p", new64p, 1, 0},
	{"new256", new256, 1, 0}, {"new256p", new256p, 1, 0},
	{"new1k", new1k, 1, 0}, {"new1kp", new1kp, 1, 0},
	{"new32k", new32k, 1, 0}, {"new32kp", new32kp, 1, 0},
	{"new64x", new64x, 64, 0},
	{"trees", trees, 1, treeDepth},
	{"treesx", treesx, 1, treeDepth},
}
