// A panic in an inlined method, below a closure and a generic function, for
// tests/programs/gonames.py; with an argument, it says where it is and waits
// there instead.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

type account struct{ balance *int }

var waits bool

//go:noinline
func wait() {
	var ends [2]int
	syscall.Pipe(ends[:])
	os.Stdout.Write(append(debug.Stack(), "ready\n"...))
	syscall.Read(ends[0], make([]byte, 1))
}

func (a *account) post(n int) {
	if waits {
		wait()
	}
	if a.balance == nil {
		panic("no account")
	}
	*a.balance += n
}

func settle(a *account, n int) {
	a.post(n + 1)
}

//go:noinline
func each[T any](items []T, do func(T)) {
	for _, item := range items {
		do(item)
	}
}

func main() {
	runtime.LockOSThread()
	waits = len(os.Args) > 1
	mine := &account{}
	each([]int{1, 2}, func(n int) {
		settle(mine, n)
	})
}
