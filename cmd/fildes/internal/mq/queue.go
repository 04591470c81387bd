//go:build linux

// Package mq shows, feeds and empties POSIX message queues.
package mq

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/fildes/fildes/mqueue"
)

// Name is the queue's name that was given with or without its slash.
func Name(arg string) string {
	if strings.HasPrefix(arg, "/") {
		return arg
	}
	return "/" + arg
}

// A Queue is what is known of one.
type Queue struct {
	Name   string
	Time   time.Time // when it was
	Status mqueue.Status
	// Which of Status is known: Mode, UID, GID and Used; Attr; and the rest.
	File, Attr, All bool
	// Err is why not all is.
	Err error
}

// List has all queues.
func List() ([]Queue, error) {
	entries, err := mqueue.List()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	queues := make([]Queue, len(entries))
	for i, e := range entries {
		known := e.Err == nil
		queues[i] = Queue{Name: e.Name, Time: now, Status: e.Status, File: !e.Status.Used.IsZero(), Attr: known, All: known, Err: e.Err}
	}
	return queues, nil
}

// Look asks for one queue, by opening it, which tells nobody. Who may only send to it knows less.
func Look(name string) (Queue, error) {
	q := Queue{Name: name, Time: time.Now()}
	r, err := mqueue.OpenReceiver(name, nil)
	if errors.Is(err, fs.ErrPermission) {
		q.Err = err
		return q.lookAsSender()
	}
	if err != nil {
		return q, err
	}
	defer func() { _ = r.Close() }()
	q.Status, err = r.Status()
	q.File, q.Attr, q.All = true, true, true
	return q, err
}

func (q Queue) lookAsSender() (Queue, error) {
	s, err := mqueue.OpenSender(q.Name, nil)
	if err != nil {
		return q, err
	}
	defer func() { _ = s.Close() }()
	if q.Status.Attr, err = s.Attr(); err != nil {
		return q, err
	}
	q.Attr = true
	f, err := s.File()
	if err != nil {
		return q, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return q, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		q.Status.Mode, q.Status.UID, q.Status.GID, q.Status.Used = info.Mode().Perm(), st.Uid, st.Gid, info.ModTime()
		q.File = true
	}
	return q, nil
}

// cause is what err says without the names of what has met it.
func cause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
