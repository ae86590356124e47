// Package real is the campaign of faults on real parts: a Temporal server with its database on disk, worker
// processes, and the emulated cloud over real HTTP. A seed decides what a rollout is asked to do, how its cloud
// misbehaves, what happens to its workers and connections, and what its operator is like. What the operating
// system and Temporal make of it in which order differs from run to run: a seed repeats the schedule, not the
// microseconds.
//
//	go test ./tests/faults/real                                     a selection of some minutes
//	go test ./tests/faults/real -timeout 3h -args -rollouts 300     the campaign
//	go test ./tests/faults/real -v -args -from 17 -rollouts 1       seed 17 again
//
// Some rollouts run at once, each with its own cloud, task queue and workers, and all of them on one Temporal
// server: its death strikes them together.
package real
