package faults

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/activities/contract"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/internal/emulator"
	"github.com/reimage/reimage/internal/memnet"
	"github.com/reimage/reimage/internal/spelling"
	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/change"
	"github.com/reimage/reimage/workflows"
)

// world is where a schedule happens: a cloud, worker processes and Temporal's test environment, all in one bubble
// of simulated time. Run makes it.
type world struct {
	schedule Schedule
	cloud    *emulator.Emulator
	network  *memnet.Listener
	env      *testsuite.TestWorkflowEnvironment
	plan     rollout.Plan
	names    map[string]string // of the servers, by id
	crashes  *crashes
	// runs are of the servers' workflows.
	runs     *runs
	operator operator
	began    time.Time
	hands    []Hand             // to come
	touched  map[string][]Touch // by server
	deeds    map[Deed]int       // that were done
	// refusalDelay is how long it takes until the heartbeat of an attempt that was given up is refused.
	refusalDelay time.Duration
	// running are the attempts, also those that were given up.
	running sync.WaitGroup
	// listLag is how long Temporal's list trails behind.
	listLag time.Duration

	mu        sync.Mutex
	processes []*process
	changed   chan struct{}       // closed when there is another process
	ordinals  map[string][]string // the activities of each kind and workflow
	beats     map[string]*commonpb.Payloads
	asked     map[string]time.Time
	limit     map[string]workflow.ActivityOptions // by run and activity
	noticed   map[string]time.Time                // when the job of a server was known to be over
	words     int                                 // that are on their way
	over      bool
	timers    []*time.Timer
	story     []Event
	leaks     []string // where the secret was found
	outcome   Outcome
	recall    string // what the rollout's memo says that it takes back
	// suspicions are on their way to the rollout.
	suspicions []api.Suspicion
}

// Outcome is what became of a schedule.
type Outcome struct {
	Violations []string
	Servers    int
	Accepted   int // changes
	Doubtful   int // servers of which nobody can tell what happened
	Spared     int // servers that nothing was in the way of
	Faults     map[emulator.FaultKind]int
	Struck     map[Point]map[Blow]int
	Deeds      map[Deed]int // by hand
	// Words are those taken that nothing comes of a change any more, and WordsRefused those about one that the cloud worked on.
	Words, WordsRefused int
	Commands            map[rollout.CommandKind]int
	Ends                map[rollout.ServerEnd]int
	End                 rollout.RolloutEnd
	Took                time.Duration  // simulated
	Requests            map[string]int // by endpoint
	Throttled           int
	Delays              []time.Duration // from the end of a job until it was noticed, in order
	story               []string        // what happened, with the time in front
	account             Account
}

func (o *Outcome) tell(at time.Time, format string, args ...any) {
	o.story = append(o.story, at.UTC().Format("02 15:04:05.000")+"  "+fmt.Sprintf(format, args...))
}

// Story is what happened, for whoever looks into a seed.
func (o Outcome) Story() string {
	slices.Sort(o.story)
	return strings.Join(o.story, "\n")
}

// Run plays a schedule. It has to be called in a bubble of testing/synctest.
func Run(ctx context.Context, s Schedule) (Outcome, error) {
	cloud, err := emulator.New(s.Cloud)
	if err != nil {
		return Outcome{}, err
	}
	w := &world{
		schedule: s, cloud: cloud, network: memnet.Listen(), plan: s.Plan(cloud), names: map[string]string{}, operator: s.Operator,
		hands: slices.Clone(s.Hands), touched: map[string][]Touch{}, deeds: map[Deed]int{},
		crashes: newCrashes(s.Crashes), runs: newRuns(), changed: make(chan struct{}),
		ordinals: map[string][]string{}, beats: map[string]*commonpb.Payloads{}, asked: map[string]time.Time{}, limit: map[string]workflow.ActivityOptions{}, began: time.Now(), noticed: map[string]time.Time{},
	}
	dice := rand.New(rand.NewPCG(s.Seed, 0xd1ce))
	w.refusalDelay = time.Duration(dice.Int64N(int64(throttle)))
	w.listLag = time.Duration(dice.Int64N(int64(5 * time.Second)))
	if err := w.plan.Seal(); err != nil {
		return Outcome{}, err
	}
	for _, server := range cloud.Servers() {
		w.names[server.ID] = server.Name
	}
	server := &http.Server{Handler: cloud}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(w.network) }()
	for range s.Workers {
		w.spawn()
	}
	defer func() {
		w.close()
		_ = server.Close()
		<-served
	}()
	if why := w.play(); why != "" {
		w.outcome.Violations = []string{string(why)}
		w.tellBlows()
		return w.outcome, nil
	}
	w.settle()
	err = w.judge()
	return w.outcome, err
}

// stuck is why a rollout counts as stuck: it is thrown out of the environment, which nothing but its end leaves in order.
type stuck string

// tick is how closely the clock of the environment follows simulated time.
const tick = 5 * time.Second

// play carries out the rollout. It returns why that got stuck, if it did.
func (w *world) play() (why stuck) {
	defer func() {
		if thrown := recover(); thrown != nil {
			var ours bool
			if why, ours = thrown.(stuck); !ours {
				panic(thrown)
			}
		}
	}()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	w.env = suite.NewTestWorkflowEnvironment()
	w.env.SetTestTimeout(1000 * time.Hour)
	w.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&between{world: w}}})
	workflows.Register(w.env)
	w.register()
	w.env.RegisterDelayedCallback(w.everyTick, tick)
	began, over := time.Now(), make(chan struct{})
	w.env.RegisterActivityWithOptions(func(context.Context) error { <-over; return nil }, activity.RegisterOptions{Name: clockName})
	// The environment skips time in which no activity runs, but the cloud and the activities live by simulated
	// time. So one activity runs from the beginning to the end.
	w.env.ExecuteWorkflow(func(ctx workflow.Context) (api.RolloutResult, error) {
		clock := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * tooLong}), clockName)
		ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: api.RolloutID(w.plan.Name), WaitForCancellation: true})
		words := w.takeWords(ctx)
		var result api.RolloutResult
		child := workflow.ExecuteChildWorkflow(ctx, api.RolloutName, api.RolloutInput{Plan: w.plan, StartedBy: "the campaign"})
		err := child.Get(ctx, &result)
		if w.did(Cancel) { // an activity that nobody waits for any more may wait to be tried again
			err = errors.Join(err, workflow.Sleep(ctx, time.Hour))
		}
		err = errors.Join(err, words(ctx))
		close(over)
		return result, errors.Join(err, clock.Get(ctx, nil))
	})
	w.outcome.Took = time.Since(began)
	return ""
}

const clockName = "clock"

// everyTick keeps the clock of the environment going, which moves with its timers only.
func (w *world) everyTick() {
	w.look(w.env.Now())
	w.tellSuspicions()
	w.operator.act(w)
	w.lend()
	if time.Since(w.began) < tooLong {
		w.env.RegisterDelayedCallback(w.everyTick, tick)
		return
	}
	var p rollout.Progress
	err := w.query(api.ProgressQuery, &p)
	w.tellLog(p)
	panic(stuck(fmt.Sprintf("stuck: the rollout is %s after %s: %s (accepts %v; in flight %v; %v)", p.Phase, tooLong, p.Why, p.Accepts, p.InFlight, err)))
}

// tooLong is when a rollout counts as stuck. The longest step of a server is a day.
const tooLong = 72 * time.Hour

// settle lets the cloud finish whatever it still has to do.
func (w *world) settle() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	time.Sleep(2 * time.Hour)
}

func (w *world) judge() error {
	o := &w.outcome
	ledger := w.cloud.Ledger()
	o.Faults, o.Commands = ledger.Faults, map[rollout.CommandKind]int{}
	o.Servers, o.Ends = len(w.plan.Servers), map[rollout.ServerEnd]int{}
	blows := w.tellBlows()
	if err := w.env.GetWorkflowError(); err != nil {
		o.Violations = []string{"the rollout failed: " + err.Error()}
		return nil
	}
	w.mu.Lock() // an attempt that was given up may have told of its end only now
	story, noticed := slices.Clone(w.story), maps.Clone(w.noticed)
	touched, leaks := maps.Clone(w.touched), slices.Clone(w.leaks)
	o.Deeds = maps.Clone(w.deeds)
	w.mu.Unlock()
	for _, e := range story {
		if e.What == Commanded {
			o.Commands[e.Command.Kind]++
		}
	}
	a := Account{
		Plan: w.plan, Story: story, Ledger: ledger, Truth: map[string]emulator.Server{},
		Faults: w.schedule.Cloud.Faults, Touched: touched, Blown: blows > 0, GaveUp: w.operator.gaveUp, Leaks: leaks,
	}
	var page api.ServersAnswer
	if err := w.query(api.ProgressQuery, &a.Progress); err != nil {
		return err
	}
	if err := w.query(api.ServersQuery, &page, api.ServersPage{Limit: api.MaxServersPage}); err != nil {
		return err
	}
	a.Servers = page.Servers
	o.Requests, o.Throttled = ledger.Requests, ledger.Throttled
	for _, server := range w.cloud.Servers() {
		a.Truth[server.ID] = server
		if at, ok := noticed[server.ID]; ok {
			o.Delays = append(o.Delays, at.Sub(server.Updated)) // last worked on when the change was done
		}
	}
	slices.Sort(o.Delays)
	w.tellLog(a.Progress)
	o.End, o.Violations, o.account = a.Progress.End, a.Violations(), a
	for _, s := range a.Servers {
		for _, write := range ledger.Servers[s.ID].Writes {
			o.tell(write.Time, "%s: the cloud accepted %s", s.Name, write.Op)
		}
		o.Accepted += ledger.Servers[s.ID].ChangeOSAccepted
		if s.End == rollout.FailedChanged && saysDoubt(s.Reason) {
			o.Doubtful++
		}
		if a.spared(s.ID) {
			o.Spared++
		}
		for _, touch := range touched[s.ID] {
			o.tell(touch.At, "%s: %s, by hand", s.Name, touch.Deed)
		}
		o.Ends[s.End]++
		o.tell(s.EndedAt, "%s ended: %s: %s", s.Name, s.End, s.Reason)
	}
	return nil
}

func (w *world) tellBlows() (n int) {
	blows, struck := w.crashes.account()
	w.outcome.Struck = struck
	for _, blow := range blows {
		w.outcome.tell(blow.at, "%s at %q of %s, for %s", blow.crash.Blow, blow.crash.At.When, blow.crash.At.What, cmp.Or(blow.crash.Server, "any server"))
	}
	return len(blows)
}

func (w *world) tellLog(p rollout.Progress) {
	for _, entry := range p.Log {
		w.outcome.tell(entry.At, "the rollout noted: %s %s", entry.By, entry.What)
	}
}

func (w *world) query(name string, into any, args ...any) error {
	answer, err := w.env.QueryWorkflowByID(api.RolloutID(w.plan.Name), name, args...)
	if err != nil {
		return err
	}
	return answer.Get(into)
}

// close ends every process, so that the bubble can end.
func (w *world) close() {
	w.mu.Lock()
	timers, processes := w.timers, w.processes
	w.mu.Unlock()
	for _, t := range timers {
		t.Stop()
	}
	for _, p := range processes {
		p.kill()
	}
	w.running.Wait()
	for _, p := range processes {
		p.acts.Profiles[0].Cloud.Close()
	}
	_ = w.network.Close()
}

// later does something after a while, unless everything is over by then.
func (w *world) later(d time.Duration, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timers = append(w.timers, time.AfterFunc(d, do))
}

// spawn starts a worker process.
func (w *world) spawn() {
	p, err := newProcess(w)
	if err != nil {
		panic(err) // the settings are ours
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = append(w.processes, p)
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) nextOrdinal() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.processes)
}

// lot decides by which process an attempt is carried out. Which of two attempts comes first is not in the hands of a
// seed, so each has its own.
func (w *world) lot(info activity.Info) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s %d %d", info.WorkflowExecution.ID, info.ActivityType.Name, w.ordinal(info), info.Attempt)
	return rand.New(rand.NewPCG(w.schedule.Seed, h.Sum64()))
}

// ordinal is the how manyth activity of its kind this one is for its workflow id. The environment numbers activities
// across all workflows.
func (w *world) ordinal(info activity.Info) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	kind, one := info.WorkflowExecution.ID+" "+info.ActivityType.Name, info.WorkflowExecution.RunID+"/"+info.ActivityID
	if !slices.Contains(w.ordinals[kind], one) {
		w.ordinals[kind] = append(w.ordinals[kind], one)
	}
	return slices.Index(w.ordinals[kind], one)
}

// assign waits for a process that takes work, until a time. A frozen one may get some too.
func (w *world) assign(lot *rand.Rand, until time.Time) *process {
	for {
		w.mu.Lock()
		processes, changed := slices.Clone(w.processes), w.changed
		w.mu.Unlock()
		var able []*process
		for _, p := range processes {
			if takes, frozen := p.takesWork(); takes && (!frozen || lot.Float64() < 0.2) {
				able = append(able, p)
			}
		}
		if len(able) > 0 {
			return able[lot.IntN(len(able))]
		}
		poll := time.NewTimer(time.Second) // a frozen one thaws, one that is cut off is not for ever
		select {
		case <-changed:
		case <-poll.C:
		}
		poll.Stop()
		if !until.IsZero() && !time.Now().Before(until) {
			return nil
		}
	}
}

// scheduled is when an activity was asked for first.
func (w *world) scheduled(key string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.asked[key]; !known {
		w.asked[key] = time.Now()
	}
	return w.asked[key]
}

// scan looks for the secret in what an attempt tells Temporal.
func (w *world) scan(what string, recorded ...any) {
	for _, one := range recorded {
		text, err := json.Marshal(one)
		if failure, ok := one.(error); ok {
			text, err = []byte(failure.Error()), nil
		}
		name, found := spelling.In(string(text), rootPassword)
		if err == nil && !found {
			continue
		}
		w.mu.Lock()
		w.leaks = append(w.leaks, fmt.Sprintf("%s (%s): %s", what, name, text))
		w.mu.Unlock()
	}
}

func (w *world) beat(key string, details *commonpb.Payloads) {
	for _, payload := range details.GetPayloads() {
		w.scan("a heartbeat", string(payload.GetData()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beats[key] = details
}

func (w *world) beaten(key string) *commonpb.Payloads {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beats[key]
}

func (p *process) begin(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[a] = struct{}{}
	if p.dead {
		a.life.end(context.Canceled)
	}
}

func (p *process) end(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, a)
}

// between puts an attempt between the environment and each activity.
type between struct {
	interceptor.WorkerInterceptorBase
	world *world
}

// InterceptActivity is asked once for every attempt.
func (b *between) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &attempt{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, world: b.world}
}

// InterceptWorkflow takes the time limits of activities out of the environment's hands.
func (b *between) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &inbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, world: b.world}
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	world *world
}

func (i *inbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&unlimited{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, world: i.world})
}

// unlimited notes the limits that the workflow sets for an activity, and hands it on without them.
type unlimited struct {
	interceptor.WorkflowOutboundInterceptorBase
	world *world
}

func (u *unlimited) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	u.world.mu.Lock()
	u.world.limit[limitKey(workflow.GetInfo(ctx).WorkflowExecution.RunID, name)] = options
	u.world.mu.Unlock()
	options.HeartbeatTimeout, options.StartToCloseTimeout = 0, 10*tooLong
	if policy := options.RetryPolicy; policy != nil && policy.MaximumAttempts == 0 {
		untiring := *policy
		untiring.MaximumAttempts = math.MaxInt32 // the environment takes none for ten
		options.RetryPolicy = &untiring
	}
	future := u.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), name, args...)
	if name == contract.ReadStates {
		return &statesFuture{future, u.world}
	}
	return future
}

func limitKey(runID, activity string) string { return runID + "/" + activity }

func (w *world) limits(runID, activity string) workflow.ActivityOptions {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit[limitKey(runID, activity)]
}

// register registers the activities so that each attempt runs on the process that it was given to.
func (w *world) register() {
	on(w, contract.Preflight, (*activities.Activities).Preflight)
	on(w, contract.StopIfNeeded, (*activities.Activities).StopIfNeeded)
	on(w, contract.SubmitChangeOS, (*activities.Activities).SubmitChangeOS)
	on(w, contract.PollJob, w.pollJob)
	on(w, contract.VerifyServer, (*activities.Activities).VerifyServer)
	on(w, contract.RestorePower, (*activities.Activities).RestorePower)
	on(w, contract.ReadStates, (*activities.Activities).ReadStates)
}

func (w *world) pollJob(acts *activities.Activities, ctx context.Context, in contract.PollJobInput) (contract.PollJobResult, error) {
	result, err := acts.PollJob(ctx, in)
	if result.End == change.JobEndSucceeded {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.noticed[in.ServerID] = time.Now()
	}
	return result, err
}

func on[In, Out any](w *world, name string, method func(*activities.Activities, context.Context, In) (Out, error)) {
	w.env.RegisterActivityWithOptions(func(ctx context.Context, in In) (Out, error) {
		a, ok := ctx.Value(attemptKey{}).(*attempt)
		if !ok {
			panic(fmt.Sprintf("%s runs on no process", name))
		}
		return method(a.process.acts, ctx, in)
	}, activity.RegisterOptions{Name: name})
}

// silence is a log that nobody reads.
type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Info(string, ...any)  {}
func (silence) Warn(string, ...any)  {}
func (silence) Error(string, ...any) {}
