//go:build linux

// Package doctor tries every kind of descriptor on the running kernel, through the library's public API.
//
// A kind is added by a file that describes it, with its checks, and its name in Kinds.
package doctor

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/signalfd"
)

// Kinds is every kind that the doctor knows, in the order of its report.
var Kinds = []*Kind{&fdKind, &eventfdKind, &timerfdKind, &epollKind, &pipeKind, &spliceKind, &inotifyKind, &fanotifyKind, &signalfdKind, &pidfdKind, &mqueueKind}

// A Kind is one kind of descriptor, and a package of the library.
type Kind struct {
	Name  string // at most eight letters
	About string
	// Capabilities and Sysctls are those that decide what the kind can do; the report's header shows them.
	Capabilities []host.Capability
	Sysctls      []string
	// Block are the signals that the kind's checks need blocked.
	Block  signalfd.Set
	Checks []Check
}

// A Check is one row of the report.
type Check struct {
	Name string // stable: it stands in the JSON
	What string // what is done, in at most 40 letters
	// Needs is the capability without which Run fails with EPERM, if there is one.
	Needs host.Capability
	Run   func(t *Trial) error
}

// nothing (CAP_CHOWN, which no descriptor needs) is the zero value of Check.Needs.
const nothing host.Capability = 0

// Select returns the kinds of the given names without repetition, or all if there are no names.
func Select(names []string) ([]*Kind, error) {
	if len(names) == 0 {
		return Kinds, nil
	}
	var kinds []*Kind
	for _, name := range names {
		i := slices.IndexFunc(Kinds, func(k *Kind) bool { return k.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown kind %q: the kinds are %s", name, Names())
		}
		if !slices.Contains(kinds, Kinds[i]) {
			kinds = append(kinds, Kinds[i])
		}
	}
	return kinds, nil
}

// Names lists the kinds for a message.
func Names() string {
	var names []string
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

// Capabilities returns those that matter to some kind.
func Capabilities() []host.Capability {
	all := []host.Capability{unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE}
	for _, k := range Kinds {
		all = append(all, k.Capabilities...)
	}
	return all
}

// Sysctls returns those that matter to some kind.
func Sysctls() []string {
	all := []string{"fs.file-max"}
	for _, k := range Kinds {
		all = append(all, k.Sysctls...)
	}
	return all
}
