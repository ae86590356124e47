package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func strict(p *rollout.Plan) { p.Budget.Strict = true }

// share tolerates a share once a sample has ended, and no count.
func share(tolerated, sample int) func(*rollout.Plan) {
	return func(p *rollout.Plan) {
		p.Budget.Count, p.Budget.Share, p.Budget.MinSample = nil, &tolerated, sample
	}
}

func budgetStories() []story {
	refused := fails(rollout.FailedIntact, "the change was refused")
	return []story{
		{
			name:     "at-the-budget",
			tells:    "Two failures are tolerated and two come: the rollout goes on, and its end tells. One of them could not be reached at all, which counts like any other.",
			plan:     plan(5, 2, 2),
			attempts: map[string][]attempt{"web-02": {refused}, "web-03": {fails(rollout.NotStarted, "the server could not be looked at")}},
		},
		{
			name:     "tolerate-0",
			tells:    "Nothing is tolerated: the first failure pauses. What is in flight is finished, and may fail too.",
			plan:     plan(6, 3, 0),
			attempts: map[string][]attempt{"web-01": {{after: 2 * time.Minute, end: rollout.Vanished, reason: "the cloud no longer knows this server"}}, "web-03": {refused}},
			commands: []told{
				{10 * time.Minute, by("ben", rollout.Accept, "web-01")}, {11 * time.Minute, by("ben", rollout.Resume)},
				{12 * time.Minute, by("ben", rollout.Accept, "id-03")}, {13 * time.Minute, by("ben", rollout.Resume)},
			},
		},
		{
			name:     "breach-with-the-last-success",
			tells:    "The failure that is one too many and the last success arrive in the same moment, the last of the rollout: it does not end as if nothing were wrong.",
			plan:     plan(3, 3, 1),
			attempts: map[string][]attempt{"web-01": {refused}, "web-02": {refused}},
			commands: []told{{10 * time.Minute, by("ben", rollout.Accept, "web-02")}, {11 * time.Minute, by("ben", rollout.Resume)}},
		},
		{
			name:     "all-of-a-wave-fail",
			tells:    "The whole first wave fails, but within the budget: the budget decides, not the wave.",
			plan:     plan(4, 2, 2, waves(rollout.Wave{Name: "early", End: 2}, rollout.Wave{Name: "rest", End: 4})),
			attempts: map[string][]attempt{"web-01": {refused}, "web-02": {refused}},
		},
		{
			name:     "percentage-after-a-sample",
			tells:    "10 % of 10 is one failure, judged from the fifth ended server on: the two of the first two do not stop it, but then they do.",
			plan:     plan(10, 2, 0, share(1, 5)),
			attempts: map[string][]attempt{"web-01": {refused}, "web-02": {refused}},
		},
		{
			name:     "sample-with-soak",
			tells:    "A percentage is judged from the second server on. One that soaks has been changed and proven, so it is in the sample: the failure beside it pauses, and does not wait for the soak to end.",
			plan:     plan(4, 2, 0, share(0, 2), func(p *rollout.Plan) { p.Soak = 10 * time.Minute }),
			attempts: map[string][]attempt{"web-02": {{after: 6 * time.Minute, end: rollout.FailedIntact, reason: "the change was refused"}}},
		},
		{
			name:     "percentage-of-nothing",
			tells:    "A percentage that comes to no server tolerates none, from the first ended server on.",
			plan:     plan(3, 1, 0, share(0, 0)),
			attempts: map[string][]attempt{"web-01": {refused}},
		},
		{
			name:     "per-group",
			tells:    "Three failures are tolerated in all and none twice in a group: the second of db-a pauses.",
			plan:     plan(6, 2, 3, groups("aabbcc", 2), func(p *rollout.Plan) { p.Budget.PerGroup = new(1) }),
			attempts: map[string][]attempt{"web-01": {refused}, "web-02": {{after: 6 * time.Minute, end: rollout.FailedIntact, reason: "the change was refused"}}, "web-03": {refused}},
		},
		{
			name:     "retry-gives-back",
			tells:    "A retry that succeeds gives the budget back: after it another failure is tolerated again.",
			plan:     plan(5, 1, 1),
			attempts: map[string][]attempt{"web-01": {refused}, "web-03": {refused}},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry, "web-01")}},
		},
		{
			name:     "strict",
			tells:    "Strict admission: in flight plus failed stay within the two tolerated and one. Each failure narrows it, and when the third comes nothing is in flight that could still fail.",
			plan:     plan(10, 8, 2, strict),
			attempts: map[string][]attempt{"web-02": {refused}, "web-04": {refused}, "web-07": {refused}},
		},
		{
			name:     "strict-tolerate-0",
			tells:    "Strict and nothing tolerated: one at a time, whatever the cap says.",
			plan:     plan(3, 3, 0, strict),
			attempts: map[string][]attempt{"web-02": {refused}},
		},
		{
			name:     "strict-before-the-sample",
			tells:    "Strict with a percentage that is judged from the fourth server on: the sample is no licence, one failure too many pauses before it is full.",
			plan:     plan(10, 4, 0, share(1, 4), strict),
			attempts: map[string][]attempt{"web-01": {refused}, "web-02": {refused}},
		},
		{
			name:     "strict-per-group",
			tells:    "Strict with one tolerated per group: two at risk in a group at most, others pass.",
			plan:     plan(6, 6, 5, strict, groups("aaaabb", 4), func(p *rollout.Plan) { p.Budget.PerGroup = new(1) }),
			attempts: map[string][]attempt{"web-01": {refused}},
		},
	}
}
