//go:build race

package harness

// race tells that the tests run with the race detector, so the programs are built with it too.
const race = true
