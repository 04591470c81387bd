//go:build linux

#include "go_asm.h"
#include "textflag.h"

// func tapPC() uintptr
TEXT ·tapPC(SB), NOSPLIT, $0-4
	LEAL	tapHandler<>(SB), AX
	MOVL	AX, ret+0(FP)
	RET

// The kernel calls it with the signal, the siginfo_t and the ucontext on the stack, the signal stack of whatever thread. It uses nothing of Go's, and leaves the stack and the registers as they were for
// the handler that it jumps on to.
TEXT tapHandler<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	PUSHL	BX
	PUSHL	SI
	PUSHL	DI
	PUSHL	BP
	MOVL	20(SP), BP // the signal
	IMULL	$tapEntry__size, BP
	LEAL	·tapTable(SB), AX
	ADDL	AX, BP

	MOVL	$20, AX // getpid: in a child before it calls execve, the pipes are the parent's
	INT	$0x80
	LEAL	·tapPID(SB), CX
	CMPL	AX, (CX)
	JNE	forward

	XORL	SI, SI
loop:
	MOVL	tapEntry_ends(BP)(SI*4), BX
	SUBL	$1, BX
	JLT	next
	MOVL	24(SP), CX // the siginfo_t
	MOVL	$128, DX
	MOVL	$4, AX // write
	INT	$0x80
	CMPL	AX, $128
	JEQ	next
	LOCK
	INCL	tapEntry_lost(BP)(SI*4)
next:
	INCL	SI
	CMPL	SI, $const_TapEnds
	JLT	loop

forward:
	MOVL	tapEntry_forward(BP), AX
	MOVL	tapEntry_next(BP), CX
	POPL	BP
	POPL	DI
	POPL	SI
	POPL	BX
	TESTL	AX, AX
	JEQ	done
	CMPL	CX, $1 // SIG_IGN
	JLS	done
	JMP	CX
done:
	RET
