//go:build linux

package signalfd

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fildes/fildes/internal/fdtest"
)

// constants are those of a file, of one type or of all, by the C name that is the first word of the comment, or the Go name if that is one.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, d := range parsed.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			v := spec.(*ast.ValueSpec)
			name, comment := v.Names[0].Name, v.Comment
			if comment == nil {
				comment = gen.Doc
			}
			if !strings.HasPrefix(name, "SIG") {
				text := strings.TrimPrefix(comment.Text(), name+" is ")
				name = strings.TrimRight(strings.Fields(text)[0], ":.")
			}
			switch value := v.Values[0].(type) {
			case *ast.BasicLit:
				found[name] = value.Value
			case *ast.UnaryExpr:
				found[name] = value.Op.String() + value.X.(*ast.BasicLit).Value
			}
		}
	}
	return found
}

// newer are the constants that the headers may lack.
var newer = []string{"SEGV_CPERR"}

// Every number, and where every field is, is compared with the kernel's headers.
func TestLayout(t *testing.T) {
	codes := constants(t, "decode_code.go")
	if len(codes) < 60 {
		t.Fatalf("only %d codes were found", len(codes))
	}
	for _, m := range fdtest.Machines {
		t.Run(m.Arch, func(t *testing.T) {
			t.Parallel()
			abi, err := ABIOf(m.Arch)
			if err != nil {
				t.Fatal(err)
			}
			signals := constants(t, "decode_signal_generic.go")
			if abi.MIPS {
				signals = constants(t, "decode_signal_mipsx.go")
			}
			if len(signals) != 32 { // 31, and Last
				t.Fatalf("%d signals were found", len(signals))
			}
			var c strings.Builder
			c.WriteString("#include <linux/types.h>\n#include <linux/signal.h>\n#include <linux/signalfd.h>\n")
			for _, name := range slices.Sorted(maps.Keys(signals)) {
				if strings.HasPrefix(name, "SIG") {
					fmt.Fprintf(&c, "_Static_assert(%s == %s, \"%[1]s\");\n", name, signals[name])
				}
			}
			for _, name := range slices.Sorted(maps.Keys(codes)) {
				value := codes[name]
				if abi.MIPS { // where it differs, the decoder translates
					switch name {
					case "SI_ASYNCIO":
						value = "-2"
					case "SI_TIMER":
						value = "-3"
					case "SI_MESGQ":
						value = "-4"
					}
				}
				if slices.Contains(newer, name) {
					fmt.Fprintf(&c, "#ifdef %s\n", name)
				}
				fmt.Fprintf(&c, "_Static_assert(%s == %s, \"%[1]s\");\n", name, value)
				if slices.Contains(newer, name) {
					c.WriteString("#endif\n")
				}
			}
			at := func(f field) int {
				if abi.Bits == 64 {
					return 16 + int(f.wide)
				}
				return 12 + int(f.narrow)
			}
			for _, x := range []struct {
				f            field
				info, record string
				size         int // of a number in both; 0 if it is a long in info
			}{
				{fieldPID, "si_pid", "ssi_pid", 4}, {fieldUID, "si_uid", "ssi_uid", 4}, {fieldFD, "si_fd", "ssi_fd", 4}, {fieldTimer, "si_tid", "ssi_tid", 4},
				{fieldBand, "si_band", "ssi_band", 0}, {fieldOverrun, "si_overrun", "ssi_overrun", 4}, {fieldTrapNumber, "si_trapno", "ssi_trapno", 4}, {fieldStatus, "si_status", "ssi_status", 4},
				{fieldInt, "si_int", "ssi_int", 4}, {fieldPointer, "si_ptr", "ssi_ptr", 0}, {fieldUserTime, "si_utime", "ssi_utime", 0}, {fieldSystemTime, "si_stime", "ssi_stime", 0},
				{fieldAddress, "si_addr", "ssi_addr", 0}, {fieldAddressBits, "si_addr_lsb", "ssi_addr_lsb", 2}, {fieldCall, "si_syscall", "ssi_syscall", 4},
				{fieldCallAddress, "si_call_addr", "ssi_call_addr", 0}, {fieldArch, "si_arch", "ssi_arch", 4},
				{fieldLower, "si_lower", "", 0}, {fieldUpper, "si_upper", "", 0}, {fieldKey, "si_pkey", "", 4},
				{fieldPerfData, "si_perf_data", "", 0}, {fieldPerfType, "si_perf_type", "", 4}, {fieldPerfFlags, "si_perf_flags", "", 4},
			} {
				size := x.size
				if size == 0 {
					size = abi.Bits / 8
				}
				if x.record != "" {
					fmt.Fprintf(&c, "_Static_assert(__builtin_offsetof(struct signalfd_siginfo, %s) == %d, \"%[1]s\");\n", x.record, x.f.record)
				}
				if x.info == "si_trapno" { // what has it isn't among these
					continue
				}
				fmt.Fprintf(&c, "#ifdef %s\n_Static_assert(__builtin_offsetof(siginfo_t, %[1]s) == %[2]d && sizeof ((siginfo_t *)0)->%[1]s == %[3]d, \"%[1]s\");\n", x.info, at(x.f), size)
				fmt.Fprintf(&c, "#else\n_Static_assert(%d, \"there is no %s\");\n#endif\n", btoi(x.info == "si_perf_flags"), x.info)
			}
			first, second := "si_errno", "si_code"
			if abi.MIPS {
				first, second = second, first
			}
			fmt.Fprintf(&c, "_Static_assert(__builtin_offsetof(siginfo_t, %s) == 4 && __builtin_offsetof(siginfo_t, %s) == 8, \"head\");\n", first, second)
			fmt.Fprintf(&c, "_Static_assert(sizeof(siginfo_t) == %d && sizeof(struct signalfd_siginfo) == %[1]d, \"size\");\n", recordSize)
			m.Assert(t, c.String())
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
