//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-8
	LEAQ	tapHandler<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// The kernel calls it with the signal in DI, the siginfo_t in SI and the ucontext in DX, on the signal stack of whatever thread. It uses nothing of Go's, and leaves
// the registers as they were for the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	PUSHQ	BX
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	MOVQ	DI, R12
	MOVQ	SI, R13
	MOVQ	DX, R14
	MOVLQSX	DI, BX
	IMULQ	$tapEntry__size, BX
	LEAQ	·tapTable(SB), AX
	ADDQ	AX, BX

	MOVL	$39, AX // getpid: in a child before it calls execve, the pipes are the parent's
	SYSCALL
	LEAQ	·tapPID(SB), CX
	CMPL	AX, (CX)
	JNE	forward

	XORL	R15, R15
loop:
	MOVL	tapEntry_ends(BX)(R15*4), DI
	SUBL	$1, DI
	JLT	next
	MOVQ	R13, SI
	MOVL	$128, DX
	MOVL	$1, AX // write
	SYSCALL
	CMPQ	AX, $128
	JEQ	next
	LOCK
	INCL	tapEntry_lost(BX)(R15*4)
next:
	INCL	R15
	CMPL	R15, $const_TapEnds
	JLT	loop

forward:
	MOVQ	R12, DI
	MOVQ	R13, SI
	MOVQ	R14, DX
	MOVL	tapEntry_forward(BX), AX
	MOVQ	tapEntry_next(BX), R11
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	BX
	TESTL	AX, AX
	JEQ	done
	CMPQ	R11, $1 // SIG_IGN
	JLS	done
	JMP	R11
done:
	RET
