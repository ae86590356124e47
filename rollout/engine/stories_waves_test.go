package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func by(who string, kind rollout.CommandKind, servers ...string) rollout.Command {
	return rollout.Command{Kind: kind, By: who, Servers: servers}
}

func fails(end rollout.ServerEnd, reason string) attempt { return attempt{end: end, reason: reason} }

func waveStories() []story {
	canary := rollout.Wave{Name: "canary", End: 1, Bake: 10 * time.Minute, Approval: true}
	return []story{
		{
			name:  "happy",
			tells: "A canary bakes and is approved, then two waves slide through three slots. The last wave asks nobody.",
			plan: plan(9, 3, 0, waves(
				canary, rollout.Wave{Name: "early", End: 4, Bake: 5 * time.Minute}, rollout.Wave{Name: "rest", End: 9, Approval: true})),
			attempts: map[string][]attempt{"web-02": {{after: 8 * time.Minute}}, "web-05": {{after: 11 * time.Minute}}, "web-06": {{after: 2 * time.Minute}}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Approve)}},
		},
		{
			name:     "canary-fails",
			tells:    "The canary fails and nothing is tolerated: pause. Resume is refused until the failure is dealt with; the retry succeeds and gives the budget back.",
			plan:     plan(4, 2, 0, waves(rollout.Wave{Name: "canary", End: 1, Bake: 10 * time.Minute}, rollout.Wave{Name: "rest", End: 4})),
			attempts: map[string][]attempt{"web-01": {fails(rollout.FailedChanged, "it does not run")}},
			commands: []told{
				{10 * time.Minute, by("ben", rollout.Resume)}, {12 * time.Minute, by("ben", rollout.Retry, "web-01")}, {13 * time.Minute, by("ben", rollout.Resume)},
			},
		},
		{
			name:  "canary-is-unhealthy",
			tells: "The canary runs the new image and its application does not work: pause. A recheck asks for its health again, once in vain and once after somebody has mended the application; no disk is lost for it, and it is no further attempt.",
			plan:  plan(3, 1, 0, withHealth, waves(rollout.Wave{Name: "canary", End: 1}, rollout.Wave{Name: "rest", End: 3})),
			attempts: map[string][]attempt{"web-01": {
				fails(rollout.FailedUnhealthy, "its application is not healthy: http :80/: status 503"),
				{after: time.Minute, end: rollout.FailedUnhealthy, reason: "its application is not healthy: http :80/: status 500"}, {after: time.Minute},
			}},
			commands: []told{
				{8 * time.Minute, by("ben", rollout.Resume)}, {9 * time.Minute, by("ben", rollout.Recheck, "web-02")},
				{10 * time.Minute, by("ben", rollout.Recheck, "web-01")}, {11 * time.Minute, by("ben", rollout.Resume)},
				{20 * time.Minute, by("ben", rollout.Recheck, "web-*")}, {21 * time.Minute, by("ben", rollout.Resume)},
			},
		},
		{
			name:     "unhealthy-is-retried",
			tells:    "Somebody gives up on the new disk: a retry is another change, and a further attempt.",
			plan:     plan(2, 1, 0, withHealth),
			attempts: map[string][]attempt{"web-01": {fails(rollout.FailedUnhealthy, "its application is not healthy")}},
			commands: []told{{8 * time.Minute, by("ben", rollout.Retry, "web-01")}, {9 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "unhealthy-is-rolled-back",
			tells:    "An unhealthy server is given its previous image, like every other one with a disk of this rollout.",
			plan:     plan(3, 1, 0, withHealth, func(p *rollout.Plan) { p.Budget.OnBreach = rollout.BreachRollback }),
			attempts: map[string][]attempt{"web-02": {fails(rollout.FailedUnhealthy, "its application is not healthy")}},
		},
		{
			name:  "approved-early",
			tells: "An approval is about what the bake has shown, so it is refused until the bake is over. Nobody can approve another wave, and a second approval finds nothing to approve.",
			plan:  plan(2, 1, 0, waves(canary, rollout.Wave{Name: "rest", End: 2})),
			commands: []told{
				{2 * time.Minute, by("ben", rollout.Approve)},
				{6 * time.Minute, rollout.Command{Kind: rollout.Approve, By: "ben", Wave: "canary"}},
				{16 * time.Minute, rollout.Command{Kind: rollout.Approve, By: "ben", Wave: "rest"}},
				{17 * time.Minute, rollout.Command{Kind: rollout.Approve, By: "ben", Wave: "canary"}}, {18 * time.Minute, by("cleo", rollout.Approve)},
			},
		},
		{
			name:  "empty-wave",
			tells: "Two waves came to the same end, so the second is empty, as is one that selects what is not there: a line in the log, no bake, no approval. The approval before an empty last wave is not asked for either.",
			plan: plan(3, 3, 0, waves(
				rollout.Wave{Name: "one", End: 2}, rollout.Wave{Name: "two", End: 2, Bake: time.Hour, Approval: true},
				rollout.Wave{Name: "db", Select: "tags role=db", End: 2, Approval: true},
				rollout.Wave{Name: "three", End: 3, Approval: true}, rollout.Wave{Name: "four", End: 3})),
		},
		{
			name:  "retry-during-bake",
			tells: "A tolerated failure is retried while its wave bakes: the wave is open again, and bakes anew once the retry has ended.",
			plan:  plan(3, 2, 1, waves(rollout.Wave{Name: "early", End: 2, Bake: 10 * time.Minute}, rollout.Wave{Name: "rest", End: 3})),
			attempts: map[string][]attempt{
				"web-02": {fails(rollout.FailedIntact, "it could not be stopped"), fails(rollout.FailedIntact, "it could not be stopped again")},
			},
			commands: []told{{9 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:     "retry-of-an-earlier-wave",
			tells:    "A failure of the canary was tolerated. Retried during the next wave, it comes first and holds up that wave's end, not its servers.",
			plan:     plan(5, 1, 1, waves(rollout.Wave{Name: "canary", End: 1}, rollout.Wave{Name: "early", End: 3}, rollout.Wave{Name: "rest", End: 5})),
			attempts: map[string][]attempt{"web-01": {fails(rollout.FailedIntact, "the image was refused")}},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry, "web-01")}},
		},
		{
			name:  "soak",
			tells: "A changed server keeps its slot for the soak; the wave is not over before the last soak is.",
			plan:  plan(3, 1, 0, func(p *rollout.Plan) { p.Soak = 3 * time.Minute }, waves(rollout.Wave{Name: "canary", End: 1}, rollout.Wave{Name: "rest", End: 3})),
		},
		{
			name:     "one-server",
			tells:    "A single server: one wave, one slot, done.",
			plan:     plan(1, 1, 0),
			commands: nil,
		},
		{
			name:  "deadline",
			tells: "The deadline passes in mid-wave: what is in flight is finished, nothing is started. Who resumes gives the rollout as long again.",
			plan:  plan(4, 1, 0, func(p *rollout.Plan) { p.Deadline = 12 * time.Minute }),
			commands: []told{
				{30 * time.Minute, by("ben", rollout.Resume)},
			},
		},
		{
			name:     "deadline-while-paused",
			tells:    "The deadline passes while an operator has paused. Resume does not run into it at once.",
			plan:     plan(2, 1, 0, func(p *rollout.Plan) { p.Deadline = 12 * time.Minute }),
			commands: []told{{2 * time.Minute, by("ben", rollout.Pause)}, {30 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:  "busy",
			tells: "Another rollout changes web-01 and soon lets go, and web-02 for longer than the plan waits: others pass, web-01 is tried again, web-02 is skipped.",
			plan:  plan(4, 1, 0, func(p *rollout.Plan) { p.BusyWait = 10 * time.Minute }),
			attempts: map[string][]attempt{
				"web-01": {{holder: "rollout/db"}, {holder: "rollout/db"}},
				"web-02": {{holder: "rollout/db"}, {holder: "rollout/db"}, {holder: "rollout/db"}, {holder: "rollout/db"}, {holder: "rollout/db"}},
			},
		},
		{
			name:     "busy-skipped-at-once",
			tells:    "Without patience a busy server is skipped at once, which is no failure.",
			plan:     plan(2, 1, 0),
			attempts: map[string][]attempt{"web-01": {{holder: "a command of ben"}}},
		},
	}
}

// withHealth asks for the health of the servers, whose soak is then watched by their own workflows.
func withHealth(p *rollout.Plan) {
	p.Health = &rollout.Health{Checks: []rollout.HealthCheck{{Type: rollout.CheckHTTP, Port: 80, Path: "/", StableFor: 10 * time.Second, Within: 5 * time.Minute}}}
	p.Soak = 10 * time.Minute
}
