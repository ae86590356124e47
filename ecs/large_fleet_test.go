package ecs_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/internal/allocs"
	"github.com/reimage/reimage/internal/emulator"
)

const largeFleet = 10_000

// largeCloud is an emulated project of ten thousand servers whose pages are rendered before they are asked for, so
// that what a reading takes is the client's. Each of them goes through onRequest.
func largeCloud(t testing.TB, onRequest func(page []byte) []byte) *ecs.Client {
	t.Helper()
	cloud, err := emulator.New(emulator.Options{Servers: largeFleet})
	require.NoError(t, err)
	pages := map[string][]byte{}
	var serve http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		if page, known := pages[r.URL.RequestURI()]; known {
			_, _ = w.Write(onRequest(page))
			return
		}
		recorder := httptest.NewRecorder()
		cloud.ServeHTTP(recorder, r)
		pages[r.URL.RequestURI()] = recorder.Body.Bytes()
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	client, err := ecs.New(ecs.Config{
		ProjectID: emulator.DefaultProjectID, ECS: server.URL, IMS: server.URL,
		Credentials: ecs.AccessKey{ID: emulator.DefaultAccessKey, Secret: ecs.NewSecret(emulator.DefaultSecretKey)},
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	read, err := client.Servers(t.Context(), ecs.ServerQuery{})
	require.NoError(t, err)
	require.Len(t, read, largeFleet)
	require.Len(t, pages, 12, "a page is of a thousand servers, or little less")
	cloud = nil // what is left are the pages
	return client
}

// live is what is on the heap and in use. Pools give up what they hold at the second collection.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestTenThousandServersInBoundedMemory: at each request, what is held are the servers read so far, without the pages
// that they came in, and in a second reading the ids of the first. What is asserted is about twice of what was measured.
func TestTenThousandServersInBoundedMemory(t *testing.T) {
	var most uint64
	var requests, readings int
	client := largeCloud(t, func(page []byte) []byte {
		most = max(most, live())
		if requests++; requests == 1 && readings == 2 {
			return bytes.Replace(page, []byte(`"count":10000`), []byte(`"count":10001`), 1)
		}
		return page
	})
	for readings = 1; readings <= 2; readings++ {
		before := live()
		most, requests = before, 0
		var servers []ecs.Server
		taken := allocs.Of(func() {
			var err error
			servers, err = client.Servers(t.Context(), ecs.ServerQuery{})
			require.NoError(t, err)
		})
		held := live() - before
		require.Len(t, servers, largeFleet)
		require.Equal(t, 12*readings, requests)
		runtime.KeepAlive(client)
		t.Logf("%d readings: held at most %d KB at a request and %d KB at the end, taken in all %d KB", readings, (most-before)>>10, held>>10, taken>>10)
		assert.Less(t, most-before, uint64(20<<20), "held at a request")
		assert.Less(t, held, uint64(20<<20), "held at the end")
		assert.Less(t, taken, uint64(readings*420<<20), "taken in all")
	}
}

// BenchmarkTenThousandServers lists them. Beside what is taken (B/op) it tells the largest heap at a request, garbage
// included.
func BenchmarkTenThousandServers(b *testing.B) {
	var peak uint64
	client := largeCloud(b, func(page []byte) []byte {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		peak = max(peak, stats.HeapAlloc)
		return page
	})
	base := live()
	peak = base
	b.ReportAllocs()
	for b.Loop() {
		servers, err := client.Servers(b.Context(), ecs.ServerQuery{})
		if err != nil || len(servers) != largeFleet {
			b.Fatal(len(servers), err)
		}
	}
	b.ReportMetric(float64(peak-base)/(1<<20), "peak-heap-MB")
}
