// What makes names.go a program with C in it, which gcc links.
package main

/*
static int in_c(int n) { return n + 1; }
*/
import "C"

import "os"

func init() {
	if len(os.Args) > int(C.in_c(99)) {
		os.Exit(1)
	}
}
