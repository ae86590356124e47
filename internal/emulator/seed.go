package emulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A seed answers every draw as a function of what the draw is for. Nothing is consumed, so draws for one server never
// depend on what happened to another.
type seed uint64

func (s seed) digest(purpose ...string) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d\x00%s", uint64(s), strings.Join(purpose, "\x00")))
}

// hex returns 32 lower-case hex digits.
func (s seed) hex(purpose ...string) string {
	d := s.digest(purpose...)
	return hex.EncodeToString(d[:16])
}

// uuid returns a version 4 UUID.
func (s seed) uuid(purpose ...string) string {
	d := s.digest(purpose...)
	d[6] = d[6]&0x0f | 0x40
	d[8] = d[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[0:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

// job returns 32 hex digits that begin as the recorded job ids do.
func (s seed) job(purpose ...string) string { return "ff80808" + s.hex(purpose...)[7:] }

// fraction returns a number in [0, 1).
func (s seed) fraction(purpose ...string) float64 {
	d := s.digest(purpose...)
	return float64(binary.BigEndian.Uint64(d[:8])>>11) / (1 << 53)
}

func (s seed) duration(span Span, purpose ...string) time.Duration {
	return span.Median - span.Spread + time.Duration(2*float64(span.Spread)*s.fraction(purpose...))
}
