package spec_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
	"github.com/reimage/reimage/rollout/spec"
)

func TestDefaults(t *testing.T) {
	doc := parse(t, minimal)
	full := doc.WithDefaults()
	assert.Equal(t, document.Spec{
		Select: doc.Spec.Select, Image: doc.Spec.Image,
		API: "auto",
		Servers: document.States{
			AlreadyThere: document.RuleSkip, Stopped: document.RuleChange, Locked: document.RuleRefuse, Error: document.RuleRefuse, Unfit: document.RuleRefuse,
		},
		Power:    rollout.PowerAsBefore,
		Order:    document.OrderZones,
		Waves:    []document.Wave{{Name: "all", UpTo: new(rollout.Whole)}},
		InFlight: document.Limit{Count: new(1)}, CountOthers: new(true),
		Budget: document.Budget{
			Tolerate: document.Limit{Count: new(0)}, OnBreach: rollout.BreachPause, Admission: document.AdmissionReactive,
		},
		Health:         document.Health{RequireBefore: rollout.BeforeWarn, Unhealthy: document.UnhealthyFirst},
		Busy:           document.Busy{Wait: new(document.Duration(30 * time.Minute))},
		ServerDeadline: document.Duration(time.Hour),
	}, full.Spec)
	assert.NoError(t, spec.Validate(full))
	assert.Equal(t, full, full.WithDefaults(), "filling in twice changes nothing")
	assert.Equal(t, parse(t, minimal), doc, "the document itself stays")
}

// TestDefaultsAreTheFirstWords holds the tags, which the schema shows, against what is filled in.
func TestDefaultsAreTheFirstWords(t *testing.T) {
	checkFirstWords(t, reflect.ValueOf(parse(t, minimal).WithDefaults()))
}

func checkFirstWords(t *testing.T, value reflect.Value) {
	for field, inside := range value.Fields() {
		if words := strings.Fields(field.Tag.Get("one")); len(words) > 0 {
			assert.Equal(t, words[0], inside.String(), field.Name)
		}
		if inside.Kind() == reflect.Struct {
			checkFirstWords(t, inside)
		}
	}
}

// TestGivenIsKept keeps what was given, zero included, and names what has no name.
func TestGivenIsKept(t *testing.T) {
	doc := parse(t, minimal+`  api: v1
  waves: [{count: 1}, {name: half, upTo: 50%}, {upTo: 100%}]
  inFlight: {percent: 10%}
  budget: {tolerate: {percent: 0%}, onBreach: abort, admission: strict}
  busy: {wait: 0s}
  servers: {locked: skip}
  power: off
  order: id
  serverDeadline: 2h
`)
	full := doc.WithDefaults().Spec
	assert.Equal(t, "v1", full.API)
	assert.Equal(t, document.Limit{Percent: new(rollout.Percent(1000))}, full.InFlight)
	assert.Equal(t, document.Limit{Percent: new(rollout.Percent(0))}, full.Budget.Tolerate)
	assert.Equal(t, document.Duration(0), *full.Busy.Wait)
	assert.Equal(t, document.RuleSkip, full.Servers.Locked)
	assert.Equal(t, rollout.PowerOff, full.Power)
	assert.Equal(t, rollout.BreachAbort, full.Budget.OnBreach)
	assert.Equal(t, 2*time.Hour, full.ServerDeadline.Std())
	require.Len(t, full.Waves, 3)
	assert.Equal(t, []string{"wave-1", "half", "wave-3"}, []string{full.Waves[0].Name, full.Waves[1].Name, full.Waves[2].Name})
	assert.Empty(t, doc.Spec.Waves[0].Name, "the document itself stays")
}
