package machine

import (
	"slices"

	"github.com/fildes/fildes/matrix/internal/outcome"
)

const realTime = "qemu gives the real-time signals other numbers, which /proc shows"

var bigEndian = []string{"mips", "mips64", "ppc64"}

// exceptions are the tests that qemu-user can't pass, on some architectures or, where none is named, on each that it emulates.
var exceptions = []struct {
	arch []string
	outcome.Exception
}{
	{nil, outcome.Exception{Package: ".", Test: "TestAdoptLeavesOthersTheirFlags/terminal",
		Reason: "qemu doesn't know TIOCGDEV, without which a terminal isn't opened anew"}},
	{nil, outcome.Exception{Package: "pipe", Test: "TestStreamsStayBlocking/terminal",
		Reason: "qemu doesn't know TIOCGDEV, without which a terminal isn't opened anew"}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "fd/inherit",
		Reason: "the kernel can't start a program of another machine, and doctor starts itself"}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "signalfd/new", Reason: realTime}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "signalfd/batch", Reason: realTime}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "signalfd/thread", Reason: realTime}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "pidfd/wait",
		Reason: "the kernel can't start a program of another machine, and doctor starts itself"}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "pidfd/exit",
		Reason: "the kernel can't start a program of another machine, and doctor starts itself"}},
	{nil, outcome.Exception{Package: outcome.Doctor, Test: "mqueue/notify-signal", Reason: realTime}},
	{bigEndian, outcome.Exception{Package: "eventfd", Test: "TestFromFile",
		Reason: "qemu swaps the bytes of eventfds that it saw being made, and not of their duplicates by F_DUPFD_CLOEXEC"}},
	{bigEndian, outcome.Exception{Package: "inotify", Test: "TestFromFile",
		Reason: "qemu swaps the bytes of inotify instances that it saw being made, and not of their duplicates by F_DUPFD_CLOEXEC"}},
	{bigEndian, outcome.Exception{Package: "timerfd", Test: "TestFromFile",
		Reason: "qemu swaps the bytes of timerfds that it saw being made, and not of their duplicates by F_DUPFD_CLOEXEC"}},
}

// emulatorLacks is what every machine that is qemu-user lacks.
var emulatorLacks = map[string]string{
	"processor_time": "what qemu does itself is in the process's time",

	"seccomp":   "qemu refuses seccomp filters, which would see its own system calls",
	"set_ticks": "qemu doesn't know TFD_IOC_SET_TICKS",
	"tiocgdev":  "qemu doesn't know it",
	"zerocopy":  "qemu doesn't know SO_ZEROCOPY",

	"fanotify":            "qemu doesn't know fanotify_init",
	"mounts":              "the tests don't run in a namespace of their own",
	"user_namespaces":     "qemu starts no child in one",
	"ext4":                "there is no device to mount",
	"fanotify/descriptor": "qemu doesn't know fanotify_init",
	"fanotify/names":      "qemu doesn't know fanotify_init",
	"fanotify/target":     "qemu doesn't know fanotify_init",
	"fanotify/rename":     "qemu doesn't know fanotify_init",
	"fanotify/filesystem": "qemu doesn't know fanotify_init",
	"fanotify/pidfd":      "qemu doesn't know fanotify_init",
	"fanotify/permission": "qemu doesn't know fanotify_init",
	"fanotify/audit-rule": "qemu doesn't know fanotify_init",
	"fanotify/ignore":     "qemu doesn't know fanotify_init",
	"fanotify/fd-error":   "qemu doesn't know fanotify_init",
	"fanotify/fs-error":   "qemu doesn't know fanotify_init",
	"fanotify/pre-access": "qemu doesn't know fanotify_init",
	"fanotify/mounts":     "qemu doesn't know fanotify_init",
	"inotify_setnextwd":   "qemu doesn't know the ioctl",

	"ipc_namespaces":       "qemu starts no child in one",
	"mq_notify":            "qemu doesn't know it",
	"mqueue/list":          "qemu doesn't know fsopen",
	"mqueue/notify-socket": "qemu doesn't know mq_notify",
	"mqueue_directory":     "qemu doesn't know fsopen",
	"rlimits":              "qemu keeps some to itself",

	"blocked_signals": realTime,
	"exec":            "the kernel can't start a program of another machine anew",
	"pidfd":           "qemu doesn't know their ioctls, nor how to clone with one, and hands their flags on as they are",
	"pidfd/cgroup":    "qemu doesn't know the ioctl",
	"pid_namespaces":  "qemu starts no child in one",
	"signal_codes":    "qemu translates those that it knows",

	"xfs": "there is no device to mount",

	"timerfd/set-ticks": "qemu doesn't know TFD_IOC_SET_TICKS",
}

// ExceptionsOf returns the tests that the machine can't pass.
func ExceptionsOf(m Machine) []outcome.Exception {
	var of []outcome.Exception
	for _, e := range exceptions {
		if m.Emulated() && (e.arch == nil || slices.Contains(e.arch, m.GOARCH)) {
			of = append(of, e.Exception)
		}
	}
	return of
}
