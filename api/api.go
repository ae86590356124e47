// Package api is what other programs import to call the workflows of reimage: as a client, or from workflows of their
// own. Inputs, results, names and ids are still in package workflows.
package api

// TaskQueue is the default task queue of the workers. REIMAGE_TASK_QUEUE sets another one.
const TaskQueue = "reimage"
