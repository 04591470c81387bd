//go:build linux

#include "textflag.h"

// func guardPC() uintptr
TEXT ·guardPC(SB), NOSPLIT, $0-4
	LEAL	guardHandler<>(SB), AX
	MOVL	AX, ret+0(FP)
	RET

// func restorerPC() uintptr
TEXT ·restorerPC(SB), NOSPLIT, $0-4
	LEAL	guardRestorer<>(SB), AX
	MOVL	AX, ret+0(FP)
	RET

// The kernel pushes the ucontext as the third argument; EAX is uc_mcontext's twelfth word.
TEXT guardHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	12(SP), DX
	MOVL	$-38, 64(DX)
	RET

TEXT guardRestorer<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL	$173, AX // rt_sigreturn
	INT	$0x80
	INT	$3
