package ecs

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// shifting is a list whose servers keep their order while some come and others go.
type shifting struct {
	ids  []string
	made int
	gone map[string]bool
}

func (l *shifting) come(at int) {
	l.made++
	l.ids = slices.Insert(l.ids, at, fmt.Sprintf("%d", l.made))
}

func (l *shifting) leave(at int) {
	l.gone[l.ids[at]] = true
	l.ids = slices.Delete(l.ids, at, at+1)
}

func newShifting(servers int) *shifting {
	l := &shifting{gone: map[string]bool{}}
	for i := range servers {
		l.come(i)
	}
	return l
}

func (l *shifting) page(number, limit int) serverPage {
	start := min((number-1)*limit, len(l.ids))
	page := serverPage{count: len(l.ids)}
	for _, id := range l.ids[start:min(start+limit, len(l.ids))] {
		page.servers = append(page.servers, Server{ID: id})
	}
	return page
}

// TestAServerThatStaysIsFound, whichever others come and go between any two pages.
func TestAServerThatStaysIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 40
		list := newShifting(rapid.IntRange(0, 600).Draw(t, "servers"))
		stay := slices.Clone(list.ids)
		most := rapid.SampledFrom([]int{0, 1, 2, 30}).Draw(t, "most changes between two pages")
		reading := serverReading{size: size, overlap: size / overlapPart, known: map[string]bool{}}
		pages := 0
		for ; !reading.ended; pages++ {
			for range rapid.IntRange(0, most).Draw(t, "changes") {
				// Most changes of a rollout are at one end: what came last is listed first, or last.
				place := func(n int) int {
					return rapid.OneOf(rapid.Just(0), rapid.Just(n), rapid.IntRange(0, n)).Draw(t, "place")
				}
				if len(list.ids) > 0 && rapid.Bool().Draw(t, "goes") {
					list.leave(place(len(list.ids) - 1))
				} else {
					list.come(place(len(list.ids)))
				}
			}
			number, limit := reading.next()
			require.LessOrEqual(t, limit, size)
			if reading.add(list.page(number, limit), (number-1)*limit, limit) != nil {
				require.Greater(t, most, 1, "two servers of overlap allow for one that goes")
				return
			}
		}
		require.Less(t, pages, 100)
		for _, id := range stay {
			require.True(t, list.gone[id] || reading.known[id], "server %s was there all the time", id)
		}
		require.Len(t, reading.servers, len(reading.known))
		require.True(t, reading.heldStill() || most > 0)
	})
}

// TestAReadingGetsOn with every page, and asks for little more than pages side by side would.
func TestAReadingGetsOn(t *testing.T) {
	for _, size := range []int{largestPage, advisedPage} {
		least := size
		for reached := size; reached < maxServers; reached++ {
			reading := serverReading{size: size, overlap: size / overlapPart, reached: reached, count: maxServers}
			number, limit := reading.next()
			start, end := (number-1)*limit, number*limit
			require.LessOrEqual(t, start, reached-reading.overlap)
			require.LessOrEqual(t, limit, size)
			least = min(least, end-reached)
		}
		assert.GreaterOrEqual(t, least, size/2, "pages of %d", size)
	}
	for _, servers := range []int{1000, 2500, 5000, 10_000, 15_000} {
		for _, size := range []int{largestPage, advisedPage} {
			asked, reading := 0, serverReading{size: size, overlap: size / overlapPart}
			for ; reading.reached < servers; asked++ {
				number, limit := reading.next()
				reading.reached, reading.count = number*limit, servers
			}
			assert.LessOrEqual(t, asked, servers*12/size/10+1, "%d servers in pages of %d", servers, size)
		}
	}
}
