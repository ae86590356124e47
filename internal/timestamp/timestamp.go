// Package timestamp writes times for people, all by one clock: UTC, with its offset. What a rollout says of itself is written
// by workers, which do not know the time zone of the reader.
package timestamp

import "time"

// Full is the date and the time, as in RFC 3339: 2026-12-01T05:20:46Z. The zero time is "".
func Full(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Clock is the time of day: 05:20:46Z.
func Clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// Short is the time of day when it is on the day of now, and Full otherwise.
func Short(t, now time.Time) string {
	if t.UTC().Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return Clock(t)
	}
	return Full(t)
}
