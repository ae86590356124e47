package emulator

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of GET cloudservers/detail.
const (
	defaultPage = 25
	maxPage     = 1000
	maxIDs      = 100
)

type serverList struct {
	Count     int          `json:"count"` // of all matches, not of the page
	Servers   []serverView `json:"servers"`
	RequestID string       `json:"request_id"`
}

// missingServer is what a list by id shows for an id that is not known.
type missingServer struct {
	ID    string    `json:"id"`
	Fault faultView `json:"fault"`
}

// foundOrMissing is an entry of the list by id: missing when there is no such server.
type foundOrMissing struct {
	found   serverView
	missing *missingServer
}

func (f foundOrMissing) MarshalJSON() ([]byte, error) {
	if f.missing != nil {
		return json.Marshal(f.missing)
	}
	return json.Marshal(f.found)
}

type listByID struct {
	Count     int              `json:"count"`
	Servers   []foundOrMissing `json:"servers"`
	RequestID string           `json:"request_id"`
}

// showServer is GET cloudservers/{server_id}.
func (e *Emulator) showServer(c *call) answer {
	v, ok := e.find(c.vars["server_id"], c.asOf)
	if !ok {
		return refuseServer(c.vars["server_id"]).answer(c.requestID)
	}
	return jsonAnswer(200, struct {
		Server serverView `json:"server"`
	}{e.viewServer(v)})
}

// showBlockDevices is GET cloudservers/{server_id}/block_device.
func (e *Emulator) showBlockDevices(c *call) answer {
	v, ok := e.find(c.vars["server_id"], c.asOf)
	if !ok {
		return refuseServer(c.vars["server_id"]).answer(c.requestID)
	}
	return jsonAnswer(200, viewBlockDevices(v))
}

// find also finds the temporary servers, which can be read but not written.
func (e *Emulator) find(id string, asOf time.Time) (view, bool) {
	if m, ok := e.byID[id]; ok {
		return m.view(asOf, e.options.Edition), true
	}
	for _, m := range e.machines {
		if !m.temporary || e.options.Edition.NoTemporary {
			continue
		}
		if v := e.temporaryServer(m); v.ID == id {
			return v, true
		}
	}
	return view{}, false
}

// views goes through every server as the API shows it, temporary ones behind the server they belong to.
func (e *Emulator) views(c *call) iter.Seq[view] {
	return func(yield func(view) bool) {
		for _, m := range e.machines {
			if !yield(m.view(c.asOf, e.options.Edition)) {
				return
			}
			if m.temporary && !e.options.Edition.NoTemporary && !yield(e.temporaryServer(m)) {
				return
			}
		}
	}
}

// listServers is GET cloudservers/detail. offset is the number of a page, beginning at 1; 0 is 1 too.
func (e *Emulator) listServers(c *call) answer {
	if r := e.judgeEnterprise(c); r != nil {
		return r.answer(c.requestID)
	}
	if ids := c.query.Get("server_id"); ids != "" {
		return e.listNamed(c, strings.Split(ids, ","))
	}
	page, okPage := numberOf(c.query.Get("offset"), 1, 0)
	limit, okLimit := numberOf(c.query.Get("limit"), defaultPage, 1)
	if !okPage || !okLimit || limit > maxPage {
		return refuse("Ecs.0005", "offset must be a number from 0, limit one from 1 to 1000").answer(c.requestID)
	}
	if c.query.Has("marker") {
		return refuse("Ecs.0005", "the emulator does not know marker; use offset").answer(c.requestID)
	}
	fits, r := e.filter(c)
	if r != nil {
		return r.answer(c.requestID)
	}
	list := serverList{Servers: []serverView{}, RequestID: c.requestID}
	first := (max(page, 1) - 1) * limit
	for v := range e.views(c) {
		if !fits(v) {
			continue
		}
		if list.Count >= first && list.Count < first+limit {
			list.Servers = append(list.Servers, e.viewServer(v))
		}
		list.Count++
	}
	return jsonAnswer(200, list)
}

func numberOf(text string, absent, least int) (int, bool) {
	if text == "" {
		return absent, true
	}
	n, err := strconv.Atoi(text)
	// The upper bound keeps page times limit from overflowing.
	return n, err == nil && n >= least && n <= 1_000_000
}

// listNamed ignores all other filters.
func (e *Emulator) listNamed(c *call, ids []string) answer {
	if len(ids) > maxIDs {
		return refuse("Ecs.0005", "server_id holds more than 100 ids").answer(c.requestID)
	}
	list := listByID{Count: len(ids), RequestID: c.requestID}
	for _, id := range ids {
		if v, ok := e.find(id, c.now); ok {
			list.Servers = append(list.Servers, foundOrMissing{found: e.viewServer(v)})
			continue
		}
		fault := faultView{Message: "Instance[" + id + "] could not be found.", Code: 404}
		list.Servers = append(list.Servers, foundOrMissing{missing: &missingServer{id, fault}})
	}
	return jsonAnswer(200, list)
}

// filter returns what tells whether a server fits the query.
func (e *Emulator) filter(c *call) (func(view) bool, *refusal) {
	statuses, ok := statusFilter(c.query.Get("status"))
	if !ok {
		return nil, refuse("Ecs.0005", "status is not known")
	}
	name, err := fuzzy(c.query.Get("name"))
	if err != nil {
		return nil, refuse("Ecs.0005", "name")
	}
	address, err := fuzzy(c.query.Get("ip"))
	if err != nil {
		return nil, refuse("Ecs.0005", "ip")
	}
	wanted, unwanted := tagsOf(c.query.Get("tags")), tagsOf(c.query.Get("not-tags"))
	visible := e.isListed(c)
	return func(v view) bool {
		has := func(tag string) bool { return carries(v.Tags, tag) || carries(platformTags(), tag) }
		return visible && (statuses == nil || slices.Contains(statuses, v.Status)) &&
			name(v.Name) && address(v.IP) && accepts(c.query, "ip_eq", v.IP) && accepts(c.query, "flavor", v.FlavorID) &&
			!slices.ContainsFunc(wanted, func(t string) bool { return !has(t) }) && !slices.ContainsFunc(unwanted, has)
	}, nil
}

// platformTags are the entries that the platform adds to the tags of a server.
func platformTags() []string { return []string{"__type_virtual"} }

// statusFilter returns what a filter value also lets through; nil for no filter.
func statusFilter(value string) ([]string, bool) {
	switch value {
	case "":
		return nil, true
	case "ACTIVE":
		return []string{"ACTIVE", "REBOOT", "HARD_REBOOT", "REBUILD", "MIGRATING", "RESIZE"}, true
	case "SHUTOFF":
		return []string{"SHUTOFF", "RESIZE", "REBUILD"}, true
	case "ERROR":
		return []string{"ERROR", "REBUILD"}, true
	case "VERIFY_RESIZE":
		return []string{"VERIFY_RESIZE", "REVERT_RESIZE"}, true
	case "BUILD", "REBOOT", "HARD_REBOOT", "REBUILD", "MIGRATING", "RESIZE", "REVERT_RESIZE", "DELETED", "SHELVED",
		"SHELVED_OFFLOADED", "UNKNOWN":
		return []string{value}, true
	}
	return nil, false
}

// fuzzy matches anywhere; "." stands for any one character. Empty text matches everything.
func fuzzy(text string) (func(string) bool, error) {
	if text == "" {
		return func(string) bool { return true }, nil
	}
	pattern, err := regexp.Compile(strings.ReplaceAll(regexp.QuoteMeta(text), `\.`, "."))
	if err != nil {
		return nil, err
	}
	return pattern.MatchString, nil
}

func tagsOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// carries tells whether the tags hold "key=value", or any value of "key".
func carries(tags []string, wanted string) bool {
	return slices.ContainsFunc(tags, func(t string) bool {
		return t == wanted || !strings.Contains(wanted, "=") && strings.HasPrefix(t, wanted+"=")
	})
}
