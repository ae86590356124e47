package ecs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
)

// BenchmarkSign signs a request, BenchmarkRead makes a whole one. Their ratio tells whether the client's
// own work matters beside a request on the loopback interface.
func BenchmarkSign(b *testing.B) {
	key := ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret("SK")}
	now := time.Now()
	for b.Loop() {
		request := httptest.NewRequest(http.MethodGet, "/v1/p/jobs/j?limit=100&offset=1", nil)
		if err := key.Authorize(request, nil, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"job_id":"ff8080829a1c22e0019a33d0b7a40f5e","status":"RUNNING","entities":{}}`))
	}))
	defer server.Close()
	client, err := ecs.New(ecs.Config{
		ProjectID: "0e5f8a4c3b2d4e6f9a1b7c8d2e4f6a80", ECS: server.URL, IMS: server.URL, CallsPerSecond: 1_000_000,
		Credentials: ecs.AccessKey{ID: "AK", Secret: ecs.NewSecret("SK")},
	})
	require.NoError(b, err)
	defer client.Close()
	for b.Loop() {
		if _, err := client.Job(b.Context(), "ff8080829a1c22e0019a33d0b7a40f5e"); err != nil {
			b.Fatal(err)
		}
	}
}
