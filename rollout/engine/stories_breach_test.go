package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func onBreach(what rollout.OnBreach) func(*rollout.Plan) {
	return func(p *rollout.Plan) { p.Budget.OnBreach = what }
}

func breachStories() []story {
	broken := fails(rollout.FailedChanged, "it does not run")
	soaked := func(p *rollout.Plan) { p.Soak = 10 * time.Minute }
	return []story{
		{
			name:  "breach-recalls",
			tells: "A breach takes back the servers that were not submitted. They wait for their turn, and are changed once the failure is dealt with.",
			plan:  plan(4, 3, 0),
			attempts: map[string][]attempt{
				"web-01": {broken}, "web-02": {{recalled: true, after: 7 * time.Minute}}, "web-03": {{recalled: true, after: 8 * time.Minute}},
			},
			commands: []told{{10 * time.Minute, by("ben", rollout.Accept)}, {11 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:  "breach-rolls-back-and-recalls",
			tells: "A rollback waits until the servers that go forward have ended: one that was not submitted is taken back, and stays as it was.",
			plan:  plan(4, 3, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-01": {broken}, "web-02": {{recalled: true, after: 7 * time.Minute}},
			},
		},
		{
			name:  "abort-recalls-a-rollback",
			tells: "Abort takes back a rollback that was not submitted: the server stays what the rollout made of it.",
			plan:  plan(3, 1, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-01": {{}, {recalled: true, after: 3 * time.Minute}}, "web-02": {broken, {after: time.Minute}},
			},
			commands: []told{{13 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:  "suspicion-confirmed",
			tells: "A job fails, and the verdict takes minutes. Nothing is started meanwhile, and what was not touched is taken back. Then the budget is exceeded.",
			plan:  plan(5, 3, 0),
			attempts: map[string][]attempt{
				"web-01": {{suspected: time.Minute, after: 4 * time.Minute, end: rollout.FailedIntact, reason: "its job has failed"}},
				"web-02": {{after: 2 * time.Minute}}, "web-03": {{recalled: true, after: 61 * time.Second}},
			},
			commands: []told{{10 * time.Minute, by("ben", rollout.Accept)}, {11 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:  "suspicion-lifted",
			tells: "A server looks failed and is done after all: starts go on.",
			plan:  plan(4, 2, 0),
			attempts: map[string][]attempt{
				"web-01": {{suspected: time.Minute, after: 6 * time.Minute}}, "web-02": {{after: 2 * time.Minute}},
			},
		},
		{
			name:  "suspicion-within-the-budget",
			tells: "The budget tolerates one failure: the first suspicion holds nothing, the second does, and both are true.",
			plan:  plan(6, 2, 1),
			attempts: map[string][]attempt{
				"web-01": {{suspected: time.Minute, after: 9 * time.Minute, end: rollout.FailedIntact, reason: "its job has failed"}},
				"web-02": {{after: 2 * time.Minute}}, "web-03": {{suspected: time.Minute, after: 5 * time.Minute, end: rollout.FailedIntact, reason: "its job has failed"}},
			},
		},
		{
			name:     "breach-before-the-bake",
			tells:    "The last server of a wave breaches. The wave is over and its bake runs while the rollout is paused; after the failure is accepted the rest of the bake is waited for.",
			plan:     plan(3, 2, 0, waves(rollout.Wave{Name: "early", End: 2, Bake: 20 * time.Minute}, rollout.Wave{Name: "rest", End: 3})),
			attempts: map[string][]attempt{"web-02": {fails(rollout.FailedIntact, "the change was refused")}},
			commands: []told{{8 * time.Minute, by("ben", rollout.Accept)}, {9 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:  "breach-before-the-approval",
			tells: "A breach while an approval is due: approving is possible and starts nothing, because the pause outranks it. The retry reopens the wave, so what follows it has to be approved anew.",
			plan:  plan(3, 2, 0, waves(rollout.Wave{Name: "early", End: 2, Approval: true}, rollout.Wave{Name: "rest", End: 3})),
			attempts: map[string][]attempt{
				"web-02": {broken, broken},
			},
			commands: []told{
				{8 * time.Minute, by("ben", rollout.Approve)}, {9 * time.Minute, by("ben", rollout.Retry)}, {10 * time.Minute, by("ben", rollout.Resume)},
				{20 * time.Minute, by("ben", rollout.Accept)}, {21 * time.Minute, by("ben", rollout.Resume)},
				{22 * time.Minute, by("ben", rollout.Approve)},
			},
		},
		{
			name:     "breach-aborts",
			tells:    "On a breach the plan aborts: pending servers are not started, the one in flight is finished, the one that soaks has ended.",
			plan:     plan(5, 3, 0, onBreach(rollout.BreachAbort), soaked),
			attempts: map[string][]attempt{"web-01": {{after: 2 * time.Minute}}, "web-02": {{after: 4 * time.Minute, end: rollout.FailedLost, reason: "it has no system disk"}}},
		},
		{
			name:     "breach-aborts-with-soaks-only",
			tells:    "On a breach the plan aborts while nothing is in flight and a server soaks: the soak ends before the rollout does.",
			plan:     plan(3, 2, 0, onBreach(rollout.BreachAbort), soaked),
			attempts: map[string][]attempt{"web-02": {{after: 6 * time.Minute, end: rollout.FailedIntact, reason: "the change was refused"}}},
		},
		{
			name:  "breach-rolls-back",
			tells: "On a breach the plan rolls back. First what is in flight ends, then changed servers get their previous image, the last one first, two at a time.",
			plan:  plan(6, 2, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-03": {broken}, "web-04": {{after: 7 * time.Minute}},
			},
		},
		{
			name:  "breach-rolls-back-partially",
			tells: "Of the rollbacks one touches nothing, one breaks its server, and a lost server is left to a human. None is tried twice, and the end says partially.",
			plan:  plan(5, 4, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-01": {{}, {end: rollout.NotStarted, reason: "it is locked"}}, "web-02": {{}, broken}, "web-03": {fails(rollout.FailedLost, "it has no system disk")},
			},
		},
		{
			name:     "breach-rolls-back-soaks-only",
			tells:    "On a breach the plan rolls back while nothing is in flight and changed servers soak: they are rolled back like the others.",
			plan:     plan(3, 2, 0, onBreach(rollout.BreachRollback), soaked),
			attempts: map[string][]attempt{"web-02": {{after: 6 * time.Minute, end: rollout.FailedIntact, reason: "the change was refused"}}},
		},
		{
			name:     "rollback-finds-a-busy-server",
			tells:    "Somebody else is at a server when its rollback is due: it is tried again for as long as it takes.",
			plan:     plan(2, 1, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{"web-01": {{}, {holder: "change by ben"}, {holder: "change by ben"}}, "web-02": {broken}},
		},
		{
			name:  "rollback-spares-what-is-not-ours",
			tells: "A rollback takes back disks of its own making and no other: not the old one of a server whose change may still come, and not the one that somebody else gave a server. It has not brought everything back then, and says so.",
			plan:  plan(4, 4, 2, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-02": {{after: 5 * time.Minute, end: rollout.FailedChanged, reason: "it shows its old system disk, but the change may still come", has: oldDisk}},
				"web-03": {{after: 5 * time.Minute, end: rollout.FailedChanged, reason: "somebody else changed it, nothing was sent", has: foreignDisk}},
				"web-04": {broken},
			},
		},
		{
			name:     "rollback-waits-for-a-pause",
			tells:    "A breach while an operator has paused: nothing is started while paused, not even a rollback. Resume begins it.",
			plan:     plan(4, 2, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{"web-02": {{after: 6 * time.Minute, end: rollout.FailedChanged, reason: "it does not run"}}},
			commands: []told{{2 * time.Minute, by("ben", rollout.Pause)}, {15 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "breach-aborts-a-paused-rollout",
			tells:    "A breach while an operator has paused: a plan that aborts does so at once, it starts nothing.",
			plan:     plan(3, 2, 0, onBreach(rollout.BreachAbort)),
			attempts: map[string][]attempt{"web-01": {{}}, "web-02": {broken}},
			commands: []told{{2 * time.Minute, by("ben", rollout.Pause)}},
		},
		{
			name:  "rollback-in-zones",
			tells: "A rollback keeps the caps of zones: one server of each at a time, whatever failed.",
			plan:  plan(5, 5, 0, onBreach(rollout.BreachRollback), zones("aabba", 1), waves(rollout.Wave{Name: "early", End: 4}, rollout.Wave{Name: "rest", End: 5})),
			attempts: map[string][]attempt{
				"web-05": {broken},
			},
		},
	}
}
