package ecs

import (
	"context"
	"errors"
	"net/url"
	"strconv"
)

// maxMarkedPages bounds a list that never ends.
const maxMarkedPages = 100

// markedPages reads a list whose pages begin behind a marker: the id of the last entry of the page before.
type markedPages[T any] struct {
	size   int
	call   func(page url.Values) request
	decode func(body []byte) ([]T, error)
	id     func(T) string
}

func (p markedPages[T]) read(ctx context.Context, c *Client) ([]T, error) {
	var all []T
	known := map[string]bool{}
	page := url.Values{"limit": {strconv.Itoa(p.size)}}
	for range maxMarkedPages {
		entries, err := read(ctx, c, p.call(page), p.decode)
		if err != nil {
			return nil, err
		}
		before := len(all)
		for _, entry := range entries {
			if !known[p.id(entry)] {
				known[p.id(entry)] = true
				all = append(all, entry)
			}
		}
		if len(entries) < p.size {
			return all, nil
		}
		if len(all) == before {
			break
		}
		page.Set("marker", p.id(entries[len(entries)-1]))
	}
	call := p.call(page)
	return nil, &Error{Op: call.op, Resource: call.resource, Err: errors.New("the list does not end: its pages repeat, or there are too many"), class: ClassUnclear}
}
