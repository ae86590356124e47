package spec

import (
	"crypto/x509"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

// Validate names everything that is wrong with a document, whether it was parsed or put together. The
// error is Problems, without files and lines.
func Validate(r document.Rollout) error { return check(r).err() }

const day = 24 * time.Hour

// checker collects what is wrong. The rules go through the document in the order of its fields.
type checker struct{ problems Problems }

func (c *checker) reject(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// rejectFields is reject for a rule about some fields of what stands at a path. Other fields there that could not be read do
// not matter to it.
func (c *checker) rejectFields(path string, dependsOn []string, format string, args ...any) {
	c.reject(path, format, args...)
	c.problems[len(c.problems)-1].dependsOn = dependsOn
}

// within are fields of what stands at a path.
func within(path string, fields ...string) []string {
	paths := make([]string, len(fields))
	for i, field := range fields {
		paths[i] = join(path, field)
	}
	return paths
}

func check(r document.Rollout) Problems {
	c := &checker{}
	c.words(reflect.ValueOf(r), "")
	if r.APIVersion == "" {
		c.reject("apiVersion", "is missing: write apiVersion: %s", document.APIVersion)
	}
	if r.Kind == "" {
		c.reject("kind", "is missing: write kind: %s", document.Kind)
	}
	if r.Metadata.Name == "" {
		c.reject("metadata.name", "is missing: every command calls the rollout by its name")
	} else if !isName(r.Metadata.Name) {
		c.reject("metadata.name", "%s is not made of at most 63 lower case letters, digits and dashes, a letter or digit at both ends", quote(r.Metadata.Name))
	}
	c.selection(r.Spec.Select)
	c.image(r.Spec.Image)
	c.change(r.Spec)
	c.waves(r.Spec.Waves, r.Spec.PerGroup)
	c.spread(r.Spec.Spread, r.Spec.PerGroup)
	c.caps(r.Spec)
	c.budget(r.Spec.Budget, r.Spec.PerGroup)
	c.health(r.Spec)
	c.times(r.Spec)
	return c.problems
}

// words checks every field that knows only some words, and that no time is negative and no share out of
// bounds.
func (c *checker) words(value reflect.Value, path string) {
	names, fields := fieldsOf(value)
	for i, field := range fields {
		at := join(path, names[i])
		if field.Kind() == reflect.Pointer && !field.IsNil() {
			field = field.Elem()
		}
		switch typed := field.Interface().(type) {
		case document.Duration:
			if typed < 0 {
				c.reject(at, "%s is negative", typed)
			}
			continue
		case rollout.Percent:
			if typed < 0 || typed > rollout.Whole {
				c.reject(at, "%s is not between 0%% and 100%%", typed)
			}
			continue
		}
		switch field.Kind() {
		case reflect.Struct:
			c.words(field, at)
		case reflect.String:
			known := strings.Fields(value.Type().Field(i).Tag.Get("one"))
			if word := field.String(); word != "" && len(known) > 0 && !slices.Contains(known, word) {
				c.reject(at, "%s is not known here: write %s", quote(word), strings.Join(known, ", or "))
			}
		case reflect.Slice:
			for j := range field.Len() {
				if item := field.Index(j); item.Kind() == reflect.Struct {
					c.words(item, fmt.Sprintf("%s[%d]", at, j))
				}
			}
		}
	}
}

func (c *checker) selection(s document.Selection) {
	const path = "spec.select"
	narrow := ""
	if len(s.Zones) > 0 {
		narrow = `; zones only narrow that, names: ["*"] is every server in them`
	}
	if len(s.IDs) == 0 && len(s.Names) == 0 && len(s.Tags) == 0 && s.File == "" {
		c.rejectFields(path, within(path, "ids", "names", "tags", "file"), "nothing is selected: give ids, names, tags or a file%s", narrow)
	}
	c.servers(path, s.IDs, s.Names, s.Tags)
	c.plainNames(path+".zones", "zone", s.Zones)
	c.servers(path+".exclude", s.Exclude.IDs, s.Exclude.Names, s.Exclude.Tags)
	e := s.Expect
	if e.Count != nil && (e.Min != nil || e.Max != nil) {
		c.reject(path+".expect", "count excludes min and max: give an exact number or bounds")
	}
	c.atLeast(path+".expect.count", e.Count, 0)
	c.atLeast(path+".expect.min", e.Min, 0)
	c.atLeast(path+".expect.max", e.Max, 0)
	if e.Min != nil && e.Max != nil && *e.Min > *e.Max {
		c.rejectFields(path+".expect", within(path+".expect", "min", "max"), "min %d is more than max %d", *e.Min, *e.Max)
	}
}

func (c *checker) servers(path string, ids, names, tags []string) {
	for i, id := range ids {
		if !rollout.IsUUID(id) {
			c.reject(fmt.Sprintf("%s.ids[%d]", path, i), "%s is not a UUID (in lower case): names of servers go under names", quote(id))
		}
	}
	for i, name := range names {
		if wrong := wrongServerName(name); wrong != "" {
			c.reject(fmt.Sprintf("%s.names[%d]", path, i), "%s", wrong)
		}
	}
	for i, tag := range tags {
		if wrong := wrongTag(tag); wrong != "" {
			c.reject(fmt.Sprintf("%s.tags[%d]", path, i), "%s", wrong)
		}
	}
}

func (c *checker) atLeast(path string, n *int, least int) {
	if n != nil && *n < least {
		c.reject(path, "%d is less than %d", *n, least)
	}
}

func (c *checker) image(i document.Image) {
	switch {
	case i.ID == "" && i.Name == "":
		c.reject("spec.image", "no image is given: give its id or its name")
	case i.ID != "" && i.Name != "":
		c.reject("spec.image", "id and name exclude each other: give one")
	}
}

// change checks what is done to a server by the rules of rollout.Change: first what each field says, so
// that its problems have its place, then all of them together.
func (c *checker) change(s document.Spec) {
	const fit = "00000000-0000-0000-0000-000000000000" // in the place of an image that is not known yet
	id := s.Image.ID
	if id == "" {
		id = fit
	}
	var said []string
	say := func(path string, err error) {
		for _, message := range messages(err) {
			if !slices.Contains(said, message) {
				said = append(said, message)
				c.reject(path, "%s", message)
			}
		}
	}
	// Words that are not known have been rejected with the ones that are.
	if s.API != string(rollout.APIv1) {
		s.API = ""
	}
	s.Power = ""
	whole := s.Change(id)
	say("spec.image.id", rollout.Change{ImageID: id}.Validate())
	say("spec.login.passwordFrom", rollout.Change{ImageID: fit, Login: rollout.Login{PasswordFrom: whole.Login.PasswordFrom}}.Validate())
	say("spec.login", rollout.Change{ImageID: fit, Login: whole.Login}.Validate())
	say("spec.userDataFrom", rollout.Change{ImageID: fit, UserDataFrom: whole.UserDataFrom}.Validate())
	if s.ServerDeadline >= 0 {
		say("spec.serverDeadline", rollout.Change{ImageID: fit, Deadline: whole.Deadline}.Validate())
	} else {
		whole.Deadline = 0 // rejected as negative
	}
	say("spec.userDataFrom", whole.Validate())
}

// messages are the errors that were joined into one.
func messages(err error) []string {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var all []string
	for _, one := range joined.Unwrap() {
		all = append(all, one.Error())
	}
	return all
}

// health checks each probe by the rules of rollout.HealthCheck.
func (c *checker) health(s document.Spec) {
	const path = "spec.health"
	n := len(s.Health.Checks)
	if n == 0 {
		isDefault := (s.Health.RequireBefore == "" || s.Health.RequireBefore == rollout.BeforeWarn) && (s.Health.Unhealthy == "" || s.Health.Unhealthy == document.UnhealthyFirst)
		if !isDefault {
			c.rejectFields(path, within(path, "checks"), "has no checks: without one nothing proves that the application works")
		}
		return
	}
	if n > rollout.MaxHealthChecks {
		c.reject(path+".checks", "there are %d checks, more than %d", n, rollout.MaxHealthChecks)
	}
	if s.Power == rollout.PowerOff {
		c.reject("spec.power", "off leaves the servers stopped, and health needs them running: leave one of the two out")
	}
	for i, check := range s.Health.Checks {
		at := fmt.Sprintf("%s.checks[%d]", path, i)
		if check.Type == "" {
			c.reject(at+".type", "is missing: write tcp, http, https or ssh")
			continue
		}
		if check.After < 0 || check.StableFor < 0 || check.Within < 0 || !slices.Contains([]rollout.HealthCheckType{rollout.CheckTCP, rollout.CheckHTTP, rollout.CheckHTTPS, rollout.CheckSSH}, check.Type) {
			continue // rejected already
		}
		if check.Address != rollout.AddressFloating {
			check.Address = "" // rejected already, if it is unknown
		}
		if check.Type == rollout.CheckTCP && check.Port == 0 {
			c.rejectFields(at, within(at, "port"), "has no port: tcp has no default")
			check.Port = 1
		}
		if strings.Contains(check.CA, "BEGIN CERTIFICATE") && !x509.NewCertPool().AppendCertsFromPEM([]byte(check.CA)) {
			c.reject(at+".ca", "holds no certificate that can be read")
		}
		for _, message := range messages(check.Check().Validate()) {
			c.reject(at, "%s", message)
		}
	}
}

func (c *checker) times(s document.Spec) {
	if s.Busy.Wait != nil {
		c.atMost("spec.busy.wait", *s.Busy.Wait, 7*day)
	}
	c.atMost("spec.soak", s.Soak, day)
	c.atMost("spec.deadline", s.Deadline, 365*day)
}

func (c *checker) atMost(path string, d document.Duration, most time.Duration) {
	if d.Std() > most {
		c.reject(path, "%s is more than %s", d, document.Duration(most))
	}
}

// isName tells whether a rollout may be called so.
func isName(name string) bool {
	return len(name) <= 63 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		strings.Trim(name, "-") == name
}

// wrongServerName says what is wrong with the name, or pattern, of a server.
func wrongServerName(name string) string {
	if name == "" {
		return "a name is empty"
	}
	if strings.TrimSpace(name) != name {
		return fmt.Sprintf("%s has blanks at its ends", quote(name))
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || strings.ContainsRune("[]{}\\,;\"'\u007f", r) }); i >= 0 {
		return fmt.Sprintf("%s is not the name of a server: names hold no %q; patterns know only * and ?", quote(name), name[i])
	}
	return ""
}

// wrongTag says what is wrong with a tag.
func wrongTag(tag string) string {
	key, value, _ := strings.Cut(tag, "=")
	switch {
	case strings.TrimSpace(key) == "":
		return fmt.Sprintf("%s has no key: write key=value, or key for any value", quote(tag))
	case strings.TrimSpace(key) != key || strings.TrimSpace(value) != value:
		return fmt.Sprintf("%s has blanks at the ends of its key or value", quote(tag))
	}
	return ""
}
