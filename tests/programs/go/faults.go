// Faults of a Go program, one for each word it may be called with.
package main

/*
static void fault_in_c(void) { *(volatile int *)16 = 1; }
*/
import "C"

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

type node struct {
	value int
	next  *node
}

func read(n *node) (value int, err interface{}) {
	defer func() { err = recover() }()
	return n.next.value, nil
}

// Many goroutines on many threads, each fault recovered.
func storm() {
	var group sync.WaitGroup
	for g := 0; g < 8; g++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 20000; i++ {
				if _, err := read(&node{}); err == nil {
					panic("no fault")
				}
			}
		}()
	}
	group.Wait()
	fmt.Println("all recovered")
}

// A sent signal is the program's own as soon as it asks for it.
func notified() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGUSR1)
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGABRT,
		syscall.SIGUSR1} {
		syscall.Kill(os.Getpid(), sig)
		fmt.Println("got", <-c)
	}
}

func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}

func main() {
	switch os.Args[1] {
	case "storm":
		storm()
	case "notified":
		notified()
	case "nil":
		var n *node
		fmt.Println(n.value)
	case "cgo":
		C.fault_in_c()
	case "threads":
		done := make(chan bool)
		go func() { C.fault_in_c(); done <- true }()
		<-done
	case "overflow":
		fmt.Println(deep(1 << 40))
	}
}
