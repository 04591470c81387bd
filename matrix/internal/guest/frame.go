package guest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// A guest has one way out, its console. What the programs print goes there as it is; between it stand lines that begin with a
// mark and hold a Frame.
const mark = "\x1efildes "

// A Frame is what init says.
type Frame struct {
	Kind    FrameKind     `json:"kind"`
	Run     int           `json:"run"`
	Error   string        `json:"error,omitempty"` // End: how it ended, if not with exit status 0. Down: why not all was done
	Size    int           `json:"size,omitempty"`  // End: of the file
	Elapsed time.Duration `json:"elapsed,omitempty"`
	Release string        `json:"release,omitempty"` // Up: of the kernel
	Page    int           `json:"page,omitempty"`    // Up: the size of a page
	Data    string        `json:"data,omitempty"`    // File: a piece in base64
}

// A FrameKind says which fields of a Frame count.
type FrameKind string

// The kinds.
const (
	Up    FrameKind = "up"    // the guest is ready
	Begin FrameKind = "begin" // what follows is the output of a Run
	End   FrameKind = "end"
	File  FrameKind = "file" // a piece of the file that a Run's Collect names
	Down  FrameKind = "down" // all is done, or Error says why not
)

// piece is how much of a file stands in a line.
const piece = 48 << 10

// Write writes a frame on a line of its own.
func Write(w io.Writer, f Frame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	// What came before may have left its line open; the reader drops the newline that is one too many.
	_, err = io.WriteString(w, "\n"+mark+string(b)+"\n")
	return err
}

// WriteFile writes a file as frames.
func WriteFile(w io.Writer, run int, content []byte) error {
	for len(content) > 0 {
		n := min(len(content), piece)
		if err := Write(w, Frame{Kind: File, Run: run, Data: base64.StdEncoding.EncodeToString(content[:n])}); err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

// Read calls output for what the guest prints, piece by piece, and frame for what its init says, until the console ends.
func Read(r io.Reader, output func(string), frame func(Frame)) error {
	in := bufio.NewReaderSize(r, 2*piece)
	held := false // the newline of the line before isn't passed on until it's known not to belong to a frame
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimSuffix(line, "\r\n") + map[bool]string{true: "\n"}[strings.HasSuffix(line, "\r\n")]
		if rest, ok := strings.CutPrefix(line, mark); ok {
			var f Frame
			if e := json.Unmarshal([]byte(rest), &f); e == nil {
				held = false
				frame(f)
				continue
			}
		}
		if held {
			output("\n")
		}
		text, whole := strings.CutSuffix(line, "\n")
		if text != "" {
			output(text)
		}
		held = whole
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// Content is the piece of a file.
func (f Frame) Content() ([]byte, error) { return base64.StdEncoding.DecodeString(f.Data) }
