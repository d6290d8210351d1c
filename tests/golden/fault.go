// fault.go: nil pointers and divisions; the Go half of fault.c.
package main

import (
	"fmt"
	"os"
)

type node struct {
	left, right *node
	key         int32
}

var root *node
var zero int32
var total int32

func recovers() {
	fmt.Println("recovered", recover())
}

func panic_again() { panic("again") }

//go:noinline
func store(n *node) { n.key = 1 }

//go:noinline
func load(n *node) int32 { return n.left.key }

func store_nil() { store(root) }
func load_nil()  { total = load(root) }

func field_of_nil() { total = root.key }

func load_twice() {
	root = &node{}
	total = load(root)
}

func recovered() {
	defer recovers()
	store(root)
}

func recovered_call() {
	recovered()
	recovered()
	fmt.Println("goes on")
}

func recovered_many() {
	for i := 0; i < 1000; i++ {
		quiet()
	}
	fmt.Println("goes on")
}

func drop_it() { recover() }

func quiet() {
	defer drop_it()
	store(root)
}

func then_another() {
	quiet()
	panic("another")
}

func panic_in_deferred() {
	defer panic_again()
	store(root)
}

func deferred_store() { store(root) }

func fault_in_deferred() {
	defer deferred_store()
	panic("first")
}

func fault_in_fault() {
	defer deferred_store()
	store(root)
}

func worker() { store(root) }

func in_goroutine() {
	go worker()
	<-make(chan int)
}

//go:noinline
func divide(by int32) int32 { return 7 / by }

func divide_by_zero() { total = divide(zero) }

func recovered_division() {
	defer recovers()
	total = divide(zero)
}

var code func()

func call_nil() { code() }

var cases = map[string]func(){
	"store_nil": store_nil, "load_nil": load_nil, "field_of_nil": field_of_nil, "load_twice": load_twice,
	"recovered_call": recovered_call, "recovered_many": recovered_many,
	"then_another": then_another,
	"panic_in_deferred": panic_in_deferred, "fault_in_deferred": fault_in_deferred,
	"fault_in_fault": fault_in_fault, "in_goroutine": in_goroutine,
	"divide_by_zero": divide_by_zero, "recovered_division": recovered_division,
	"call_nil": call_nil,
}

func main() {
	cases[os.Args[1]]()
}

/*
== store_nil 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| store
err| store_nil
err| main

== load_nil 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=PC]
err|
err| goroutine 1 [running]:
err| load
err| load_nil
err| main

== field_of_nil 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| field_of_nil
err| main

== load_twice 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| load
err| load_twice
err| main

== recovered_call 0
out| recovered runtime error: invalid memory address or nil pointer dereference
out| recovered runtime error: invalid memory address or nil pointer dereference
out| goes on

== recovered_many 0
out| goes on

== then_another 2
err| panic: another
err|
err| goroutine 1 [running]:
err| then_another
err| main

== panic_in_deferred 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| 	panic: again
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| panic_again
err| panic
err| store
err| panic_in_deferred
err| main

== fault_in_deferred 2
err| panic: first
err| 	panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| store
err| deferred_store
err| panic
err| fault_in_deferred
err| main

== fault_in_fault 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| 	panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine 1 [running]:
err| store
err| deferred_store
err| panic
err| store
err| fault_in_fault
err| main

== in_goroutine 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=PC]
err|
err| goroutine #1 [running]:
err| store
err| worker
err| created by in_goroutine in goroutine 1

== divide_by_zero 2
err| panic: runtime error: integer divide by zero
err|
err| goroutine 1 [running]:
err| divide
err| divide_by_zero
err| main

== recovered_division 0
out| recovered runtime error: integer divide by zero

== call_nil 2
err| panic: runtime error: invalid memory address or nil pointer dereference
err| [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=PC]
err|
err| goroutine 1 [running]:
err| call_nil
err| main
*/
