// Package allocs measures, for tests, what a call takes from the heap.
package allocs

import "runtime/metrics"

// Of is how many bytes the call takes, whether or not it gives them back. What runs beside it counts too.
func Of(call func()) uint64 {
	before := taken()
	call()
	return taken() - before
}

func taken() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
