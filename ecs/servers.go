package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// largestPage is the most servers of a page.
	largestPage = 1000
	// advisedPage is the page size that the documents advise. It is taken where the largest is too much to read.
	advisedPage = 100
	// overlapPart is the part of a page, one in so many, by which the next one reaches back.
	overlapPart = 20
	// mostOdd is how many pages of a reading may fail to fit to those before.
	mostOdd = 10
	// idsAtOnce is the most ids that one request may name.
	idsAtOnce = 100
	// maxServers bounds a list.
	maxServers = 100_000
)

// ServerQuery narrows a list of servers. The zero value asks for all servers of the project.
type ServerQuery struct {
	// Tags and NotTags are "key=value" or "key": a server has all of Tags and none of NotTags.
	Tags, NotTags []string
	// Status also lets the statuses through that lead to it or come from it: REBUILD with ACTIVE.
	Status string
}

// Servers reads every server that the query fits, by the largest pages, or where such a page is more than is read of
// an answer, as with much user data, by those that the documents advise.
func (c *Client) Servers(ctx context.Context, query ServerQuery) ([]Server, error) {
	servers, err := c.serversInPages(ctx, query, largestPage)
	if errors.Is(err, errTooLarge) {
		return c.serversInPages(ctx, query, advisedPage)
	}
	return servers, err
}

// serversInPages reads the list. When servers came or went meanwhile it is read once more, so that what is gone does
// not stay, and the servers that only the first reading has are asked for by their ids: one of them that exists is
// never left out. Its requests are bounded whatever the fleet does: two readings, and one for a hundred such servers.
func (c *Client) serversInPages(ctx context.Context, query ServerQuery, size int) ([]Server, error) {
	reading, err := c.readServers(ctx, query, size)
	if err != nil || reading.heldStill() {
		return reading.servers, err
	}
	var earlier []string // without the rest of the servers: only one reading is held at a time
	for _, s := range reading.servers {
		earlier = append(earlier, s.ID)
	}
	reading = serverReading{}
	if reading, err = c.readServers(ctx, query, size); err != nil {
		return nil, err
	}
	doubtful := slices.DeleteFunc(earlier, func(id string) bool { return reading.known[strings.ToLower(id)] })
	found, _, err := c.ServersByID(ctx, doubtful)
	if err != nil {
		return nil, err
	}
	return append(reading.servers, found...), nil
}

// readServers reads the list from its first page to its last. A list whose pages do not fit together has
// ClassTransient: half a fleet is never an answer.
func (c *Client) readServers(ctx context.Context, query ServerQuery, size int) (serverReading, error) {
	const op, resource = "list", "servers"
	reading := serverReading{size: size, overlap: size / overlapPart, known: map[string]bool{}}
	for !reading.ended {
		number, limit := reading.next()
		address := withQuery(c.cloudServer("v1", "detail"), c.narrowed(query.page(number, limit)))
		call := request{op: op, resource: resource, action: ActionListServers, enterprise: c.enterprise, url: address, list: true}
		page, err := read(ctx, c, call, decodeServerPage)
		if err != nil {
			return serverReading{}, err
		}
		if page.count > maxServers {
			err := fmt.Errorf("there are %d servers and no more than %d are read: name them by their ids", page.count, maxServers)
			return serverReading{}, &Error{Op: op, Resource: resource, Err: err, class: ClassPermanent}
		}
		if err := reading.add(page, (number-1)*limit, limit); err != nil {
			return serverReading{}, &Error{Op: op, Resource: resource, Err: err, class: ClassTransient}
		}
	}
	return reading, nil
}

// page is the query of one page. They are counted from 1.
func (q ServerQuery) page(number, size int) url.Values {
	query := url.Values{"limit": {strconv.Itoa(size)}, "offset": {strconv.Itoa(number)}}
	for name, value := range map[string]string{
		"tags":     strings.Join(q.Tags, ","),
		"not-tags": strings.Join(q.NotTags, ","),
		"status":   q.Status,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// serverReading is one reading of a list. Its pages are counted and not marked, so they shift when servers come and go
// in between: one that goes moves those behind it to earlier places, and the first of the next page to one that has been
// read. Therefore each page reaches back over the end of those before and has to show a server that they have shown. A
// page is what the list was at one moment, so nothing lies hidden between that server and the end of the page, and a
// server that was there all the time is found, however many others come and go. Those that come or go while the list is
// read may be in it or not.
//
// This relies on servers that keep their order, as names, ids and times of creation do. No document says by what the
// cloud sorts.
type serverReading struct {
	size    int // of the largest page
	servers []Server
	known   map[string]bool // ids in lower case
	// reached is the place in the list, as it was then, up to which every server is known.
	reached int
	count   int  // of all servers, as the last page told it
	overlap int  // how far the next page reaches back
	odd     int  // pages that did not fit
	moved   bool // the list is not what it was at the first page
	ended   bool
}

// serverPage is one page. The count is that of all servers.
type serverPage struct {
	count   int
	servers []Server
}

// next is the page to ask for: its number and its size. Pages are counted in their own size, so what decides where a page
// begins is its size. Of those that begin early enough, the one that reaches furthest is taken.
func (r *serverReading) next() (number, limit int) {
	start, end := max(0, min(r.reached, r.count)-r.overlap), 0
	for size := r.size; size > r.size/2; size-- {
		if before := start / size; (before+1)*size > end {
			number, limit, end = before+1, size, (before+1)*size
		}
	}
	return number, limit
}

// add takes the page that begins at a place of the list. One that does not fit is left out, and the next one reaches
// back further; the error comes when too many do not.
func (r *serverReading) add(page serverPage, start, limit int) error {
	r.moved = r.moved || len(r.known) > 0 && page.count != r.count
	r.count = page.count
	if misfit := r.misfit(page, start, limit); misfit != "" {
		r.moved = true
		r.overlap *= 2
		if r.odd++; r.odd > mostOdd {
			return fmt.Errorf("the pages of the list do not fit together (%s), as when many servers come or go while it is read: try again, or name the servers by their ids", misfit)
		}
		return nil
	}
	for _, s := range page.servers {
		if id := strings.ToLower(s.ID); !r.known[id] {
			r.known[id] = true
			r.servers = append(r.servers, s)
		}
	}
	r.reached, r.overlap = start+len(page.servers), r.size/overlapPart
	r.ended = r.reached >= page.count
	return nil
}

// misfit says why the page proves nothing, if it does not.
func (r *serverReading) misfit(page serverPage, start, limit int) string {
	ids, joined := map[string]bool{}, start == 0
	for _, s := range page.servers {
		id := strings.ToLower(s.ID)
		ids[id] = true
		joined = joined || r.known[id]
	}
	switch expected := min(limit, max(0, page.count-start)); {
	case len(ids) != expected || len(ids) != len(page.servers):
		return fmt.Sprintf("the cloud counts %d and showed %d of them behind the first %d", page.count, len(ids), start)
	case !joined:
		return fmt.Sprintf("none of the servers behind the first %d was known", start)
	}
	return ""
}

// heldStill is true when the list shows no change since the first page. A server that goes while another comes leaves the
// count as it is, but not the number of servers that were seen, unless both happens in what was read already: as if it
// had happened after the end.
func (r *serverReading) heldStill() bool { return !r.moved && len(r.servers) == r.count }

// decodeServerPage reads one page. Without a count nothing proves that the list is whole.
func decodeServerPage(body []byte) (serverPage, error) {
	var answer struct {
		Count   *number               `json:"count"`
		Servers list[json.RawMessage] `json:"servers"`
	}
	if err := unmarshalUpTo(maxListValues, body, &answer); err != nil {
		return serverPage{}, err
	}
	entries, err := serverEntries(answer.Servers, largestPage)
	if err != nil {
		return serverPage{}, err
	}
	switch {
	case !hasList(body, "servers"):
		return serverPage{}, errors.New("the answer lists no servers")
	case answer.Count == nil || *answer.Count < 0:
		return serverPage{}, errors.New("the answer does not say how many servers there are")
	}
	page := serverPage{count: int(*answer.Count)}
	for _, s := range entries {
		if !isUUID(string(s.ID)) || s.Status == "" {
			return serverPage{}, errors.New("the answer lists a server without an id or a status")
		}
		page.servers = append(page.servers, s.server())
	}
	return page, nil
}

// serverEntries decodes the entries of a list. More of them than were asked for are not decoded: a whole server
// would be made of each.
func serverEntries(raw list[json.RawMessage], most int) ([]serverJSON, error) {
	if len(raw) > most {
		return nil, fmt.Errorf("the answer lists %d servers and at most %d were asked for", len(raw), most)
	}
	entries := make([]serverJSON, 0, len(raw))
	for _, entry := range raw {
		var s serverJSON
		if json.Unmarshal(entry, &s) == nil {
			entries = append(entries, s)
		}
	}
	return entries, nil
}

// ServersByID reads the servers with these ids, a hundred with each request, in the order of the ids. An id
// that is given twice counts once. Those that the cloud does not know are missing. An answer that is silent about one
// is an error; what it says of the others comes with it.
func (c *Client) ServersByID(ctx context.Context, ids []string) (found []Server, missing []string, err error) {
	const op = "read"
	var wrong []error
	var wanted []string
	known := map[string]bool{}
	for _, id := range ids {
		wrong = append(wrong, checkUUID("server id", id))
		if lower := strings.ToLower(id); !known[lower] {
			known[lower] = true
			wanted = append(wanted, id)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, nil, invalid(op, "servers", err)
	}
	for chunk := range slices.Chunk(wanted, idsAtOnce) {
		query := url.Values{"server_id": {strings.Join(chunk, ",")}, "limit": {strconv.Itoa(idsAtOnce)}}
		call := request{
			op: op, resource: fmt.Sprintf("%d servers by id", len(chunk)), action: ActionListServers, enterprise: c.enterprise,
			url: withQuery(c.cloudServer("v1", "detail"), c.narrowed(query)), list: true,
		}
		var some namedServers
		_, err := read(ctx, c, call, func(body []byte) (_ namedServers, err error) {
			some, err = decodeNamedServers(body, chunk)
			return some, err
		})
		found, missing = append(found, some.found...), append(missing, some.missing...)
		if err != nil {
			return found, missing, err
		}
	}
	return found, missing, nil
}

type namedServers struct {
	found   []Server
	missing []string
}

// decodeNamedServers reads the answer to a list of ids. It has an entry for each of them; one with nothing
// but a fault is a server that the cloud does not know. Silence about an id is no evidence of that.
func decodeNamedServers(body []byte, ids []string) (namedServers, error) {
	var answer struct {
		Servers list[json.RawMessage] `json:"servers"`
	}
	if err := unmarshalUpTo(maxListValues, body, &answer); err != nil {
		return namedServers{}, err
	}
	listed, err := serverEntries(answer.Servers, idsAtOnce)
	if err != nil {
		return namedServers{}, err
	}
	entries := map[string]serverJSON{}
	for _, s := range listed {
		entries[strings.ToLower(string(s.ID))] = s
	}
	var named namedServers
	var silent error // about the first one
	for _, id := range ids {
		entry, listed := entries[strings.ToLower(id)]
		switch {
		case listed && entry.Status != "":
			named.found = append(named.found, entry.server())
		case listed && entry.unknown():
			named.missing = append(named.missing, id)
		case silent == nil:
			silent = fmt.Errorf("the answer does not tell what has become of server %s", id)
		}
	}
	return named, silent
}

// unknown is true for an entry that says: there is no such server.
func (s serverJSON) unknown() bool {
	fault := s.Fault.value
	return fault.Code == "404" || classOfCode(string(fault.Code)) == ClassNotFound || fault.Code == "" && fault.Message != ""
}
