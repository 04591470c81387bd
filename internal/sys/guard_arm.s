//go:build linux

#include "textflag.h"

// func guardPC() uintptr
TEXT ·guardPC(SB), NOSPLIT, $0-4
	MOVW	$guardHandler<>(SB), R0
	MOVW	R0, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB), NOSPLIT, $0-4
	MOVW	$0, R0 // the kernel maps its own
	MOVW	R0, ret+0(FP)
	RET

// The kernel calls it with the ucontext in R2; r0 is uc_mcontext.arm_r0.
TEXT guardHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVW	$-38, R3
	MOVW	R3, 32(R2)
	MOVW	R14, R15
