package ecs_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

func TestPatience(t *testing.T) {
	const throttled = `{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached"}`
	tests := map[string]struct {
		first  []http.HandlerFunc // the answers before the good one
		asked  int
		waited time.Duration
		want   ecs.Class
	}{
		"throttled":                   {[]http.HandlerFunc{answering(429, throttled)}, 2, 10 * time.Second, ""},
		"throttled for a known time":  {[]http.HandlerFunc{answering(429, throttled, "Retry-After", "60")}, 2, time.Minute, ""},
		"throttled for long":          {[]http.HandlerFunc{answering(429, throttled, "Retry-After", "61")}, 1, 0, ecs.ClassThrottled},
		"trouble, four times":         {repeated(answering(502, "<html>"), 4), 5, 15 * time.Second, ""},
		"trouble, for ever":           {repeated(answering(502, "<html>"), 9), 5, 15 * time.Second, ecs.ClassTransient},
		"an answer that is no answer": {[]http.HandlerFunc{answering(200, `{}`)}, 2, time.Second, ""},
		"no such server":              {[]http.HandlerFunc{answering(404, `{"error":{"code":"Ecs.0114","message":"m"}}`)}, 1, 0, ecs.ClassNotFound},
		"credentials":                 {[]http.HandlerFunc{answering(401, `{"error_code":"APIGW.0301","error_msg":"m"}`)}, 1, 0, ecs.ClassAuth},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inMemory(t, test.first, func(t *testing.T, client *ecs.Client, asked *int) {
				begun := time.Now()
				_, err := client.Patient(nil).Server(t.Context(), serverID)
				assert.Equal(t, test.asked, *asked)
				assert.Equal(t, test.waited, time.Since(begun))
				if test.want == "" {
					require.NoError(t, err)
				} else {
					assertClass(t, test.want, err)
				}
			})
		})
	}
}

// TestPatienceEndsWithTheContext: nobody waits for an answer that nobody wants.
func TestPatienceEndsWithTheContext(t *testing.T) {
	inMemory(t, repeated(answering(429, ``), 9), func(t *testing.T, client *ecs.Client, asked *int) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := client.Patient(nil).Server(ctx, serverID)
		require.Error(t, err)
		assert.Equal(t, 1, *asked)
		assert.Equal(t, 3*time.Second, time.Since(begun))
	})
}

// TestImpatience: reads are tried once unless somebody asks for patience, and writes always.
func TestImpatience(t *testing.T) {
	inMemory(t, repeated(answering(429, ``), 9), func(t *testing.T, client *ecs.Client, asked *int) {
		_, err := client.Server(t.Context(), serverID)
		require.Error(t, err)
		assert.Equal(t, 1, *asked)
		outcome := client.Patient(nil).StopServers(t.Context(), []string{serverID}, ecs.StopSoft)
		assert.Equal(t, ecs.Throttled, outcome.Kind)
		assert.Equal(t, 2, *asked)
	})
}

func repeated(answer http.HandlerFunc, times int) []http.HandlerFunc {
	var answers []http.HandlerFunc
	for range times {
		answers = append(answers, answer)
	}
	return answers
}

// inMemory runs the test at simulated time. The cloud gives the first answers, then shows a good server.
func inMemory(t *testing.T, first []http.HandlerFunc, test func(t *testing.T, client *ecs.Client, asked *int)) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipeNet()
		asked := 0
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			if asked <= len(first) {
				first[asked-1](w, r)
				return
			}
			answering(200, `{"server":{"status":"ACTIVE"}}`)(w, r)
		})}
		go func() { _ = server.Serve(network) }()
		c := config("http://ecs.example")
		c.Dial = network.Dial
		client := newClient(t, c)
		test(t, client, &asked)
		client.Close()
		_ = server.Close()
	})
}
