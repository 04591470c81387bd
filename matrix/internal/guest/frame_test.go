package guest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestFramesBetweenOutput(t *testing.T) {
	file := bytes.Repeat([]byte("mode: atomic\n"), 10000) // more than a piece
	var console bytes.Buffer
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(Write(&console, Frame{Kind: Up, Release: "6.1", Page: 65536}))
	ok(Write(&console, Frame{Kind: Begin}))
	console.WriteString("a line\r\nan open line")
	ok(WriteFile(&console, 0, file))
	ok(Write(&console, Frame{Kind: End, Size: len(file)}))
	console.WriteString("[    1.0] the kernel\n")
	ok(Write(&console, Frame{Kind: Down}))

	var output strings.Builder
	var kinds []FrameKind
	var content []byte
	ok(Read(&console, func(s string) { output.WriteString(s) }, func(f Frame) {
		if f.Kind == File {
			b, err := f.Content()
			ok(err)
			content = append(content, b...)
			return
		}
		kinds = append(kinds, f.Kind)
	}))
	if want := []FrameKind{Up, Begin, End, Down}; !slices.Equal(kinds, want) {
		t.Errorf("the frames are %v, not %v", kinds, want)
	}
	if !bytes.Equal(content, file) {
		t.Errorf("the file has %d bytes, not %d", len(content), len(file))
	}
	if want := "a line\nan open line[    1.0] the kernel\n"; output.String() != want {
		t.Errorf("the output is %q, not %q", output.String(), want)
	}
}

// What looks like a frame and isn't is output.
func TestGarbledFrame(t *testing.T) {
	var output strings.Builder
	err := Read(strings.NewReader("x\n"+mark+"{\"kind\":\"en\n"), func(s string) { output.WriteString(s) },
		func(f Frame) { t.Errorf("a frame: %v", f) })
	if err != nil || !strings.Contains(output.String(), "{\"kind\":\"en") {
		t.Errorf("%q, %v", output.String(), err)
	}
}
