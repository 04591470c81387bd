//go:build linux

package epoll_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/epoll"
)

func TestConstantsAreTheKernels(t *testing.T) {
	for e, c := range map[epoll.Events]uint32{
		epoll.Readable: unix.EPOLLIN, epoll.Priority: unix.EPOLLPRI, epoll.Writable: unix.EPOLLOUT, epoll.Error: unix.EPOLLERR,
		epoll.Hangup: unix.EPOLLHUP, epoll.Invalid: unix.POLLNVAL, epoll.ReadNormal: unix.EPOLLRDNORM, epoll.ReadBand: unix.EPOLLRDBAND,
		epoll.WriteNormal: unix.EPOLLWRNORM, epoll.WriteBand: unix.EPOLLWRBAND, epoll.Message: unix.EPOLLMSG,
		epoll.ReadHangup: unix.EPOLLRDHUP, epoll.Exclusive: unix.EPOLLEXCLUSIVE, epoll.WakeUp: unix.EPOLLWAKEUP,
		epoll.OneShot: unix.EPOLLONESHOT, epoll.EdgeTriggered: unix.EPOLLET,
	} {
		if uint32(e) != c {
			t.Errorf("%v is %#x, not %#x", e, uint32(e), c)
		}
	}
}
