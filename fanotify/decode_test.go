//go:build linux

package fanotify

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	_ encoding.TextMarshaler   = Access
	_ encoding.TextUnmarshaler = new(Mask)
)

func TestConstants(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"Access", uint64(Access), unix.FAN_ACCESS}, {"Modify", uint64(Modify), unix.FAN_MODIFY}, {"Attrib", uint64(Attrib), unix.FAN_ATTRIB},
		{"Close", uint64(Close), unix.FAN_CLOSE}, {"CloseWrite", uint64(CloseWrite), unix.FAN_CLOSE_WRITE}, {"Open", uint64(Open), unix.FAN_OPEN},
		{"Moved", uint64(Moved), unix.FAN_MOVE}, {"MovedFrom", uint64(MovedFrom), unix.FAN_MOVED_FROM}, {"Create", uint64(Create), unix.FAN_CREATE},
		{"Delete", uint64(Delete), unix.FAN_DELETE}, {"DeleteSelf", uint64(DeleteSelf), unix.FAN_DELETE_SELF}, {"MoveSelf", uint64(MoveSelf), unix.FAN_MOVE_SELF},
		{"OpenExec", uint64(OpenExec), unix.FAN_OPEN_EXEC}, {"FSError", uint64(FSError), unix.FAN_FS_ERROR}, {"MountAttach", uint64(MountAttach), unix.FAN_MNT_ATTACH},
		{"MountDetach", uint64(MountDetach), unix.FAN_MNT_DETACH}, {"Rename", uint64(Rename), unix.FAN_RENAME}, {"OpenPerm", uint64(OpenPerm), unix.FAN_OPEN_PERM},
		{"AccessPerm", uint64(AccessPerm), unix.FAN_ACCESS_PERM}, {"OpenExecPerm", uint64(OpenExecPerm), unix.FAN_OPEN_EXEC_PERM},
		{"PreAccess", uint64(PreAccess), unix.FAN_PRE_ACCESS}, {"OnChild", uint64(OnChild), unix.FAN_EVENT_ON_CHILD}, {"OnDir", uint64(OnDir), unix.FAN_ONDIR},
		{"Overflow", uint64(Overflow), unix.FAN_Q_OVERFLOW},
		{"Mount", uint64(Mount), unix.FAN_MARK_MOUNT}, {"Filesystem", uint64(Filesystem), unix.FAN_MARK_FILESYSTEM}, {"MountNamespace", uint64(MountNamespace), unix.FAN_MARK_MNTNS},
		{"DontFollow", uint64(DontFollow), unix.FAN_MARK_DONT_FOLLOW}, {"OnlyDir", uint64(OnlyDir), unix.FAN_MARK_ONLYDIR}, {"Ignore", uint64(Ignore), unix.FAN_MARK_IGNORE},
		{"IgnoreLegacy", uint64(IgnoreLegacy), unix.FAN_MARK_IGNORED_MASK}, {"SurviveModify", uint64(SurviveModify), unix.FAN_MARK_IGNORED_SURV_MODIFY},
		{"Evictable", uint64(Evictable), unix.FAN_MARK_EVICTABLE}, {"Content", uint64(Content), unix.FAN_CLASS_CONTENT}, {"PreContent", uint64(PreContent), unix.FAN_CLASS_PRE_CONTENT},
		{"PIDFD", uint64(ReportPIDFD), unix.FAN_REPORT_PIDFD}, {"TID", uint64(ReportTID), unix.FAN_REPORT_TID}, {"FID", uint64(ReportFID), unix.FAN_REPORT_FID},
		{"DirFIDName", uint64(ReportDirFIDName), unix.FAN_REPORT_DFID_NAME}, {"Target", uint64(ReportDirFIDNameTarget), unix.FAN_REPORT_DFID_NAME_TARGET},
		{"FDError", uint64(ReportFDError), unix.FAN_REPORT_FD_ERROR}, {"ReportMount", uint64(ReportMount), unix.FAN_REPORT_MNT},
		{"Allow", uint64(Allow), unix.FAN_ALLOW}, {"Deny", uint64(Deny), unix.FAN_DENY}, {"audit", uint64(withAudit), unix.FAN_AUDIT}, {"info", uint64(withInfo), unix.FAN_INFO},
		{"version", metadataVersion, unix.FANOTIFY_METADATA_VERSION}, {"header", headerSize, unix.FAN_EVENT_METADATA_LEN},
		{"infoMount", infoMount, unix.FAN_EVENT_INFO_TYPE_MNT}, {"infoRange", infoRange, unix.FAN_EVENT_INFO_TYPE_RANGE}, {"infoError", infoError, unix.FAN_EVENT_INFO_TYPE_ERROR},
		{"infoNewName", infoNewName, unix.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME}, {"infoOldName", infoOldName, unix.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME},
		{"errno", uint64(DenyErrno(syscall.EBUSY)), unix.FAN_DENY | uint64(unix.EBUSY)<<unix.FAN_ERRNO_SHIFT},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, not %#x", c.name, c.got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for m, text := range map[Mask]string{
		0:                          "0",
		Create | OnDir:             "Create|OnDir",
		Close | 1<<60:              "CloseWrite|CloseNoWrite|0x1000000000000000",
		Permissions:                "OpenPerm|AccessPerm|OpenExecPerm|PreAccess",
		Overflow:                   "Overflow",
		Rename | MountAttach:       "MountAttach|Rename",
		OnChild | FSError | Delete: "Delete|FSError|OnChild",
	} {
		var back Mask
		if got := m.String(); got != text {
			t.Errorf("%#x: %q, want %q", uint64(m), got, text)
		} else if err := back.UnmarshalText([]byte(got)); err != nil || back != m {
			t.Errorf("%q: %v, %v", got, back, err)
		}
	}
	for v, text := range map[Verdict]string{
		Allow: "Allow", Deny: "Deny", DenyErrno(syscall.EBUSY): "Deny(EBUSY)", Deny.Audit(): "Deny|Audit", 3: "Verdict(0x3)", 0: "Verdict(0x0)",
	} {
		if got := v.String(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	if Allow.Errno() != 0 || Deny.Errno() != syscall.EPERM || DenyErrno(syscall.EIO).Errno() != syscall.EIO {
		t.Error("errnos")
	}
	for got, text := range map[string]string{
		Inode.String(): "Inode", MountNamespace.String(): "MountNamespace", Scope(3).String(): "Scope(0x3)", Content.String(): "Content",
		(Ignore | SurviveModify).String(): "SurviveModify|Ignore", ReportDirFIDName.String(): "DirFID|Name", FSID{1, -1}.String(): "00000001:ffffffff",
	} {
		if got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}

// encode makes an event as the kernel does.
func encode(mask Mask, fd, pid int32, records ...[]byte) []byte {
	info := bytes.Join(records, nil)
	b := make([]byte, headerSize, headerSize+len(info))
	binary.NativeEndian.PutUint32(b, uint32(headerSize+len(info)))
	b[4] = metadataVersion
	binary.NativeEndian.PutUint16(b[6:], headerSize)
	binary.NativeEndian.PutUint64(b[8:], uint64(mask))
	binary.NativeEndian.PutUint32(b[16:], uint32(fd))
	binary.NativeEndian.PutUint32(b[20:], uint32(pid))
	return append(b, info...)
}

func record(typ uint8, data ...any) []byte {
	var d bytes.Buffer
	for _, v := range data {
		if s, ok := v.(string); ok {
			d.WriteString(s)
			continue
		}
		_ = binary.Write(&d, binary.NativeEndian, v)
	}
	for d.Len()%4 != 0 {
		d.WriteByte(0)
	}
	b := []byte{typ, 0, 0, 0}
	binary.NativeEndian.PutUint16(b[2:], uint16(4+d.Len()))
	return append(b, d.Bytes()...)
}

func handle(typ int32, data string) []any {
	return []any{int32(7), int32(8), uint32(len(data)), typ, data}
}

func named(typ uint8, data, name string) []byte {
	return record(typ, append(handle(1, data), name+"\x00")...)
}

func TestRecords(t *testing.T) {
	b := &Batch{group: &Group{report: ReportFDError}}
	b.rest = bytes.Join([][]byte{
		encode(Rename|OnDir, noFD, 12, named(infoOldName, "olddir", "from"), named(infoNewName, "newdir", "to\xff"), record(99, uint64(5)), record(infoFID, handle(3, "obj")...)),
		encode(FSError, -int32(syscall.EBADF), 0, record(infoFID, handle(0xff, "")...), record(infoError, int32(117), uint32(4))),
		encode(PreAccess, noFD, 1, record(infoRange, uint32(0), uint64(4096), uint64(8192))),
		encode(MountAttach, noFD, 1, record(infoMount, uint32(0), uint64(1<<40))),
		encode(MountDetach, noFD, 1, record(infoMount, uint64(1<<41))), // without padding
		encode(Create, noFD, 1, record(infoDir, handle(1, "dir")...)),
		encode(Open, -int32(syscall.EMFILE), 1, record(infoPIDFD, int32(-3))),
		encode(Overflow, noFD, 0),
	}, nil)
	if n, whole := count(b.rest); n != 8 || !whole {
		t.Fatal(n, whole)
	}
	at := func() Event {
		t.Helper()
		ev, ok := b.Next()
		if !ok {
			t.Fatal("no event")
		}
		return ev
	}
	ev := at()
	old, ok1 := ev.OldEntry()
	now, ok2 := ev.Entry()
	obj, ok3 := ev.Object()
	if !ok1 || !ok2 || !ok3 || string(old.Name) != "from" || string(old.Dir.Data) != "olddir" || string(now.Name) != "to\xff" || string(now.Dir.Data) != "newdir" ||
		string(obj.Data) != "obj" || obj.Type != 3 || obj.FS != (FSID{7, 8}) || ev.PID != 12 || ev.Mask != Rename|OnDir {
		t.Errorf("%+v %+v %+v", old, now, obj)
	}
	var types []uint8
	for r := range ev.Records() {
		types = append(types, r.Type)
	}
	if !bytes.Equal(types, []byte{infoOldName, infoNewName, 99, infoFID}) {
		t.Error(types)
	}
	ev = at()
	h, ok := ev.Object()
	errno, n, ok1 := ev.FSError()
	if !ok || h.Valid() || !ok1 || errno != 117 || n != 4 || ev.Err() != nil {
		t.Error(h, errno, n)
	}
	if offset, n, ok := at().Range(); !ok || offset != 4096 || n != 8192 {
		t.Error(offset, n, ok)
	}
	if id, ok := at().MountID(); !ok || id != 1<<40 {
		t.Error(id, ok)
	}
	if id, ok := at().MountID(); !ok || id != 1<<41 {
		t.Error(id, ok)
	}
	if en, ok := at().Entry(); !ok || len(en.Name) != 0 || string(en.Dir.Data) != "dir" {
		t.Errorf("%+v", en)
	}
	ev = at()
	if n, ok := pidfdOf(ev.Info); ev.Err() == nil || n != -3 || !ok {
		t.Error(ev.Err())
	}
	ev = at()
	if _, ok := ev.Entry(); ok || ev.Mask != Overflow {
		t.Errorf("%+v", ev)
	}
	if _, ok := b.Next(); ok {
		t.Error("one too many")
	}
	var zero Event
	for _, err := range []error{zero.Allow(), zero.Close(), func() error { _, err := zero.Take(); return err }(), func() error { _, err := zero.Path(); return err }()} {
		if err == nil {
			t.Error("a zero Event does something")
		}
	}
	if zero.Own() || zero.Asks() {
		t.Error("a zero Event is something")
	}
}

func TestEqual(t *testing.T) {
	a := Handle{FSID{1, 2}, 3, []byte("xy")}
	for _, b := range []Handle{{FSID{1, 3}, 3, []byte("xy")}, {FSID{1, 2}, 4, []byte("xy")}, {FSID{1, 2}, 3, []byte("xz")}, {FSID{1, 2}, 3, nil}} {
		if a.Equal(b) || a.Key() == b.Key() {
			t.Errorf("%+v equals %+v", a, b)
		}
	}
	c := a.Clone()
	if c.Data[0] = 'q'; a.Data[0] != 'x' || !a.Equal(Handle{FSID{1, 2}, 3, []byte("xy")}) {
		t.Error(a)
	}
}

func TestMountLine(t *testing.T) {
	path, root, typ, ok := mountLine(`36 35 98:0 /mnt\0401 /a\134b\040c rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue`)
	if !ok || path != `/a\b c` || root != "/mnt 1" || typ != "ext3" {
		t.Error(path, root, typ, ok)
	}
	for _, bad := range []string{"", "1 2 3", "36 35 98:0 / / rw master:1", "36 35 98:0 / / rw -"} {
		if _, _, _, ok := mountLine(bad); ok {
			t.Errorf("%q", bad)
		}
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	for line := range bytes.Lines(b) {
		if _, _, _, ok := mountLine(string(line)); !ok {
			t.Errorf("%q", line)
		}
	}
}

// slowly decodes with encoding/binary, a structure at a time.
func slowly(p []byte) (evs []header, infos [][]Record) {
	for {
		var h struct {
			Len            uint32
			Vers, Reserved uint8
			MetadataLen    uint16
			Mask           uint64
			FD, PID        int32
		}
		if _, err := binary.Decode(p, binary.NativeEndian, &h); err != nil {
			return evs, infos
		}
		if int64(h.Len) > int64(len(p)) || h.MetadataLen < 24 || uint32(h.MetadataLen) > h.Len {
			return evs, infos
		}
		var rs []Record
		for info := p[h.MetadataLen:h.Len]; ; {
			var r struct {
				Type, Pad uint8
				Len       uint16
			}
			if _, err := binary.Decode(info, binary.NativeEndian, &r); err != nil || r.Len < 4 || int(r.Len) > len(info) {
				break
			}
			rs = append(rs, Record{r.Type, info[4:r.Len]})
			info = info[r.Len:]
		}
		evs = append(evs, header{int(h.Len), int(h.MetadataLen), h.Vers, Mask(h.Mask), h.FD, h.PID})
		infos = append(infos, rs)
		p = p[h.Len:]
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(Rename, noFD, 12, named(infoOldName, "olddir", "from"), named(infoNewName, "newdir", "to"), record(infoFID, handle(3, "obj")...)))
	f.Add(append(encode(Open, 3, 4, record(infoPIDFD, int32(9))), encode(PreAccess, 5, 1, record(infoRange, uint32(0), uint64(1), uint64(2)))...))
	f.Add(encode(FSError, -9, 0, record(infoError, int32(117), uint32(4)), record(infoMount, uint64(1))))
	f.Fuzz(func(t *testing.T, p []byte) {
		want, infos := slowly(p)
		n, whole := count(p)
		if n > len(want) || whole && n != len(want) {
			t.Fatalf("%d events, %v, want %d", n, whole, len(want))
		}
		b := &Batch{rest: p}
		for i, h := range want {
			ev, ok := b.Next()
			if !ok || ev.Mask != h.mask || ev.PID != int(h.pid) || ev.object != h.object {
				t.Fatalf("event %d: %+v, %v, want %+v", i, ev, ok, h)
			}
			j := 0
			for r := range ev.Records() {
				if j >= len(infos[i]) || r.Type != infos[i][j].Type || !bytes.Equal(r.Data, infos[i][j].Data) {
					t.Fatalf("event %d, record %d: %+v", i, j, r)
				}
				j++
			}
			if j != len(infos[i]) {
				t.Fatalf("event %d: %d records, want %d", i, j, len(infos[i]))
			}
			_, _ = ev.Entry()
			_, _ = ev.OldEntry()
			if h, ok := ev.Object(); ok {
				_ = h.Key()
			}
			_, _, _ = ev.FSError()
			_, _, _ = ev.Range()
			_, _ = ev.MountID()
			_ = ev.Err()
			_, _ = pidfdOf(ev.Info)
		}
		if _, ok := b.Next(); ok {
			t.Fatal("one too many")
		}
	})
}
