package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/api"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout/change"
)

// config is everything the worker is told, all of it by its environment: docs/configuration.md.
type config struct {
	Clouds []cloudConfig // one for each profile
	// RequestTimeout bounds one request to any of them.
	RequestTimeout time.Duration
	// ActivitiesPerSecond is for the task queue, all workers together. Zero is no limit.
	ActivitiesPerSecond float64
	Timing              change.Timing
	TaskQueue           string
	SecretsDir          string
	PinKey              ecs.Secret
	ProbesOff           bool
	Listen              string
	LogLevel            string
}

const (
	// stopMargin is what an activity needs to hand itself over after its last request.
	stopMargin = 5 * time.Second
	// heartbeatThrottle is how old the details of a killed activity may be. It has to stay well below
	// the heartbeat timeout of the workflows.
	heartbeatThrottle = 4 * time.Second
)

// loadConfig names every missing or unusable setting at once.
func loadConfig(env func(string) (string, bool)) (config, error) {
	s := settings{env: env}
	timing := change.DefaultTiming()
	cfg := config{
		TaskQueue:  s.text("REIMAGE_TASK_QUEUE", api.TaskQueue),
		SecretsDir: s.text("REIMAGE_SECRETS_DIR", ""),
		Listen:     s.text("REIMAGE_LISTEN", "127.0.0.1:8088"),
		LogLevel:   s.text("REIMAGE_LOG_LEVEL", "info"),
		Timing: change.Timing{
			Poll:     s.duration("REIMAGE_POLL_INTERVAL", timing.Poll),
			Lag:      s.duration("REIMAGE_MAX_LAG", timing.Lag),
			Settle:   s.duration("REIMAGE_SETTLE_TIME", timing.Settle),
			SoftStop: s.duration("REIMAGE_SOFT_STOP_TIME", timing.SoftStop),
		},
	}
	cfg.ProbesOff = s.isOff("REIMAGE_PROBES")
	cfg.PinKey = s.pinKey()
	cfg.RequestTimeout = s.duration("REIMAGE_REQUEST_TIMEOUT", 30*time.Second)
	cfg.ActivitiesPerSecond = s.rate("REIMAGE_ACTIVITIES_PER_SECOND")
	cfg.Clouds = s.clouds(cfg.RequestTimeout)
	if path := s.value("SSL_CERT_FILE"); path != "" { // Go passes over one that it cannot read
		if _, err := trustedWith(path); err != nil {
			s.wrong("SSL_CERT_FILE: %w", err)
		}
	}
	if cfg.RequestTimeout > 30*time.Second {
		s.wrong("REIMAGE_REQUEST_TIMEOUT: %s is more than 30s, on which the limits of the activities rest", cfg.RequestTimeout)
	}
	if err := (activities.Secrets{Dir: cfg.SecretsDir}).CheckDir(); err != nil {
		s.wrong("REIMAGE_SECRETS_DIR: %w", err)
	}
	if err := cfg.Timing.Validate(cfg.RequestTimeout); err != nil {
		s.errs = append(s.errs, err)
	}
	return cfg, errors.Join(s.errs...)
}

// minPinKey is the shortest key for the digests of user data, in characters: 128 bits in hex.
const minPinKey = 32

// pinKey keys the digests of user data. A short one could be guessed together with the user data.
func (s *settings) pinKey() ecs.Secret {
	key := s.text("REIMAGE_PIN_KEY", "")
	if key != "" && len(key) < minPinKey {
		s.wrong("REIMAGE_PIN_KEY: it has fewer than %d characters; make one with: openssl rand -hex 32", minPinKey)
	}
	return ecs.NewSecret(key)
}

// settings reads variables and remembers what was wrong.
type settings struct {
	env  func(string) (string, bool)
	errs []error
	// prefix is what the variables of a profile begin with, and from the file that answers in their place: an entry of
	// clouds.yaml in place of all of them.
	prefix, from string
	entry        bool
	own          family // the one of the credentials
}

// wrong tells what is wrong once, however many settings depend on it.
func (s *settings) wrong(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if !slices.ContainsFunc(s.errs, func(told error) bool { return told.Error() == err.Error() }) {
		s.errs = append(s.errs, err)
	}
}

// value is a setting without what env files and shells leave around it. What they left is a problem: a key with quotes is
// another key.
func (s *settings) value(name string) string {
	value, _ := s.env(name)
	plain := strings.TrimSpace(value)
	if plain != value {
		s.wrong("%s begins or ends with a space or a line break: take it off", s.say(name))
	}
	if last := len(plain) - 1; last > 0 && plain[0] == plain[last] && (plain[0] == '"' || plain[0] == '\'') {
		s.wrong("%s has quotes around it, as an env file that keeps them does: take them off", s.say(name))
		plain = plain[1:last]
	}
	return plain
}

func (s *settings) text(name, fallback string) string {
	return cmp.Or(s.value(name), fallback)
}

// source says where credentials come from, and never what they are.
func (s *settings) source(what string, p part) string {
	return what + " of " + cmp.Or(s.from, s.prefix+s.nameIn(s.own, p))
}

func (s *settings) duration(name string, fallback time.Duration) time.Duration {
	text := s.value(name)
	if text == "" {
		return fallback
	}
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 {
		s.wrong("%s: %q is not a time such as 30s or 2m", name, text)
		return fallback
	}
	return value
}

// isOff reads a switch that is on unless it is off.
func (s *settings) isOff(name string) bool {
	switch text := s.value(name); text {
	case "", "on":
		return false
	case "off":
		return true
	default:
		s.wrong("%s: %q is neither on nor off", name, text)
		return true
	}
}

// calls is a whole number of calls per second.
func (s *settings) calls(name string, fallback int) int {
	text := s.value(name)
	if text == "" {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < ecs.MinCallsPerSecond {
		s.wrong("%s: %q is not a whole number of calls per second, at least %d", name, text, ecs.MinCallsPerSecond)
		return fallback
	}
	return value
}

// rate is a number above zero, or zero when it is not set.
func (s *settings) rate(name string) float64 {
	text := s.value(name)
	if text == "" {
		return 0
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value > 0) || math.IsInf(value, 0) {
		s.wrong("%s: %q is not a number above 0 such as 0.5 or 10", name, text)
		return 0
	}
	return value
}
