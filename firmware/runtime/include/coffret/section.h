// SPDX-License-Identifier: Apache-2.0
// Where a variable lives. Under link-time optimisation a linker script cannot tell the VM's statics from
// the monitor's by object file, so the monitor's (and its drivers') variables carry a section of their own
// and everything else falls into the VM's window. In boot the same section is part of .bss.
#ifndef COFFRET_SECTION_H
#define COFFRET_SECTION_H

// Zeroed at start-up by whoever owns the link (boot or the monitor). No initialisers: there is no .data.
#ifdef COFFRET_HOST
#define MONITOR_BSS
#else
#define MONITOR_BSS __attribute__((section(".monitor.bss")))
#endif

#endif
