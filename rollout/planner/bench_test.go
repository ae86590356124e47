package planner_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	guuid "github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/planner"
)

// bigFleet has n servers in three zones and groups of fifty, with ids as random as those of the cloud.
func bigFleet(n int) rollout.Inventory {
	inv := fleet(n)
	for i := range inv.Servers {
		s := &inv.Servers[i]
		s.ID = guuid.NewSHA1(guuid.Nil, fmt.Append(nil, "server ", i)).String()
		s.Observation.VolumeID = guuid.NewSHA1(guuid.Nil, fmt.Append(nil, "volume ", i)).String()
		s.Zone = "eu-central-" + string(rune('a'+i%3))
		s.Name, s.Tags = fmt.Sprintf("web-frontend-%05d", i), []string{"role=web", fmt.Sprintf("shard=shard-%03d", i/50)}
	}
	return inv
}

// bigDocument has twenty waves, caps of every kind, and a strict budget.
func bigDocument() document.Rollout {
	return with(func(s *document.Spec) {
		for i := 1; i <= 20; i++ {
			s.Waves = append(s.Waves, document.Wave{UpTo: new(rollout.Percent(i * 500)), Bake: document.Duration(10 * time.Minute)})
		}
		s.InFlight, s.PerZone = document.Limit{Count: new(200)}, document.Limit{Percent: new(rollout.Percent(500))}
		s.PerGroup = document.Group{Tag: "shard", Percent: new(rollout.Percent(1000))}
		s.Budget = document.Budget{Tolerate: document.Limit{Percent: new(rollout.Percent(100))}, MinSample: 50, PerGroup: new(2), SlowStart: true}
	})
}

// BenchmarkMake plans 10,000 servers. The goal is well under 2 seconds: docs/rollout.md.
func BenchmarkMake(b *testing.B) {
	serial := bigDocument()
	serial.Spec.InFlight, serial.Spec.PerGroup.Percent, serial.Spec.PerGroup.Count = document.Limit{Count: new(1)}, nil, new(1)
	oneZone := bigDocument()
	oneZone.Spec.Order, oneZone.Spec.Waves = document.OrderName, nil
	for name, doc := range map[string]document.Rollout{"20 waves": bigDocument(), "one at a time": serial, "one wave by name": oneZone} {
		b.Run(name, func(b *testing.B) {
			inv := bigFleet(10_000)
			var plan rollout.Plan
			for b.Loop() {
				var err error
				plan, err = planner.Make(doc, inv, madeAt)
				require.NoError(b, err)
			}
			text, err := json.Marshal(plan)
			require.NoError(b, err)
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			_, err = w.Write(text)
			require.NoError(b, err)
			require.NoError(b, w.Close())
			b.ReportMetric(float64(len(text)), "plan-bytes")
			b.ReportMetric(float64(packed.Len()), "gzip-bytes")
		})
	}
}
