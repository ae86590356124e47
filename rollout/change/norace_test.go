//go:build !race

package change

const raceDetector = false
