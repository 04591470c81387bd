//go:build linux

package mq

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/fildes/fildes/mqueue"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		text       string
		end, limit int
		want       []string
		err        string
	}{
		{"a\nb\n", '\n', 5, []string{"a", "b"}, ""},
		{"a\n\nb", '\n', 5, []string{"a", "", "b"}, ""},
		{"12345\n123456\nx", '\n', 5, []string{"12345"}, "line 2 of standard input: a message of 6 bytes is too long: the queue takes up to 5"},
		{"12345", '\n', 5, []string{"12345"}, ""},
		{"123456", '\n', 5, nil, "line 1 of standard input: a message of 6 bytes"},
		{"a\x00\n\x00", 0, 5, []string{"a", "\n"}, ""},
		{"", Whole, 5, []string{""}, ""},
		{"a\n\x00", Whole, 5, []string{"a\n\x00"}, ""},
		{"123456", Whole, 5, nil, "standard input: a message of 6 bytes"},
		{strings.Repeat("x", 10000) + "\n", '\n', 10000, []string{strings.Repeat("x", 10000)}, ""},
		{strings.Repeat("x", 10001) + "\n", '\n', 10000, nil, "a message of 10001 bytes"},
		{strings.Repeat("x", counted+10000) + "\n", '\n', 10000, nil, "a message of more than 67108864 bytes is too long"},
	} {
		readers := []io.Reader{strings.NewReader(c.text)}
		if len(c.text) < 100 {
			readers = append(readers, iotest.OneByteReader(strings.NewReader(c.text)), iotest.DataErrReader(strings.NewReader(c.text)))
		}
		for _, r := range readers {
			pieces, err := Files([]string{"-"}, r, c.end, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			told := ""
			for p := range pieces {
				if p.Err != nil {
					told = p.Where + ": " + p.Err.Error()
					break
				}
				got = append(got, string(p.Data))
			}
			if !slices.Equal(got, c.want) || !strings.Contains(told, c.err) || (told == "") != (c.err == "") {
				t.Errorf("%.20q: %.20q, not %.20q; %q, not %q", c.text, got, c.want, told, c.err)
			}
		}
	}
	failing := bufio.NewReader(io.MultiReader(strings.NewReader("half a li"), iotest.ErrReader(io.ErrNoProgress)))
	if _, _, err := read(failing, '\n', 100); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

func TestName(t *testing.T) {
	for given, want := range map[string]string{"jobs": "/jobs", "/jobs": "/jobs", "": "/", "a/b": "/a/b"} {
		if got := Name(given); got != want {
			t.Errorf("%q: %q", given, got)
		}
	}
}

func sample(names ...string) (queues []Queue) {
	for i, name := range names {
		queues = append(queues, Queue{Name: name, File: true, Attr: true, All: true, Status: mqueue.Status{
			Attr: mqueue.Attr{MaxMessages: 10, MessageSize: 8192, Messages: i}, Bytes: 100, UID: 4294967290, Mode: 0o600,
			Registration: mqueue.Registration{PID: 815, Signal: 10},
		}})
	}
	return queues
}

func TestTable(t *testing.T) {
	var b strings.Builder
	queues := append(sample("/a", "/long\x1b"), Queue{Name: "/b", Err: os.ErrPermission})
	if err := Table(&b, queues, 80); err != nil {
		t.Fatal(err)
	}
	want := `NAME         MESSAGES  SIZE  BYTES  NOTIFY       OWNER       MODE
/a               0/10  8192    100  SIGUSR1 815  4294967290  0600
"/long\x1b"      1/10  8192    100  SIGUSR1 815  4294967290  0600
/b                  ?     ?      ?  ?            ?           ?
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// No frame is wider or longer than the terminal, whatever that is.
func TestScreenFits(t *testing.T) {
	for columns := 1; columns < 130; columns++ {
		for _, rows := range []int{1, 2, 3, 10} {
			s := &Screen{W: io.Discard, Size: func() (int, int) { return columns, rows }, Interval: time.Second}
			queues := append(sample("/a", "/bcdefghijklmnopqrstuvwxyz", "/ü"), Queue{Name: "/gone", Err: os.ErrNotExist})
			if err := s.Show(queues); err != nil {
				t.Fatal(err)
			}
			lines := s.lines(columns-1, rows)
			if len(lines) > rows {
				t.Errorf("%d lines at %d rows", len(lines), rows)
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); n > max(columns-1, 1) {
					t.Errorf("%d columns at %d: %q", n, columns, line)
				}
			}
		}
	}
}

func TestBar(t *testing.T) {
	s := &Screen{}
	for n, want := range map[int]string{0: "░░░░", 1: "█░░░", 99: "███░", 100: "████", 120: "████"} {
		q := Queue{Attr: true, Status: mqueue.Status{Attr: mqueue.Attr{MaxMessages: 100, Messages: n}}}
		if got := s.bar(q, 4); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestStillRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	ctx, stop, err := WhileRead(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := StillRead(w); err != nil || ctx.Err() != nil {
		t.Error(err, ctx.Err())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := StillRead(w); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, ErrNobodyReads) {
		t.Error(err)
	}
	// Who has no other end is always read.
	for _, name := range []string{os.DevNull, t.TempDir() + "/file"} {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop, err := WhileRead(context.Background(), f)
		if err != nil || StillRead(f) != nil || ctx.Err() != nil {
			t.Error(name, err)
		}
		stop()
		_ = f.Close()
	}
}
