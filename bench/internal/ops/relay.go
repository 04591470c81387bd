//go:build linux

package ops

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/fildes/fildes/splice"
)

const idlePairs = 1000

// A relayer moves bytes between two connections in both directions, until both have ended.
type relayer func(a, b *net.TCPConn)

func ourRelay(a, b *net.TCPConn) { check(splice.NewRelay(a, b).Run(context.Background())) }

func ioRelay(a, b *net.TCPConn) {
	var wg sync.WaitGroup
	for _, d := range [][2]*net.TCPConn{{a, b}, {b, a}} {
		wg.Go(func() {
			must(io.Copy(d[0], d[1]))
			_ = d[0].CloseWrite() // a peer that has gone needn't know
		})
	}
	wg.Wait()
}

// A proxied connection has a client, a server, and between them two connections of a relay.
type proxied struct {
	client, a, b, server *net.TCPConn
	done                 func() // waits for the relay
}

func proxy(relay relayer) *proxied {
	a, client := tcpLine()
	server, b := tcpLine()
	p := &proxied{client: client.(*net.TCPConn), a: a.(*net.TCPConn), b: b.(*net.TCPConn), server: server.(*net.TCPConn)}
	p.done = partner(func() { relay(p.a, p.b) })
	return p
}

// idle has relays each of which is between the two ends of a connection, so that nothing comes.
func idle(relay relayer) (end func()) {
	var ends []*net.TCPConn
	var dones []func()
	for range idlePairs {
		r, w := tcpLine()
		a, b := r.(*net.TCPConn), w.(*net.TCPConn)
		ends, dones = append(ends, a, b), append(dones, partner(func() { relay(a, b) }))
	}
	return func() {
		for _, c := range ends {
			_ = c.CloseWrite()
		}
		for _, done := range dones {
			done()
		}
		for _, c := range ends {
			check(c.Close())
		}
	}
}

// Those that stay idle are made once, and left to the end of the program.
var (
	idleOurs = sync.OnceFunc(func() { idle(ourRelay) })
	idleIO   = sync.OnceFunc(func() { idle(ioRelay) })
)

// busyAmongIdle moves megabytes from a client to a server, beside relays on which nothing happens.
func busyAmongIdle(relay relayer, idle func()) Setup {
	return func() (Run, func()) {
		idle()
		run := func(n int, clock Clock) {
			p := proxy(relay)
			clock.StartTimer()
			fed := partner(func() {
				block := make([]byte, megabyte)
				for range n {
					must(p.client.Write(block))
				}
				check(p.client.CloseWrite())
			})
			readAll(p.server)
			clock.StopTimer()
			fed()
			check(p.server.CloseWrite())
			p.done()
			closeAll(p.client, p.a, p.b, p.server)
		}
		return run, func() {}
	}
}
