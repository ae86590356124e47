package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func controlStories() []story {
	intact := fails(rollout.FailedIntact, "the change was refused")
	return []story{
		{
			name:     "pause",
			tells:    "An operator pauses in mid-wave: what is in flight is finished, a second pause is refused, resume goes on where it stopped.",
			plan:     plan(5, 2, 0),
			commands: []told{{2 * time.Minute, by("ben", rollout.Pause)}, {3 * time.Minute, by("cleo", rollout.Pause)}, {10 * time.Minute, by("ben", rollout.Resume)}, {11 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "abort",
			tells:    "Abort in mid-wave: what is in flight is finished, one of it fails, nothing more is started. Only abort is still accepted, and the second changes nothing.",
			plan:     plan(5, 3, 0),
			attempts: map[string][]attempt{"web-03": {intact}},
			commands: []told{
				{2 * time.Minute, rollout.Command{Kind: rollout.Abort, By: "ben", Comment: "wrong image"}}, {3 * time.Minute, by("cleo", rollout.Abort)},
				{3 * time.Minute, by("cleo", rollout.Pause)}, {3 * time.Minute, by("cleo", rollout.Retry)}, {3 * time.Minute, inFlight("cleo", 1)},
				{4 * time.Minute, by("cleo", rollout.Skip, "web-05")},
			},
		},
		{
			name:  "abort-recalls",
			tells: "Abort in mid-wave: two servers were not submitted yet and are taken back, the third is finished. No server has failed.",
			plan:  plan(5, 3, 0),
			attempts: map[string][]attempt{
				"web-01": {{recalled: true, after: 121 * time.Second}}, "web-03": {{recalled: true, after: 3 * time.Minute}},
			},
			commands: []told{{2 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:  "pause-recalls",
			tells: "A pause takes back the server that nothing was done to. It waits for its turn again, and its attempt does not count.",
			plan:  plan(3, 2, 0),
			attempts: map[string][]attempt{
				"web-02": {{recalled: true, after: 61 * time.Second}},
			},
			commands: []told{{1 * time.Minute, by("ben", rollout.Pause)}, {10 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "abort-while-paused",
			tells:    "Abort outranks a pause and needs no resume.",
			plan:     plan(4, 1, 0),
			commands: []told{{2 * time.Minute, by("ben", rollout.Pause)}, {10 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:     "abort-during-bake",
			tells:    "Abort while a wave bakes: nothing is in flight, the rollout ends at once.",
			plan:     plan(3, 1, 0, waves(rollout.Wave{Name: "canary", End: 1, Bake: time.Hour}, rollout.Wave{Name: "rest", End: 3})),
			commands: []told{{20 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:     "abort-before-approval",
			tells:    "Abort while an approval is waited for.",
			plan:     plan(3, 1, 0, waves(rollout.Wave{Name: "canary", End: 1, Approval: true}, rollout.Wave{Name: "rest", End: 3})),
			commands: []told{{20 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:     "abort-while-rolling-back",
			tells:    "Abort stops a rollback: the server that is being rolled back is finished, the others keep the new image.",
			plan:     plan(4, 1, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{"web-03": {intact}},
			commands: []told{{17 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:  "pause-while-rolling-back",
			tells: "A rollback can be paused and resumed.",
			plan:  plan(4, 1, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{
				"web-03": {intact},
			},
			commands: []told{{17 * time.Minute, by("ben", rollout.Pause)}, {30 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "abort-with-a-busy-server",
			tells:    "A server that answers busy after the abort is left alone and not waited for.",
			plan:     plan(2, 2, 0, func(p *rollout.Plan) { p.BusyWait = time.Hour }),
			attempts: map[string][]attempt{"web-01": {{holder: "rollout/db"}}, "web-02": {{after: 3 * time.Minute}}},
			commands: []told{{time.Second / 2, by("ben", rollout.Abort)}},
		},
		{
			name:  "skip",
			tells: "Pending servers can be skipped, by id or name. One in flight is finished, one that ended has ended, one that failed is accepted and not skipped.",
			plan:  plan(5, 1, 1),
			attempts: map[string][]attempt{
				"web-01": {intact},
			},
			commands: []told{
				{1 * time.Minute, by("ben", rollout.Skip, "web-01")}, {2 * time.Minute, by("ben", rollout.Skip, "web-03", "id-03", "id-05")},
				{6 * time.Minute, by("ben", rollout.Skip, "web-01")}, {7 * time.Minute, by("ben", rollout.Skip)}, {8 * time.Minute, by("ben", rollout.Skip, "db-01", "web-05")},
			},
		},
		{
			name:  "patterns",
			tells: "Servers can be meant by a pattern of their names. Every match is named; one that the command is not for is left as it is, and a pattern without a match is refused. A failure that was accepted is retried by its name only.",
			plan:  plan(12, 2, 3),
			attempts: map[string][]attempt{
				"web-01": {intact}, "web-02": {intact},
			},
			commands: []told{
				{1 * time.Minute, by("ben", rollout.Skip, "db-*")}, {1 * time.Minute, by("ben", rollout.Skip, "web-0[12]*")},
				{1 * time.Minute, by("ben", rollout.Skip, "web-0?", "web-03", "web-9*")}, {1 * time.Minute, by("ben", rollout.Skip, "web-0[1-9]", "web-01")},
				{2 * time.Minute, by("ben", rollout.Skip, "web-0?", "web-11")}, {3 * time.Minute, by("ben", rollout.Skip, "web-0?")},
				{6 * time.Minute, by("ben", rollout.Accept, "*-01")}, {7 * time.Minute, by("ben", rollout.Retry, "web-1*")},
				{8 * time.Minute, by("ben", rollout.Retry, "web-0*")}, {8 * time.Minute, by("ben", rollout.Retry, "web-01")},
			},
		},
		{
			name:     "skip-the-rest-of-a-wave",
			tells:    "When the last pending servers of a wave are skipped, the wave is over.",
			plan:     plan(3, 1, 0, waves(rollout.Wave{Name: "early", End: 2}, rollout.Wave{Name: "rest", End: 3})),
			commands: []told{{1 * time.Minute, by("ben", rollout.Skip, "web-02")}},
		},
		{
			name:     "retry-then-accept",
			tells:    "A retry that waits for its turn can be taken back: accepting lets the failure be. And a failure that was accepted can be retried, once the server is mended.",
			plan:     plan(3, 1, 0),
			attempts: map[string][]attempt{"web-01": {intact}},
			commands: []told{
				{6 * time.Minute, by("ben", rollout.Retry)}, {7 * time.Minute, by("ben", rollout.Skip, "web-01")}, {8 * time.Minute, by("ben", rollout.Accept, "web-01")},
				{9 * time.Minute, by("ben", rollout.Retry, "web-01")}, {10 * time.Minute, by("ben", rollout.Resume)},
			},
		},
		{
			name:  "credentials-refused",
			tells: "The key is revoked in mid-wave. The servers whose turn it is are not touched and wait, what is in flight is finished, nothing has failed. Whoever resumes too early gets the same answer; once the key is mended, the rollout carries on.",
			plan:  plan(5, 2, 0),
			attempts: map[string][]attempt{
				"web-01": {{after: 4 * time.Minute}}, "web-03": {{refused: true}, {refused: true}},
			},
			commands: []told{{6 * time.Minute, by("ben", rollout.Resume)}, {20 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "credentials-refused-to-a-retry",
			tells:    "A failed server is tried again and the credentials are refused: it stays a failure that waits for its retry.",
			plan:     plan(2, 1, 1),
			attempts: map[string][]attempt{"web-01": {intact, {refused: true}}},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry)}, {20 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "credentials-refused-while-paused",
			tells:    "What comes to a pause that has another reason is told beside it; an abort needs no credentials mended.",
			plan:     plan(3, 2, 0),
			attempts: map[string][]attempt{"web-01": {{refused: true}}},
			commands: []told{{time.Second / 2, by("ben", rollout.Pause)}, {10 * time.Minute, by("ben", rollout.Abort)}},
		},
		{
			name:     "credentials-refused-to-a-rollback",
			tells:    "A rollback is refused, too: it pauses, and goes on with the same server.",
			plan:     plan(3, 1, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{"web-01": {{}, {refused: true}}, "web-02": {intact}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "credentials-refused-before-a-rollback",
			tells:    "The credentials are refused, and then a failure calls for a rollback: the pause tells both, each once.",
			plan:     plan(4, 2, 0, onBreach(rollout.BreachRollback)),
			attempts: map[string][]attempt{"web-01": {{refused: true}}, "web-02": {intact}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "nobody-comes",
			tells:    "A rollout that is paused by a breach and that nobody helps stands still and says so.",
			plan:     plan(2, 1, 0),
			attempts: map[string][]attempt{"web-01": {intact}},
		},
	}
}
