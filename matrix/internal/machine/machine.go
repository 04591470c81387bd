// Package machine is the table of the machines that the matrix has.
package machine

import (
	"maps"
	"slices"
	"strings"

	"github.com/fildes/fildes/internal/fdtest/fixture"
	"github.com/fildes/fildes/matrix/internal/debian"
)

// A Machine is a kernel of Debian's on hardware that qemu-system makes, or, where Debian has no kernel, this machine's kernel
// behind qemu-user.
type Machine struct {
	Name   string
	GOARCH string

	Kernel  debian.Kernel
	System  []string // the qemu-system command, without what every machine has
	Console string   // the console's name on the kernel's command line

	// Fixtures are the words of package fixture whose devices and modules the machine has.
	Fixtures []string

	Emulator string // the qemu-user command, if that's what the machine is

	// Quick machines are those that run in CI.
	Quick bool
}

// Lacks is what tests may say they need and the machine doesn't have, by the word of fdtest.Need, with the reason. What no test misses
// is an error in it.
func (m Machine) Lacks() map[string]string {
	lacks := make(map[string]string)
	if m.Emulated() {
		maps.Copy(lacks, emulatorLacks)
	} else {
		for _, f := range fixture.Table {
			if !slices.Contains(m.Fixtures, f.Word) {
				lacks[f.Word] = "the machine isn't given one"
			}
		}
		lacks["overlayfs"] = "the kernels have it as a module that isn't loaded"
		lacks["programs"] = "there are no programs but the tests and fildes"
	}
	for _, y := range young {
		if slices.Contains(y.without, m.series()) {
			for _, word := range y.words {
				lacks[word] = y.reason
			}
		}
	}
	if !slices.Contains([]string{"386", "amd64", "arm", "arm64"}, m.GOARCH) {
		lacks["guard"] = "internal/sys has no handler of SIGSYS for " + m.GOARCH
	}
	switch m.GOARCH {
	case "ppc64":
		for _, word := range []string{"signal_handler", "signalfd/notify", "signalfd/observe"} {
			lacks[word] = "internal/sys has no signal handler for ppc64"
		}
	case "mips", "mips64":
		lacks["pidfd/thread"] = "qemu hands the flags on as they are, and mips has others"
	}
	return lacks
}

// young are features that not every series has, by the words of tests and of doctor's checks.
var young = []struct {
	without []string
	reason  string
	words   []string
}{
	{[]string{"5.10", "6.1"}, "Linux 6.5 is the first to tell a semaphore in /proc/self/fdinfo", []string{"eventfd/from-file"}},
	{[]string{"5.10"}, "Linux 5.13 is the first whose tmpfs has an id", []string{"fanotify/names", "fanotify/target", "fanotify/rename", "fanotify/filesystem", "fanotify/fs-error"}},
	{[]string{"5.10", "6.1"}, "Linux 6.3 is the first", []string{"fanotify/audit-rule"}},
	{[]string{"5.10", "6.1"}, "Linux 6.6 is the first whose tmpfs has them", []string{"xattr"}},
	{[]string{"5.10", "6.1"}, "Linux 6.13 is the first, and 6.12 has it from there", []string{"fanotify/fd-error"}},
	{[]string{"5.10", "6.1"}, "Linux 6.5 is the first", []string{"peer_pidfd"}},
	{[]string{"5.10", "6.1"}, "Linux 6.9 is the first", []string{"pidfd_thread", "pidfd_signal_target", "pidfd/id", "pidfd/thread", "pidfd/target"}},
	{[]string{"5.10", "6.1", "6.12"}, "Linux 6.13 is the first", []string{"pidfd/cgroup"}},
	{[]string{"5.10", "6.1", "6.12"}, "Linux 6.15 is the first", []string{"pidfd/exit"}},
	{[]string{"5.10", "6.1", "6.12"}, "Linux 6.14 is the first", []string{"fan_pre_access", "fan_report_mnt", "fanotify/pre-access", "fanotify/mounts"}},
}

// series is the kernel's version in the machine's name.
func (m Machine) series() string {
	_, s, _ := strings.Cut(m.Name, "-")
	return s
}

// Emulated says whether only the program's own instructions are emulated, not the kernel.
func (m Machine) Emulated() bool { return m.Emulator != "" }

// The UARTs are a PC's; what else a machine lacks, its kernel has no module for or qemu no device.
var (
	onPC        = []string{"uart", "gadget", "vcan", "vsock", "watchdog", "uinput", "nics", "ext4", "xfs"}
	onARM       = onPC[1:]
	onRISCV     = []string{"gadget", "vcan", "vsock", "watchdog", "nics", "ext4", "xfs"}
	onPower     = []string{"vcan", "vsock", "watchdog", "uinput", "nics", "ext4", "xfs"}
	onMainframe = []string{"vcan", "vsock", "watchdog", "ext4", "xfs"}
)

const (
	bookworm = "bookworm"
	security = "bookworm-security"
	trixie   = "trixie"
)

// One processor: this qemu's amd64 loses its way where several patch the kernel's code at once, and where they take turns instead,
// a program that spins until another processor is done waits for a tenth of a second each time.
var accelerator = []string{"-accel", "tcg,tb-size=256", "-smp", "1"}

func pcWith(cpu string) []string {
	return append(system("qemu-system-x86_64", "-M", "q35", "-cpu", cpu, "-m", "768"), "-device", "isa-serial,chardev=console,index=0")
}

func system(command ...string) []string { return slices.Concat(command, accelerator) }

var (
	pc        = pcWith("max")
	pc32      = pcWith("Nehalem") // with all that this qemu knows, programs of 32 bits die of SIGILL now and then
	virtARM64 = append(system("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "768"),
		"-serial", "chardev:console")
	virtARM = append(system("qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-m", "768"),
		"-serial", "chardev:console")
	virtRISCV = append(system("qemu-system-riscv64", "-M", "virt", "-m", "768"),
		"-serial", "chardev:console")
	pseries = append(system("qemu-system-ppc64", "-M", "pseries", "-cpu", "power9", "-m", "1024"),
		"-device", "spapr-vty,chardev=console")
	ccw = append(system("qemu-system-s390x", "-M", "s390-ccw-virtio", "-cpu", "max", "-m", "768"),
		"-device", "sclpconsole,chardev=console")
)

// Table is all machines.
var Table = []Machine{
	{Name: "amd64-5.10", GOARCH: "amd64", System: pc, Fixtures: onPC, Console: "ttyS0", Quick: true,
		Kernel: debian.Kernel{Arch: "amd64", Suite: "bullseye-security", Name: `^linux-image-5\.10\.0-\d+-amd64$`}},
	{Name: "amd64-6.1", GOARCH: "amd64", System: pc, Fixtures: onPC, Console: "ttyS0",
		Kernel: debian.Kernel{Arch: "amd64", Suite: security, Name: `^linux-image-6\.1\.0-\d+-amd64$`}},
	{Name: "amd64-6.12", GOARCH: "amd64", System: pc, Fixtures: onPC, Console: "ttyS0",
		Kernel: debian.Kernel{Arch: "amd64", Suite: security, Name: `^linux-image-6\.12\.\d+\+deb12-amd64$`}},
	{Name: "amd64-6.18", GOARCH: "amd64", System: pc, Fixtures: onPC, Console: "ttyS0",
		Kernel: debian.Kernel{Arch: "amd64", Suite: "trixie-backports", Name: `^linux-image-6\.18\.\d+\+deb13-amd64$`}},
	{Name: "amd64-newest", GOARCH: "amd64", System: pc, Fixtures: onPC, Console: "ttyS0", Quick: true,
		Kernel: debian.Kernel{Arch: "amd64", Suite: "trixie-backports", Name: `^linux-image-\d+\.\d+\.\d+\+deb13-amd64$`}},
	{Name: "386-6.1", GOARCH: "386", System: pc32, Fixtures: onPC, Console: "ttyS0", Quick: true,
		Kernel: debian.Kernel{Arch: "i386", Suite: bookworm, Name: `^linux-image-6\.1\.0-\d+-686-pae$`}},
	{Name: "arm64-6.1", GOARCH: "arm64", System: virtARM64, Fixtures: onARM, Console: "ttyAMA0", Quick: true,
		Kernel: debian.Kernel{Arch: "arm64", Suite: security, Name: `^linux-image-6\.1\.0-\d+-arm64$`}},
	{Name: "arm-6.1", GOARCH: "arm", System: virtARM, Fixtures: onARM, Console: "ttyAMA0",
		Kernel: debian.Kernel{Arch: "armhf", Suite: bookworm, Name: `^linux-image-6\.1\.0-\d+-armmp-lpae$`}},
	{Name: "riscv64-6.12", GOARCH: "riscv64", System: virtRISCV, Fixtures: onRISCV, Console: "ttyS0",
		Kernel: debian.Kernel{Arch: "riscv64", Suite: trixie, Name: `^linux-image-6\.12\.\d+\+deb13-riscv64$`}},
	{Name: "ppc64le-6.1", GOARCH: "ppc64le", System: pseries, Fixtures: onPower, Console: "hvc0",
		Kernel: debian.Kernel{Arch: "ppc64el", Suite: bookworm, Name: `^linux-image-6\.1\.0-\d+-powerpc64le$`}},
	{Name: "s390x-6.1", GOARCH: "s390x", System: ccw, Fixtures: onMainframe, Console: "ttysclp0", Quick: true,
		Kernel: debian.Kernel{Arch: "s390x", Suite: bookworm, Name: `^linux-image-6\.1\.0-\d+-s390x$`}},

	{Name: "mips-user", GOARCH: "mips", Emulator: "qemu-mips-static"},
	{Name: "mips64-user", GOARCH: "mips64", Emulator: "qemu-mips64-static"},
	{Name: "loong64-user", GOARCH: "loong64", Emulator: "qemu-loongarch64-static"},
	{Name: "ppc64-user", GOARCH: "ppc64", Emulator: "qemu-ppc64-static"},
}
