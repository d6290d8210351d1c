// fatal.go: deadlocks and fatal errors, with every goroutine's state; the Go half of fatal.c.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

var ch chan int
var mu sync.Mutex
var wg sync.WaitGroup

func recovers()     { fmt.Println("recovered", recover()) }
func say_deferred() { fmt.Println("deferred") }

func receive() { <-ch }
func send()    { ch <- 1 }
func lock()    { mu.Lock() }
func wait()    { wg.Wait() }

func receive_nil() {
	var c chan int
	<-c
}

func send_nil() {
	var c chan int
	c <- 1
}

func receive_deferred() {
	defer say_deferred()
	<-make(chan int)
}

func in_main() { <-ch }

func in_frames() { in_main() }

func twice() {
	mu.Lock()
	mu.Lock()
}

func wait_main() {
	wg.Add(1)
	wg.Wait()
}

func wired() {
	runtime.LockOSThread()
	<-ch
}

func unwired() {
	runtime.LockOSThread()
	runtime.UnlockOSThread()
	<-ch
}

func all_kinds() {
	wg.Add(1)
	mu.Lock()
	go receive()
	go send_nil()
	go receive_nil()
	go lock()
	go wait()
	go wired()
	time.Sleep(20 * time.Millisecond)
	ch2 := make(chan int)
	ch2 <- 1
}

func main_left() {
	go wait()
	wg.Add(1)
	runtime.Goexit()
}

func main_left_last() {
	go receive_deferred()
	runtime.Goexit()
}

func unlock() {
	defer say_deferred()
	defer recovers()
	mu.Unlock()
}

func unlock_in_goroutine() {
	go unlock()
	<-ch
}

func negative_wait_group() {
	defer say_deferred()
	wg.Add(1)
	wg.Done()
	wg.Done()
}

func recovered_wait_group() {
	defer recovers()
	wg.Add(-1)
}

func go_nil() {
	defer recovers()
	var f func()
	go f()
}

func slept() {
	time.Sleep(time.Millisecond)
	<-ch
}

func cases() map[string]func() {
	return map[string]func(){
		"receive": receive, "send": send, "receive_nil": receive_nil, "send_nil": send_nil,
		"receive_deferred": receive_deferred, "in_frames": in_frames, "twice": twice,
		"wait_main": wait_main, "wired": wired, "unwired": unwired, "all_kinds": all_kinds,
		"main_left": main_left, "main_left_last": main_left_last,
		"unlock": unlock, "unlock_in_goroutine": unlock_in_goroutine,
		"negative_wait_group": negative_wait_group,
		"recovered_wait_group": recovered_wait_group, "go_nil": go_nil, "slept": slept,
	}
}

func main() {
	ch = make(chan int)
	runtime.GOMAXPROCS(1)
	cases()[os.Args[1]]()
}

/*
== receive 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive]:
err| receive
err| main

== send 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan send]:
err| send
err| main

== receive_nil 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive (nil chan)]:
err| receive_nil
err| main

== send_nil 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan send (nil chan)]:
err| send_nil
err| main

== receive_deferred 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive]:
err| receive_deferred
err| main

== in_frames 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive]:
err| in_main
err| in_frames
err| main

== twice 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [sync.Mutex.Lock]:
err| twice
err| main

== wait_main 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [semacquire]:
err| wait_main
err| main

== wired 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive, locked to thread]:
err| wired
err| main

== unwired 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive]:
err| unwired
err| main

== all_kinds 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan send]:
err| all_kinds
err| main
err|
err| goroutine #1 [chan receive]:
err| receive
err| created by all_kinds in goroutine 1
err|
err| goroutine #2 [chan send (nil chan)]:
err| send_nil
err| created by all_kinds in goroutine 1
err|
err| goroutine #3 [chan receive (nil chan)]:
err| receive_nil
err| created by all_kinds in goroutine 1
err|
err| goroutine #4 [sync.Mutex.Lock]:
err| lock
err| created by all_kinds in goroutine 1
err|
err| goroutine #5 [semacquire]:
err| wait
err| created by all_kinds in goroutine 1
err|
err| goroutine #6 [chan receive, locked to thread]:
err| wired
err| created by all_kinds in goroutine 1

== main_left 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine #1 [semacquire]:
err| wait
err| created by main_left in goroutine 1

== main_left_last 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine #1 [chan receive]:
err| receive_deferred
err| created by main_left_last in goroutine 1

== unlock 2
err| fatal error: sync: unlock of unlocked mutex
err|
err| goroutine 1 [running]:
err| unlock
err| main

== unlock_in_goroutine 2
err| fatal error: sync: unlock of unlocked mutex
err|
err| goroutine #1 [running]:
err| unlock
err| created by unlock_in_goroutine in goroutine 1
err|
err| goroutine 1 [chan receive]:
err| unlock_in_goroutine
err| main

== negative_wait_group 2
out| deferred
err| panic: sync: negative WaitGroup counter
err|
err| goroutine 1 [running]:
err| negative_wait_group
err| main

== recovered_wait_group 0
out| recovered sync: negative WaitGroup counter

== go_nil 2
err| fatal error: go of nil func value
err|
err| goroutine 1 [running]:
err| go_nil
err| main

== slept 2
err| fatal error: all goroutines are asleep - deadlock!
err|
err| goroutine 1 [chan receive]:
err| slept
err| main
*/
