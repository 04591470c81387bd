//go:build linux

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/fildes/fildes"
	"github.com/fildes/fildes/cmd/fildes/internal/host"
	"github.com/fildes/fildes/cmd/fildes/internal/report"
)

// judge turns a check's error into the row's result.
func judge(row *report.Row, needs host.Capability, err error) {
	if errors.Is(err, fs.ErrNotExist) && !mounted("/proc/self/fd") {
		err = &absentError{"/proc", err}
	}
	switch {
	case err == nil:
		row.Result = report.OK
		return
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOSYS):
		row.Result, row.Missing = report.Unsupported, feature(err)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		row.Result, row.Missing = report.Denied, missing(needs)
	default:
		row.Result = report.Failed
	}
	row.Reason = err.Error()
	if row.Result != report.Denied {
		return
	}
	switch {
	case row.Missing != "" && strings.Contains(row.Reason, "needs "+row.Missing):
	case row.Missing != "":
		row.Reason = "needs " + row.Missing + ": " + row.Reason
	case needs != nothing:
		row.Reason = fmt.Sprintf("%v is held, yet a seccomp filter, a security module or a user namespace forbids it: %s", needs, row.Reason)
	default:
		row.Reason = "a seccomp filter or a security module forbids it: " + row.Reason
	}
}

// An absentError says what the system around the kernel doesn't have.
type absentError struct {
	what string
	err  error
}

func (e *absentError) Error() string   { return "there is no " + e.what + ": " + e.err.Error() }
func (e *absentError) Unwrap() []error { return []error{errors.ErrUnsupported, e.err} }

func mounted(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// missing is the name of a capability that this process doesn't have.
func missing(needs host.Capability) string {
	if needs == nothing {
		return ""
	}
	if set, err := host.Effective(); err == nil && set.Has(needs) {
		return ""
	}
	return needs.String()
}

// feature says what the kernel lacks.
func feature(err error) string {
	if e, ok := errors.AsType[*fildes.UnsupportedError](err); ok {
		if e.Since != "" {
			return e.Feature + " (Linux " + e.Since + ")"
		}
		return e.Feature
	}
	if e, ok := errors.AsType[*absentError](err); ok {
		return e.what
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return e.Syscall
	}
	return ""
}
