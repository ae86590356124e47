// Package change is the protocol of one server: pure state machines that decide what is done to it. What happened goes in
// as an event (what a look showed, how a request ended, what the job says, the time), and a decision comes out (look, query
// the job, confirm, send, end). The activities and the workflow ChangeOS carry the decisions out and decide nothing
// themselves. There is no I/O and no clock in here, so a test explores every order of events: docs/never-twice.md.
//
// Runbook decides between the steps of a server: preflight, stop, submit, poll, verify, restore-power. Within a step decide
// Power (stop and restore-power), Submission, Polling and Verification.
package change
