// Package rollout holds the rules of reimage as pure Go: what an operator asks for, how a server
// ends, and what counts as proof. It knows neither Temporal nor the cloud, does no I/O and reads
// no clock, so every rule can be tested in microseconds.
package rollout
