//go:build linux

#include "textflag.h"

// func guardPC() uintptr
TEXT ·guardPC(SB), NOSPLIT, $0-8
	MOVD	$guardHandler<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB), NOSPLIT, $0-8
	MOVD	ZR, ret+0(FP) // the vDSO has it
	RET

// The kernel calls it with the ucontext in R2; X0 is uc_mcontext.regs[0].
TEXT guardHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVD	$-38, R3
	MOVD	R3, 184(R2)
	RET
