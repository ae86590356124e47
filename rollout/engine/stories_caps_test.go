package engine_test

import (
	"time"

	"github.com/reimage/reimage/rollout"
)

func inFlight(who string, n int) rollout.Command {
	return rollout.Command{Kind: rollout.Concurrency, By: who, InFlight: n}
}

func capStories() []story {
	lost := fails(rollout.FailedLost, "it has no system disk")
	return []story{
		{
			name:     "zone-cap",
			tells:    "One of each zone at a time, and db-x is a group of one server with a cap of one. A server that its zone holds back lets others pass.",
			plan:     plan(6, 3, 0, zones("aabbcc", 1), groups("yyyyyx", 2)),
			attempts: map[string][]attempt{"web-03": {{after: 12 * time.Minute}}},
		},
		{
			name:     "zone-held",
			tells:    "A lost server is tolerated, but its zone allows one server out of service: the other server of the zone waits, and a human is asked when nothing else is left.",
			plan:     plan(4, 3, 2, zones("aabb", 1)),
			attempts: map[string][]attempt{"web-01": {lost}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Accept, "web-01")}},
		},
		{
			name:     "slots-held",
			tells:    "Two failures are within the budget and hold both slots. The rollout says so and waits; accepting them frees the slots, and the end does not hide them.",
			plan:     plan(5, 2, 3),
			attempts: map[string][]attempt{"web-01": {lost}, "web-03": {fails(rollout.FailedChanged, "it does not run")}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Accept)}},
		},
		{
			name:     "slots-held-one-retried",
			tells:    "Both slots are held by broken servers and the cap is lowered to one. A retry needs no slot, the broken server has one; the two are repaired one at a time.",
			plan:     plan(4, 2, 3),
			attempts: map[string][]attempt{"web-01": {lost}, "web-02": {lost}},
			commands: []told{{10 * time.Minute, inFlight("ben", 1)}, {11 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:     "broken-waits-busy",
			tells:    "A broken server is to be retried and somebody else is at it. While it waits it holds its slot: its zone mate does not start.",
			plan:     plan(3, 2, 1, zones("aab", 1), func(p *rollout.Plan) { p.BusyWait = 10 * time.Minute }),
			attempts: map[string][]attempt{"web-01": {lost, {holder: "change by ben"}, {holder: "change by ben"}}},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:  "broken-given-up-busy",
			tells: "A broken server that stays busy for too long is not skipped, which would hide it: it stays what it was.",
			plan:  plan(2, 2, 1),
			attempts: map[string][]attempt{
				"web-01": {fails(rollout.FailedChanged, "it does not run"), {holder: "change by ben"}}, "web-02": {{after: 10 * time.Minute}},
			},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:  "retry-touches-nothing",
			tells: "A retry that touches nothing does not make a broken server intact: it stays failed-changed, counts and holds its slot.",
			plan:  plan(2, 2, 1),
			attempts: map[string][]attempt{
				"web-01": {fails(rollout.FailedChanged, "it does not run"), fails(rollout.Skipped, "it is on the image already")}, "web-02": {{after: 20 * time.Minute}},
			},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:     "intact-frees-its-slot",
			tells:    "A server that failed with its old disk runs again: it counts, and holds no slot.",
			plan:     plan(3, 1, 1),
			attempts: map[string][]attempt{"web-01": {fails(rollout.FailedIntact, "the change was refused")}},
		},
		{
			name:  "intact-but-down",
			tells: "A server with its old disk that ran before and does not run now is out of service and holds its slot, whatever a retry that touches nothing finds.",
			plan:  plan(3, 1, 1),
			attempts: map[string][]attempt{"web-01": {
				{end: rollout.FailedIntact, reason: "the change was refused; it does not start", down: true}, fails(rollout.NotStarted, "it is locked"), {},
			}},
			commands: []told{{6 * time.Minute, by("ben", rollout.Retry)}, {20 * time.Minute, by("ben", rollout.Retry)}},
		},
		{
			name:  "concurrency",
			tells: "Up to three in flight at once; down to one: nothing is started until only one slot is in use. Numbers that make no sense are refused.",
			plan:  plan(8, 1, 0),
			commands: []told{
				{1 * time.Minute, inFlight("ben", 3)}, {7 * time.Minute, inFlight("ben", 1)}, {8 * time.Minute, inFlight("ben", 0)}, {9 * time.Minute, inFlight("ben", 9)},
			},
			attempts: map[string][]attempt{"web-04": {{after: 9 * time.Minute}}},
		},
		{
			name:    "down-in-error",
			tells:   "A server of the group is in ERROR. It goes first, because it is out of service already, and the next one only when it runs again.",
			plan:    plan(3, 3, 0, groups("aaa", 1), countOthers(rollout.StatusError, "web-03")),
			outages: []outage{{name: "web-03", status: rollout.StatusError, until: time.Hour}},
		},
		{
			name:     "down-and-stays-down",
			tells:    "A stopped server of the group is changed first and stopped again, as it was before: it counts still. The rollout says what holds it, and goes on when it has been started.",
			plan:     plan(3, 3, 0, groups("aaa", 1), countOthers(rollout.StatusShutoff, "web-02")),
			attempts: map[string][]attempt{"web-02": {{staysOff: true}}},
			outages:  []outage{{name: "web-02", status: rollout.StatusShutoff, until: 30 * time.Minute}},
		},
		{
			name:  "down-and-not-planned",
			tells: "Another member of group db-a is down, which the rollout does not touch. Group db-b goes on, group db-a waits for a human, and what waits can be skipped.",
			plan: plan(4, 3, 0, groups("aabb", 1), countOthers(""), func(p *rollout.Plan) {
				p.Others = []rollout.OtherServer{{ID: "other-1", Name: "web-09", Group: "db-a", Status: rollout.StatusShutoff}}
			}),
			outages:  []outage{{name: "web-09", status: rollout.StatusShutoff, until: time.Hour}},
			commands: []told{{20 * time.Minute, by("ben", rollout.Skip, "web-01", "web-02")}},
		},
		{
			name:  "down-meanwhile",
			tells: "A server fails beside the rollout while the first wave bakes: the second wave sees it before it begins. It is changed first; the one that runs waits for it.",
			plan: plan(3, 3, 0, groups("aaa", 1), countOthers(""), waves(
				rollout.Wave{Name: "canary", End: 1, Bake: 10 * time.Minute}, rollout.Wave{Name: "rest", End: 3})),
			outages: []outage{{name: "web-03", status: rollout.StatusShutoff, from: 10 * time.Minute, until: time.Hour}},
		},
		{
			name:  "down-in-a-later-wave",
			tells: "What is down is in a later wave, and holds the slot of the first: no turn of its own can come. The rollout names it and its wave.",
			plan: plan(2, 2, 0, groups("aa", 1), countOthers(rollout.StatusShutoff, "web-02"), waves(
				rollout.Wave{Name: "canary", End: 1}, rollout.Wave{Name: "rest", End: 2})),
			outages: []outage{{name: "web-02", status: rollout.StatusShutoff, until: 5 * time.Minute}},
		},
		{
			name:   "states-unread",
			tells:  "The states of the servers cannot be read when the wave begins: nothing starts, it is tried once a minute, and the rollout says why.",
			plan:   plan(2, 2, 0, countOthers("")),
			unread: 3 * time.Minute,
		},
		{
			name:     "slow-start",
			tells:    "One, two, four: each success lets one more in. A failure takes it back to one, and what was started before it does not count for a new start.",
			plan:     plan(12, 4, 1, func(p *rollout.Plan) { p.Budget.SlowStart = true }),
			attempts: map[string][]attempt{"web-06": {{after: 2 * time.Minute, end: rollout.FailedIntact, reason: "it could not be stopped"}}},
		},
	}
}
