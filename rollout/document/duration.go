package document

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time such as 90s, 30m, 24h, 3d or 1d12h: as Go writes it, with whole days in front.
type Duration time.Duration

const day = 24 * time.Hour

// ParseDuration reads a Duration. A minus sign is read too; that a time must not be negative is a rule of
// the document.
func ParseDuration(text string) (Duration, error) {
	wrong := fmt.Errorf("%.60q is not a time such as 90s, 30m, 24h or 3d", text)
	unsigned, negative := strings.CutPrefix(text, "-")
	days, rest, hasDays := strings.Cut(unsigned, "d")
	if !hasDays {
		days, rest = "0", unsigned
	}
	if len(days) > 6 || days == "" || strings.Trim(days, "0123456789") != "" || strings.ContainsAny(rest, "+-") {
		return 0, wrong
	}
	n, err := strconv.Atoi(days)
	if err != nil || n > int(math.MaxInt64/day) {
		return 0, wrong
	}
	var d time.Duration
	if rest != "" || !hasDays {
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, wrong
		}
	}
	if d += time.Duration(n) * day; d < 0 {
		return 0, wrong
	}
	if negative {
		d = -d
	}
	return Duration(d), nil
}

// Std is the same time as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the time in a way that is read again, without empty units: "90m" is 1h30m, "48h" is 2d.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	head, n, rest := "", d.Std()/day, d.Std()%day
	if d < 0 {
		head, n, rest = "-", -n, -rest
	}
	if n > 0 {
		head += strconv.Itoa(int(n)) + "d"
	}
	if rest == 0 {
		return head
	}
	text := rest.String()
	for _, empty := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, empty) {
			text = strings.TrimSuffix(text, empty[1:])
		}
	}
	return head + text
}

// MarshalText writes the time as String does, in YAML and JSON alike.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	*d = parsed
	return err
}
