// Package api is what other programs import to call the workflows of reimage: as a client, or from workflows of their
// own (docs/embedding.md). It has the names, ids, inputs and results of the workflows, their queries, updates and signals, the
// types of their errors, and the data converter. It imports nothing of reimage but the domain: rollout, and rollout/document,
// which has the types of a specification.
package api
