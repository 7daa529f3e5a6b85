// A Go library for programs in C: Go's runtime comes second, to a process that
// has its handlers already.
package main

import "C"

//export recovered
func recovered(times C.int) C.int {
	faults := 0
	for i := 0; i < int(times); i++ {
		func() {
			defer func() {
				if recover() != nil {
					faults++
				}
			}()
			var p *int
			*p = 1
		}()
	}
	return C.int(faults)
}

func main() {}
