// SPDX-License-Identifier: Apache-2.0
// Where a variable lives, and what link-time optimisation must leave a function. Under it a linker script cannot tell
// the VM's statics from the monitor's by object file, so the monitor's (and its drivers') variables carry a section of
// their own and everything else falls into the VM's window. In boot the same section is part of .bss.
#ifndef COFFRET_SECTION_H
#define COFFRET_SECTION_H

// Zeroed at start-up by whoever owns the link (boot or the monitor). No initialisers: there is no .data.
#ifdef COFFRET_HOST
#define MONITOR_BSS
#define BOOT_LOW
#else
#define MONITOR_BSS __attribute__((section(".monitor.bss")))
// A constant that boot keeps in the gap between its vector table and its services, which would be empty else.
#define BOOT_LOW __attribute__((section(".rodata.boot_low")))
#endif

// A step of boot that stays a function under link-time optimisation: fault injection stops at it by name.
#define BOOT_STEP __attribute__((noinline))

#endif
