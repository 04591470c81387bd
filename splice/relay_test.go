//go:build linux

package splice

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/internal/fdtest"
)

type conn interface {
	net.Conn
	CloseWrite() error
}

func tcpConns(t testing.TB) (a, b conn)  { x, y := tcpPair(t); return x, y }
func unixConns(t testing.TB) (a, b conn) { x, y := unixPair(t); return x, y }

func TestRelay(t *testing.T) {
	pairs := map[string]func(t testing.TB) (a, b conn){"TCP": tcpConns, "Unix": unixConns}
	for from, one := range pairs {
		for to, other := range pairs {
			t.Run(from+" and "+to, func(t *testing.T) {
				client, a := one(t)
				b, server := other(t)
				r := NewRelay(a.(readEnd), b.(readEnd))
				done := make(chan error, 1)
				go func() { done <- r.Run(t.Context()) }()
				request, response := pattern(1<<20+7), pattern(2<<20)
				go func() {
					_, _ = client.Write(request)
					_ = client.CloseWrite()
				}()
				// The server sees the end of the request, and can still answer.
				got, err := io.ReadAll(server)
				check(t, err)
				sameBytes(t, "the request", got, request)
				go func() {
					_, _ = server.Write(response)
					_ = server.Close()
				}()
				got, err = io.ReadAll(client)
				check(t, err)
				sameBytes(t, "the response", got, response)
				check(t, <-done)
				n, m := r.Sent()
				want(t, "the count to a", n, int64(len(response)))
				want(t, "the count to b", m, int64(len(request)))
				wantErr(t, "a second Run", r.Run(t.Context()), os.ErrInvalid)
			})
		}
	}
}

func TestRelayEnds(t *testing.T) {
	start := func(t *testing.T, ctx context.Context) (r *Relay, client, a, b, server conn, result func() error) {
		client, a = tcpConns(t)
		b, server = unixConns(t)
		r = NewRelay(a.(readEnd), b.(readEnd))
		result = waiting(t, func() error { return r.Run(ctx) })
		return
	}
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, client, a, _, server, result := start(t, ctx)
		cancel()
		wantErr(t, "Run", result(), context.Canceled)
		// The connections can be used on.
		_, err := client.Write([]byte("x"))
		check(t, err)
		readN(t, a, 1)
		check(t, server.Close())
	})
	t.Run("reset", func(t *testing.T) {
		_, client, _, _, _, result := start(t, t.Context())
		check(t, client.(*net.TCPConn).SetLinger(0))
		check(t, client.Close())
		wantErr(t, "Run", result(), unix.ECONNRESET)
	})
	t.Run("nobody reads", func(t *testing.T) {
		r, client, _, _, server, result := start(t, t.Context())
		// It answers nothing and is gone: the relay ends that direction, and fails in the other.
		check(t, server.Close())
		_, err := client.Write([]byte("hello"))
		check(t, err)
		wantErr(t, "Run", result(), unix.EPIPE)
		_, unsent := r.Unsent()
		sameBytes(t, "what wasn't sent", unsent, []byte("hello"))
	})
	t.Run("closed", func(t *testing.T) {
		_, _, a, _, _, result := start(t, t.Context())
		check(t, a.Close())
		wantErr(t, "Run", result(), os.ErrClosed)
	})
	t.Run("deadline", func(t *testing.T) {
		_, _, a, _, _, result := start(t, t.Context())
		check(t, a.SetReadDeadline(time.Now()))
		wantErr(t, "Run", result(), os.ErrDeadlineExceeded)
	})
	t.Run("nothing", func(t *testing.T) {
		var zero Relay
		var none *Relay
		for _, r := range []*Relay{&zero, none} {
			wantErr(t, "Run", r.Run(t.Context()), os.ErrInvalid)
			if n, m := r.Sent(); n != 0 || m != 0 {
				t.Error("it has sent something")
			}
			if p, q := r.Unsent(); p != nil || q != nil {
				t.Error("it has something left")
			}
		}
	})
}

// While nothing comes, a relay costs a goroutine and no descriptor.
func TestRelayIdle(t *testing.T) {
	const relays = 100
	var ends [2 * relays]conn
	var peers [2 * relays]conn
	for i := range ends {
		ends[i], peers[i] = unixConns(t)
	}
	waitIdle(t)
	descriptors, goroutines := len(fdtest.Descriptors()), runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range relays {
		wg.Go(func() {
			err := NewRelay(ends[2*i].(readEnd), ends[2*i+1].(readEnd)).Run(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a relay ended with %v", err)
			}
		})
	}
	for i := range relays { // they are at work
		_, err := peers[2*i].Write([]byte{1})
		check(t, err)
		readN(t, peers[2*i+1], 1)
	}
	waitIdle(t)
	if n := len(fdtest.Descriptors()); n > descriptors {
		t.Errorf("%d relays have %d descriptors", relays, n-descriptors)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 2*relays+5 {
		t.Errorf("%d relays have %d goroutines", relays, n)
	}
	cancel()
	wg.Wait()
}

// A relay between two peers that send pieces of any size, stall, half-close, reset, and are cancelled: what arrives, with what wasn't
// sent, is what was sent, byte for byte.
func FuzzRelay(f *testing.F) {
	for seed := range uint64(fdtest.Rounds(40)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		kinds := []func(t testing.TB) (a, b conn){tcpConns, unixConns}
		client, a := kinds[rnd.IntN(2)](t)
		server, b := kinds[rnd.IntN(2)](t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := NewRelay(a.(readEnd), b.(readEnd))
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()

		peers := [2]*peer{{conn: client}, {conn: server}}
		var wg sync.WaitGroup
		for i, p := range peers {
			p.plan(rand.New(rand.NewPCG(seed, uint64(i)+2)))
			wg.Go(p.send)
			wg.Go(p.receive)
		}
		cancelled := rnd.IntN(4) == 0
		if cancelled {
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			cancel()
		}
		err := <-done
		toA, toB := r.Sent()
		forA, forB := r.Unsent()
		reset := peers[0].reset || peers[1].reset
		hard := cancelled || reset
		var rest [2][]byte // what the relay hasn't taken
		if err != nil && !reset {
			for i, c := range []conn{a, b} {
				_ = c.CloseWrite()
				wg.Go(func() { rest[i], _ = io.ReadAll(c) })
			}
			wg.Wait()
		}
		a.Close()
		b.Close()
		wg.Wait()
		if err != nil && !hard {
			t.Errorf("the relay failed: %v", err)
		}
		for i, dir := range []struct {
			from, to *peer
			sent     int64
			unsent   []byte
		}{{peers[0], peers[1], toB, forB}, {peers[1], peers[0], toA, forA}} {
			all := dir.from.data
			if !bytes.HasPrefix(all, dir.to.got) {
				t.Errorf("direction %d: the %d bytes that arrived aren't those that were sent", i, len(dir.to.got))
			}
			if dir.sent+int64(len(dir.unsent)) > int64(len(all)) || !bytes.Equal(all[dir.sent:dir.sent+int64(len(dir.unsent))], dir.unsent) {
				t.Errorf("direction %d: after %d bytes, the %d unsent ones aren't those that follow", i, dir.sent, len(dir.unsent))
			}
			if int64(len(dir.to.got)) > dir.sent {
				t.Errorf("direction %d: %d bytes arrived, and %d were counted", i, len(dir.to.got), dir.sent)
			}
			if together := bytes.Join([][]byte{dir.to.got, dir.unsent, rest[i]}, nil); err != nil && !reset && !bytes.Equal(all, together) {
				t.Errorf("direction %d: %d bytes arrived, %d are unsent and %d weren't taken, of %d", i, len(dir.to.got), len(dir.unsent), len(rest[i]), len(all))
			}
			if err == nil && !bytes.Equal(all, dir.to.got) {
				t.Errorf("direction %d: %d of %d bytes arrived, and the relay didn't fail", i, len(dir.to.got), len(all))
			}
		}
	})
}

// A peer sends its data in pieces, and keeps what it gets.
type peer struct {
	conn
	data   []byte
	pieces []int
	stalls []time.Duration
	reset  bool
	got    []byte
}

func (p *peer) plan(rnd *rand.Rand) {
	for range rnd.IntN(12) {
		n := 1 + rnd.IntN(1<<(1+rnd.IntN(19)))
		p.pieces = append(p.pieces, n)
		p.data = append(p.data, pattern(n + 100)[rnd.IntN(100):][:n]...)
		p.stalls = append(p.stalls, time.Duration(rnd.IntN(4)/3*rnd.IntN(2000))*time.Microsecond)
	}
	_, tcp := p.conn.(*net.TCPConn)
	p.reset = tcp && rnd.IntN(6) == 0
}

func (p *peer) send() {
	at := 0
	for i, n := range p.pieces {
		if _, err := p.Write(p.data[at : at+n]); err != nil {
			return
		}
		at += n
		time.Sleep(p.stalls[i])
	}
	if p.reset {
		_ = p.conn.(*net.TCPConn).SetLinger(0)
		_ = p.Close()
		return
	}
	_ = p.CloseWrite()
}

func (p *peer) receive() {
	p.got, _ = io.ReadAll(p)
}
