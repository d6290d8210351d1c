// types.go: names and layouts of types, and panics that name them; the Go half of types.c. What each case prints stands
// at the end; tests/support/golden.py compares.
package main

import (
	"fmt"
	"os"
	"reflect"
	"unsafe"
)

type celsius int
type ratio float64
type flag bool
type label string
type point struct{ x, y int32 }

func name(v any) {
	fmt.Println(reflect.TypeOf(v).Elem())
}

func names() {
	name((*chan point)(nil))
	name((*<-chan int)(nil))
	name((*chan<- int)(nil))
	name((*chan (<-chan int))(nil))
	name((*chan<- chan int)(nil))
	name((*[]chan (<-chan int))(nil))
	name((*func())(nil))
	name((*func(int, string) bool)(nil))
	name((*func(int, ...string) (bool, celsius))(nil))
	name((*func(...any) func(int) func())(nil))
	name((*struct{ X, Y int; Z string })(nil))
	name((*struct{ _ int; x []struct{ Y int } })(nil))
	name((*interface{ M(int) string; A(x, y int) (bool, label); B(...int) })(nil))
	name((*map[[2]string]*[3]func())(nil))
	name((*[0]unsafe.Pointer)(nil))
	name((**[]*point)(nil))
}

func show(v any) {
	t := reflect.TypeOf(v)
	fmt.Printf("%v: %d %d %v", t, t.Size(), t.Align(), t.Comparable())
	for i := 0; i < t.NumField(); i++ {
		fmt.Printf(" %d", t.Field(i).Offset)
	}
	fmt.Println()
}

func layouts() {
	show(struct{}{})
	show(struct{ A int8; B int64; C int8 }{})
	show(struct{ A int64; B struct{} }{})
	show(struct{ A int8; B struct{} }{})
	show(struct{ A struct{}; B int32 }{})
	show(struct{ A int16; B [0]int64 }{})
	show(struct{ A bool; B string; C bool; D []int32; E bool; F any }{})
	show(struct{ A float32; B float64; C int16; D [3]uint8; E uint16 }{})
	show(struct{ A [5]uint8; B int16 }{})
	show(struct{ A map[string]int; B chan int; C func(); D *int; E unsafe.Pointer; F uint8 }{})
	show(struct{ A int8; B struct{ X int8; Y int32; Z int8 }; C int8 }{})
	show(struct{ A int8; B [2]struct{ X int16; Y int8 }; C int32; D struct{} }{})
	show(struct{ A interface{ M() }; B uintptr; C [0]func() }{})
	show(struct{ _ int32; A int64; _ struct{} }{})
	show(struct{ A [3]string; B int8; C [2][2]any }{})
}

func same(a, b any) bool { return a == b }

func values() {
	fmt.Println(same(int64(1), int64(1)), same(int64(1), 1), same("a", "a"), same(label("a"), "a"))
	fmt.Println(same(0.0, -1/inf), same(inf-inf, inf-inf), same(point{1, 2}, point{1, 2}))
	fmt.Println(same([]int{}, map[string]int{}), same(nil, nil), same(nil, 1))
}

var inf = 1e308 * float64(len(os.Args)*1000)

func uncomparable()        { fmt.Println(same([]int{}, []int{})) }
func uncomparable_struct() { fmt.Println(same(struct{ F func(int) }{}, struct{ F func(int) }{})) }
func uncomparable_inside() { fmt.Println(same([1]any{[]int{}}, [1]any{[]int{}})) }
func unhashable()          { delete(map[any]int{}, any(map[string]int{})) }

func named_int()    { panic(celsius(-5)) }
func named_float()  { panic(ratio(1.5)) }
func named_bool()   { panic(flag(true)) }
func named_string() { panic(label("two\nlines")) }

var cases = map[string]func(){
	"names": names, "layouts": layouts, "values": values,
	"uncomparable": uncomparable, "uncomparable_struct": uncomparable_struct,
	"uncomparable_inside": uncomparable_inside, "unhashable": unhashable,
	"named_int": named_int, "named_float": named_float, "named_bool": named_bool, "named_string": named_string,
}

func main() {
	cases[os.Args[1]]()
}

/*
== names 0
out| chan point
out| <-chan int
out| chan<- int
out| chan (<-chan int)
out| chan<- chan int
out| []chan (<-chan int)
out| func()
out| func(int, string) bool
out| func(int, ...string) (bool, celsius)
out| func(...interface {}) func(int) func()
out| struct { X int; Y int; Z string }
out| struct { _ int; x []struct { Y int } }
out| interface { A(int, int) (bool, label); B(...int); M(int) string }
out| map[[2]string]*[3]func()
out| [0]unsafe.Pointer
out| *[]*point

== layouts 0
out| struct {}: 0 1 true
out| struct { A int8; B int64; C int8 }: 24 8 true 0 8 16
out| struct { A int64; B struct {} }: 16 8 true 0 8
out| struct { A int8; B struct {} }: 2 1 true 0 1
out| struct { A struct {}; B int32 }: 4 4 true 0 0
out| struct { A int16; B [0]int64 }: 16 8 true 0 8
out| struct { A bool; B string; C bool; D []int32; E bool; F interface {} }: 80 8 false 0 8 24 32 56 64
out| struct { A float32; B float64; C int16; D [3]uint8; E uint16 }: 24 8 true 0 8 16 18 22
out| struct { A [5]uint8; B int16 }: 8 2 true 0 6
out| struct { A map[string]int; B chan int; C func(); D *int; E unsafe.Pointer; F uint8 }: 48 8 false 0 8 16 24 32 40
out| struct { A int8; B struct { X int8; Y int32; Z int8 }; C int8 }: 20 4 true 0 4 16
out| struct { A int8; B [2]struct { X int16; Y int8 }; C int32; D struct {} }: 20 4 true 0 2 12 16
out| struct { A interface { M() }; B uintptr; C [0]func() }: 32 8 false 0 16 24
out| struct { _ int32; A int64; _ struct {} }: 24 8 true 0 8 16
out| struct { A [3]string; B int8; C [2][2]interface {} }: 120 8 true 0 48 56

== values 0
out| true false true false
out| true false true
out| false true false

== uncomparable 2
err| panic: runtime error: comparing uncomparable type []int
err|
err| goroutine 1 [running]:
err| same
err| uncomparable
err| main

== uncomparable_struct 2
err| panic: runtime error: comparing uncomparable type struct { F func(int) }
err|
err| goroutine 1 [running]:
err| same
err| uncomparable_struct
err| main

== uncomparable_inside 2
err| panic: runtime error: comparing uncomparable type []int
err|
err| goroutine 1 [running]:
err| same
err| uncomparable_inside
err| main

== unhashable 2
err| panic: runtime error: hash of unhashable type map[string]int
err|
err| goroutine 1 [running]:
err| unhashable
err| main

== named_int 2
err| panic: celsius(-5)
err|
err| goroutine 1 [running]:
err| named_int
err| main

== named_float 2
err| panic: ratio(+1.500000e+000)
err|
err| goroutine 1 [running]:
err| named_float
err| main

== named_bool 2
err| panic: flag(true)
err|
err| goroutine 1 [running]:
err| named_bool
err| main

== named_string 2
err| panic: label("two
err| 	lines")
err|
err| goroutine 1 [running]:
err| named_string
err| main
*/
