// Goroutines that wait at the end of a recursion, and threads that do so in
// the kernel, for tests/programs/stacks.py.
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

var sink int

//go:noinline
func down(levels int, wait func()) {
	if levels > 0 {
		down(levels-1, wait)
	} else {
		wait()
	}
	sink++
}

func inKernel() {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		panic(err)
	}
	syscall.Read(ends[0], make([]byte, 1))
}

func main() {
	for i := 0; i < 4; i++ {
		go func() {
			runtime.LockOSThread()
			down(20, inKernel)
		}()
		go down(20, func() { select {} })
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("ready")
	runtime.LockOSThread()
	down(10, inKernel)
}
