// Package emulator is the cloud over real HTTP: the ECS, IMS, ELB and IAM APIs that a change of operating system needs,
// behind one http.Handler, with signatures and tokens verified.
//
// It exists so that every promise of reimage can be tested, and rehearsed by users, without a cloud. It shares no code
// with the client on purpose: two implementations of one document check each other.
//
// What it does:
//
//   - Every server is a state machine that is advanced to the present before each access. There are no goroutines and
//     no timers behind it, so it runs inside a testing/synctest bubble and at any Speed. Only applications (Options) have
//     sockets and goroutines, which Close ends.
//   - What the documents leave open or contradict is a switch in Edition.
//   - Faults break answers, jobs and servers on demand; see FaultKind.
//   - The Ledger books every write that was accepted, in the same critical section as the change of state, and every
//     request that arrived. It is the evidence for "never wipes twice".
//   - Everything drawn (ids, durations, probabilistic faults) is a function of the seed, the server and how many writes
//     it has accepted, so unrelated requests do not change it.
//
// Two clocks are in use. Servers, jobs and the delays of faults live in emulated time, which runs Speed times as fast as
// the wall clock. Signatures and tokens are judged by the wall clock, because clients compare them with their own.
//
// Passwords and user data are kept and shown only as SHA-256.
package emulator
