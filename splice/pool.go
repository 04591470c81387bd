//go:build linux

package splice

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fildes/fildes/internal/fd"
	"github.com/fildes/fildes/internal/sys"
)

// A spare is a pipe of our own, for bytes that are on their way between two ends neither of which is one.
type spare struct {
	r, w  fd.FD
	room  int // bytes
	inUse int // bytes that are in it
	since time.Time
}

// pool keeps spares that are empty, for a while, and sees to it that all spares together take no more than a part of what the kernel
// allows the user's pipes.
var pool struct {
	sync.Mutex
	idle   []*spare // the last one was used last
	pages  int      // of all spares
	budget int      // pages; 0 until it is known
	sweep  *time.Timer
}

const (
	wideBytes  = 1 << 20 // of a pipe, as long as half of the budget is left
	idleTime   = time.Second
	mostIdle   = 16
	usualPages = 16 // of a pipe that isn't made wider
	fewestPage = 4  // a pipe with fewer pages is slower than reading and writing
)

// getSpare returns an empty pipe, or nil where there is none to be had: the bytes must then go through the program.
func getSpare() *spare {
	pool.Lock()
	defer pool.Unlock()
	if n := len(pool.idle); n > 0 {
		p := pool.idle[n-1]
		pool.idle = pool.idle[:n-1]
		return p
	}
	if pool.budget == 0 {
		pool.budget = pageBudget()
	}
	size := 0
	if pool.pages+pagesOf(wideBytes) <= pool.budget/2 {
		size = wideBytes
	} else if pool.pages+usualPages > pool.budget {
		return nil
	}
	r, w, room, err := sys.SparePipe(size)
	if err != nil {
		return nil
	}
	p := &spare{room: room}
	p.r.Init(r, false)
	p.w.Init(w, false)
	if pagesOf(room) < fewestPage { // the user has too many pipes
		p.close()
		return nil
	}
	pool.pages += pagesOf(room)
	return p
}

// putSpare takes a pipe back. One that isn't empty is closed, with what is in it.
func putSpare(p *spare) {
	pool.Lock()
	defer pool.Unlock()
	if p.inUse != 0 || len(pool.idle) >= mostIdle {
		pool.pages -= pagesOf(p.room)
		p.close()
		return
	}
	p.since = time.Now()
	pool.idle = append(pool.idle, p)
	if pool.sweep == nil {
		pool.sweep = time.AfterFunc(idleTime, sweep)
	}
}

// sweep closes the pipes that nobody has needed for a while.
func sweep() {
	pool.Lock()
	defer pool.Unlock()
	pool.sweep = nil
	old := 0
	for old < len(pool.idle) && time.Since(pool.idle[old].since) >= idleTime {
		p := pool.idle[old]
		pool.pages -= pagesOf(p.room)
		p.close()
		old++
	}
	pool.idle = append(pool.idle[:0], pool.idle[old:]...)
	clear(pool.idle[len(pool.idle):cap(pool.idle)])
	if len(pool.idle) > 0 {
		pool.sweep = time.AfterFunc(idleTime, sweep)
	}
}

func (p *spare) close() {
	_ = p.r.Close()
	_ = p.w.Close()
}

func pagesOf(n int) int { return n / os.Getpagesize() }

// pageBudget is how many pages spares may take: a quarter of the limit beyond which the kernel gives a user's pipes one or two pages
// each.
func pageBudget() int {
	const usual = 16384
	limit := usual
	if b, err := os.ReadFile("/proc/sys/fs/pipe-user-pages-soft"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 0 { // 0 is no limit
			limit = n
		}
	}
	return max(limit/4, 1)
}

// fill moves up to n bytes from the descriptor into the pipe, which is empty, so that Again is about the descriptor.
func (p *spare) fill(src, n int) (k int, err error) {
	err = p.w.Control(func(w int) (err error) {
		k, err = sys.Splice(src, nil, w, nil, n, spliceFlags)
		return err
	})
	p.inUse += k
	return k, err
}

// drain moves bytes of the pipe to the descriptor.
func (p *spare) drain(dst, flags int) (k int, err error) {
	err = p.r.Control(func(r int) (err error) {
		k, err = sys.Splice(r, nil, dst, nil, p.inUse, spliceFlags|flags)
		return err
	})
	p.inUse -= k
	return k, err
}

// rest takes what is in the pipe out of it.
func (p *spare) rest() ([]byte, error) {
	b := make([]byte, p.inUse)
	for n := 0; n < len(b); {
		err := p.r.Control(func(r int) error {
			k, err := sys.Read(r, b[n:])
			n += k
			p.inUse -= k
			return err
		})
		if err != nil {
			return b[:n], err
		}
	}
	return b, nil
}
