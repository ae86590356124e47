package planner_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/planner"
	"github.com/reimage/reimage/rollout/spec"
)

// waveScenario is a document and a fleet, and testdata/<name>.golden shows which wave each server is in, and why.
type waveScenario struct {
	name, rule string
	// servers are lines of a name, a zone, a status, and tags.
	servers string
	// fields of spec in YAML.
	fields string
}

const twoRoles = `
	db-01  eu-1a  ACTIVE  role=db   cluster=one
	db-02  eu-1b  ACTIVE  role=db   cluster=two
	db-03  eu-1a  ACTIVE  role=db   cluster=one
	web-01 eu-1a  ACTIVE  role=web
	web-02 eu-1b  ACTIVE  role=web
	web-03 eu-1a  ACTIVE  role=web
	web-04 eu-1b  ACTIVE  role=web
`

func waveScenarios() []waveScenario {
	return []waveScenario{
		{
			name:    "select-then-the-rest",
			rule:    "Waves by what servers are: web servers of one zone first, then all other web servers. The last wave has the rest.",
			servers: twoRoles,
			fields: `
				waves:
				  - {name: canary, select: {tags: [role=web], zones: [eu-1b]}, approval: true}
				  - {name: web, select: {tags: [role=web]}}
				  - {name: rest}`,
		},
		{
			name:    "select-at-most",
			rule:    "A count beside select is at most so many of the servers that match. The others are free for later waves.",
			servers: twoRoles,
			fields: `
				waves:
				  - {name: canary, select: {tags: [role=db]}, count: 1}
				  - {name: some, select: {names: ["db-*"]}, count: 9}
				  - {name: rest}`,
		},
		{
			name:    "select-and-shares",
			rule:    "A share is one of all seven servers, whatever the waves before have selected: 50% ends at the fourth server, and 30% are three more.",
			servers: twoRoles,
			fields: `
				order: name
				waves:
				  - {name: web, select: {names: ["*-01", web-02]}}
				  - {name: half, upTo: 50%}
				  - {name: more, percent: 30%}
				  - {name: rest, upTo: 100%}`,
		},
		{
			name:    "select-names-or-tags",
			rule:    "Names and tags each choose, zones and groups narrow.",
			servers: twoRoles,
			fields: `
				perGroup: {tag: cluster}
				waves:
				  - {name: both, select: {names: ["web-0?"], tags: [role=db], zones: [eu-1b]}}
				  - {name: one, select: {groups: [one]}}
				  - {name: rest}`,
		},
		{
			name:    "select-nothing",
			rule:    "A wave that selects what no planned server has, or what earlier waves have taken, is empty. Each is a warning.",
			servers: twoRoles,
			fields: `
				perGroup: {tag: cluster, count: 1}
				waves:
				  - {name: canary, select: {names: ["mail-*"], tags: [role=mail, env]}, bake: 1h, approval: true}
				  - {name: elsewhere, select: {zones: [eu-9z, eu-1a], groups: [three]}}
				  - {name: db, select: {tags: [role=db]}}
				  - {name: db again, select: {tags: [role=db]}}
				  - {name: rest}`,
		},
		{
			name:    "select-misspelt",
			rule:    "A plain name that no selected server has is no plan: the canary would be empty. One that is skipped is no mistake.",
			servers: twoRoles + "web-05 eu-1a DONE role=web\n",
			fields: `
				waves:
				  - {name: canary, select: {names: [web-05, wbe-01, db-1]}}
				  - {name: rest}`,
		},
		{
			name:    "select-only-all",
			rule:    "When the selected waves take every server the last wave is empty, and the approval before it is left out.",
			servers: twoRoles,
			fields: `
				waves:
				  - {name: web, select: {tags: [role=web]}}
				  - {name: db, select: {tags: [role=db]}, approval: true}
				  - {name: rest}`,
		},
		{
			name:    "select-short",
			rule:    "A last wave with a size has to take everything that is left.",
			servers: twoRoles,
			fields: `
				waves:
				  - {name: web, select: {tags: [role=web]}}
				  - {name: db, count: 2}`,
		},
		{
			name:    "zones-of-the-selection",
			rule:    "select.zones narrows what names and tags select. A zone without such a server is a warning.",
			servers: twoRoles,
			fields: `
				select: {names: ["web-*", db-02, db-01], zones: [eu-1b, eu-9z]}`,
		},
		{
			name:    "spread",
			rule:    "A canary of two differs in zone and in role, one of four has every combination. Inside a combination the order stays.",
			servers: twoRoles,
			fields: `
				spread: [zone, tag:role]
				waves:
				  - {name: canary, count: 2, approval: true}
				  - {name: early, count: 4}
				  - {name: rest}`,
		},
		{
			name:    "spread-one-of-each",
			rule:    "A canary as large as there are combinations has one of each: nothing is left untried.",
			servers: twoRoles,
			fields: `
				spread: [tag:role, zone]
				order: id
				waves:
				  - {name: canary, count: 4}
				  - {name: rest}`,
		},
		{
			name:    "spread-few-of-one",
			rule:    "When a combination has no server left its turn is passed over.",
			servers: strings.Replace(twoRoles, "db-02", "mail-01", 1),
			fields: `
				spread: [group, tag:role]
				perGroup: {tag: cluster}
				waves:
				  - {name: canary, count: 3}
				  - {name: rest}`,
		},
		{
			name:    "spread-within-select",
			rule:    "A spread goes by the servers that a wave may have: three of the web servers are two of one zone and one of the other.",
			servers: twoRoles,
			fields: `
				spread: [zone]
				order: name
				waves:
				  - {name: canary, select: {tags: [role=web]}, count: 3}
				  - {name: rest}`,
		},
		{
			name:    "turns-within-select",
			rule:    "Also without a spread, one of each zone in turn means the servers that a wave may have: what its select leaves out takes no turn.",
			servers: twoRoles,
			fields: `
				waves:
				  - {name: canary, select: {names: [db-01, db-03, web-04]}, count: 2}
				  - {name: rest}`,
		},
		{
			name:    "spread-and-down",
			rule:    "The spread decides who is in a wave. Inside the wave those that are down come first.",
			servers: strings.Replace(twoRoles, "web-02 eu-1b  ACTIVE", "web-02 eu-1b  SHUTOFF", 1),
			fields: `
				spread: [zone, tag:role]
				inFlight: {count: 2}
				waves:
				  - {name: canary, count: 2}
				  - {name: rest}`,
		},
		{
			name:    "spread-by-nothing",
			rule:    "A key that no server has changes nothing, and one that some lack counts as a value. Both are warnings.",
			servers: twoRoles,
			fields: `
				spread: [tag:rack, tag:cluster]
				waves:
				  - {name: canary, count: 3}
				  - {name: rest}`,
		},
	}
}

// TestWaveScenarios compares each scenario with its golden file. REIMAGE_UPDATE=1 writes them anew: read them then.
func TestWaveScenarios(t *testing.T) {
	var names []string
	for _, sc := range waveScenarios() {
		names = append(names, sc.name+".golden")
		t.Run(sc.name, func(t *testing.T) {
			file := filepath.Join("testdata", sc.name+".golden")
			got := sc.play(t)
			if os.Getenv("REIMAGE_UPDATE") != "" {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err, "REIMAGE_UPDATE=1 writes it")
			assert.Equal(t, string(want), got)
		})
	}
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	for _, file := range files {
		assert.Contains(t, names, filepath.Base(file), "no scenario writes this file")
	}
}

func (sc waveScenario) play(t *testing.T) string {
	fields := strings.ReplaceAll(strings.TrimSpace(sc.fields), "\n\t\t\t\t", "\n  ")
	head := "apiVersion: reimage/v1\nkind: Rollout\nmetadata: {name: web-noble}\nspec:\n  image: {id: " + noble + "}\n  api: v2\n"
	if !strings.HasPrefix(fields, "select:") {
		head += "  select: {names: [\"*\"]}\n"
	}
	doc, err := spec.Parse("scenario", []byte(head+"  "+fields+"\n"))
	require.NoError(t, err)
	inv, tags := sc.inventory()
	plan, err := planner.Make(doc, inv, madeAt)

	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\nspec\n  %s\n", sc.rule, fields)
	var problems planner.Problems
	if errors.As(err, &problems) {
		fmt.Fprintf(&out, "\nno plan\n")
		for _, problem := range problems {
			fmt.Fprintf(&out, "  %s\n", problem.Text)
		}
		return out.String()
	}
	require.NoError(t, plan.Verify())
	begin := 0
	for _, w := range plan.Waves {
		why := "the next of all"
		if w.Select != "" {
			why = w.Select
		}
		fmt.Fprintf(&out, "\nwave %s: %s (%s)\n", w.Name, rollout.Count(w.End-begin, "server"), why)
		for _, s := range plan.Servers[begin:w.End] {
			fmt.Fprintf(&out, "  %-8s %s %-8s %s\n", s.Name, s.Zone, s.Status, tags[s.Name])
		}
		begin = w.End
	}
	for _, s := range plan.Skipped {
		fmt.Fprintf(&out, "\nskipped: %s %s\n", s.Name, s.Reason)
	}
	fmt.Fprintf(&out, "\nwarnings\n")
	for _, warning := range plan.Warnings {
		fmt.Fprintf(&out, "  %s\n", warning)
	}
	return out.String()
}

// inventory are the servers of a scenario, and their tags by name. Status DONE is a server that runs the image.
func (sc waveScenario) inventory() (rollout.Inventory, map[string]string) {
	inv, tags := fleet(0), map[string]string{}
	for i, line := range strings.Split(strings.TrimSpace(sc.servers), "\n") {
		f := strings.Fields(line)
		s := rollout.InventoryServer{ID: uuid(1, i+1), Name: f[0], Zone: f[1], Tags: f[3:], RAMMB: 4096, DiskGB: 40}
		s.Observation = rollout.Observation{Exists: true, Status: f[2], Fingerprint: rollout.Fingerprint{ImageID: jammy, VolumeID: uuid(2, i+1)}}
		if f[2] == "DONE" {
			s.Observation.Status, s.Observation.ImageID = rollout.StatusActive, noble
		}
		inv.Servers, tags[s.Name] = append(inv.Servers, s), strings.Join(f[3:], " ")
	}
	return inv, tags
}
