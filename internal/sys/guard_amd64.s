//go:build linux

#include "textflag.h"

// func guardPC() uintptr
TEXT ·guardPC(SB), NOSPLIT, $0-8
	LEAQ	guardHandler<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB), NOSPLIT, $0-8
	LEAQ	guardRestorer<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// The kernel calls it with the ucontext in DX; RAX is uc_mcontext.gregs[13].
TEXT guardHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVQ	$-38, 144(DX)
	RET

TEXT guardRestorer<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVQ	$15, AX // rt_sigreturn
	SYSCALL
	INT	$3
