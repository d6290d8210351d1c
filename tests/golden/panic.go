// panic.go: panics, recoveries and Goexit; the Go half of panic.c. What each case prints stands at
// the end, see ../support/golden.py. Functions of both halves have the same names, and what Go
// would inline is kept apart, so that backtraces agree.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
)

type node struct{ left, right *node }

//go:noinline
func say(text string) {
	fmt.Println(text)
}

func panic_first()  { panic("first") }
func panic_second() { panic("second") }
func panic_third()  { panic("third") }
func say_deferred() { say("deferred") }

func recovers() {
	if v := recover(); v != nil {
		fmt.Printf("recovered %v\n", v)
	} else {
		fmt.Println("nothing to recover")
	}
}

func repanics() {
	v := recover()
	fmt.Printf("recovered %v\n", v)
	panic("again")
}

func helper()        { recovers() }
func goes_on()       { runtime.Goexit() }
func panics_inside() { defer recovers(); panic("inner") }
func deferred_two()  { defer panic_third(); panic("second") }

func text() {
	defer say_deferred()
	panic("boom")
}

func lines() { panic("one\ntwo\n\nthree\n") }
func empty() { panic("") }

func integer()  { panic(int32(-42)) }
func unsigned() { panic(uint64(18446744073709551615)) }
func boolean()  { panic(true) }
func float()    { panic(1.5) }
func tiny()     { panic(-3.0517578125e-05) }
func infinite() { panic(math.Inf(-1)) }
func pointer()  { panic(node{}) }
func null()     { panic(nil) }

func nested() {
	defer panic_second()
	panic("first")
}

func nested_three() {
	defer deferred_two()
	panic("first")
}

func recovered_inside() {
	defer panics_inside()
	panic("outer")
}

func recovered() {
	defer say_deferred()
	defer recovers()
	panic("first")
}

func recovered_call() {
	recovered()
	recovers()
	say("goes on")
}

func not_direct() {
	defer helper()
	panic("first")
}

func repanicked() {
	defer repanics()
	panic("first")
}

func repanicked_twice() {
	defer repanics()
	defer repanics()
	panic("first")
}

func replaced() {
	defer recovers()
	defer panic_second()
	panic("first")
}

func replaced_call() {
	replaced()
	say("goes on")
}

func goexit() {
	defer say_deferred()
	defer recovers()
	runtime.Goexit()
}

func goexit_in_panic() {
	defer say_deferred()
	defer goes_on()
	panic("first")
}

func panic_in_goexit() {
	defer panic_first()
	runtime.Goexit()
}

func recovered_in_goexit() {
	defer say_deferred()
	defer panics_inside()
	runtime.Goexit()
}

func worker() { panic("in a goroutine") }

func other_goroutine() {
	go worker()
	<-make(chan int)
}

func middle() { go worker() }

func grandchild() {
	go middle()
	<-make(chan int)
}

func send_closed() {
	c := make(chan int, 1)
	close(c)
	c <- 1
}

func close_closed() {
	c := make(chan int)
	close(c)
	close(c)
}

func close_nil() {
	var c chan int
	close(c)
}

var shared chan int

func sender() { shared <- 1 }

func close_under_sender() {
	shared = make(chan int)
	go sender()
	runtime.Gosched()
	close(shared)
	<-make(chan int)
}

func recovered_close() {
	defer recovers()
	close_closed()
}

func recovered_error() {
	recovered_close()
	say("goes on")
}

func huge_chan() {
	n := math.MaxInt
	_ = make(chan int, n)
}

var cases = map[string]func(){
	"text": text, "lines": lines, "empty": empty,
	"integer": integer, "unsigned": unsigned, "boolean": boolean, "float": float, "tiny": tiny,
	"infinite": infinite, "pointer": pointer, "null": null,
	"nested": nested, "nested_three": nested_three, "recovered_inside": recovered_inside,
	"recovered_call": recovered_call, "not_direct": not_direct, "repanicked": repanicked,
	"repanicked_twice": repanicked_twice, "replaced_call": replaced_call,
	"goexit": goexit, "goexit_in_panic": goexit_in_panic, "panic_in_goexit": panic_in_goexit,
	"recovered_in_goexit": recovered_in_goexit,
	"other_goroutine": other_goroutine, "grandchild": grandchild,
	"send_closed": send_closed, "close_closed": close_closed, "close_nil": close_nil,
	"close_under_sender": close_under_sender, "recovered_error": recovered_error,
	"huge_chan": huge_chan,
}

func main() {
	cases[os.Args[1]]()
}

/*
== text 2
out| deferred
err| panic: boom
err|
err| goroutine 1 [running]:
err| text
err| main

== lines 2
err| panic: one
err| 	two
err|
err| 	three
err|
err|
err| goroutine 1 [running]:
err| lines
err| main

== empty 2
err| panic:
err|
err| goroutine 1 [running]:
err| empty
err| main

== integer 2
err| panic: -42
err|
err| goroutine 1 [running]:
err| integer
err| main

== unsigned 2
err| panic: 18446744073709551615
err|
err| goroutine 1 [running]:
err| unsigned
err| main

== boolean 2
err| panic: true
err|
err| goroutine 1 [running]:
err| boolean
err| main

== float 2
err| panic: +1.500000e+000
err|
err| goroutine 1 [running]:
err| float
err| main

== tiny 2
err| panic: -3.051758e-005
err|
err| goroutine 1 [running]:
err| tiny
err| main

== infinite 2
err| panic: -Inf
err|
err| goroutine 1 [running]:
err| infinite
err| main

== pointer 2
err| panic: (node) ADDRESS
err|
err| goroutine 1 [running]:
err| pointer
err| main

== null 2
err| panic: panic called with nil argument
err|
err| goroutine 1 [running]:
err| null
err| main

== nested 2
err| panic: first
err| 	panic: second
err|
err| goroutine 1 [running]:
err| panic_second
err| panic
err| nested
err| main

== nested_three 2
err| panic: first
err| 	panic: second
err| 	panic: third
err|
err| goroutine 1 [running]:
err| panic_third
err| panic
err| deferred_two
err| panic
err| nested_three
err| main

== recovered_inside 2
out| recovered inner
err| panic: outer
err|
err| goroutine 1 [running]:
err| recovered_inside
err| main

== recovered_call 0
out| recovered first
out| deferred
out| nothing to recover
out| goes on

== not_direct 2
out| nothing to recover
err| panic: first
err|
err| goroutine 1 [running]:
err| not_direct
err| main

== repanicked 2
out| recovered first
err| panic: first [recovered]
err| 	panic: again
err|
err| goroutine 1 [running]:
err| repanics
err| panic
err| repanicked
err| main

== repanicked_twice 2
out| recovered first
out| recovered again
err| panic: first [recovered]
err| 	panic: again [recovered]
err| 	panic: again
err|
err| goroutine 1 [running]:
err| repanics
err| panic
err| repanics
err| panic
err| repanicked_twice
err| main

== replaced_call 0
out| recovered second
out| goes on

== goexit 2
out| nothing to recover
out| deferred
err| fatal error: no goroutines (main called runtime.Goexit) - deadlock!

== goexit_in_panic 2
out| deferred
err| fatal error: no goroutines (main called runtime.Goexit) - deadlock!

== panic_in_goexit 2
err| panic: first
err|
err| goroutine 1 [running]:
err| panic_first
err| panic_in_goexit
err| main

== recovered_in_goexit 2
out| recovered inner
out| deferred
err| fatal error: no goroutines (main called runtime.Goexit) - deadlock!

== other_goroutine 2
err| panic: in a goroutine
err|
err| goroutine #1 [running]:
err| worker
err| created by other_goroutine in goroutine 1

== grandchild 2
err| panic: in a goroutine
err|
err| goroutine #1 [running]:
err| worker
err| created by middle in goroutine #2

== send_closed 2
err| panic: send on closed channel
err|
err| goroutine 1 [running]:
err| send_closed
err| main

== close_closed 2
err| panic: close of closed channel
err|
err| goroutine 1 [running]:
err| close_closed
err| main

== close_nil 2
err| panic: close of nil channel
err|
err| goroutine 1 [running]:
err| close_nil
err| main

== close_under_sender 2
err| panic: send on closed channel
err|
err| goroutine #1 [running]:
err| sender
err| created by close_under_sender in goroutine 1

== recovered_error 0
out| recovered close of closed channel
out| goes on

== huge_chan 2
err| panic: makechan: size out of range
err|
err| goroutine 1 [running]:
err| huge_chan
err| main
*/
