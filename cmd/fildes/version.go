//go:build linux

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/fildes/fildes/cmd/fildes/internal/host"
)

const modulePath = "github.com/fildes/fildes"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of the module, of Go and of the kernel",
		Example: "  fildes version",
		Args:    cobra.NoArgs,
		RunE: running(func(cmd *cobra.Command, _ []string) error {
			tool, library := versions()
			h := host.Read(nil, nil)
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "fildes   %s\nmodule   %s %s\ngo       %s %s/%s\nkernel   Linux %s %s\n",
				tool, modulePath, library, runtime.Version(), runtime.GOOS, runtime.GOARCH, h.Kernel, h.Machine)
			return err
		}),
	}
}

// versions returns those of this program and of the library in it, as the build has recorded them.
func versions() (tool, library string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", "unknown"
	}
	tool, library = info.Main.Version, "unknown"
	for _, dep := range info.Deps {
		if dep.Path != modulePath {
			continue
		}
		library = dep.Version
		if dep.Replace != nil {
			library = dep.Replace.Version
		}
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			tool += ", commit " + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			tool += ", modified"
		}
	}
	// A checkout builds both from one commit.
	if library == "" || library == "(devel)" {
		library = tool
	}
	return tool, library
}
