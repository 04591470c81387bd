//go:build linux

package sys_test

import (
	"fmt"
	"go/constant"
	"go/types"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

// unchecked are the architectures that have no entry in fdtest.Machines.
var unchecked = map[string]string{
	"loong64": "Debian 12 has neither its headers nor a compiler for it; the kernel gives it the generic layouts, as riscv64",
}

const includes = `
#include <linux/types.h>
#include <linux/errno.h>
#include <linux/eventpoll.h>
#include <linux/fanotify.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/mman.h>
#include <linux/mqueue.h>
#include <linux/auxvec.h>
#include <linux/pidfd.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/stat.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <asm/ioctls.h>
#include <asm/mman.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/socket.h>
#include <asm/termbits.h>
#include <asm/unistd.h>

/* The kernel's own definitions, from headers that it doesn't publish. */
struct kernel_sigaction {
#ifdef __mips__
	unsigned int k_flags;
	void (*k_handler)(int);
	unsigned long k_mask[16 / sizeof(long)];
#else
	void (*k_handler)(int);
	unsigned long k_flags;
#ifdef SA_RESTORER
	void (*k_restorer)(void);
#endif
	unsigned long k_mask[8 / sizeof(long)];
#endif
};
#define MQUEUE_MAGIC 0x19800202
#define SFD_CLOEXEC O_CLOEXEC
#define SFD_NONBLOCK O_NONBLOCK
#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK
#define SPLICE_F_MOVE 1
#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_MORE 4
#define SPLICE_F_GIFT 8
#define WALL __WALL
#define DT_UNKNOWN 0
#define DT_DIR 4
#define DT_LNK 10
#define SHUT_WR 1
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define AF_UNIX 1
#define AF_NETLINK 16
#define SOCK_RAW 3
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK
#ifdef __mips__
#define SOCK_DGRAM 1
#define SOCK_STREAM 2
#else
#define SOCK_DGRAM 2
#define SOCK_STREAM 1
#endif
`

// A layout is a structure that a pointer carries into a system call, and where Go's fields are in C's.
type layout struct {
	goType, cType string
	only          []string // the architectures that have it, or all
	fields        map[string]string
}

var layouts = []layout{
	{"Timespec", "struct __kernel_timespec", nil, map[string]string{"Sec": "tv_sec", "Nsec": "tv_nsec"}},
	{"Itimerspec", "struct __kernel_itimerspec", nil, map[string]string{"Interval": "it_interval", "Value": "it_value"}},
	{"oldItimerspec", "struct itimerspec", []string{"386", "arm", "mips", "mipsle"}, map[string]string{
		"intervalSec": "it_interval.tv_sec", "intervalNsec": "it_interval.tv_nsec",
		"valueSec": "it_value.tv_sec", "valueNsec": "it_value.tv_nsec",
	}},
	{"Iovec", "struct iovec", nil, map[string]string{"Base": "iov_base", "Len": "iov_len"}},
	{"QueueAttr", "struct mq_attr", nil, map[string]string{"Flags": "mq_flags", "MaxMessages": "mq_maxmsg", "MessageSize": "mq_msgsize", "Messages": "mq_curmsgs"}},
	{"queueSignal", "struct sigevent", nil, map[string]string{"value": "sigev_value", "signo": "sigev_signo", "notify": "sigev_notify"}},
	{"queueSocket", "struct sigevent", nil, map[string]string{"value": "sigev_value", "signo": "sigev_signo", "notify": "sigev_notify"}},
	// The name follows the structure.
	{"InotifyEvent", "struct inotify_event", nil, map[string]string{"Wd": "wd", "Mask": "mask", "Cookie": "cookie", "Len": "len"}},
	// The two halves of the data word; which is which doesn't matter to the kernel.
	{"EpollEvent", "struct epoll_event", nil, map[string]string{"Events": "events", "Fd": "data", "Pad": "data + 4"}},
	{"sigaction", "struct kernel_sigaction", []string{"386", "amd64", "arm", "arm64", "ppc64le", "s390x"}, map[string]string{
		"handler": "k_handler", "flags": "k_flags", "restorer": "k_restorer", "mask": "k_mask",
	}},
	{"sigaction", "struct kernel_sigaction", withoutRestorer, map[string]string{"handler": "k_handler", "flags": "k_flags", "mask": "k_mask"}},
	// The published one, which on 386 and arm is that of an older system call.
	{"sigaction", "struct sigaction", []string{"amd64", "arm64", "ppc64le", "s390x"}, map[string]string{
		"handler": "sa_handler", "flags": "sa_flags", "restorer": "sa_restorer", "mask": "sa_mask",
	}},
	{"sigaction", "struct sigaction", withoutRestorer, map[string]string{"handler": "sa_handler", "flags": "sa_flags", "mask": "sa_mask"}},
}

// withoutRestorer are the architectures whose kernel brings the code that returns from a signal handler, and that have no field for it.
var withoutRestorer = []string{"mips", "mipsle", "mips64", "mips64le", "riscv64"}

// halves is the structure with a 64-bit word that x/sys and Go's runtime make of two 32-bit ones, and align as such: the kernel reads and
// writes it wherever it is.
const halves = "EpollEvent"

// ours are the structures that the kernel never sees.
var ours = []string{"Identity", "tapEntry"}

// chosen are the numbers that aren't the kernel's.
var chosen = []string{"TapEnds"}

// newer are the constants that the headers may lack.
var newer = map[string]string{
	"AT_HANDLE_FID":                         "Linux 6.5",
	"EPOLL_URING_WAKE":                      "Linux 6.2",
	"FAN_INFO":                              "Linux 6.3",
	"FAN_MARK_MNTNS":                        "Linux 6.14",
	"FAN_MNT_ATTACH":                        "Linux 6.14",
	"FAN_MNT_DETACH":                        "Linux 6.14",
	"FAN_PRE_ACCESS":                        "Linux 6.14",
	"FAN_REPORT_FD_ERROR":                   "Linux 6.13",
	"FAN_REPORT_MNT":                        "Linux 6.14",
	"PID_FS_MAGIC":                          "Linux 6.9",
	"PIDFD_COREDUMPED":                      "Linux 6.16",
	"PIDFD_COREDUMP_ROOT":                   "Linux 6.16",
	"PIDFD_COREDUMP_SKIP":                   "Linux 6.16",
	"PIDFD_COREDUMP_USER":                   "Linux 6.16",
	"PIDFD_GET_CGROUP_NAMESPACE":            "Linux 6.11",
	"PIDFD_GET_IPC_NAMESPACE":               "Linux 6.11",
	"PIDFD_GET_MNT_NAMESPACE":               "Linux 6.11",
	"PIDFD_GET_NET_NAMESPACE":               "Linux 6.11",
	"PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE":  "Linux 6.11",
	"PIDFD_GET_PID_NAMESPACE":               "Linux 6.11",
	"PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE": "Linux 6.11",
	"PIDFD_GET_TIME_NAMESPACE":              "Linux 6.11",
	"PIDFD_GET_USER_NAMESPACE":              "Linux 6.11",
	"PIDFD_GET_UTS_NAMESPACE":               "Linux 6.11",
	"PIDFD_INFO_CGROUPID":                   "Linux 6.13",
	"PIDFD_INFO_COREDUMP":                   "Linux 6.16",
	"PIDFD_INFO_COREDUMP_SIGNAL":            "Linux 6.19",
	"PIDFD_INFO_CREDS":                      "Linux 6.13",
	"PIDFD_INFO_EXIT":                       "Linux 6.15",
	"PIDFD_INFO_PID":                        "Linux 6.13",
	"PIDFD_INFO_SUPPORTED_MASK":             "Linux 6.19",
	"PIDFD_SELF_PROCESS":                    "Linux 6.14",
	"PIDFD_SELF_THREAD":                     "Linux 6.14",
	"PIDFD_SIGNAL_PROCESS_GROUP":            "Linux 6.9",
	"PIDFD_SIGNAL_THREAD":                   "Linux 6.9",
	"PIDFD_SIGNAL_THREAD_GROUP":             "Linux 6.9",
	"PIDFD_THREAD":                          "Linux 6.9",
}

// TestLayout has a C compiler compare structures, constants and system call numbers with the kernel's headers, for each
// architecture.
func TestLayout(t *testing.T) {
	if testing.Short() {
		t.Skip("it type-checks the module and what it imports once per architecture")
	}
	for _, m := range fdtest.Machines {
		t.Run(m.Arch, func(t *testing.T) {
			t.Parallel()
			l := load(t, m.Arch)
			checkComplete(t, l)
			m.Assert(t, includes+assertLayouts(t, l, m.Arch)+assertConstants(l)+assertTime64(t, l))
			t.Logf("%d constants checked", len(l.used)+len(l.named))
		})
	}
}

// TestLayoutCoverage fails when Go gets an architecture that nobody has thought of here.
func TestLayoutCoverage(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "tool", "dist", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		goos, arch, _ := strings.Cut(strings.TrimSpace(line), "/")
		known := unchecked[arch] != ""
		for _, m := range fdtest.Machines {
			known = known || m.Arch == arch
		}
		if goos == "linux" && !known {
			t.Errorf("linux/%s is neither in fdtest.Machines nor in unchecked", arch)
		}
	}
}

// checkComplete fails when a structure or a constant of internal/sys isn't compared.
func checkComplete(t *testing.T, l *loaded) {
	for _, name := range l.sys.Scope().Names() {
		obj, ok := l.sys.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		_, ok = obj.Type().Underlying().(*types.Struct)
		if ok && !slices.Contains(ours, name) && !slices.ContainsFunc(layouts, func(e layout) bool { return e.goType == name }) {
			t.Errorf("the structure %s isn't in layouts", name)
		}
	}
	for _, name := range l.unnamed {
		if slices.Contains(chosen, name) {
			continue
		}
		t.Errorf("the constant %s is a number, and its comment doesn't begin with the kernel's name for it", name)
	}
}

func assertLayouts(t *testing.T, l *loaded, arch string) string {
	var b strings.Builder
	for _, layout := range layouts {
		if layout.only != nil && !slices.Contains(layout.only, arch) {
			continue
		}
		obj := l.sys.Scope().Lookup(layout.goType)
		if obj == nil {
			t.Errorf("internal/sys has no %s", layout.goType)
			continue
		}
		s := obj.Type().Underlying().(*types.Struct)
		var vars []*types.Var
		for v := range s.Fields() {
			vars = append(vars, v)
		}
		fmt.Fprintf(&b, "_Static_assert(sizeof(%s) == %d, \"sizeof %s\");\n", layout.cType, l.sizes.Sizeof(s), layout.goType)
		// Go aligns nothing more than a word, which no kernel minds, and packs nothing.
		if layout.goType != halves {
			fmt.Fprintf(&b, "_Static_assert((_Alignof(%[1]s) < sizeof(long) ? _Alignof(%[1]s) : sizeof(long)) == %[2]d, \"alignment of %[3]s\");\n",
				layout.cType, l.sizes.Alignof(s), layout.goType)
		}
		offsets := l.sizes.Offsetsof(vars)
		seen := 0
		for i, v := range vars {
			c, ok := layout.fields[v.Name()]
			if !ok {
				if v.Name() != "_" && !strings.HasPrefix(v.Name(), "Pad") {
					t.Errorf("%s.%s isn't in layouts", layout.goType, v.Name())
				}
				continue
			}
			seen++
			member, plus, _ := strings.Cut(c, " + ")
			if plus == "" {
				plus = "0"
				fmt.Fprintf(&b, "_Static_assert(%d || sizeof(((%s *)0)->%s) == %d, \"sizeof %s.%s\");\n",
					asInt(layout.goType == halves), layout.cType, member, l.sizes.Sizeof(v.Type()), layout.goType, v.Name())
			}
			fmt.Fprintf(&b, "_Static_assert(__builtin_offsetof(%s, %s) + %s == %d, \"offset of %s.%s\");\n",
				layout.cType, member, plus, offsets[i], layout.goType, v.Name())
		}
		if seen != len(layout.fields) {
			t.Errorf("%s: the table has %d fields, the type %d of them", layout.goType, len(layout.fields), seen)
		}
	}
	return b.String()
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// assertConstants compares all constants of packages syscall and unix that the module uses, and those of its own whose comment
// begins with a name of the kernel's.
func assertConstants(l *loaded) string {
	var b strings.Builder
	emit := func(name string, value constant.Value) {
		if call, ok := strings.CutPrefix(name, "SYS_"); ok {
			name = "__NR_" + strings.ToLower(call)
		}
		fmt.Fprintf(&b, "#ifdef %s\n_Static_assert((long long)(%s) == %sLL, \"%s\");\n", name, name, value.ExactString(), name)
		if newer[name] == "" {
			fmt.Fprintf(&b, "#else\n_Static_assert(0, \"the headers have no %s\");\n", name)
		}
		b.WriteString("#endif\n")
	}
	for _, all := range []map[string]constant.Value{l.used, l.named} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			emit(name, all[name])
		}
	}
	return b.String()
}

// assertTime64 checks that the timer calls are those with 64-bit times.
func assertTime64(t *testing.T, l *loaded) string {
	var b strings.Builder
	for goName, call := range map[string]string{"sysTimerSet": "timerfd_settime", "sysTimerGet": "timerfd_gettime"} {
		c, ok := l.sys.Scope().Lookup(goName).(*types.Const)
		if !ok {
			t.Errorf("internal/sys has no constant %s", goName)
			continue
		}
		fmt.Fprintf(&b, "_Static_assert(sizeof(long) == 8 ? __NR_%[1]s == %[2]s :\n#ifdef __NR_%[1]s64\n__NR_%[1]s64\n#else\n0\n#endif\n== %[2]s, \"%[1]s\");\n",
			call, c.Val().ExactString())
	}
	return b.String()
}
