//go:build race

package change

// The race detector makes the search ten times slower and finds nothing: it has one goroutine.
const raceDetector = true
