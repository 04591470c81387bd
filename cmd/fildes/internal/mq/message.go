//go:build linux

package mq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Message is one that was received.
type Message struct {
	Queue    string
	Time     time.Time
	Data     []byte
	Priority int
}

// JSON is a line.
func (m Message) JSON() []byte {
	l := struct {
		Time     string  `json:"time"`
		Queue    string  `json:"queue"`
		RawQueue []byte  `json:"raw_queue,omitempty"`
		Priority int     `json:"priority"`
		Data     *string `json:"data,omitempty"`
		RawData  []byte  `json:"raw_data,omitempty"`
	}{Time: m.Time.Format(time.RFC3339Nano), Priority: m.Priority}
	l.Queue, l.RawQueue = jsonText(m.Queue)
	if text := string(m.Data); utf8.ValidString(text) {
		l.Data = &text
	} else {
		l.RawData = m.Data
	}
	return line(l)
}

// A Printer writes messages.
type Printer struct {
	W        io.Writer
	JSON     bool
	Priority bool   // is written before the message
	Escape   bool   // what a terminal would obey
	End      string // of a message
}

// A LostError is a message that was received and couldn't be written, all or part of it.
type LostError struct {
	Message Message
	Err     error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("a message that was received couldn't be written: %v", e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }

var errGivenUp = errors.New("interrupted while nobody read it")

// Print writes a message at once, unless hard ends before that is done.
func (p *Printer) Print(hard context.Context, m Message) error {
	done := make(chan error, 1)
	text := p.text(m)
	go func() { // writing may wait for ever
		_, err := p.W.Write(text)
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-hard.Done():
		select {
		case err = <-done:
		default:
			err = errGivenUp
		}
	}
	if err != nil {
		return &LostError{m, err}
	}
	return nil
}

func (p *Printer) text(m Message) []byte {
	if p.JSON {
		return m.JSON()
	}
	var b []byte
	if p.Priority {
		b = append(strconv.AppendInt(b, int64(m.Priority), 10), '\t')
	}
	if text := string(m.Data); p.Escape && !plain(text) {
		b = strconv.AppendQuote(b, text)
	} else {
		b = append(b, m.Data...)
	}
	return append(b, p.End...)
}

// plain says whether a terminal only shows the text.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' })
}
