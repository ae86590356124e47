// Package planner makes a plan out of a specification and what the cloud shows: which servers are changed
// and which are skipped and why, in which order, in which waves, within which caps and budget. It is pure:
// the same specification and the same servers, listed in any order, give the same plan.
package planner
