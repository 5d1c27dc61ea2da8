// SPDX-License-Identifier: Apache-2.0
// A pointer that a task passes is an allegation: it counts only once the whole range is known to be memory that
// the task itself could have used.
#include "monitor.h"

bool may_write(const struct task *task, uint32_t address, uint32_t length) {
    if (is_own_memory(task, address, length)) {
        return true;
    }
    // The window is open to the enclave that runs, and only the task that runs makes calls. A call that waits
    // must not keep a pointer into it: those are of services, which have no window, or ask is_own_memory.
    uint32_t window = (uint32_t)__window_start;
    return task->window_save != 0 && lies_inside(address, length, window, (uint32_t)__window_end - window);
}

bool may_read(const struct task *task, uint32_t address, uint32_t length) {
    // The running image is readable to all: constants may be sent from where they are.
    uint32_t image = (uint32_t)__image_start;
    return may_write(task, address, length) || lies_inside(address, length, image, (uint32_t)__image_end - image);
}
