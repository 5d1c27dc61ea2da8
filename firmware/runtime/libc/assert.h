// SPDX-License-Identifier: Apache-2.0
// Images are built without assertions: their texts would cost more than the code they guard.
// No include guard, as the C standard wants it (C11 7.2).
#undef assert
#define assert(condition) ((void)0)

#ifndef static_assert
#define static_assert _Static_assert
#endif
