/* machine_win32.h: the registers of an interrupted thread of Windows. Shared by fault/veh.c and
 * preempt/suspend.c. */
#ifndef BACKENDS_MACHINE_WIN32_H
#define BACKENDS_MACHINE_WIN32_H

#ifdef _WIN32
#include <stdint.h>
#include <windows.h>

/* As if land(arg) had been called with an empty stack below top: the room that a callee may use, a
 * zero as the return address, a clear direction flag and an empty x87 stack. */
static inline void machine_land(CONTEXT *c, void (*land)(void *), void *arg, void *top)
{
	uintptr_t *sp = (uintptr_t *)top - 5;

	*sp = 0;
	c->Rsp = (uintptr_t)sp;
	c->Rip = (uintptr_t)land;
	c->Rcx = (uintptr_t)arg;
	c->Rbp = 0;
	c->EFlags &= ~0x400u;
	c->FltSave.StatusWord = 0;
	c->FltSave.TagWord = 0;
}

#endif
#endif
