package emulator

import (
	"net"
	"net/http"
	"time"
)

// deliver sends the answer the way the fault wants. f is nil for no fault.
func (e *Emulator) deliver(w http.ResponseWriter, r *http.Request, requestID string, a answer, f *Fault) {
	if f == nil {
		a.write(w, requestID)
		return
	}
	switch f.Kind {
	case DropBefore, DropAfter, AcceptLate:
		reset(w)
	case HangBefore, HangAfter:
		<-r.Context().Done()
		reset(w)
	case CutBody:
		a.writeHead(w, requestID)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		// Promised more than was written: net/http closes the connection.
		panic(http.ErrAbortHandler)
	case Latency:
		wait := time.NewTimer(time.Duration(float64(f.Delay) / e.options.Speed))
		defer wait.Stop()
		select {
		case <-wait.C:
			a.write(w, requestID)
		case <-r.Context().Done():
		}
	default:
		a.write(w, requestID)
	}
}

// reset ends the connection with RST, so that the client cannot take it for an orderly end.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	inner := connection
	if secured, ok := connection.(interface{ NetConn() net.Conn }); ok {
		inner = secured.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
	_ = connection.Close()
}
