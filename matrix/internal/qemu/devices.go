package qemu

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/fildes/fildes/matrix/internal/machine"
)

// devices are the arguments for what a machine's fixtures need.
func devices(m machine.Machine, dir string) []string {
	var args []string
	if slices.Contains(m.Fixtures, "uart") {
		args = append(args,
			"-chardev", "socket,id=uart1,path="+filepath.Join(dir, "uart")+",server=on,wait=off",
			"-device", "isa-serial,chardev=uart1,index=1",
			"-chardev", "socket,id=uart2,path="+filepath.Join(dir, "uart")+",server=off",
			"-device", "isa-serial,chardev=uart2,index=2",
			"-chardev", "socket,id=control,path="+filepath.Join(dir, "control")+",server=on,wait=off",
			"-device", "isa-serial,chardev=control,index=3",
			"-qmp", "unix:"+filepath.Join(dir, "qmp")+",server=on,wait=off")
	}
	if slices.Contains(m.Fixtures, "nics") { // a hub and virtio-net would make the guest copy what it sends
		for _, n := range []string{"1", "2"} {
			args = append(args,
				"-netdev", "hubport,hubid=0,id=hub"+n,
				"-device", "e1000e,romfile=,netdev=hub"+n+",mac=52:54:00:66:64:0"+n)
		}
	}
	return args
}

// serveControl answers what tests write to the control port, a line each: "break uart2" makes a break arrive at that port. The
// function that it returns ends it.
func serveControl(ctx context.Context, dir string, m machine.Machine) (stop func()) {
	if !slices.Contains(m.Fixtures, "uart") {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c := dial(ctx, filepath.Join(dir, "control"))
		if c == nil {
			return
		}
		defer func() { _ = c.Close() }()
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		for in := bufio.NewScanner(c); in.Scan(); {
			answer := "ok"
			if err := control(in.Text(), filepath.Join(dir, "qmp")); err != nil {
				answer = "error: " + err.Error()
			}
			if _, err := io.WriteString(c, answer+"\n"); err != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// dial waits for qemu to listen.
func dial(ctx context.Context, path string) net.Conn {
	for ctx.Err() == nil {
		if c, err := net.Dial("unix", path); err == nil {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

var breakAt = regexp.MustCompile(`^break (uart[12])\r?$`)

func control(line, qmpSocket string) error {
	m := breakAt.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("unknown request %q", line)
	}
	return qmp(qmpSocket, "chardev-send-break", map[string]string{"id": m[1]})
}
