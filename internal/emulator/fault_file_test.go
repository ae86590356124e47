package emulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/internal/emulator"
)

func TestLoadFaults(t *testing.T) {
	faults, err := emulator.LoadFaults(strings.NewReader(`
# lost answers
faults:
  - op: changeos
    server: web-01
    kind: drop_after
    after: 1
    times: -1
    probability: 0.25
  - {op: "*", kind: throttle, retry_after: 30s}
  - op: stop
    kind: lag
    delay: 1m30s
  - op: changeos
    kind: job_fail
    variant: lost
    code: Ecs.0219
    message: no disk
`))
	require.NoError(t, err)
	assert.Equal(t, []emulator.Fault{
		{Op: "changeos", Server: "web-01", Kind: emulator.DropAfter, After: 1, Times: -1, Probability: 0.25},
		{Op: "*", Kind: emulator.Throttle, RetryAfter: 30 * time.Second},
		{Op: "stop", Kind: emulator.Lag, Delay: 90 * time.Second},
		{Op: "changeos", Kind: emulator.JobFail, Variant: "lost", Code: "Ecs.0219", Message: "no disk"},
	}, faults)

	for _, empty := range []string{"", "# nothing\n", "faults:\n", "faults: []\n"} {
		faults, err := emulator.LoadFaults(strings.NewReader(empty))
		require.NoError(t, err, empty)
		assert.Empty(t, faults)
	}
}

func TestLoadFaultsNamesTheLine(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"faults:\n - op: stop\n   kind: drop_before\n   probabilty: 1\n", `line 4: unknown field "probabilty"; known are op, server, image, kind, variant`},
		{"faults:\n - op: stop\n   kind: explode\n", `line 3: kind "explode" is not known; known are drop_before, drop_after, hang_before`},
		{"faults:\n - op: fly\n   kind: latency\n   delay: 1s\n", `op "fly" is not known; known are changeos`},
		{"faults:\n - op: server\n   kind: job_fail\n", "kind job_fail does not apply to op server"},
		{"faults:\n - op: stop\n   kind: volume_gap\n", "kind volume_gap does not apply to op stop"},
		{"faults:\n - op: stop\n   kind: latency\n", "kind latency needs a delay"},
		{"faults:\n - op: stop\n   kind: latency\n   delay: 10\n", `delay "10" is not a duration such as 90s`},
		{"faults:\n - op: stop\n   kind: refuse\n", "kind refuse needs a code"},
		{"faults:\n - op: stop\n   kind: refuse\n   code: x\n   status: 99\n", "status 99 is not an HTTP status"},
		{"faults:\n - op: changeos\n   kind: job_fail\n   variant: halfway\n", `variant "halfway" of kind job_fail is not known; known are intact, changed, lost`},
		{"faults:\n - op: changeos\n   kind: job_fail\n   probability: 2\n", "probability 2 is not between 0 and 1"},
		{"faults:\n - op: changeos\n   kind: job_fail\n   times: -2\n", "times not below -1"},
		{"faults:\n - op: changeos\n   kind: job_fail\n   after: two\n", "line 4"},
		{"faults:\n - changeos\n", "line 2: a fault is a mapping of op, server, image, kind"},
		{"faults: 7\n", "line 1: faults is not a list"},
		{"fault: []\n", "line 1: the file must hold one list under faults"},
		{"faults: [\n", "faults: yaml"},
	} {
		_, err := emulator.LoadFaults(strings.NewReader(test.file))
		require.Error(t, err, test.file)
		assert.Contains(t, err.Error(), test.want)
	}
	_, err := emulator.LoadFaults(strings.NewReader("faults:\n - {op: stop, kind: a}\n - {op: stop, kind: b}\n"))
	assert.ErrorContains(t, err, `line 2: kind "a"`)
	assert.ErrorContains(t, err, `line 3: kind "b"`)
}

func TestAddFaultRefusesNonsense(t *testing.T) {
	c := newCloud(t, stopped())
	assert.ErrorContains(t, c.AddFault(emulator.Fault{Op: "stop", Kind: "explode"}), "known are drop_before")
}

// TestFaultForNobody: a rule for a server that there is not would never strike, and nobody would notice.
func TestFaultForNobody(t *testing.T) {
	const known = `server "web-3" is not known; known are web-01, web-02, db-01 (GET /_emulator/servers has them all)`
	fleet := []emulator.Server{{Name: "db-01"}, {Name: "web-01"}, {Name: "web-02"}}
	rule := func(server string) emulator.Fault {
		return emulator.Fault{Op: "stop", Kind: "drop_before", Server: server}
	}
	_, err := emulator.New(emulator.Options{Fleet: fleet, Faults: []emulator.Fault{rule("web-01"), rule("web-3"), rule("web-4")}})
	assert.ErrorContains(t, err, "emulator: faults[1]: "+known+"\n")
	assert.ErrorContains(t, err, "faults[2]: server \"web-4\"")

	c := newCloud(t, emulator.Options{Fleet: fleet, Faults: []emulator.Fault{rule("db-01")}})
	assert.EqualError(t, c.AddFault(rule("web-3")), "fault: "+known)
	put := func(server string) reply {
		return c.do(request("PUT", "/_emulator/faults", `{"faults": [{"op": "stop", "kind": "latency", "delay": "1s"}, {"op": "stop", "kind": "drop_after", "server": "`+server+`"}]}`))
	}
	refused := put("web-3")
	assert.Equal(t, 400, refused.status)
	assert.Contains(t, refused.text, "faults[1]: server")
	rules := c.do(request("GET", "/_emulator/faults", "")).text
	assert.Contains(t, rules, "db-01", "the rules that were there stay")
	assert.NotContains(t, rules, "latency")
	gone := c.Servers()[0]
	require.NoError(t, c.Delete(gone.ID))
	assert.Equal(t, 200, put(gone.ID).status, "a server that has gone is still looked for")
	assert.Equal(t, 200, put("web-02").status)
}
