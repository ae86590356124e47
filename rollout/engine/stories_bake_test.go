package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func endBake(wave, why string) rollout.Command {
	return rollout.Command{Kind: rollout.EndBake, By: "ben", Wave: wave, Comment: why}
}

func bakeStories() []story {
	canary := rollout.Wave{Name: "canary", End: 1, Bake: time.Hour, Approval: true}
	rest := rollout.Wave{Name: "rest", End: 3}
	return []story{
		{
			name:     "bake-ended-early",
			tells:    "An operator who has seen enough of the canary ends its bake and approves what follows, in one command with the reason. The last wave bakes too, and to end that ends the rollout.",
			plan:     plan(3, 2, 0, waves(canary, rollout.Wave{Name: "rest", End: 3, Bake: 30 * time.Minute})),
			commands: []told{{15 * time.Minute, endBake("canary", "all checks are green")}, {25 * time.Minute, endBake("", "the same again")}},
		},
		{
			name:  "bake-ended-too-early",
			tells: "A bake can be ended only while it lasts, with a reason, and only that of the wave that is named. Before and after it, the refusal says what there is to do.",
			plan:  plan(3, 2, 0, waves(canary, rest)),
			commands: []told{
				{2 * time.Minute, endBake("", "I cannot wait")},
				{10 * time.Minute, endBake("rest", "I mean another wave")}, {11 * time.Minute, endBake("canary", "")},
				{70 * time.Minute, endBake("canary", "it is over already")}, {71 * time.Minute, by("ben", rollout.Approve)},
				{72 * time.Minute, endBake("", "there is none")},
			},
		},
		{
			name:  "bake-ended-while-paused",
			tells: "A pause wins: the end of the bake is kept, and nothing is started before the rollout is resumed.",
			plan:  plan(3, 2, 0, waves(canary, rest)),
			commands: []told{
				{10 * time.Minute, by("ann", rollout.Pause)}, {15 * time.Minute, endBake("", "all checks are green")}, {16 * time.Minute, endBake("", "once more")},
				{20 * time.Minute, by("ann", rollout.Resume)},
			},
		},
		{
			name:  "bake-ended-then-retry",
			tells: "A retry opens the wave again: it bakes anew for the whole time, and what was approved is asked for again.",
			plan:  plan(3, 1, 1, waves(rollout.Wave{Name: "canary", End: 2, Bake: time.Hour, Approval: true}, rest)),
			attempts: map[string][]attempt{
				"web-02": {fails(rollout.FailedIntact, "it could not be stopped")},
			},
			commands: []told{
				{15 * time.Minute, by("ann", rollout.Pause)}, {16 * time.Minute, endBake("", "all checks are green")},
				{17 * time.Minute, by("ann", rollout.Retry, "web-02")}, {18 * time.Minute, by("ann", rollout.Resume)},
				{90 * time.Minute, by("ben", rollout.Approve)},
			},
		},
		{
			name:  "bake-ended-after-a-breach",
			tells: "The budget is spent by the last server of the canary. To end the bake is no way around it: resume is refused until the failure is dealt with.",
			plan:  plan(3, 2, 0, waves(canary, rest)),
			attempts: map[string][]attempt{
				"web-01": {fails(rollout.FailedChanged, "it does not run")},
			},
			commands: []told{
				{10 * time.Minute, endBake("", "I cannot wait")}, {11 * time.Minute, by("ben", rollout.Resume)},
				{12 * time.Minute, by("ben", rollout.Accept)}, {13 * time.Minute, by("ben", rollout.Resume)},
			},
		},
	}
}
