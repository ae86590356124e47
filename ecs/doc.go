// Package ecs is the client of the Elastic Cloud Server API of the Huawei Cloud family: it reads
// servers, images and jobs, stops and starts servers, and changes their operating system.
//
// The API has no idempotency key, and a change of OS destroys a disk. So every write ends in exactly
// one [Outcome], and nothing in this package ever sends a request a second time: there are no retries,
// no redirects are followed, a write never uses a connection that was used before, and a request whose
// deadline has passed cannot be written any more, even by a process that was frozen in between.
//
// Reads return a value or an [*Error].
package ecs
