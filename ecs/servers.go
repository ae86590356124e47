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
	// largestPage is the most servers of a page. The fewer pages a list has, the less can shift while it is read.
	largestPage = 1000
	// advisedPage is the page size that the documents advise. It is taken where the largest is too much to read.
	advisedPage = 100
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
	// EnterpriseProject is an id, or all_granted_eps. Some editions do not know it.
	EnterpriseProject string
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

// serversInPages reads the list. Pages are counted and not marked, so they shift when servers come and go in between,
// and hide some. The list is then read once more; if it does not hold still either, the error has ClassTransient: half
// a fleet is never an answer.
func (c *Client) serversInPages(ctx context.Context, query ServerQuery, size int) ([]Server, error) {
	const op, resource = "list", "servers"
	var moved error
	for range 2 {
		reading := serverReading{size: size, known: map[string]bool{}}
		for page := 1; !reading.ended(); page++ {
			address := withQuery(c.cloudServer("v1", "detail"), query.page(page, size))
			call := request{op: op, resource: resource, action: ActionListServers, url: address, list: true}
			next, err := read(ctx, c, call, decodeServerPage)
			if err != nil {
				return nil, err
			}
			if next.count > maxServers {
				err := fmt.Errorf("there are %d servers and no more than %d are read: name them by their ids", next.count, maxServers)
				return nil, &Error{Op: op, Resource: resource, Err: err, class: ClassPermanent}
			}
			reading.add(next)
		}
		if moved = reading.moved(); moved == nil {
			return reading.servers, nil
		}
	}
	return nil, &Error{Op: op, Resource: resource, Err: moved, class: ClassTransient}
}

// page is the query of one page. They are counted from 1.
func (q ServerQuery) page(number, size int) url.Values {
	query := url.Values{"limit": {strconv.Itoa(size)}, "offset": {strconv.Itoa(number)}}
	for name, value := range map[string]string{
		"tags":                  strings.Join(q.Tags, ","),
		"not-tags":              strings.Join(q.NotTags, ","),
		"status":                q.Status,
		"enterprise_project_id": q.EnterpriseProject,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// serverReading is one reading of a list from its first page to its last.
type serverReading struct {
	size    int // of a page
	servers []Server
	known   map[string]bool // ids in lower case
	pages   int
	last    serverPage
	recount bool // the count changed from one page to the next
}

// serverPage is one page. The count is that of all servers.
type serverPage struct {
	count   int
	servers []Server
}

func (r *serverReading) add(page serverPage) {
	r.recount = r.recount || r.pages > 0 && page.count != r.last.count
	r.pages++
	r.last = page
	for _, s := range page.servers {
		if id := strings.ToLower(s.ID); !r.known[id] {
			r.known[id] = true
			r.servers = append(r.servers, s)
		}
	}
}

func (r *serverReading) ended() bool {
	return r.pages > 0 && (len(r.last.servers) < r.size || r.pages*r.size >= r.last.count)
}

// moved says why the reading may have missed a server. A server that goes while another comes leaves the
// sum as it is, so the sum alone is no proof. One case leaves no trace at all: between the same two pages, one
// goes from the pages read and one comes to those that follow. A selection that names its size finds it.
func (r *serverReading) moved() error {
	if !r.recount && len(r.servers) == r.last.count {
		return nil
	}
	return fmt.Errorf("servers came or went while the list was read, twice: the cloud counts %d and showed %d; try again, or name the servers by their ids", r.last.count, len(r.servers))
}

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
			op: op, resource: fmt.Sprintf("%d servers by id", len(chunk)), action: ActionListServers,
			url: withQuery(c.cloudServer("v1", "detail"), query), list: true,
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
