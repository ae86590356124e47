package rollout

import (
	"fmt"
	"strconv"
	"strings"
)

// Percent is a share in basis points: 100 % is 10000. Whole-number arithmetic throughout, because
// floating point loses a server at 29 % of 100.
type Percent int

// Whole is 100 %.
const Whole Percent = 10000

// ParsePercent reads "10%", "9.99%" or "0.5%": a number from 0 to 100 with at most two decimals, and the sign.
func ParsePercent(text string) (Percent, error) {
	wrong := fmt.Errorf("%q is not a percentage from 0%% to 100%% with at most two decimals, such as 10%% or 2.5%%", text)
	number, ok := strings.CutSuffix(text, "%")
	whole, decimals, dot := strings.Cut(number, ".")
	if !ok || whole == "" || len(whole) > 3 || dot && decimals == "" || len(decimals) > 2 {
		return 0, wrong
	}
	digits := whole + (decimals + "00")[:2]
	if strings.Trim(digits, "0123456789") != "" {
		return 0, wrong
	}
	points, err := strconv.Atoi(digits)
	if err != nil || Percent(points) > Whole {
		return 0, wrong
	}
	return Percent(points), nil
}

// String writes the percentage the way it is read: "10%", "9.99%".
func (p Percent) String() string {
	if p%100 == 0 {
		return strconv.Itoa(int(p/100)) + "%"
	}
	return strings.TrimRight(fmt.Sprintf("%d.%02d", p/100, p%100), "0") + "%"
}

// MarshalText writes the percentage as String does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePercent reads.
func (p *Percent) UnmarshalText(text []byte) error {
	parsed, err := ParsePercent(string(text))
	*p = parsed
	return err
}

// Floor is the share of n, rounded down: docs/rollout.md#rounding.
func (p Percent) Floor(n int) int { return n * int(p) / int(Whole) }

// Ceil is the share of n, rounded up.
func (p Percent) Ceil(n int) int { return (n*int(p) + int(Whole) - 1) / int(Whole) }

// Cap is the share of n as an upper limit: rounded down, but at least 1.
func (p Percent) Cap(n int) int { return max(1, p.Floor(n)) }
