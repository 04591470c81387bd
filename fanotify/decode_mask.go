package fanotify

import (
	"fmt"
	"slices"

	"github.com/fildes/fildes/internal/flags"
)

// Mask is a set of events, asked for or reported, and of what is said about them. Bits without a name are kept, and printed as a number.
type Mask uint64

// What can be asked for.
const (
	Access       Mask = 0x1        // FAN_ACCESS: it was read
	Modify       Mask = 0x2        // FAN_MODIFY: it was written or truncated; truncation by path is told with file handles only
	Attrib       Mask = 0x4        // FAN_ATTRIB: its metadata changed; needs file handles. Linux 5.1
	CloseWrite   Mask = 0x8        // FAN_CLOSE_WRITE: who could write has closed it
	CloseNoWrite Mask = 0x10       // FAN_CLOSE_NOWRITE: who couldn't write has closed it
	Open         Mask = 0x20       // FAN_OPEN: it was opened
	MovedFrom    Mask = 0x40       // FAN_MOVED_FROM: an entry was renamed: its old name; needs file handles. Linux 5.1
	MovedTo      Mask = 0x80       // FAN_MOVED_TO: an entry was renamed: its new name; needs file handles. Linux 5.1
	Create       Mask = 0x100      // FAN_CREATE: an entry was made; needs file handles. Linux 5.1
	Delete       Mask = 0x200      // FAN_DELETE: an entry was removed; needs file handles. Linux 5.1
	DeleteSelf   Mask = 0x400      // FAN_DELETE_SELF: it was deleted itself; needs file handles. Linux 5.1
	MoveSelf     Mask = 0x800      // FAN_MOVE_SELF: it was renamed itself; needs file handles. Linux 5.1
	OpenExec     Mask = 0x1000     // FAN_OPEN_EXEC: it was opened to be executed. Linux 5.0
	FSError      Mask = 0x8000     // FAN_FS_ERROR: the file system has found an error in itself; of a Filesystem only, needs file handles. Linux 5.16
	MountAttach  Mask = 0x1000000  // FAN_MNT_ATTACH: something was mounted; of a MountNamespace only, needs ReportMount. Linux 6.14
	MountDetach  Mask = 0x2000000  // FAN_MNT_DETACH: something was unmounted; likewise
	Rename       Mask = 0x10000000 // FAN_RENAME: an entry was renamed: both names in one event; needs names. Linux 5.17
)

// What waits for an answer: see [Event.Allow].
const (
	OpenPerm     Mask = 0x10000  // FAN_OPEN_PERM: somebody wants to open it; needs the class Content or PreContent
	AccessPerm   Mask = 0x20000  // FAN_ACCESS_PERM: somebody wants to read it; likewise
	OpenExecPerm Mask = 0x40000  // FAN_OPEN_EXEC_PERM: somebody wants to open it to execute it, which this process must not (see the package's documentation); likewise. Linux 5.0
	PreAccess    Mask = 0x100000 // FAN_PRE_ACCESS: somebody wants to use a range of its content; needs the class PreContent. Linux 6.14, ext4, XFS and some others
)

// What else can be asked for: of what. In an event with file handles, OnDir says that it is about a directory.
const (
	OnChild Mask = 0x8000000  // FAN_EVENT_ON_CHILD: what happens to the entries of a directory that is marked, but not further below
	OnDir   Mask = 0x40000000 // FAN_ONDIR: what happens to directories too
)

// Overflow (FAN_Q_OVERFLOW) is reported unasked: events were lost, because more were waiting than fs.fanotify.max_queued_events.
const Overflow Mask = 0x4000

// Presets.
const (
	Close       = CloseWrite | CloseNoWrite // FAN_CLOSE
	Moved       = MovedFrom | MovedTo       // FAN_MOVE
	Permissions = OpenPerm | AccessPerm | OpenExecPerm | PreAccess
)

const (
	entryEvents  = Create | Delete | Moved | Rename | Attrib | DeleteSelf | MoveSelf | FSError // need file handles
	mountEvents  = MountAttach | MountDetach
	askedEvents  = Access | Modify | Close | Open | OpenExec | entryEvents | mountEvents | Permissions
	allRequested = askedEvents | OnChild | OnDir
)

var maskNames = []flags.Name{
	{Bits: uint64(Access), Text: "Access"},
	{Bits: uint64(Modify), Text: "Modify"},
	{Bits: uint64(Attrib), Text: "Attrib"},
	{Bits: uint64(CloseWrite), Text: "CloseWrite"},
	{Bits: uint64(CloseNoWrite), Text: "CloseNoWrite"},
	{Bits: uint64(Open), Text: "Open"},
	{Bits: uint64(MovedFrom), Text: "MovedFrom"},
	{Bits: uint64(MovedTo), Text: "MovedTo"},
	{Bits: uint64(Create), Text: "Create"},
	{Bits: uint64(Delete), Text: "Delete"},
	{Bits: uint64(DeleteSelf), Text: "DeleteSelf"},
	{Bits: uint64(MoveSelf), Text: "MoveSelf"},
	{Bits: uint64(OpenExec), Text: "OpenExec"},
	{Bits: uint64(Overflow), Text: "Overflow"},
	{Bits: uint64(FSError), Text: "FSError"},
	{Bits: uint64(OpenPerm), Text: "OpenPerm"},
	{Bits: uint64(AccessPerm), Text: "AccessPerm"},
	{Bits: uint64(OpenExecPerm), Text: "OpenExecPerm"},
	{Bits: uint64(PreAccess), Text: "PreAccess"},
	{Bits: uint64(MountAttach), Text: "MountAttach"},
	{Bits: uint64(MountDetach), Text: "MountDetach"},
	{Bits: uint64(OnChild), Text: "OnChild"},
	{Bits: uint64(Rename), Text: "Rename"},
	{Bits: uint64(OnDir), Text: "OnDir"},
}

var presets = []flags.Name{
	{Bits: uint64(Close), Text: "Close"},
	{Bits: uint64(Moved), Text: "Moved"},
	{Bits: uint64(Permissions), Text: "Permissions"},
}

// Has says whether all bits of x are set.
func (m Mask) Has(x Mask) bool { return m&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (m Mask) String() string { return flags.Format(uint64(m), maskNames) }

// MarshalText returns what String does.
func (m Mask) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts names, those of presets too, and numbers joined with "|".
func (m *Mask) UnmarshalText(text []byte) error {
	v, err := flags.Parse(string(text), slices.Concat(maskNames, presets))
	if err != nil {
		return fmt.Errorf("fanotify: mask %q: %w", text, err)
	}
	*m = Mask(v)
	return nil
}

// A Scope is what a mark is on. The zero Scope is Inode.
type Scope uint32

// The scopes.
const (
	// Inode (FAN_MARK_INODE) is a file or directory, by whatever path it is reached.
	Inode Scope = 0
	// Mount (FAN_MARK_MOUNT) is all files that are reached through the mount that the path is in. Needs CAP_SYS_ADMIN.
	Mount Scope = 0x10
	// Filesystem (FAN_MARK_FILESYSTEM) is all files of the file system, through whatever mount. Needs CAP_SYS_ADMIN, and Linux 4.20.
	Filesystem Scope = 0x100
	// MountNamespace (FAN_MARK_MNTNS) is the mounts of a namespace, whose path is like /proc/self/ns/mnt. Needs CAP_SYS_ADMIN, and Linux 6.14.
	MountNamespace Scope = 0x110
)

// String is the name of the constant.
func (s Scope) String() string {
	switch s {
	case Inode:
		return "Inode"
	case Mount:
		return "Mount"
	case Filesystem:
		return "Filesystem"
	case MountNamespace:
		return "MountNamespace"
	}
	return fmt.Sprintf("Scope(%#x)", uint32(s))
}

// MarkFlags say how a mark is set. Bits without a name are kept, and printed as a number.
type MarkFlags uint32

// How to mark.
const (
	// DontFollow (FAN_MARK_DONT_FOLLOW) marks a symbolic link itself.
	DontFollow MarkFlags = 0x4
	// OnlyDir (FAN_MARK_ONLYDIR) refuses what isn't a directory, with ENOTDIR.
	OnlyDir MarkFlags = 0x8
	// Ignore (FAN_MARK_IGNORE) has the events not reported, whatever other marks ask for; OnDir and OnChild say of what. It ends when the file is modified, and needs SurviveModify
	// for directories, mounts and file systems. Linux 6.0; IgnoreLegacy works before.
	Ignore MarkFlags = 0x400
	// IgnoreLegacy (FAN_MARK_IGNORED_MASK) is Ignore as older kernels have it, where OnDir and OnChild mean nothing, and each of them something else. Not both on one object.
	IgnoreLegacy MarkFlags = 0x20
	// SurviveModify (FAN_MARK_IGNORED_SURV_MODIFY) is for Ignore: it goes on when the file is modified.
	SurviveModify MarkFlags = 0x40
	// Evictable (FAN_MARK_EVICTABLE) lets the kernel forget the mark with the inode, when memory is short: for Ignore. Linux 5.19.
	Evictable MarkFlags = 0x200
)

var markNames = []flags.Name{
	{Bits: uint64(DontFollow), Text: "DontFollow"},
	{Bits: uint64(OnlyDir), Text: "OnlyDir"},
	{Bits: uint64(IgnoreLegacy), Text: "IgnoreLegacy"},
	{Bits: uint64(SurviveModify), Text: "SurviveModify"},
	{Bits: uint64(Evictable), Text: "Evictable"},
	{Bits: uint64(Ignore), Text: "Ignore"},
}

const allMarkFlags = DontFollow | OnlyDir | Ignore | IgnoreLegacy | SurviveModify | Evictable

// Has says whether all bits of x are set.
func (f MarkFlags) Has(x MarkFlags) bool { return f&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (f MarkFlags) String() string { return flags.Format(uint64(f), markNames) }

// A Class is when a group hears of things, and what it may decide. The zero Class is Notify.
type Class uint32

// The classes.
const (
	Notify     Class = 0 // FAN_CLASS_NOTIF: it only hears
	Content    Class = 4 // FAN_CLASS_CONTENT: it may refuse access to files that have their content: scanners. Needs CAP_SYS_ADMIN
	PreContent Class = 8 // FAN_CLASS_PRE_CONTENT: it is asked before those, and may provide the content. Needs CAP_SYS_ADMIN
)

// String is the name of the constant.
func (c Class) String() string {
	switch c {
	case Notify:
		return "Notify"
	case Content:
		return "Content"
	case PreContent:
		return "PreContent"
	}
	return fmt.Sprintf("Class(%#x)", uint32(c))
}

// Report is what events tell, beside the mask and who did it. Bits without a name are kept, and printed as a number.
type Report uint32

// What to report. Without file handles (the FID ones) an event has an open descriptor of its file.
const (
	// ReportPIDFD (FAN_REPORT_PIDFD) is a pidfd of the process, so that its number can't mean another by now. Linux 5.15. Needs CAP_SYS_ADMIN; excludes ReportTID.
	ReportPIDFD Report = 0x80
	// ReportTID (FAN_REPORT_TID) makes [Event.PID] a thread. Linux 4.20.
	ReportTID Report = 0x100
	// ReportFID (FAN_REPORT_FID) is a file handle of the object. Linux 5.1. All of file handles exclude permission events.
	ReportFID Report = 0x200
	// ReportDirFID (FAN_REPORT_DIR_FID) is a file handle of the directory. Linux 5.9.
	ReportDirFID Report = 0x400
	// ReportName (FAN_REPORT_NAME) is the name in that directory; needs ReportDirFID. Linux 5.9.
	ReportName Report = 0x800
	// ReportTargetFID (FAN_REPORT_TARGET_FID) is the object's handle in events of directories' entries too; needs ReportName and ReportFID. Linux 5.17.
	ReportTargetFID Report = 0x1000
	// ReportFDError (FAN_REPORT_FD_ERROR) says why an event's descriptor couldn't be made; [New] asks for it where the kernel has it. Linux 6.13.
	ReportFDError Report = 0x2000
	// ReportMount (FAN_REPORT_MNT) is for MountAttach and MountDetach, and excludes all other events. Linux 6.14.
	ReportMount Report = 0x4000

	// ReportDirFIDName (FAN_REPORT_DFID_NAME) is where it happened.
	ReportDirFIDName = ReportDirFID | ReportName
	// ReportDirFIDNameTarget (FAN_REPORT_DFID_NAME_TARGET) is where it happened and to what.
	ReportDirFIDNameTarget = ReportDirFIDName | ReportFID | ReportTargetFID
)

const (
	handles    = ReportDirFIDNameTarget
	allReports = ReportPIDFD | ReportTID | handles | ReportFDError | ReportMount
)

var reportNames = []flags.Name{
	{Bits: uint64(ReportPIDFD), Text: "PIDFD"},
	{Bits: uint64(ReportTID), Text: "TID"},
	{Bits: uint64(ReportFID), Text: "FID"},
	{Bits: uint64(ReportDirFID), Text: "DirFID"},
	{Bits: uint64(ReportName), Text: "Name"},
	{Bits: uint64(ReportTargetFID), Text: "TargetFID"},
	{Bits: uint64(ReportFDError), Text: "FDError"},
	{Bits: uint64(ReportMount), Text: "Mount"},
}

// Has says whether all bits of x are set.
func (r Report) Has(x Report) bool { return r&x == x }

// String is the names of the bits joined with "|", those without a name last as a number, and "0" if there are none.
func (r Report) String() string { return flags.Format(uint64(r), reportNames) }
